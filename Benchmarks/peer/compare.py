#!/usr/bin/env python3
"""Training steps of icnn and of PyTorch in turn on this machine: `make bench-peer`.

  compare.py --icnn .build/release/icnn --peer-python .build-peer/bin/python [--quick] [--networks alexnet,vgg16]
             [--settings 1x1,1x2,2x1] [--rounds 3] [--steps 3] [--output results.jsonl]

A setting is RANKSxTHREADS: 1x2 is one process with two threads, 2x1 two MPI ranks against two DDP processes with one
thread each. In every round each subject runs once, one after the other, as a process of its own: icnn, its
interpretable twin, PyTorch as it comes, PyTorch tuned. The first round tries the tuned one in both memory layouts; the
faster goes on. Medians over the rounds of the medians over a run's steps. Prints Markdown; appends one JSON line a run
and one a comparison to --output.

"others" is the share of the machine's processor time that other programs took: a comparison of wall times is worth
something only where it is small."""
import argparse
import datetime
import json
import os
import pathlib
import platform
import resource
import shlex
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
OURS, TWIN, DEFAULT, TUNED, CHANNELS_LAST = (
    "icnn", "icnn-interpretable", "default", "tuned", "tuned-channels-last")
# A run that takes longer than this hangs.
TIMEOUT_SECONDS = 3600


# MARK: Load

def busy_and_total(text):
    """Jiffies (busy, all) of the first line of /proc/stat; waiting for a disk is not busy. The time that guests take
    is part of `user` already."""
    fields = [int(field) for field in text.split("\n", 1)[0].split()[1:9]]
    idle = fields[3] + fields[4]
    return sum(fields) - idle, sum(fields)


def proc_stat():
    with open("/proc/stat", encoding="ascii") as file:
        return busy_and_total(file.read())


def children_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Load:
    """Share of the machine's processor time that went to others than our children since it was made."""

    def __init__(self):
        self.busy, self.total = proc_stat()
        self.children = children_seconds()

    def others(self):
        busy, total = proc_stat()
        ours = (children_seconds() - self.children) * os.sysconf("SC_CLK_TCK")
        return max(0.0, busy - self.busy - ours) / max(1, total - self.total)


def load_at_rest(seconds=1.0):
    """The others' share while we wait."""
    load = Load()
    time.sleep(seconds)
    return load.others()


# MARK: Runs

def environment():
    """What a user of either program has: nothing of ours that would change the other."""
    result = {name: value for name, value in os.environ.items()
              if not name.startswith(("OPENBLAS_", "ICNN_", "MALLOC_", "OMP_", "MKL_"))}
    if os.geteuid() == 0:
        result.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    return result


def command(subject, network, ranks, threads, options):
    """The command line of one run."""
    common = ["--network", network, "--batch-size", str(options.batch_size), "--threads", str(threads),
              "--steps", str(options.steps), "--warmup-steps", str(options.warmup_steps)]
    if subject in (OURS, TWIN):
        launcher = shlex.split(options.mpirun) + ["-np", str(ranks)] if ranks > 1 else []
        twin = [] if subject == TWIN else ["--ordinary"]
        return [*launcher, options.icnn, "bench", "--json", *common, *twin]
    return [options.peer_python, str(HERE / "pytorch_peer.py"), *common, "--processes", str(ranks),
            "--variant", subject]


def run(subject, network, ranks, threads, options):
    """One run's report, with what the machine did meanwhile."""
    line = command(subject, network, ranks, threads, options)
    load = Load()
    result = subprocess.run(line, text=True, capture_output=True, env=environment(), timeout=TIMEOUT_SECONDS,
                            stdin=subprocess.DEVNULL, check=False)
    if result.returncode != 0:
        raise SystemExit(f"error: {shlex.join(line)} ended with code {result.returncode} – {result.stderr.strip()}")
    report = json.loads(result.stdout.strip().splitlines()[-1])
    return {"event": "run", "subject": subject, "command": shlex.join(line), "others": round(load.others(), 4), **report}


