#!/usr/bin/env python3
"""How much of the communication of gradients a trace of `icnn bench` or `icnn train` (--trace FILE) shows hidden behind computation.

hidden = 1 - (step - alone) / gradients

step: a step's time; gradients: time its buckets travelled, one after the other; both from the trace, medians over its steps and ranks.
alone: milliseconds of a step of the same share of images on one process, of which as many run at a time on as many cores (--alone).
"""

import argparse
import json
import statistics


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trace")
    parser.add_argument("--alone", type=float, help="milliseconds of a step of one process")
    arguments = parser.parse_args()
    with open(arguments.trace) as file:
        median = medians(json.load(file)["traceEvents"])
    if not median:
        raise SystemExit(f"{arguments.trace}: no two steps in a row; trace more with --trace-steps FIRST..LAST")
    for name, milliseconds in median.items():
        print(f"{name:22} {milliseconds:8.0f} ms")
    if arguments.alone and median["gradients"]:
        hidden = 1 - (median["step"] - arguments.alone) / median["gradients"]
        print(f"{'hidden':22} {100 * hidden:8.0f} %")


def medians(events):
    """Milliseconds of a step and of what happens in it, over steps and ranks; empty if no two steps follow each other."""
    spans = [event for event in events if event["ph"] == "X"]
    steps = []
    for rank in sorted({span["pid"] for span in spans}):
        own = [span for span in spans if span["pid"] == rank]
        # A step lasts from its wait for images to the next one's.
        begins = sorted(span["ts"] for span in own if span["name"] == "wait for images")
        for begin, end in zip(begins, begins[1:]):
            inside = [span for span in own if begin <= span["ts"] < end]
            steps.append({"step": end - begin} | {name: total(inside, chosen) for name, chosen in KINDS.items()})
    return {name: statistics.median(step[name] for step in steps) / 1e3 for name in steps[0]} if steps else {}


def is_gradients(span):
    return span["cat"] == "reduce" and span["name"].startswith("bucket ")


KINDS = {
    "gradients": is_gradients,
    "statistics": lambda span: span["cat"] == "reduce" and span["name"].endswith("Double"),
    "forward": lambda span: span["cat"] == "phase" and span["name"] == "forward",
    "backward": lambda span: span["cat"] == "phase" and span["name"] == "backward",
    "wait for sums": lambda span: span["cat"] == "phase" and span["name"] == "wait for sums",
    "wait for statistics": lambda span: span["cat"] == "wait" and span["name"].endswith("Double"),
}


def total(spans, chosen):
    return sum(span["dur"] for span in spans if chosen(span))


if __name__ == "__main__":
    main()
