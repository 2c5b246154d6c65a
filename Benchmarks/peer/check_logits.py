#!/usr/bin/env python3
"""Compares the logits of icnn, PyTorch and ONNX Runtime on photographs, for every network without and with masks.

Each network is trained for a few steps on the data set, exported to safetensors and to ONNX, and looks at the same
pixels three times: the photographs, resized by Pillow to the network's input and saved as PNG, which icnn predict then
takes as they are. PyTorch gets the safetensors file, subtracts the mean and scales as its metadata say, and computes in
double precision; ONNX Runtime gets the pixels.

Differences are shares of the largest logit of the image. Masks stand where a map is largest: where two cells of a map differ by
less than 1e-5 of it, rounding decides which, and one filter's part of a logit goes elsewhere. Such images are counted and
shown but not judged. Ends with 1 if a difference is too large, or if more than a tenth of the images are such.

    make check-logits DATA=DIR                                     an eighth of the published widths
    make check-logits DATA=DIR LOGITS_OPTIONS="--divide 1 --networks vgg16"
"""

import argparse
import base64
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import numpy
import onnxruntime
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file

from exported_networks import Network

NETWORKS = ["compact", "alexnet", "caffe-alexnet", "vgg-m", "vgg-s", "vgg16", "resnet18", "resnet50",
            "densenet121"]
# Share of the largest logit; share of a map's largest cell; share of the images.
LIMIT, AMBIGUOUS_GAP, MOST_AMBIGUOUS = 1e-4, 1e-5, 0.1


def run(*command):
    """Its output; ends the program with its words if it fails."""
    outcome = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if outcome.returncode:
        sys.exit(f"error: {' '.join(map(str, command))} ended with {outcome.returncode}\n{outcome.stderr}")
    return outcome.stdout


def leaves(layers):
    for layer in layers:
        if layer["parts"]:
            yield from leaves(layer["parts"])
        else:
            yield layer


