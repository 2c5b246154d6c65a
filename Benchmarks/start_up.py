#!/usr/bin/env python3
"""What `icnn train` asks the system before its first step, on a data set of many tiny files.

  Benchmarks/start_up.py --icnn .build/release/icnn [--files 1000000] [--classes 100] [--ranks 2] [--folder DIR]

Draws a few images, links them into as many files as asked for below DIR (removed afterwards; a new folder in /tmp by
default), and starts a training under mpirun twice: without an index and with the one that the first start has left.
Each rank runs under strace, which counts its calls, and is killed when the run's log begins. Prints calls, processor
time and peak memory per rank. Needs strace and Open MPI."""
import argparse
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

CALLS = {"stat": ("stat", "lstat", "newfstatat", "statx"), "fstat": ("fstat",), "open": ("open", "openat"),
         "getdents": ("getdents64",)}


def make(icnn, folder, files, classes):
    """A data set of `classes` classes; every class is one image under many names."""
    drawn = folder / "drawn"
    subprocess.run([icnn, "data", "synthesize", "--output", drawn, "--categories", "8", "--images-per-category", "15",
                    "--image-size", "16"], check=True, stdout=subprocess.DEVNULL)
    images = sorted((drawn / "images").glob("*/*"))
    for number in range(classes):
        target = folder / "data" / "images" / f"class{number:03}"
        target.mkdir(parents=True)
        first = target / ("000000" + images[number % len(images)].suffix)
        shutil.copy(images[number % len(images)], first)
        # A file system allows an inode some ten thousand names.
        for name in range(1, files // classes):
            os.link(first, target / f"{name:06}{first.suffix}")
    return folder / "data"


def ranks(icnn, run):
    """Processes of the run by rank."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_text().split("\0")
            if command[0] == icnn and run in command:
                rank = re.search(r"OMPI_COMM_WORLD_RANK=(\d+)", (entry / "environ").read_text())
                found[int(rank.group(1))] = int(entry.name)
        except (OSError, AttributeError, IndexError, UnicodeDecodeError):
            continue
    return found


def measure(icnn, data, folder, label, count):
    """Starts a training and ends it as soon as it would train; prints a line per rank."""
    run = str(folder / label)
    environment = {**os.environ, "OMPI_MCA_btl_vader_single_copy_mechanism": "none", "OMPI_MCA_mpi_yield_when_idle": "1"}
    names = ",".join(name for group in CALLS.values() for name in group)
    inner = (f"exec strace -f -c --seccomp-bpf -e trace={names} -o {folder}/{label}.$OMPI_COMM_WORLD_RANK {icnn} train "
             f"--data {data} --output {run} --image-size 16 --batch-size 8 --steps 1000000 --threads 1 --stall-timeout 0")
    began = time.monotonic()
    with open(folder / f"{label}.log", "w", encoding="utf-8") as log:
        job = subprocess.Popen(["mpirun", "-np", str(count), "--oversubscribe", "--bind-to", "none", "sh", "-c", inner],
                               env=environment, stdout=log, stderr=log)
        metrics = pathlib.Path(run) / "metrics.jsonl"
        while job.poll() is None and not (metrics.exists() and '"start"' in metrics.read_text()):
            time.sleep(0.2)
        seconds = time.monotonic() - began
        processes = ranks(icnn, run)
        usage = {}
        for rank, process in processes.items():
            fields = pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
            status = pathlib.Path(f"/proc/{process}/status").read_text()
            usage[rank] = ((int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"),
                           int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) // 1024)
        for process in processes.values():
            os.kill(process, signal.SIGKILL)
        job.wait()
    if not usage:
        raise SystemExit(f"error: the training has not begun – {folder}/{label}.log – "
                         + (folder / f"{label}.log").read_text()[-500:])
    time.sleep(1)
    for rank in sorted(usage):
        counts = dict.fromkeys(CALLS, 0)
        for line in (folder / f"{label}.{rank}").read_text().splitlines():
            words = line.split()
            for name, group in CALLS.items():
                if words and words[-1] in group:
                    counts[name] += int(words[3])
        print(f"{label:5} {rank:4} " + " ".join(f"{counts[name]:10}" for name in CALLS)
              + f" {usage[rank][0]:9.1f} {usage[rank][1]:8} {seconds:8.1f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--icnn", required=True)
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--classes", type=int, default=100)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--folder")
    options = parser.parse_args()
    icnn = str(pathlib.Path(options.icnn).resolve())
    folder = pathlib.Path(tempfile.mkdtemp(prefix="icnn-start-up-", dir=options.folder))
    try:
        data = make(icnn, folder, options.files, options.classes)
        print("start rank " + " ".join(f"{name:>10}" for name in CALLS) + "     cpu s  peak MB  all in s")
        for label in ("cold", "warm"):
            measure(icnn, data, folder, label, options.ranks)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
