"""icnn's networks in PyTorch, at the widths of a file of weights and under its names, so that it loads strictly.

Written from the papers and torchvision's definitions, as Sources/Networks/Architectures is.
"""

import torch
from torch import nn


class Mask(nn.Module):
    """The paper's mask around the largest activation of every map.

    `closest` is, for each image of the last forward, how near the second largest cell of some map came to the largest, as a
    share of it: where that is as small as rounding, two programs may place a mask differently.
    """

    def __init__(self, beta, scaled):
        super().__init__()
        self.beta, self.scaled = beta, scaled
        self.closest = None

    def forward(self, x):
        n, c, height, width = x.shape
        cells = x.flatten(2)
        peak = cells.argmax(2)
        if height * width > 1:
            first, second = cells.topk(2, 2).values.unbind(2)
            gap = torch.where(first > 0, (first - second) / first.clamp(min=1e-30), torch.ones_like(first))
            self.closest = gap.amin(1)
        else:
            self.closest = torch.ones(n)
        rows = (torch.arange(height)[:, None] - (peak // width)[..., None, None]).abs() / height
        columns = (torch.arange(width)[None, :] - (peak % width)[..., None, None]).abs() / width
        template = (1 - self.beta * (rows + columns)).clamp(min=-1)
        return (x * template * (0.5 / (height * width) if self.scaled else 1)).relu()


class Block(nn.Module):
    """max(body(x) + shortcut(x), 0)."""

    def __init__(self, body, shortcut):
        super().__init__()
        self.chains = [body, shortcut]

    def forward(self, x):
        y = beside = x
        for layer in self.chains[0]:
            y = layer(y)
        for layer in self.chains[1]:
            beside = layer(beside)
        return (y + beside).relu()


class DenseBlock(nn.Module):
    """Its chains see the concatenation of all maps so far; the last one's output is the block's."""

    def __init__(self, chains):
        super().__init__()
        self.chains = chains

    def forward(self, x):
        maps = [x]
        for chain in self.chains:
            y = torch.cat(maps, 1)
            for layer in chain:
                y = layer(y)
            maps.append(y)
        return maps[-1]


class Network(nn.Module):
    """A chain of layers; their names may have dots, as in files."""

    def __init__(self, architecture, weights, interpretable):
        super().__init__()
        self.weights, self.mask_options = weights, interpretable
        self.chain, self.masks = [], []
        getattr(self, architecture.replace("-", "_"))()
        self.load_state_dict(weights, strict=True)

    def forward(self, x):
        for layer in self.chain:
            x = layer(x)
        return x

    def name(self, name, layer):
        """Puts a layer where its name says, and at the end of the chain."""
        *path, last = name.split(".")
        owner = self
        for part in path:
            if part not in owner._modules:
                owner.add_module(part, nn.Module())
            owner = owner._modules[part]
        owner.add_module(last, layer)
        self.chain.append(layer)

    def convolution(self, name, stride=1, padding=0, groups=1):
        outputs, inputs, height, width = self.weights[name + ".weight"].shape
        self.name(name, nn.Conv2d(
            inputs * groups, outputs, (height, width), stride, padding, groups=groups,
            bias=name + ".bias" in self.weights))

    def normalization(self, name):
        self.name(name, nn.BatchNorm2d(len(self.weights[name + ".weight"])))

    def linear(self, name):
        outputs, inputs = self.weights[name + ".weight"].shape
        self.name(name, nn.Linear(inputs, outputs))

    def relu(self):
        self.chain.append(nn.ReLU())

    def pooling(self, kernel, stride, padding=0, ceil_mode=False):
        self.chain.append(nn.MaxPool2d(kernel, stride, padding, ceil_mode=ceil_mode))

    def response_normalization(self, k=2.0, alpha=5e-4):
        self.chain.append(nn.LocalResponseNorm(5, alpha=alpha, beta=0.75, k=k))

    def average(self):
        self.chain.append(nn.AdaptiveAvgPool2d(1))

    def mask(self):
        mask = Mask(self.mask_options["beta"], self.mask_options["mask_scale"] == "tau")
        self.masks.append(mask)
        self.chain.append(mask)

    def top(self, pooling, normalized=False):
        """Masks and a new convolution between the top convolution's ReLU and the top pooling."""
        if self.mask_options:
            self.mask()
            self.convolution("interpretable.0", padding=1)
            if normalized:
                self.normalization("interpretable.1")
            self.relu()
            self.mask()
        pooling()

    def head(self, *names):
        self.chain.append(nn.Flatten())
        for name in names[:-1]:
            self.linear(name)
            self.relu()
        self.linear(names[-1])

    def alexnet(self):
        for name, stride, padding, pooled in (
                ("0", 4, 2, True), ("3", 1, 2, True), ("6", 1, 1, False), ("8", 1, 1, False), ("10", 1, 1, False)):
            self.convolution("features." + name, stride, padding)
            self.relu()
            if pooled:
                self.pooling(3, 2)
        self.top(lambda: self.pooling(3, 2))
        self.head("classifier.1", "classifier.4", "classifier.6")

    def caffe_alexnet(self):
        for index, stride, padding, groups in ((1, 4, 0, 1), (2, 1, 2, 2), (3, 1, 1, 1), (4, 1, 1, 2), (5, 1, 1, 2)):
            self.convolution(f"conv{index}", stride, padding, groups)
            self.relu()
            if index < 3:
                self.response_normalization(1.0, 1e-4)
                self.pooling(3, 2, ceil_mode=True)
        self.top(lambda: self.pooling(3, 2, ceil_mode=True))
        self.head("fc6", "fc7", "fc8")

    def vgg_m(self):
        for index, stride, padding in ((1, 2, 0), (2, 2, 1), (3, 1, 1), (4, 1, 1), (5, 1, 1)):
            self.convolution(f"conv{index}", stride, padding)
            self.relu()
            if index < 3:
                self.response_normalization()
                self.pooling(3, 2, ceil_mode=True)
        self.top(lambda: self.pooling(3, 2, ceil_mode=True))
        self.head("fc6", "fc7", "fc8")

    def vgg_s(self):
        for index, stride, padding in ((1, 2, 0), (2, 1, 0), (3, 1, 1), (4, 1, 1), (5, 1, 1)):
            self.convolution(f"conv{index}", stride, padding)
            self.relu()
            if index == 1:
                self.response_normalization()
                self.pooling(3, 3, ceil_mode=True)
            if index == 2:
                self.pooling(2, 2, ceil_mode=True)
        self.top(lambda: self.pooling(3, 3, ceil_mode=True))
        self.head("fc6", "fc7", "fc8")

    def vgg16(self):
        index = 0
        for stage, count in enumerate((2, 2, 3, 3, 3)):
            for _ in range(count):
                self.convolution(f"features.{index}", padding=1)
                self.relu()
                index += 2
            index += 1
            if stage < 4:
                self.pooling(2, 2)
        self.top(lambda: self.pooling(2, 2))
        self.head("classifier.0", "classifier.3", "classifier.6")

    def compact(self):
        index = 0
        for stage, count in enumerate((1, 2, 2, 1)):
            for _ in range(count):
                self.convolution(f"features.{index}", padding=1)
                self.normalization(f"features.{index + 1}")
                self.relu()
                index += 3
            index += 1
            if stage < 3:
                self.pooling(2, 2)
        self.top(lambda: self.pooling(2, 2), normalized=True)
        self.average()
        self.head("classifier.1")

    def resnet18(self):
        self.residual_stages((2, 2, 2, 2), bottleneck=False)

    def resnet50(self):
        self.residual_stages((3, 4, 6, 3), bottleneck=True)

    def residual_stages(self, counts, bottleneck):
        self.convolution("conv1", 2, 3)
        self.normalization("bn1")
        self.relu()
        self.pooling(3, 2, 1)
        for stage, count in enumerate(counts):
            for block in range(count):
                self.block(f"layer{stage + 1}.{block}", 2 if stage and not block else 1, bottleneck)
        self.top_of_blocks("fc")

    def densenet121(self):
        self.convolution("features.conv0", 2, 3)
        self.normalization("features.norm0")
        self.relu()
        self.pooling(3, 2, 1)
        for index, count in enumerate((6, 12, 24, 16)):
            transition = f"features.transition{index + 1}"
            self.dense_block(
                f"features.denseblock{index + 1}", count, transition + ".norm" if index < 3 else "features.norm5")
            if index < 3:
                self.convolution(transition + ".conv")
                self.chain.append(nn.AvgPool2d(2, 2))
        self.top_of_blocks("classifier")

    def dense_block(self, name, count, closing):
        outer, chains = self.chain, []
        for index in range(count):
            self.chain = []
            for part in 1, 2:
                self.normalization(f"{name}.denselayer{index + 1}.norm{part}")
                self.relu()
                self.convolution(f"{name}.denselayer{index + 1}.conv{part}", padding=part - 1)
            chains.append(self.chain)
        self.chain = []
        self.normalization(closing)
        self.relu()
        chains.append(self.chain)
        self.chain = outer
        self.chain.append(DenseBlock(chains))

    def top_of_blocks(self, head):
        """Two new convolutions with masks above the last block."""
        if self.mask_options:
            for index in 0, 3:
                self.convolution(f"interpretable.{index}", padding=1)
                self.normalization(f"interpretable.{index + 1}")
                self.relu()
                self.mask()
        self.average()
        self.head(head)

    def block(self, name, stride, bottleneck):
        outer, body, shortcut = self.chain, [], []
        self.chain = body
        kernels = (1, 3, 1) if bottleneck else (3, 3)
        for index, kernel in enumerate(kernels):
            here = stride if index == (1 if bottleneck else 0) else 1
            self.convolution(f"{name}.conv{index + 1}", here, kernel // 2)
            self.normalization(f"{name}.bn{index + 1}")
            if index + 1 < len(kernels):
                self.relu()
        self.chain = shortcut
        if name + ".downsample.0.weight" in self.weights:
            self.convolution(name + ".downsample.0", stride)
            self.normalization(name + ".downsample.1")
        self.chain = outer
        self.chain.append(Block(body, shortcut))