def widths(icnn, network, divide):
    """Hidden layers of the ordinary network and what their width is divided by."""
    summary = json.loads(run(icnn, "info", "--network", network, "--ordinary", "--json"))
    hidden = [one for one in leaves(summary["layers"]) if one["kind"] in ("convolution", "linear")][:-1]
    return {one["name"]: max(2, one["output"][0] // divide // 2 * 2) for one in hidden}


def photographs(data, count):
    """So many, evenly from all classes."""
    folder = data / "images" if (data / "images").is_dir() else data
    classes = sorted(path for path in folder.iterdir() if path.is_dir())
    files = [sorted(path for path in one.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png")) for one in classes]
    chosen = []
    for index in range(count):
        of_class = files[index % len(files)]
        rounds = (count + len(files) - 1) // len(files)
        chosen.append(of_class[index // len(files) * len(of_class) // rounds])
    return chosen


def resized(files, side, folder):
    """Paths of PNG files of the network's size, and their pixels [N, H, W, 3]."""
    folder.mkdir()
    paths, pixels = [], []
    for index, file in enumerate(files):
        with Image.open(file) as image:
            small = image.convert("RGB").resize((side, side), Image.Resampling.BILINEAR)
        paths.append(folder / f"{index:03}.png")
        small.save(paths[-1])
        pixels.append(numpy.asarray(small, numpy.float32))
    return paths, numpy.stack(pixels)


def train(icnn, network, interpretable, options, run_folder):
    configuration = run_folder.with_suffix(".yaml")
    if options.divide > 1:
        entries = "\n".join(f"  {name}: {width}" for name, width in widths(icnn, network, options.divide).items())
        configuration.write_text("widths:\n" + entries + "\n")
    else:
        configuration.write_text("{}\n")
    run(icnn, "train", "--config", configuration, "--data", options.data, "--output", run_folder, "--network", network,
        "--interpretable" if interpretable else "--ordinary", "--steps", options.steps, "--batch-size", 8,
        "--learning-rate", 0.001, "--crop-margin", 0, "--validate-every", 1000, "--seed", 3)


def of_icnn(icnn, run_folder, paths):
    lines = run(icnn, "predict", "--checkpoint", run_folder, "--filters", 0, "--json", *paths).splitlines()
    return numpy.array([[one["logit"] for one in json.loads(line)["probabilities"]] for line in lines])


def of_pytorch(file, pixels):
    """Logits, and whether rounding decides about a mask."""
    with safe_open(file, "pt") as opened:
        metadata = opened.metadata()
    inputs = json.loads(metadata["preprocessing"])
    x = torch.from_numpy(pixels)
    if inputs["mean"] == "pixel":
        mean = numpy.frombuffer(base64.b64decode(metadata["preprocessing.mean"]), numpy.float32)
        x = x - torch.from_numpy(mean.copy()).reshape(x.shape[1:])
    elif inputs["mean"] == "channel":
        x = x - torch.tensor(inputs["channels"])
    x = (x * torch.tensor(inputs["scale"])).permute(0, 3, 1, 2).contiguous().double()
    interpretable = json.loads(metadata["interpretable"]) if "interpretable" in metadata else None
    network = Network(metadata["architecture"], load_file(file), interpretable).double().eval()
    logits, ambiguous = [], []
    with torch.no_grad():
        for image in x:
            logits.append(network(image[None])[0].numpy())
            ambiguous.append(any(float(mask.closest[0]) < AMBIGUOUS_GAP for mask in network.masks))
    return numpy.stack(logits), numpy.array(ambiguous)


def of_onnx(file, pixels):
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    images = numpy.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
    return numpy.concatenate(
        [session.run(["logits"], {"image": images[first:first + 10]})[0] for first in range(0, len(images), 10)]).astype(float)


def differences(mine, theirs):
    """For each image, the largest as a share of its largest logit."""
    return numpy.abs(mine - theirs).max(1) / numpy.abs(theirs).max(1)


def check(network, interpretable, options, files, folder):
    """The row of one network, and whether it is right."""
    run_folder = folder / "run"
    train(options.icnn, network, interpretable, options, run_folder)
    run(options.icnn, "weights", "convert", run_folder, folder / "out.safetensors")
    run(options.icnn, "weights", "convert", run_folder, folder / "out.onnx")
    summary = json.loads(run(options.icnn, "info", run_folder, "--json"))
    paths, pixels = resized(files, summary["preprocessing"]["image_size"], folder / "images")
    icnn = of_icnn(options.icnn, run_folder, paths)
    onnx = of_onnx(folder / "out.onnx", pixels)
    pytorch, ambiguous = of_pytorch(folder / "out.safetensors", pixels)
    if not numpy.isfinite(pytorch).all() or numpy.abs(pytorch).max() < 1e-6:
        sys.exit(f"error: {network} has no logits to be compared")
    pairs = [differences(icnn, pytorch), differences(onnx, pytorch), differences(icnn, onnx)]
    right = ambiguous.mean() <= MOST_AMBIGUOUS and all((pair[~ambiguous] <= LIMIT).all() for pair in pairs)
    same = (icnn.argmax(1) == pytorch.argmax(1)) & (icnn.argmax(1) == onnx.argmax(1))
    clear = [f"{pair[~ambiguous].max(initial=0):.1e}" for pair in pairs]
    unclear = f"{max(pair[ambiguous].max(initial=0) for pair in pairs):.1e}" if ambiguous.any() else "–"
    row = [network, "interpretable" if interpretable else "ordinary", f"{summary['network']['parameters']:,}",
           f"{numpy.abs(pytorch).max():.3g}", *clear, f"{ambiguous.sum()}", unclear, f"{same.sum()} of {len(files)}"]
    return row, right


def parsed(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--icnn", required=True, help="the program")
    parser.add_argument("--data", required=True, type=pathlib.Path, help="data set with photographs")
    parser.add_argument("--networks", nargs="+", default=NETWORKS, choices=NETWORKS)
    parser.add_argument("--divide", type=int, default=8, help="divides the published widths; 1: as published")
    parser.add_argument("--images", type=int, default=50)
    parser.add_argument("--steps", type=int, default=2, help="training steps")
    parser.add_argument("--keep", type=pathlib.Path, help="folder for runs and exports; by default they are removed")
    return parser.parse_args(arguments)


def main():
    options = parsed(sys.argv[1:])
    files = photographs(options.data, options.images)
    head = ["network", "form", "parameters", "largest logit", "icnn – PyTorch", "ONNX – PyTorch", "icnn – ONNX",
            "ambiguous", "their difference", "same class"]
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head), flush=True)
    jobs = [(network, interpretable) for network in options.networks for interpretable in (False, True)]
    began, failures = time.monotonic(), []
    for done, (network, interpretable) in enumerate(jobs):
        folder = pathlib.Path(tempfile.mkdtemp(prefix=f"icnn-logits-{network}-", dir=options.keep))
        try:
            row, right = check(network, interpretable, options, files, folder)
        finally:
            if options.keep is None:
                shutil.rmtree(folder)
        print("| " + " | ".join(row) + " |", flush=True)
        if not right:
            failures.append(f"{row[0]} {row[1]}")
        passed = time.monotonic() - began
        print(f"{done + 1} of {len(jobs)} networks, {passed:.0f} s, {passed / (done + 1) * (len(jobs) - done - 1):.0f} s left",
              file=sys.stderr)
    if failures:
        sys.exit(f"error: logits differ by more than {LIMIT:g} of the largest, or too many masks are ambiguous –"
                 f" {', '.join(failures)}")


if __name__ == "__main__":
    main()
