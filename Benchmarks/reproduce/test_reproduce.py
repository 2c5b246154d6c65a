"""Of Benchmarks/reproduce/reproduce.py: `make check-benchmarks`."""
import contextlib
import io
import json
import pathlib
import sys
import tempfile
import unittest
from unittest import mock

import reproduce
from test_prepare import objects, pictures

# Stands for icnn: notes its arguments, begins a run folder, breaks off once where it is told to, evaluates to fixed numbers.
PROGRAM = """#!/usr/bin/env -S python3 -SE
import json, pathlib, sys
home = pathlib.Path(__file__).parent
words = sys.argv[1:]
with open(home / "calls", "a") as file:
    file.write(" ".join(words) + "\\n")
option = lambda name: words[words.index(name) + 1]
if words[0] == "train":
    run = pathlib.Path(option("--output"))
    run.mkdir(parents=True, exist_ok=True)
    (run / "config.yaml").touch()
    trap = home / "trap"
    if trap.exists() and trap.read_text() == run.name:
        trap.unlink()
        sys.exit(85)
else:
    ordinary = "ordinary" in option("--checkpoint")
    half = option("--top") == "5"
    print(json.dumps({"accuracy": 0.91 if ordinary else 0.9, "location_instability": 0.1 if ordinary else 0.06 if half else 0.08,
                      "part_interpretability": 0.2, "part_correlation": 0.7, "purity": 0.5,
                      "controls": {"location_instability": {"centre": 0.07 if half else 0.075, "random": 0.15}}}))
"""


class StatisticsTests(unittest.TestCase):
    def test_interval(self):
        mean, width = reproduce.interval([1, 2, 3])
        self.assertEqual(mean, 2)
        self.assertAlmostEqual(width, 4.303 / 3 ** 0.5, places=12)
        self.assertEqual(reproduce.interval([5]), (5, None))
        self.assertEqual(reproduce.shown([None, 5.0], 1), "5.0")
        self.assertEqual(reproduce.shown([None], 1), "–")

    def test_comparisons_are_paired_by_seed(self):
        def result(instability, accuracy):
            return {"half": {"accuracy": accuracy, "location_instability": instability, "part_interpretability": 1},
                    "all": {"location_instability": 2 * instability}, "wide": {"part_interpretability": 0}}
        text = reproduce.table({("cat", "ordinary", 1): result(0.1, 0.7), ("cat", "ordinary", 2): result(0.2, 0.8),
                                ("cat", "interpretable", 1): result(0.05, 0.6), ("cat", "interpretable", 2): result(0.1, 0.7)})
        heading, row = ([cell.strip() for cell in text.splitlines()[line].split("|")[1:-1]] for line in (0, 3))
        self.assertEqual(row[:3], ["cat", "interpretable", "2"])
        self.assertEqual(row[4], "-10.0 ± 0.0")
        self.assertEqual(row[6], "0.50 ± 0.00")
        self.assertEqual(row[8], "0.50 ± 0.00")
        self.assertTrue(row[7].startswith("0.1500 ± "))
        # No part is found by the ordinary twin: there is no ratio to it.
        self.assertEqual(row[heading.index("part interpretability") + 1], "–")
        self.assertEqual({line.count("|") for line in text.splitlines()}, {len(heading) + 1})