def measure(network, ranks, threads, options, record):
    """All rounds of one network in one setting: reports by subject."""
    reports = {}
    subjects = [OURS, *([] if options.no_interpretable else [TWIN]), DEFAULT, TUNED, CHANNELS_LAST]
    for round_number in range(options.rounds):
        for subject in subjects:
            report = run(subject, network, ranks, threads, options)
            reports.setdefault(subject, []).append(report)
            record({**report, "round": round_number + 1})
            print(f"  round {round_number + 1}: {subject} {report['images_per_second']:.2f} images/s, "
                  f"others {100 * report['others']:.0f} %", file=sys.stderr, flush=True)
        if round_number == 0:
            slower = TUNED if strongest(reports) == CHANNELS_LAST else CHANNELS_LAST
            subjects = [subject for subject in subjects if subject != slower]
    return reports


# MARK: Evaluation

def images_per_second(reports, subject):
    return statistics.median(report["images_per_second"] for report in reports[subject])


def strongest(reports):
    """The faster of the tuned layouts in the rounds so far; the one that went on, once there is more than one."""
    tuned = [subject for subject in (TUNED, CHANNELS_LAST) if subject in reports]
    return max(tuned, key=lambda subject: (len(reports[subject]), images_per_second(reports, subject)))


def comparison(network, ranks, threads, reports, before, after):
    """One row: medians, ratios, memory."""
    best = strongest(reports)
    ours = images_per_second(reports, OURS)
    parameters = {report["parameters"] for subject in (OURS, DEFAULT, best) for report in reports[subject]}
    if len(parameters) != 1:
        raise SystemExit(f"error: {network} is not the same network in both programs – {parameters} parameters")
    memory = {subject: max(report["peak_memory_mb"] for report in runs) for subject, runs in reports.items()}
    cpu = {subject: statistics.median(report["step_cpu_ms_median"] for report in runs)
           for subject, runs in reports.items()}
    row = {
        "event": "comparison", "network": network, "ranks": ranks, "threads": threads,
        "ours": ours, "peer_default": images_per_second(reports, DEFAULT),
        "peer_tuned": images_per_second(reports, best), "peer_tuned_variant": best,
        "rounds": len(reports[OURS]), "parameters": parameters.pop(),
        "peak_memory_mb": memory, "step_cpu_ms": cpu,
        "others_before": round(before, 4), "others_after": round(after, 4),
        "others_during_max": max(report["others"] for runs in reports.values() for report in runs),
    }
    row["ratio_to_default"] = ours / row["peer_default"]
    row["ratio_to_tuned"] = ours / row["peer_tuned"]
    if TWIN in reports:
        row["interpretable"] = images_per_second(reports, TWIN)
        row["interpretable_to_ordinary"] = row["interpretable"] / ours
    return row


def table(rows):
    """Markdown, one line a comparison."""
    lines = [
        "| network | ranks × threads | icnn | PyTorch default | PyTorch tuned | icnn / default | icnn / tuned "
        "| interpretable / ordinary | CPU ms a step: icnn, tuned | peak MB a process: icnn, default, tuned "
        "| others before, during, after |",
        "|---|---|---:|---:|---:|---:|---:|---:|---|---|---|"]
    for row in rows:
        best = row["peer_tuned_variant"]
        twin = f"{row['interpretable_to_ordinary']:.2f}" if "interpretable" in row else "–"
        memory, cpu = row["peak_memory_mb"], row["step_cpu_ms"]
        others = ", ".join(
            f"{100 * row[key]:.0f} %" for key in ("others_before", "others_during_max", "others_after"))
        layout = " (channels last)" if best == CHANNELS_LAST else ""
        lines.append(
            f"| {row['network']} | {row['ranks']} × {row['threads']} | {row['ours']:.2f} | {row['peer_default']:.2f} "
            f"| {row['peer_tuned']:.2f}{layout} | **{row['ratio_to_default']:.2f}** | **{row['ratio_to_tuned']:.2f}** "
            f"| {twin} | {cpu[OURS]:.0f}, {cpu[best]:.0f} "
            f"| {memory[OURS]:.0f}, {memory[DEFAULT]:.0f}, {memory[best]:.0f} | {others} |")
    return "\n".join(lines)


