"""Loads a safetensors file of icnn into PyTorch, strictly, and prints the logits of one image as JSON.

usage: evaluate_weights.py FILE PIXELS    PIXELS: float32, [H, W, 3], RGB in 0...255
"""

import base64
import json
import struct
import sys
from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional


def load(path):
    """The tensors and the metadata, read as the format's definition says."""
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        values = file.read()
    types = {"F32": torch.float32, "I64": torch.int64}
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            tensor = torch.frombuffer(bytearray(values[begin:end]), dtype=types[entry["dtype"]])
            tensors[name] = tensor.reshape(entry["shape"])
    return tensors, header["__metadata__"]


class Mask(nn.Module):
    """The paper's mask around the largest activation of every map."""

    def __init__(self, beta):
        super().__init__()
        self.beta = beta

    def forward(self, x):
        n, c, height, width = x.shape
        peak = x.flatten(2).argmax(2)
        row, column = (peak // width)[..., None, None], (peak % width)[..., None, None]
        rows = (torch.arange(height)[:, None] - row).abs() / height
        columns = (torch.arange(width)[None, :] - column).abs() / width
        return (x * (1 - self.beta * (rows + columns)).clamp(min=-1)).relu()


class Net(nn.Module):
    """torchvision's AlexNet, or icnn's compact network, at the widths of the weights."""

    def __init__(self, weights, architecture, interpretable):
        super().__init__()
        width = lambda name: weights[name + ".weight"].shape[0]
        layers = {}
        if architecture == "alexnet":
            channels = 3
            for index, kernel, stride, padding in [(0, 11, 4, 2), (3, 5, 1, 2), (6, 3, 1, 1), (8, 3, 1, 1), (10, 3, 1, 1)]:
                outputs = width(f"features.{index}")
                layers[index] = nn.Conv2d(channels, outputs, kernel, stride, padding)
                layers[index + 1] = nn.ReLU()
                channels = outputs
            for index in 2, 5, 12:
                layers[index] = nn.MaxPool2d(3, 2)
            linear = lambda name: nn.Linear(weights[name + ".weight"].shape[1], width(name))
            self.classifier = nn.Sequential(
                nn.Dropout(), linear("classifier.1"), nn.ReLU(), nn.Dropout(), linear("classifier.4"), nn.ReLU(),
                linear("classifier.6"))
        else:
            channels, index = 3, 0
            for stage in 1, 2, 2, 1:
                for _ in range(stage):
                    outputs = width(f"features.{index}")
                    layers[index] = nn.Conv2d(channels, outputs, 3, padding=1, bias=False)
                    layers[index + 1] = nn.BatchNorm2d(outputs)
                    layers[index + 2] = nn.ReLU()
                    channels, index = outputs, index + 3
                layers[index] = nn.MaxPool2d(2)
                index += 1
            self.classifier = nn.Sequential(nn.Dropout(), nn.Linear(channels, width("classifier.1")))
        self.features = nn.Sequential(*[layers[index] for index in sorted(layers)])
        self.averages = architecture == "compact"
        self.mask = Mask(interpretable["beta"]) if interpretable else None
        if interpretable:
            extra = [nn.Conv2d(channels, channels, 3, padding=1, bias=architecture == "alexnet")]
            if architecture == "compact":
                extra.append(nn.BatchNorm2d(channels))
            self.interpretable = nn.Sequential(*extra)

    def forward(self, x):
        for layer in self.features[:-1]:
            x = layer(x)
        if self.mask:
            x = self.mask(self.interpretable(self.mask(x)).relu())
        x = self.features[-1](x)
        if self.averages:
            x = functional.adaptive_avg_pool2d(x, 1)
        return self.classifier(x.flatten(1))


class DenseLayer(nn.Module):
    """torchvision's, at the widths of the weights."""

    def __init__(self, weights, name):
        super().__init__()
        bottleneck, inputs = weights[name + "conv1.weight"].shape[:2]
        growth = weights[name + "conv2.weight"].shape[0]
        self.norm1, self.conv1 = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, bottleneck, 1, bias=False)
        self.norm2, self.conv2 = nn.BatchNorm2d(bottleneck), nn.Conv2d(bottleneck, growth, 3, padding=1, bias=False)

    def forward(self, maps):
        y = self.conv1(self.norm1(torch.cat(maps, 1)).relu())
        return self.conv2(self.norm2(y).relu())


class DenseBlock(nn.ModuleDict):
    def forward(self, x):
        maps = [x]
        for layer in self.values():
            maps.append(layer(maps))
        return torch.cat(maps, 1)


class DenseNet(nn.Module):
    """torchvision's DenseNet-121 at the widths of the weights."""

    def __init__(self, weights):
        super().__init__()
        channels = weights["features.conv0.weight"].shape[0]
        layers = {
            "conv0": nn.Conv2d(3, channels, 7, 2, 3, bias=False), "norm0": nn.BatchNorm2d(channels), "relu0": nn.ReLU(),
            "pool0": nn.MaxPool2d(3, 2, 1)}
        for block, count in (1, 6), (2, 12), (3, 24), (4, 16):
            prefix = f"features.denseblock{block}.denselayer"
            layers[f"denseblock{block}"] = DenseBlock(
                {f"denselayer{i + 1}": DenseLayer(weights, f"{prefix}{i + 1}.") for i in range(count)})
            norm = f"features.transition{block}.norm.weight" if block < 4 else "features.norm5.weight"
            channels = weights[norm].shape[0]
            if block < 4:
                outputs = weights[f"features.transition{block}.conv.weight"].shape[0]
                layers[f"transition{block}"] = nn.Sequential(OrderedDict(
                    norm=nn.BatchNorm2d(channels), relu=nn.ReLU(), conv=nn.Conv2d(channels, outputs, 1, bias=False),
                    pool=nn.AvgPool2d(2, 2)))
        layers["norm5"] = nn.BatchNorm2d(channels)
        self.features = nn.Sequential(OrderedDict(layers))
        self.classifier = nn.Linear(channels, weights["classifier.weight"].shape[0])

    def forward(self, x):
        return self.classifier(self.features(x).relu().mean((2, 3)))


def main():
    weights, metadata = load(sys.argv[1])
    inputs = json.loads(metadata["preprocessing"])
    size = inputs["imageSize"]
    with open(sys.argv[2], "rb") as file:
        pixels = torch.frombuffer(bytearray(file.read()), dtype=torch.float32).reshape(size, size, 3)
    if inputs["mean"] == "pixel":
        mean = torch.frombuffer(bytearray(base64.b64decode(metadata["preprocessing.mean"])), dtype=torch.float32)
        pixels = pixels - mean.reshape(size, size, 3)
    elif inputs["mean"] == "channel":
        pixels = pixels - torch.tensor(inputs["channels"])
    x = (pixels * torch.tensor(inputs["scale"])).permute(2, 0, 1)[None].double()
    interpretable = json.loads(metadata["interpretable"]) if "interpretable" in metadata else None
    if metadata["architecture"] == "densenet121":
        network = DenseNet(weights)
    else:
        network = Net(weights, metadata["architecture"], interpretable)
    network.load_state_dict(weights, strict=True)
    with torch.no_grad():
        logits = network.double().eval()(x)[0].tolist()
    print(json.dumps({"logits": logits, "classes": json.loads(metadata["classes"])}))


main()