class StudyTests(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.home = pathlib.Path(folder.name)
        self.program = self.home / "icnn"
        self.program.write_text(PROGRAM)
        self.program.chmod(0o755)
        data = self.home / "data"
        data.mkdir()
        items = objects("cat", 30) + objects("dog", 30) + pictures(9)
        (data / "annotations.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))

    def run_study(self, *arguments):
        """What it printed, or the code it ended with; and the program's calls."""
        (self.home / "calls").write_text("")
        words = ["reproduce", "--icnn", str(self.program), "--data", str(self.home / "data"), "--output",
                 str(self.home / "study"), "--judged", "10", *arguments]
        printed = io.StringIO()
        with mock.patch.object(sys, "argv", words), contextlib.redirect_stdout(printed), \
                contextlib.redirect_stderr(io.StringIO()):
            try:
                reproduce.main()
            except SystemExit as error:
                return error.code, (self.home / "calls").read_text().splitlines()
        return printed.getvalue(), (self.home / "calls").read_text().splitlines()

    def test_a_study_is_interrupted_and_goes_on(self):
        (self.home / "trap").write_text("cat-masks-only-1")
        code, calls = self.run_study("--seeds", "1")
        self.assertEqual(code, 85)
        self.assertEqual([call.split()[0] for call in calls], ["train", "train", "evaluate", "evaluate", "evaluate", "train"])
        printed, calls = self.run_study("--seeds", "1")
        # Two categories and both together, three networks each; the ordinary cat was finished.
        self.assertEqual(len(calls), 4 * (9 - 1))
        self.assertEqual(["--resume" in call for call in calls if call.startswith("train")], [True] + 7 * [False])
        self.assertIn("| all categories | interpretable | 1 | 0.900 | -1.0 | 0.0600 | 0.60 | 0.0800 | 0.80 | 0.70 | 0.200 | 1.00 "
                      "| 0.50 |", printed)
        self.assertIn("| cat | *peaks at the centre* | | | | 0.0700 | | 0.0750 | | | | | |", printed)
        self.assertEqual((self.home / "study" / "table.md").read_text(), "".join(
            line + "\n" for line in printed.splitlines() if line.startswith("|")))
        self.assertEqual(self.run_study("--seeds", "1")[1], [])

    def test_twins_differ_in_the_variant_alone(self):
        _, calls = self.run_study("--seeds", "1,2", "--categories", "cat", "--no-multi", "--ablations")
        trains = [call for call in calls if call.startswith("train")][1:]
        self.assertEqual(len(trains), 2 * (3 + len(reproduce.ABLATIONS)))
        plain = {call.replace(" --ordinary", "").replace("cat-ordinary", "cat-interpretable") for call in trains
                 if "cat-ordinary" in call or "cat-interpretable" in call}
        self.assertEqual(len(plain), 2)
        self.assertTrue(all("--positive-class cat" in call and "runs/pretrained" in call for call in trains))

    def test_other_launcher_and_weights(self):
        _, calls = self.run_study("--seeds", "1", "--categories", "cat", "--no-multi", "--launcher", "env A=1", "--pretrained", "W")
        self.assertEqual([call.split()[0] for call in calls], 3 * ["train", "evaluate", "evaluate", "evaluate"])
        self.assertEqual(["wide" in call for call in calls], 3 * [False, False, False, True])
        self.assertTrue(all("--initial-weights W " in call for call in calls if call.startswith("train")))
        self.assertIn("env A=1 ", (self.home / "study" / "commands.txt").read_text())

    def test_some_variants(self):
        _, calls = self.run_study("--seeds", "1", "--variants", "share 2,ordinary", "--ablations", "--no-multi")
        names = [call.split("--output ")[1].split()[0].rsplit("/")[-1] for call in calls if call.startswith("train")]
        self.assertEqual(names, ["pretrained"] + [f"{name}-{variant}-1" for name in ["cat", "dog"] for variant in ["share-2", "ordinary"]])

    def test_several_at_a_time_give_the_same_table(self):
        printed, calls = self.run_study("--seeds", "1")
        table = (self.home / "study" / "table.md").read_text()
        for result in (self.home / "study" / "results").glob("*.json"):
            result.unlink()
        again, others = self.run_study("--seeds", "1", "--jobs", "3")
        self.assertEqual((self.home / "study" / "table.md").read_text(), table)
        self.assertEqual(len(others), len(calls) - 1)
        # The first failure ends the study with its code; what has not begun does not begin.
        for result in (self.home / "study" / "results").glob("*.json"):
            result.unlink()
        (self.home / "trap").write_text("cat-ordinary-1")
        code, calls = self.run_study("--seeds", "1,2,3", "--jobs", "2")
        self.assertEqual(code, 85)
        self.assertLess(len(calls), 40)

    def test_unknown_category_and_nothing_to_show(self):
        self.assertIn("no category ox", self.run_study("--categories", "ox")[0])
        self.assertIn("no variant share 2 ", self.run_study("--variants", "share 2")[0])
        self.assertIn("no run", self.run_study("--table")[0])


if __name__ == "__main__":
    unittest.main()
