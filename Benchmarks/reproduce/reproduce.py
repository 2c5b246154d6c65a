#!/usr/bin/env python3
"""Do filters become part detectors? The paper's comparison on the photographs at hand, from one command.

    make reproduce DATA=DIR [REPRODUCE_FOLDER=runs/reproduce] [REPRODUCE_OPTIONS="--categories giant_panda --seeds 1"]

1. The data set is cut anew (prepare.py): photographs that networks are judged by are in nobody's training.
2. One ordinary network is trained on all categories, from scratch.
3. From its weights, with the same budget and seeds: the ordinary twin, the masks alone and the interpretable network, for each
   category against counter-examples and for all categories together; with --ablations also other forms.
4. Each is evaluated on the judged photographs; a table is printed and written to STUDY/table.md. As in the paper, a filter's
   instability is that on the photographs with its highest peaks, half of the annotated ones (the authors': 100 of some 200
   a category); that on all of them stands beside it. A filter's regions, for part interpretability, are its strongest
   activations on all judged photographs, whatever they show.

What is finished is not done again, what was interrupted is resumed: stop it and start it as you like. The commands are in
STUDY/commands.txt, each run's output beside it.
"""

import argparse
import concurrent.futures
import json
import math
import pathlib
import shlex
import statistics
import subprocess
import sys
import threading
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
    "share 2": ["--filter-gradient-share", "2"],
    "share 4": ["--filter-gradient-share", "4"],
    "loss without masks": ["--mask-scale", "none"],
    "no masks, no loss": ["--mask-scale", "none", "--filter-loss", "off"],
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
        self.train = [*shlex.split(options.launcher), options.icnn, "train", "--data", data, "--output", self.folder, "--network", options.network,
                      "--image-size", options.image_size, "--seed", seed, "--threads", options.threads,
                      "--initial-weights", options.pretrained or study / "runs" / "pretrained", "--learning-rate", options.learning_rate,
                      "--validate-every", options.epochs, "--epochs", options.epochs]
        if task != MULTI:
            self.train += ["--positive-class", task]
        self.train += arguments
        def evaluate(data, top):
            return [options.icnn, "evaluate", "--checkpoint", self.folder, "--data", data, "--json", "--no-entropies", "--top", top,
                    "--threads", options.threads]

        half = options.judged // 2
        self.evaluations = {"half": evaluate(data, half), "all": evaluate(data, options.judged),
                            "wide": evaluate(data if task == MULTI else study / "wide" / task, half)}


def plan(study, categories, options):
    """The runs in their order: whole comparisons first, so that an unfinished study says something."""
    variants = VARIANTS | (ABLATIONS if options.ablations else {})
    if options.variants:
        variants = {name: variants[name] for name in options.variants}
    tasks = categories + ([MULTI] if options.multi else [])
    return [Run(study, task, variant, seed, options, arguments)
            for seed in options.seeds for task in tasks for variant, arguments in variants.items()]


class Failure(Exception):
    """A command that failed: its exit code and what to say of it."""


def execute(command, log, output=None):
    """Runs a command, its words in `log` or, those on standard output, returned; throws Failure."""
    words = [str(word) for word in command]
    with open(log, "a", encoding="utf-8") as words_out:
        outcome = subprocess.run(words, stdout=subprocess.PIPE if output else words_out, stderr=words_out, check=False)
    if outcome.returncode:
        raise Failure(outcome.returncode, f"{shlex.join(words)} ended with {outcome.returncode} – see {log}")
    return outcome.stdout


def train(command, folder, log):
    """Begins a run, or goes on where it was interrupted."""
    execute(command + (["--resume"] if (folder / "config.yaml").exists() else []), log)


def evaluate(run, log):
    """The evaluations of a run, as {"half": …, "all": …, "wide": …}."""
    result = {name: json.loads(execute(command, log, output=True)) for name, command in run.evaluations.items()}
    partial = run.result.with_suffix(".partial")
    partial.write_text(json.dumps(result))
    partial.replace(run.result)


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


def ratio(own, ordinary):
    return own / ordinary if ordinary else None


# Heading, evaluation, figure, digits, and whether and how the ordinary twin is compared with.
COLUMNS = [
    ("accuracy", "half", "accuracy", 3, None),
    ("− ordinary, points", "half", "accuracy", 1, lambda own, ordinary: 100 * (own - ordinary)),
    ("location instability", "half", "location_instability", 4, None),
    ("/ ordinary", "half", "location_instability", 2, ratio),
    ("on all", "all", "location_instability", 4, None),
    ("/ ordinary", "all", "location_instability", 2, ratio),
    ("part correlation", "half", "part_correlation", 2, None),
    ("part interpretability", "wide", "part_interpretability", 3, None),
    ("/ ordinary", "wide", "part_interpretability", 2, ratio),
    ("purity", "half", "purity", 2, None),
]


