"""Writes the golden cases Tests/NetworksTests/Golden/network_NAME.json: one training step of a narrow network in Double.

    python Benchmarks/peer/golden_networks.py [FOLDER]
    python Benchmarks/peer/golden_networks.py --margins NAME

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

# Width divisor, side and batch at which no ReLU is so near 0 that Float, summed in whatever order, takes the other
# branch: see relu_margin. `--margins NAME` lists those of other sides.
CASES = {"resnet18": (8, 65, 4), "resnet50": (16, 41, 3), "densenet121": (16, 66, 3)}
CLASSES, LEAST_MARGIN = 5, 5


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


def drawn_network(name, divide):
    network = build(name, CLASSES, divide).double()
    for index, (parameter_name, parameter) in enumerate(network.named_parameters()):
        drawn = tensor(1000 + index, parameter.shape)
        if parameter.dim() > 1:
            fan_in = parameter[0].numel()
            # Rounded as the program stores it.
            parameter.data = (drawn.float() * np.float32(np.sqrt(6 / fan_in))).double()
        else:
            base = 1 if parameter_is_scale(network, parameter_name) else 0
            parameter.data = (np.float32(base) + np.float32(0.25) * drawn.float()).double()
    return network


def case(name):
    divide, side, batch = CASES[name]
    network = drawn_network(name, divide)
    images = tensor(1, (batch, 3, side, side))
    margin = relu_margin(network, images)
    if margin < LEAST_MARGIN:
        sys.exit(f"error: {name}: a ReLU is {margin:.1f} roundings from 0; choose another side with --margins {name}")
    labels = torch.arange(batch) % CLASSES
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
        "params": {"divide": divide, "side": side, "batch": batch, "classes": CLASSES,
                   "float_deviation": deviation, "relu_margin": margin},
        "expected": {
            "loss": loss.item(), "logits": logits.reshape(-1).tolist(),
            "evaluated_logits": evaluated.reshape(-1).tolist(),
            "gradients": {n: digest(p.grad) for n, p in network.named_parameters()}, "states": states,
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


def relu_inputs(network, images):
    """What every ReLU of a forward pass in training gets, in order; leaves running statistics as they were."""
    network = copy.deepcopy(network)
    inputs, relu = [], torch.nn.functional.relu

    def noted(x, inplace=False):
        inputs.append(x.detach().double())
        return relu(x)

    torch.nn.functional.relu = noted
    try:
        with torch.no_grad():
            network(images)
    finally:
        torch.nn.functional.relu = relu
    return inputs


def relu_margin(network, images):
    """Distance from 0 of the nearest input of a ReLU, in multiples of the RMS difference of Float and Double there."""
    exact = relu_inputs(network, images)
    rounded = relu_inputs(copy.deepcopy(network).float(), images.float())
    return min((a.abs().min() / (a - b).square().mean().sqrt()).item() for a, b in zip(exact, rounded))


def parameter_is_scale(network, name):
    owner, _, kind = name.rpartition(".")
    return kind == "weight" and isinstance(network.get_submodule(owner), torch.nn.BatchNorm2d)


def main():
    if sys.argv[1:2] == ["--margins"]:
        name = sys.argv[2]
        divide, _, batch = CASES[name]
        network = drawn_network(name, divide)
        for side in range(33, 72):
            print(side, f"{relu_margin(network, tensor(1, (batch, 3, side, side))):.1f}", flush=True)
        return
    here = pathlib.Path(__file__).parent
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here / "../../Tests/NetworksTests/Golden"
    for name in CASES:
        path = folder / f"network_{name}.json"
        path.write_text(json.dumps(case(name), indent=1) + "\n")
        print(path)


if __name__ == "__main__":
    main()
