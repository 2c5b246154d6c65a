#!/usr/bin/env python3
"""What the exchange of gradients costs on several hosts: steps of `icnn bench` on the hosts of deploy/lab, with real TCP between them.

  Benchmarks/exchange.py --icnn .build/release/icnn [--layouts 1x2,2x1,2x2] [--rate 200mbit] [--network resnet18]

A layout is HOSTSxRANKS on each. Every layout is measured with each
kind of exchange (`--exchanges`), in turn, `--rounds` times; a row is the median of the rounds. `hidden` is
1 - (step - alone) / travel, where alone is what a step takes while as many ranks compute as many images with nobody to
talk to (measured first), and travel is the time for which buckets are under way, from the trace. Needs root
(network namespaces) and Open MPI; the hosts are taken down at the end."""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile

import hidden

LAB = pathlib.Path(__file__).parent.parent / "deploy" / "lab" / "lab"
EXCHANGES = {
    "plain, float32": ["--reduction", "plain"],
    "plain, bfloat16": ["--reduction", "plain", "--gradient-exchange", "bfloat16"],
    "window, float32": ["--reduction", "window"],
    "window, bfloat16": ["--reduction", "window", "--gradient-exchange", "bfloat16"],
    "plain, float32, auto": ["--reduction", "plain", "--bucket-mebibytes", "auto"],
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--icnn", required=True)
    parser.add_argument("--layouts", default="2x1", help="HOSTSxRANKS, separated by commas")
    parser.add_argument("--exchanges", default="plain, float32;plain, bfloat16",
                        help="separated by semicolons: " + "; ".join(EXCHANGES))
    parser.add_argument("--rate", default="off", help="of every host's cable, such as 200mbit")
    parser.add_argument("--network", default="resnet18")
    parser.add_argument("--images", type=int, default=24, help="of each rank")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--options", default="--ordinary", help="more of icnn bench, separated by spaces")
    arguments = parser.parse_args()
    layouts = [parse(layout) for layout in arguments.layouts.split(",")]
    exchanges = [name.strip() for name in arguments.exchanges.split(";")]
    unknown = [name for name in exchanges if name not in EXCHANGES]
    if unknown:
        parser.error(f"no such exchange: {unknown[0]}")
    try:
        measure(arguments, layouts, exchanges)
    finally:
        subprocess.run([LAB, "down"], check=False)


def parse(layout):
    """Hosts and ranks on each."""
    hosts, ranks = layout.split("x")
    return int(hosts), int(ranks)


def measure(arguments, layouts, exchanges):
    print("| hosts × ranks | exchange | step | alone | waiting | travel | hidden |\n|---|---|---|---|---|---|---|")
    for hosts, ranks in layouts:
        alone = statistics.median(alone_milliseconds(arguments, hosts * ranks) for _ in range(arguments.rounds))
        subprocess.run([LAB, "up", str(hosts)], check=True, env={**os.environ, "LAB_SLOTS": str(ranks)})
        for host in range(1, hosts + 1):
            subprocess.run([LAB, "rate", f"h{host}", arguments.rate], check=True)
        found = {name: [] for name in exchanges}
        for _ in range(arguments.rounds):
            for name in exchanges:
                if ranks > 1 or not name.startswith("window"):
                    found[name].append(bench(arguments, hosts * ranks, EXCHANGES[name]))
        for name, runs in found.items():
            if runs:
                print(row(hosts, ranks, name, runs, alone), flush=True)


def bench(arguments, ranks, options):
    """A step's time on all hosts and what its trace tells, in milliseconds."""
    with tempfile.TemporaryDirectory() as folder:
        trace = f"{folder}/trace.json"
        prefix = os.environ.get("LAB_PREFIX", "lab")
        subprocess.run(
            [LAB, "exec", "h1", "mpirun", "-np", str(ranks), "--hostfile", f"/run/icnn-{prefix}/hostfile",
             *command(arguments, ranks), *options, "--trace", trace],
            check=True, stdout=subprocess.DEVNULL)
        with open(trace) as file:
            return hidden.medians(json.load(file)["traceEvents"])


def alone_milliseconds(arguments, ranks):
    """A step of one process, of which `ranks` run at a time and do not know of each other; the slowest one's."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OMPI_")}
    processes = [
        subprocess.Popen([*command(arguments, 1), "--json"], stdout=subprocess.PIPE, text=True,
                         env=environment)
        for _ in range(ranks)]
    outputs = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        raise SystemExit(f"error: {' '.join(command(arguments, 1))} failed – see above")
    return max(json.loads(output)["step_ms_median"] for output in outputs)


def command(arguments, ranks):
    return [arguments.icnn, "bench", "--network", arguments.network, "--batch-size", str(arguments.images * ranks),
            "--threads", "1", "--steps", str(arguments.steps), *arguments.options.split()]


def row(hosts, ranks, name, runs, alone):
    step, waiting, travel = (
        statistics.median(value(run) for run in runs)
        for value in (lambda run: run["step"], lambda run: run["wait for sums"] + run["wait for statistics"],
                      lambda run: run["gradients"]))
    share = f"{100 * (1 - (step - alone) / travel):.0f} %" if travel > 1 else ""
    return (f"| {hosts} × {ranks} | {name} | {step:.0f} ms | {alone:.0f} ms | {waiting:.0f} ms | {travel:.0f} ms "
            f"| {share} |")


if __name__ == "__main__":
    main()
