"""Writes the golden cases Tests/NetworksTests/Golden/network_NAME.json: one training step of a narrow network in Double.

    python Benchmarks/peer/golden_networks.py [FOLDER]

Weights and images are no random draws but a hash that the test computes too (`noise`), so that the files are small. Of each
gradient and running statistic the norm and the product with noise are kept: a wrong value changes one of them.
"""

import copy
import json
import pathlib
import sys

import numpy as np
import torch

from residual_networks import build

# Width divisor and side; a side at which no ReLU is so near 0 that Float takes the other branch: see float_deviation.
CASES = {"resnet18": (8, 65), "resnet50": (8, 66), "densenet121": (8, 62)}
BATCH, CLASSES = 4, 5


def noise(stream, count):
    """`count` numbers of [-1, 1) of a stream, the same on any machine."""
    h = (np.arange(1, count + 1, dtype=np.uint64) * 2654435761 + stream * 2654404609) & 0xFFFFFFFF
    h ^= h >> np.uint64(16)
    h = (h * 0x45D9F3B) & 0xFFFFFFFF
    h ^= h >> np.uint64(16)
    return h.astype(np.float64) / 2**31 - 1


def tensor(stream, shape):
    return torch.from_numpy(noise(stream, int(np.prod(shape))).astype(np.float32)).double().reshape(shape)


def digest(array):
    flat = array.detach().double().reshape(-1).numpy()
    return [float(np.sqrt((flat**2).sum())), float((flat * noise(7, flat.size)).sum())]


def case(name):
    divide, side = CASES[name]
    network = build(name, CLASSES, divide).double()
    parameters = list(network.named_parameters())
    for index, (_, parameter) in enumerate(parameters):
        drawn = tensor(1000 + index, parameter.shape)
        if parameter.dim() > 1:
            fan_in = parameter[0].numel()
            # Rounded as the program stores it.
            parameter.data = (drawn.float() * np.float32(np.sqrt(6 / fan_in))).double()
        else:
            base = 1 if parameter_is_scale(network, _) else 0
            parameter.data = (np.float32(base) + np.float32(0.25) * drawn.float()).double()
    images = tensor(1, (BATCH, 3, side, side))
    labels = torch.arange(BATCH) % CLASSES
    logits = network(images)
    loss = torch.nn.functional.cross_entropy(logits, labels)
    loss.backward()
    deviation = float_deviation(network, images, labels)
    states = {n: digest(b) for n, b in network.named_buffers() if b.dim() > 0}
    network.eval()
    with torch.no_grad():
        evaluated = network(images)
    return {
        "kind": "network", "name": name,
        "params": {"divide": divide, "side": side, "batch": BATCH, "classes": CLASSES,
                   "float_deviation": deviation},
        "expected": {
            "loss": loss.item(), "logits": logits.reshape(-1).tolist(),
            "evaluated_logits": evaluated.reshape(-1).tolist(),
            "gradients": {n: digest(p.grad) for n, p in parameters}, "states": states,
        },
    }


def float_deviation(network, images, labels):
    """The largest difference of a gradient's norm or product between Float and Double, relative to the norm."""
    twin = copy.deepcopy(network).float()
    twin.zero_grad()
    torch.nn.functional.cross_entropy(twin(images.float()), labels).backward()
    worst = 0
    for exact, rounded in zip(network.parameters(), twin.parameters()):
        one, other = digest(exact.grad), digest(rounded.grad)
        worst = max(worst, *(abs(a - b) / one[0] for a, b in zip(one, other)))
    return worst


def parameter_is_scale(network, name):
    owner, _, kind = name.rpartition(".")
    return kind == "weight" and isinstance(network.get_submodule(owner), torch.nn.BatchNorm2d)


def main():
    here = pathlib.Path(__file__).parent
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here / "../../Tests/NetworksTests/Golden"
    for name in CASES:
        path = folder / f"network_{name}.json"
        path.write_text(json.dumps(case(name), indent=1) + "\n")
        print(path)


if __name__ == "__main__":
    main()