def ranks_against_threads(rows):
    """Lines that compare N ranks with one thread each to one process with N threads, where both were measured."""
    speed = {(row["network"], row["ranks"], row["threads"]): row["ours"] for row in rows}
    return [f"{network}: {ranks} ranks × 1 thread reach {images / speed[network, 1, ranks]:.2f} of one process with "
            f"{ranks} threads"
            for (network, ranks, threads), images in speed.items()
            if threads == 1 and ranks > 1 and (network, 1, ranks) in speed]


# MARK: The program

def cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def setting(text):
    """RANKSxTHREADS."""
    try:
        ranks, threads = (int(number) for number in text.split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not RANKSxTHREADS") from None
    if min(ranks, threads) < 1:
        raise argparse.ArgumentTypeError(f"{text}: at least one rank and one thread")
    return ranks, threads


def parsed(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--icnn", required=True, help="the built program")
    parser.add_argument("--peer-python", required=True, help="a Python that has torch")
    parser.add_argument("--networks", default="vgg16,alexnet,vgg-m,vgg-s", help="comma-separated")
    parser.add_argument("--settings", default="1x1,1x2,2x1", help="comma-separated RANKSxTHREADS")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=3, help="timed steps of one run")
    parser.add_argument("--warmup-steps", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=16, help="images of all ranks together")
    parser.add_argument("--mpirun", default="mpirun", help="launcher of our ranks, with its options")
    parser.add_argument("--no-interpretable", action="store_true", help="leave the interpretable twin out")
    parser.add_argument("--quick", action="store_true", help="alexnet, 1x1 and 2x1, 2 rounds of 2 steps, batch 4")
    parser.add_argument("--output", help="file that JSON lines are appended to")
    options = parser.parse_args(arguments)
    if options.quick:
        options.networks, options.settings = "alexnet", "1x1,2x1"
        options.rounds, options.steps, options.batch_size = 2, 2, 4
    options.networks = options.networks.split(",")
    try:
        options.settings = [setting(text) for text in options.settings.split(",")]
    except argparse.ArgumentTypeError as error:
        parser.error(str(error))
    if min(options.rounds, options.steps, options.batch_size) < 1 or options.warmup_steps < 0:
        parser.error("--rounds, --steps and --batch-size take 1 or more, --warmup-steps 0 or more")
    return options


def main():
    options = parsed(sys.argv[1:])

    def record(row):
        if options.output:
            with open(options.output, "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")

    torch = subprocess.run([options.peer_python, "-c", "import torch; print(torch.__version__)"], text=True,
                           capture_output=True, check=False)
    if torch.returncode != 0:
        print(f"error: PyTorch cannot be imported by {options.peer_python} – {torch.stderr.strip()}", file=sys.stderr)
        return 78
    revision = subprocess.run(["git", "-C", str(HERE), "describe", "--always", "--dirty"], text=True,
                              capture_output=True, check=False).stdout.strip()
    start = {
        "event": "start", "time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "icnn": revision, "torch": torch.stdout.strip(), "cpu": cpu_model(),
        "cpus": len(os.sched_getaffinity(0)), "kernel": platform.release(), "batch_size": options.batch_size,
        "rounds": options.rounds, "steps": options.steps, "warmup_steps": options.warmup_steps}
    record(start)
    print(f"icnn {start['icnn']}, PyTorch {start['torch']}; {start['cpu']}, {start['cpus']} CPUs, Linux "
          f"{start['kernel']}; batch {options.batch_size}, 224 pixels, {options.rounds} rounds of {options.steps} "
          f"steps in turn; images per second, medians\n", flush=True)
    rows = []
    for network in options.networks:
        for ranks, threads in options.settings:
            print(f"{network}, {ranks} × {threads}", file=sys.stderr, flush=True)
            before = load_at_rest()
            reports = measure(network, ranks, threads, options, record)
            rows.append(comparison(network, ranks, threads, reports, before, load_at_rest()))
            record(rows[-1])
    print(table(rows))
    for line in ranks_against_threads(rows):
        print(f"\n{line}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
