#!/usr/bin/env python3
"""Cuts a data set with part annotations into the folders of the reproduction: links to the images, no copies.

    prepare.py --data DIR --output STUDY [--judged 100] [--counter-examples negatives|animals]

STUDY/all holds every category: the networks are pre-trained on it, and compared on it in the multi-category part.
STUDY/single/NAME holds one category and its counter-examples: all negatives, as in the paper, or as many objects as the
category has, drawn evenly from the other categories and the negatives (`animals`, which are harder).
STUDY/wide/NAME is the same, judged by all held-out photographs of all categories: what a filter's strongest 0.5 % of
activations are depends on what else it looks at.
Split `val` is what networks are judged by: all objects of the photographs drawn until `--judged` annotated
objects of a category are together. No photograph has objects on both sides, and what is `val` in one folder is `val` in all.
The draw is a hash of the photograph's name: the same everywhere and always.
"""

import argparse
import collections
import hashlib
import json
import pathlib

# Counter-examples of a single category.
KINDS = ["negatives", "animals"]


def draw(name):
    """A key that orders names as if by chance, the same on every machine."""
    return hashlib.sha256(name.encode()).hexdigest()


def group(item):
    """The photograph that an object was cut from; a picture without one is its own."""
    return item.get("group") or item["image"]


def judged_groups(items, wanted):
    """Photographs, as drawn, until `wanted` annotated objects are together."""
    annotated = collections.Counter(group(item) for item in items if item.get("parts"))
    chosen, count = set(), 0
    for name in sorted(annotated, key=draw):
        if count >= wanted:
            break
        chosen.add(name)
        count += annotated[name]
    return chosen


def with_split(categories, negatives, judged):
    """The same objects with `split` set: (categories, negatives). A fifth of the negatives is judged by."""
    cut = {}
    for name, items in categories.items():
        chosen = judged_groups(items, judged)
        cut[name] = [item | {"split": "val" if group(item) in chosen else "train"} for item in items]
    return cut, [item | {"split": "val" if int(draw(group(item)), 16) % 5 == 0 else "train"} for item in negatives]


def counter_examples(categories, negatives, name, split, count):
    """`count` objects of a split, in turn from each of the other categories and the negatives, as far as they last."""
    piles = []
    for pile in [categories[other] for other in sorted(categories) if other != name] + [negatives]:
        of_split = [item for item in pile if item["split"] == split]
        piles.append(sorted(of_split, key=lambda item: draw(name + item["image"]), reverse=True))
    taken = []
    while len(taken) < count and any(piles):
        for pile in piles:
            if pile and len(taken) < count:
                taken.append(pile.pop())
    return taken


def as_negative(item):
    """The record of an object that stands for no category; with its category in the file's name and in the group."""
    record = {key: item[key] for key in ("width", "height", "split") if key in item}
    flat = item["image"].removeprefix("images/").replace("/", "-")
    return record | {"image": "images/negative/" + flat, "category": "negative", "parts": [],
                     "group": f"{item['category']}/{group(item)}"}


def single(categories, negatives, name, kind):
    """(record, path of its image below the source) of a single-category folder."""
    records = [(item, item["image"]) for item in categories[name]]
    if kind == "negatives":
        others = negatives
    else:
        others = [item for split in ["train", "val"] for item in counter_examples(
            categories, negatives, name, split, sum(own["split"] == split for own in categories[name]))]
    return records + [(as_negative(item), item["image"]) for item in others]


def wide(categories, negatives, name, kind):
    """The same, with every judged photograph of the other categories and of the negatives."""
    records = [(record, original) for record, original in single(categories, negatives, name, kind)
               if record["category"] == name or record["split"] == "train"]
    others = [item for other in sorted(categories) if other != name for item in categories[other]] + negatives
    return records + [(as_negative(item), item["image"]) for item in others if item["split"] == "val"]


def write(folder, source, records):
    """Links the images into `folder` and writes its annotations."""
    folder.mkdir(parents=True, exist_ok=True)
    for record, original in records:
        link = folder / record["image"]
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(source / original)
    partial = folder / "annotations.partial"
    partial.write_text("".join(json.dumps(record) + "\n" for record, _ in records), encoding="utf-8")
    partial.replace(folder / "annotations.jsonl")


def prepare(source, output, judged, kind="negatives"):
    """Writes STUDY/all, STUDY/single/NAME and STUDY/wide/NAME; returns the names of the categories."""
    source = source.resolve()
    categories, negatives = collections.defaultdict(list), []
    with open(source / "annotations.jsonl", encoding="utf-8") as file:
        for item in map(json.loads, file):
            (negatives if item["category"] == "negative" else categories[item["category"]]).append(item)
    if kind == "negatives" and not negatives:
        raise SystemExit(f"error: no category 'negative' in {source} – a photograph without any of the animals is a counter-example – "
                         "add some, or take the other categories: --counter-examples animals")
    categories, negatives = with_split(categories, negatives, judged)
    everything = [(item, item["image"]) for name in sorted(categories) for item in categories[name]]
    write(output / "all", source, everything)
    for name in categories:
        write(output / "single" / name, source, single(categories, negatives, name, kind))
        write(output / "wide" / name, source, wide(categories, negatives, name, kind))
    return sorted(categories)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="data set with annotations.jsonl")
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--judged", type=int, default=100, help="annotated objects a category is judged by")
    parser.add_argument("--counter-examples", choices=KINDS, default=KINDS[0], help="of one category")
    options = parser.parse_args()
    print(*prepare(options.data, options.output, options.judged, options.counter_examples), sep="\n")


if __name__ == "__main__":
    main()
