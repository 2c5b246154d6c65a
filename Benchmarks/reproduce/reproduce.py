#!/usr/bin/env python3
"""Do filters become part detectors? The paper's comparison on the photographs at hand, from one command.

    make reproduce DATA=DIR [REPRODUCE_FOLDER=runs/reproduce] [REPRODUCE_OPTIONS="--categories giant_panda --seeds 1"]

1. The data set is cut anew (prepare.py): photographs that networks are judged by are in nobody's training.
2. One ordinary network is trained on all categories, from scratch.
3. From its weights, with the same budget and seeds: the ordinary twin, the masks alone and the interpretable network, for each
   category against as many counter-examples and for all categories together; with --ablations also other forms.
4. Each is evaluated on the judged photographs; a table is printed and written to STUDY/table.md.

What is finished is not done again, what was interrupted is resumed: stop it and start it as you like. The commands are in
STUDY/commands.txt, each run's output beside it.
"""

import argparse
import json
import math
import pathlib
import shlex
import statistics
import subprocess
import sys
import time

import prepare

MULTI = "all categories"
VARIANTS = {
    "ordinary": ["--ordinary"],
    "masks only": ["--filter-loss", "off"],
    "interpretable": [],
}
ABLATIONS = {
    "share 0.25": ["--filter-gradient-share", "0.25"],
    "share 1": ["--filter-gradient-share", "1"],
    "share 4": ["--filter-gradient-share", "4"],
    "exact gradient": ["--filter-gradient", "exact", "--score-scale", "30"],
    "paper to the letter": ["--filter-loss", "literal"],
    "released": ["--formulation", "released"],
    "corrected": ["--formulation", "corrected"],
}
# Quantiles of Student's distribution, 97.5 %, by degrees of freedom.
STUDENT = [math.nan, 12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262]


class Run:
    """One training and its evaluation."""

    def __init__(self, study, task, variant, seed, options, arguments):
        self.task, self.variant, self.seed = task, variant, seed
        self.name = f"{task}-{variant}-{seed}".replace(" ", "-")
        self.folder = study / "runs" / self.name
        self.result = study / "results" / f"{self.name}.json"
        data = study / ("all" if task == MULTI else f"single/{task}")
        self.train = [options.icnn, "train", "--data", data, "--output", self.folder, "--network", options.network,
                      "--image-size", options.image_size, "--seed", seed, "--threads", options.threads,
                      "--initial-weights", study / "runs" / "pretrained", "--learning-rate", options.learning_rate,
                      "--validate-every", options.epochs, "--epochs", options.epochs]
        if task != MULTI:
            self.train += ["--positive-class", task]
        self.train += arguments
        self.evaluate = [options.icnn, "evaluate", "--checkpoint", self.folder, "--data", data, "--json",
                         "--threads", options.threads]


def plan(study, categories, options):
    """The runs in their order: whole comparisons first, so that an unfinished study says something."""
    variants = VARIANTS | (ABLATIONS if options.ablations else {})
    tasks = categories + ([MULTI] if options.multi else [])
    return [Run(study, task, variant, seed, options, arguments)
            for seed in options.seeds for task in tasks for variant, arguments in variants.items()]


def execute(command, log, output=None):
    """Runs a command, its words in `log`; ends the program with its code if it fails."""
    words = [str(word) for word in command]
    with open(log, "a", encoding="utf-8") as words_out:
        outcome = subprocess.run(words, stdout=subprocess.PIPE if output else words_out, stderr=words_out, check=False)
    if outcome.returncode:
        print(f"error: {shlex.join(words)} ended with {outcome.returncode} – see {log}", file=sys.stderr)
        sys.exit(outcome.returncode)
    if output:
        partial = output.with_suffix(".partial")
        partial.write_bytes(outcome.stdout)
        partial.replace(output)


def train(command, folder, log):
    """Begins a run, or goes on where it was interrupted."""
    execute(command + (["--resume"] if (folder / "config.yaml").exists() else []), log)


