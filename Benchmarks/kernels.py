#!/usr/bin/env python3
"""Builds and runs the C benchmarks and compares every kernel's speed with that of its reference (plain loops).

  Benchmarks/kernels.py [--program NAME] [--runs N] [--record SHARE]

Ratios of two bodies in the same process hold on any machine, so the least ratio of every kernel and instruction set
is checked in: thresholds.json. Prints a table and ends with exit code 1 if a kernel is below its threshold, or has
none. --record SHARE writes the thresholds anew, as a share of what is measured now (0.6 leaves room for other
machines)."""
import argparse
import json
import math
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
BUILD = ROOT / ".build-kernels"
THRESHOLDS = HERE / "thresholds.json"
# As Package.swift compiles the kernels.
FLAGS = ["-std=gnu17", "-O3", "-fno-math-errno", "-fno-trapping-math", "-Wall", "-Wextra",
         "-I", str(ROOT / "Sources/CKernels/include")]


def build(programs):
    """Compiles what is newer than its object; returns the executables by name."""
    compiler = os.environ.get("CC", "clang")
    BUILD.mkdir(exist_ok=True)
    headers = [*ROOT.glob("Sources/CKernels/**/*.h"), *ROOT.glob("Sources/CKernels/*.inc"), HERE / "harness.h"]
    newest_header = max(path.stat().st_mtime for path in headers)

    def compiled(source):
        target = BUILD / (source.parent.name + "-" + source.stem + ".o")
        if not target.exists() or target.stat().st_mtime < max(source.stat().st_mtime, newest_header):
            subprocess.run([compiler, *FLAGS, "-c", str(source), "-o", str(target)], check=True)
        return str(target)

    kernels = [compiled(source) for source in sorted((ROOT / "Sources/CKernels").glob("*.c"))]
    executables = {}
    for source in programs:
        executables[source.stem] = BUILD / source.stem
        subprocess.run([compiler, compiled(source), *kernels, "-lpthread", "-lm", "-o", str(BUILD / source.stem)],
                       check=True)
    return executables


def measure(executable, runs):
    """What the program printed: {kernel: {isa: {"ratio": …, "gflops" or "gb_per_second": …}}}."""
    environment = {name: value for name, value in os.environ.items() if name != "ICNN_ISA"}
    output = subprocess.run([str(executable), "--lines", "--runs", str(runs)], check=True, text=True,
                            stdout=subprocess.PIPE, env=environment).stdout
    result = {}
    for line in output.splitlines():
        row = json.loads(line)
        result.setdefault(row["kernel"], {})[row["isa"]] = row
    return result


def compare(measured, thresholds):
    """The complaints about measured ratios: below the threshold, or without one."""
    complaints = []
    for kernel, rows in measured.items():
        for isa, row in rows.items():
            if isa == "reference":
                continue
            least = thresholds.get(isa, {}).get(kernel)
            if least is None:
                complaints.append(f"{kernel}, {isa}: no threshold – record it")
            elif row["ratio"] < least:
                complaints.append(f"{kernel}, {isa}: {row['ratio']:.2f} times the reference, at least {least} expected")
    return complaints


def unmeasured(measured, thresholds):
    """The complaints about thresholds of kernels that are no more, for the instruction sets that were measured."""
    sets = {isa for rows in measured.values() for isa in rows}
    return [f"{kernel}, {isa}: a threshold without a kernel" for isa, kernels in thresholds.items() if isa in sets
            for kernel in kernels if kernel not in measured]


def table(measured, thresholds):
    """Markdown: the reference's rate, then for each instruction set its ratio and in brackets the threshold."""
    sets = [isa for isa in ("portable", "avx2", "avx512") if any(isa in rows for rows in measured.values())]
    lines = ["| kernel | reference | " + " | ".join(sets) + " |", "|---|---:|" + "---:|" * len(sets)]
    for kernel, rows in measured.items():
        reference = rows["reference"]
        rate = f"{reference['gflops']:.2f} GFLOP/s" if "gflops" in reference else \
            f"{reference['gb_per_second']:.2f} GB/s"
        cells = []
        for isa in sets:
            least = thresholds.get(isa, {}).get(kernel)
            cells.append(f"{rows[isa]['ratio']:.2f} ({'none' if least is None else least})" if isa in rows else "")
        lines.append(f"| {kernel} | {rate} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def recorded(measured, thresholds, share):
    """Thresholds of `share` of the measured ratios, rounded down to two digits; others are kept."""
    result = {isa: dict(kernels) for isa, kernels in thresholds.items()}
    for kernel, rows in measured.items():
        for isa, row in rows.items():
            if isa != "reference":
                least = row["ratio"] * share
                step = 10.0 ** (math.floor(math.log10(least)) - 1)
                result.setdefault(isa, {})[kernel] = round(math.floor(least / step) * step, 6)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", help="one of Benchmarks/*.c, without the ending; default: all")
    parser.add_argument("--runs", type=int, default=5, help="runs of every body; the best counts")
    parser.add_argument("--record", type=float, metavar="SHARE", help="write thresholds.json anew")
    options = parser.parse_args()
    sources = sorted(HERE.glob("*.c"))
    if options.program:
        sources = [source for source in sources if source.stem == options.program]
        if not sources:
            parser.error(f"there is no Benchmarks/{options.program}.c")
    thresholds = json.loads(THRESHOLDS.read_text()) if THRESHOLDS.exists() else {}
    measured = {}
    for executable in build(sources).values():
        measured.update(measure(executable, options.runs))
    if options.record is not None:
        thresholds = recorded(measured, thresholds, options.record)
        THRESHOLDS.write_text(json.dumps(thresholds, indent=2, ensure_ascii=False) + "\n")
    print("Speed as a multiple of the reference in the same run, in brackets the least expected.\n")
    print(table(measured, thresholds))
    complaints = compare(measured, thresholds) + ([] if options.program else unmeasured(measured, thresholds))
    for complaint in complaints:
        print(f"error: {complaint}", file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
