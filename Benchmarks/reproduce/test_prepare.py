"""Of Benchmarks/reproduce/prepare.py: `make check-benchmarks`."""
import collections
import json
import pathlib
import tempfile
import unittest

import prepare

PARTS = [{"part": "head", "x": 1, "y": 1}]


def objects(name, count):
    """Two objects a photograph, every third without parts."""
    return [{"image": f"images/{name}/{index:03}.jpg", "category": name, "group": f"{name}/{index // 2}", "width": 9,
             "height": 8, "split": "train", "parts": PARTS if index % 3 else []} for index in range(count)]


def pictures(count):
    return [{"image": f"images/negative/{index}.jpg", "category": "negative", "split": "train"} for index in range(count)]


class PrepareTests(unittest.TestCase):
    def setUp(self):
        self.categories, self.negatives = prepare.with_split(
            {name: objects(name, 60) for name in ["cat", "dog", "fox"]}, pictures(50), 20)

    def test_enough_are_judged_and_no_photograph_is_on_both_sides(self):
        for items in self.categories.values():
            judged = [item for item in items if item["split"] == "val" and item["parts"]]
            self.assertIn(len(judged), [20, 21])
            sides = collections.defaultdict(set)
            for item in items:
                sides[item["group"]].add(item["split"])
            self.assertTrue(all(len(side) == 1 for side in sides.values()))
        self.assertTrue(0 < sum(item["split"] == "val" for item in self.negatives) < 25)

    def test_more_than_there_are(self):
        self.assertEqual(len(prepare.judged_groups(objects("cat", 6), 100)), 3)

    def test_as_many_counter_examples_evenly_and_of_the_same_split(self):
        records = [record for record, _ in prepare.single(self.categories, self.negatives, "cat", "animals")]
        for split in ["train", "val"]:
            count = collections.Counter(
                record["group"].split("/")[0] if record["category"] == "negative" else "cat"
                for record in records if record["split"] == split)
            others = [count["dog"], count["fox"], count["negative"]]
            self.assertEqual(sum(others), count["cat"])
            self.assertLessEqual(max(others) - min(others), max(1, count["cat"] - 3 * min(others)))
        split_of = {item["image"]: item["split"] for pile in [*self.categories.values(), self.negatives] for item in pile}
        for record, original in prepare.single(self.categories, self.negatives, "cat", "animals"):
            self.assertEqual(record["split"], split_of[original])

    def test_the_negatives_are_the_counter_examples(self):
        records = [record for record, _ in prepare.single(self.categories, self.negatives, "cat", "negatives")]
        self.assertEqual(sum(record["category"] == "cat" for record in records), 60)
        others = [record for record in records if record["category"] == "negative"]
        self.assertEqual({record["group"].split("/")[0] for record in others}, {"negative"})
        self.assertEqual(len(others), 50)

    def test_wide_is_judged_by_everything_and_trained_alike(self):
        for kind in prepare.KINDS:
            narrow, wide = (form(self.categories, self.negatives, "cat", kind) for form in (prepare.single, prepare.wide))
            for split, same in [("train", True), ("val", False)]:
                images = [sorted(record["image"] for record, _ in records if record["split"] == split) for records in (narrow, wide)]
                self.assertEqual(images[0] == images[1], same)
                self.assertEqual(len(set(images[1])), len(images[1]))
            judged = [item for pile in [*self.categories.values(), self.negatives] for item in pile if item["split"] == "val"]
            self.assertEqual(sorted(original for record, original in wide if record["split"] == "val"),
                             sorted(item["image"] for item in judged))

    def test_as_far_as_they_last(self):
        self.assertEqual(len(prepare.counter_examples({"cat": []}, self.negatives, "cat", "train", 1000)),
                         sum(item["split"] == "train" for item in self.negatives))

    def test_folders(self):
        with tempfile.TemporaryDirectory() as name:
            source, study = pathlib.Path(name) / "data", pathlib.Path(name) / "study"
            everything = objects("cat", 30) + objects("dog", 30) + pictures(9)
            for item in everything:
                path = source / item["image"]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(item["image"])
            (source / "annotations.jsonl").write_text("".join(json.dumps(item) + "\n" for item in everything))
            for _ in range(2):
                self.assertEqual(prepare.prepare(source, study, 10), ["cat", "dog"])
                lines = (study / "all" / "annotations.jsonl").read_text().splitlines()
                self.assertEqual(len(lines), 60)
                for kind in ["single", "wide"]:
                    records = [json.loads(line) for line in
                               (study / kind / "cat" / "annotations.jsonl").read_text().splitlines()]
                    for record in records:
                        self.assertTrue((study / kind / "cat" / record["image"]).read_text().startswith("images/"))

    def test_a_set_without_negatives(self):
        with tempfile.TemporaryDirectory() as name:
            source = pathlib.Path(name)
            (source / "annotations.jsonl").write_text("".join(json.dumps(item) + "\n" for item in objects("cat", 9)))
            with self.assertRaisesRegex(SystemExit, "no category 'negative'.*--counter-examples animals"):
                prepare.prepare(source, source / "study", 3)


if __name__ == "__main__":
    unittest.main()