def interval(values):
    """Mean and half the width of its 95 % confidence interval; None for the width of a single value."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return mean, None
    quantile = STUDENT[min(len(values) - 1, len(STUDENT) - 1)]
    return mean, quantile * statistics.stdev(values) / math.sqrt(len(values))


def shown(values, digits):
    """Mean, and ± the half width of the interval, of the values that are there."""
    values = [value for value in values if value is not None]
    if not values:
        return "–"
    mean, width = interval(values)
    return f"{mean:.{digits}f}" + ("" if width is None else f" ± {width:.{digits}f}")


def ratio(numerator, denominator):
    return numerator / denominator if numerator is not None and denominator else None


def table(results):
    """Markdown of {(task, variant, seed): evaluation}; ratios are to the ordinary twin of the same seed."""
    lines = ["| task | network | seeds | accuracy | location instability | to ordinary | part interpretability | to ordinary "
             "| purity |", "|---|---|---|---|---|---|---|---|---|"]
    for task in dict.fromkeys(task for task, _, _ in results):
        for variant in dict.fromkeys(variant for one, variant, _ in results if one == task):
            found = {seed: result for (one, other, seed), result in results.items() if (one, other) == (task, variant)}
            twins = {seed: results.get((task, "ordinary", seed), {}) for seed in found}

            def values(key):
                return [result.get(key) for result in found.values()]

            def ratios(key):
                return [ratio(result.get(key), twins[seed].get(key)) for seed, result in found.items()]

            lines.append(
                f"| {task} | {variant} | {len(found)} | {shown(values('accuracy'), 3)} "
                f"| {shown(values('location_instability'), 4)} | {shown(ratios('location_instability'), 2)} "
                f"| {shown(values('part_interpretability'), 3)} | {shown(ratios('part_interpretability'), 2)} "
                f"| {shown(values('purity'), 2)} |")
        control = next(result for (one, _, _), result in results.items() if one == task).get("controls", {})
        control = control.get("location_instability") or {}
        if control:
            lines.append(f"| {task} | *peaks at the centre; at random* | | | {control['centre']:.4f}; "
                         f"{control['random']:.4f} | | | | |")
    return "\n".join(lines) + "\n"


def finished(runs):
    return {(run.task, run.variant, run.seed): json.loads(run.result.read_text()) for run in runs if run.result.exists()}


def parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--icnn", required=True, help="the program")
    parser.add_argument("--data", required=True, type=pathlib.Path, help="data set with parts, as `icnn data import` writes it")
    parser.add_argument("--output", required=True, type=pathlib.Path, metavar="STUDY")
    parser.add_argument("--categories", type=lambda text: text.split(","), help="of the single-category part (default: all)")
    parser.add_argument("--no-multi", dest="multi", action="store_false", help="leave out all categories together")
    parser.add_argument("--seeds", type=lambda text: [int(seed) for seed in text.split(",")], default=[1, 2, 3])
    parser.add_argument("--ablations", action="store_true", help="other strengths, gradients and formulations too")
    parser.add_argument("--network", default="compact")
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--pretraining-epochs", type=int, default=40)
    parser.add_argument("--epochs", type=int, default=12, help="of fine-tuning")
    parser.add_argument("--learning-rate", type=float, default=0.02, help="of fine-tuning")
    parser.add_argument("--judged", type=int, default=100, help="annotated objects a category is judged by")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--table", action="store_true", help="only print the table of what is finished")
    return parser


def main():
    options = parser().parse_args()
    study = options.output
    for folder in ["runs", "results"]:
        (study / folder).mkdir(parents=True, exist_ok=True)
    categories = prepare.prepare(options.data, study, options.judged)
    unknown = set(options.categories or []) - set(categories)
    if unknown:
        sys.exit(f"error: no category {', '.join(sorted(unknown))} – {options.data} has {', '.join(categories)}")
    runs = plan(study, options.categories or categories, options)
    if not options.table:
        perform(study, runs, options)
    results = finished(runs)
    if not results:
        sys.exit(f"error: no run of {study} is finished")
    (study / "table.md").write_text(table(results))
    print(table(results), end="")


def perform(study, runs, options):
    pretraining = study / "runs" / "pretrained"
    command = [options.icnn, "train", "--data", study / "all", "--output", pretraining, "--network", options.network,
               "--image-size", options.image_size, "--threads", options.threads, "--ordinary",
               "--epochs", options.pretraining_epochs, "--validate-every", 5]
    commands = [command] + [part for run in runs for part in (run.train, run.evaluate)]
    (study / "commands.txt").write_text("".join(shlex.join(map(str, words)) + "\n" for words in commands))
    if not (study / "results" / "pretrained.done").exists():
        print("pre-training", flush=True)
        train(command, pretraining, study / "runs" / "pretrained.log")
        (study / "results" / "pretrained.done").touch()
    missing = [run for run in runs if not run.result.exists()]
    began = time.monotonic()
    for index, run in enumerate(missing):
        left = (time.monotonic() - began) / index * (len(missing) - index) if index else None
        print(f"{index + 1}/{len(missing)}  {run.name}" + ("" if left is None else f"  {left / 60:.0f} min left"), flush=True)
        log = study / "runs" / f"{run.name}.log"
        train(run.train, run.folder, log)
        execute(run.evaluate, log, run.result)
        (study / "table.md").write_text(table(finished(runs)))


if __name__ == "__main__":
    main()