def cell(found, twins, column):
    """A column's mean and interval over seeds; comparisons are with the ordinary twin of the same seed."""
    _, evaluation, key, digits, compare = column
    values = []
    for seed, result in found.items():
        own, ordinary = (one.get(evaluation, {}).get(key) for one in (result, twins.get(seed, {})))
        if compare is None:
            values.append(own)
        elif own is not None and ordinary is not None:
            values.append(compare(own, ordinary))
    return shown(values, digits)


def table(results):
    """Markdown of {(task, variant, seed): evaluations}."""
    lines = ["| task | network | seeds | " + " | ".join(column[0] for column in COLUMNS) + " |",
             "|" + "---|" * (3 + len(COLUMNS))]
    for task in dict.fromkeys(task for task, _, _ in results):
        def of(variant):
            return {seed: result for (one, other, seed), result in results.items() if (one, other) == (task, variant)}

        for variant in dict.fromkeys(variant for one, variant, _ in results if one == task):
            cells = [cell(of(variant), of("ordinary"), column) for column in COLUMNS]
            lines.append(f"| {task} | {variant} | {len(of(variant))} | " + " | ".join(cells) + " |")
        first = next(result for (one, _, _), result in results.items() if one == task)
        for control, name in [("centre", "peaks at the centre"), ("random", "peaks at random")]:
            def control_of(evaluation):
                value = (first[evaluation].get("controls", {}).get("location_instability") or {}).get(control)
                return "" if value is None else f"{value:.4f}"

            lines.append(f"| {task} | *{name}* | | | | {control_of('half')} | | {control_of('all')} | | | | | |")
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
    parser.add_argument("--variants", type=lambda text: text.split(","), metavar="NAMES",
                        help="only these, for example ordinary,interpretable")
    parser.add_argument("--network", default="compact")
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--pretraining-epochs", type=int, default=40)
    parser.add_argument("--epochs", type=int, default=6, help="of fine-tuning")
    parser.add_argument("--learning-rate", type=float, default=0.02, help="of fine-tuning")
    parser.add_argument("--launcher", default="", help='of the twins, for example "mpirun -np 2"')
    parser.add_argument("--pretrained", type=pathlib.Path, metavar="RUN", help="pre-trained already: leave step 2 out")
    parser.add_argument("--judged", type=int, default=100, help="annotated objects a category is judged by")
    parser.add_argument("--counter-examples", choices=prepare.KINDS, default=prepare.KINDS[0],
                        help="of a single category: photographs without any of the animals, as in the paper, or the other animals too")
    parser.add_argument("--threads", type=int, default=1, help="of a run")
    parser.add_argument("--jobs", type=int, default=1, help="runs at the same time")
    parser.add_argument("--table", action="store_true", help="only print the table of what is finished")
    return parser


def main():
    options = parser().parse_args()
    study = options.output
    for folder in ["runs", "results"]:
        (study / folder).mkdir(parents=True, exist_ok=True)
    categories = prepare.prepare(options.data, study, options.judged, options.counter_examples)
    unknown = set(options.categories or []) - set(categories)
    if unknown:
        sys.exit(f"error: no category {', '.join(sorted(unknown))} – {options.data} has {', '.join(categories)}")
    known = [*VARIANTS, *(ABLATIONS if options.ablations else {})]
    unknown = set(options.variants or []) - set(known)
    if unknown:
        sys.exit(f"error: no variant {', '.join(sorted(unknown))} – there are {', '.join(known)}; more with --ablations")
    runs = plan(study, options.categories or categories, options)
    if not options.table:
        try:
            perform(study, runs, options)
        except Failure as failure:
            code, message = failure.args
            print(f"error: {message}", file=sys.stderr)
            sys.exit(code)
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
    commands = [command] * (options.pretrained is None)
    commands += [part for run in runs for part in (run.train, *run.evaluations.values())]
    (study / "commands.txt").write_text("".join(shlex.join(map(str, words)) + "\n" for words in commands))
    if options.pretrained is None and not (study / "results" / "pretrained.done").exists():
        print("pre-training", flush=True)
        train(command, pretraining, study / "runs" / "pretrained.log")
        (study / "results" / "pretrained.done").touch()
    missing = [run for run in runs if not run.result.exists()]
    began = time.monotonic()
    failed = threading.Event()
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        jobs = [pool.submit(finish, run, study, failed) for run in missing]
        for count, job in enumerate(concurrent.futures.as_completed(jobs), 1):
            name = job.result()
            if name is None:
                continue
            left = (time.monotonic() - began) / count * (len(missing) - count)
            print(f"{count}/{len(missing)}  {name}  {left / 60:.0f} min left", flush=True)
            (study / "table.md").write_text(table(finished(runs)))


def finish(run, study, failed):
    """Trains and evaluates, and returns the run's name; None, and nothing is done, if another run has failed."""
    if failed.is_set():
        return None
    log = study / "runs" / f"{run.name}.log"
    try:
        train(run.train, run.folder, log)
        evaluate(run, log)
    except Failure:
        failed.set()
        raise
    return run.name


if __name__ == "__main__":
    main()
