#!/usr/bin/env python3
"""Times training steps of PyTorch on the CPU, on the networks of this project: forward, cross entropy, backward,
momentum SGD, on noise, as `icnn bench --ordinary` does. Prints one JSON object with the fields of `icnn bench --json`.

  pytorch_peer.py --network vgg16 --batch-size 16 --threads 1 --variant tuned-channels-last
  pytorch_peer.py --network alexnet --batch-size 16 --processes 2        DistributedDataParallel over gloo

--batch-size is that of all processes together. Variants: `default` is eager PyTorch as it comes; `tuned` has a malloc
that keeps its pages (else a large part of a step is page faults), denormals flushed, one interop thread, the fused
optimiser, gradients that live in DDP's buckets, and each process bound to its own CPUs; `tuned-channels-last` has NHWC
tensors besides."""
import argparse
import json
import os
import resource
import statistics
import sys
import tempfile
import time

# glibc reads them when a process starts.
TUNED_MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": "8589934592",
    "MALLOC_TRIM_THRESHOLD_": "17179869184",
    "MALLOC_TOP_PAD_": "268435456",
}
VARIANTS = ("default", "tuned", "tuned-channels-last")
# Learned values with 1000 classes at 224 pixels: the same numbers as in Sources/Networks/Architectures.
PARAMETERS = {"alexnet": 61_100_840, "vgg16": 138_357_544, "vgg-m": 102_908_520, "vgg-s": 102_908_520,
              "resnet18": 11_689_512, "resnet50": 25_557_032, "densenet121": 7_978_856}


def networks(nn):
    """Functions of (classes, side of the input) by name; the twins of Sources/Networks/Architectures/*.swift."""

    def convolution(inputs, outputs, kernel, stride=1, padding=0):
        return [nn.Conv2d(inputs, outputs, kernel, stride, padding), nn.ReLU(inplace=True)]

    def response_normalization():  # Caffe's form: alpha times the mean of the squares
        return nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)

    def pooling(kernel, stride, ceil_mode=False):
        return nn.MaxPool2d(kernel, stride, ceil_mode=ceil_mode)

    def classifier(features, classes, side):
        """Two hidden layers of 4096 with dropout behind each."""
        inputs = features_of(features, side)
        return nn.Sequential(
            *features, nn.Flatten(), nn.Linear(inputs, 4096), nn.ReLU(inplace=True), nn.Dropout(0.5),
            nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Linear(4096, classes))

    def features_of(features, side):
        import torch
        with torch.no_grad():
            return nn.Sequential(*features)(torch.zeros(1, 3, side, side)).numel()

    def alexnet(classes, side):
        features = [
            *convolution(3, 64, 11, 4, 2), pooling(3, 2), *convolution(64, 192, 5, padding=2), pooling(3, 2),
            *convolution(192, 384, 3, padding=1), *convolution(384, 256, 3, padding=1),
            *convolution(256, 256, 3, padding=1), pooling(3, 2)]
        return nn.Sequential(  # its dropout stands in front of the hidden layers
            *features, nn.Flatten(), nn.Dropout(0.5), nn.Linear(features_of(features, side), 4096),
            nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Linear(4096, 4096), nn.ReLU(inplace=True),
            nn.Linear(4096, classes))

    def vgg16(classes, side):
        features, inputs = [], 3
        for outputs, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
            for _ in range(count):
                features += convolution(inputs, outputs, 3, padding=1)
                inputs = outputs
            features.append(pooling(2, 2))
        return classifier(features, classes, side)

    def top():  # of CNN-M and CNN-S
        return [*convolution(256, 512, 3, padding=1), *convolution(512, 512, 3, padding=1),
                *convolution(512, 512, 3, padding=1)]

    def vgg_m(classes, side):
        return classifier(
            [*convolution(3, 96, 7, 2), response_normalization(), pooling(3, 2, True),
             *convolution(96, 256, 5, 2, 1), response_normalization(), pooling(3, 2, True), *top(),
             pooling(3, 2, True)], classes, side)

    def vgg_s(classes, side):
        return classifier(
            [*convolution(3, 96, 7, 2), response_normalization(), pooling(3, 3, True), *convolution(96, 256, 5),
             pooling(2, 2, True), *top(), pooling(3, 3, True)], classes, side)

    def with_batch_normalization(name):
        from residual_networks import build
        return lambda classes, side: build(name, classes)

    return {"alexnet": alexnet, "vgg16": vgg16, "vgg-m": vgg_m, "vgg-s": vgg_s,
            **{name: with_batch_normalization(name) for name in ("resnet18", "resnet50", "densenet121")}}


def share(total, rank, count):
    """Images of one process; the first ones get the remainder."""
    return total // count + (1 if rank < total % count else 0)


def train(rank, options, rendezvous, result_path):
    """One process: builds the network, runs the steps; process 0 writes the result."""
    tuned = options.variant != "default"
    if tuned and options.processes > 1:
        cpus = sorted(os.sched_getaffinity(0))
        first = rank * options.threads
        os.sched_setaffinity(0, {cpus[(first + i) % len(cpus)] for i in range(options.threads)})
    import torch
    import torch.distributed as distributed
    from torch import nn

    torch.set_num_threads(options.threads)
    if tuned:
        torch.set_num_interop_threads(1)
        torch.set_flush_denormal(True)
    torch.manual_seed(0)
    layout = torch.channels_last if options.variant == "tuned-channels-last" else torch.contiguous_format
    network = networks(nn)[options.network](options.classes, options.image_size).to(memory_format=layout)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    expected = PARAMETERS[options.network]
    if (options.classes, options.image_size) == (1000, 224) and parameters != expected:
        raise SystemExit(f"error: {options.network} has {parameters} parameters – expected {expected}")
    model = network
    if options.processes > 1:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
        distributed.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank,
                                       world_size=options.processes)
        model = nn.parallel.DistributedDataParallel(network, gradient_as_bucket_view=tuned, static_graph=tuned)
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-4, momentum=0.9, weight_decay=5e-4,
                                fused=True if tuned else None)
    batch = share(options.batch_size, rank, options.processes)
    images = torch.randn(batch, 3, options.image_size, options.image_size).contiguous(memory_format=layout)
    labels = torch.randint(0, options.classes, (batch,))

    wall, cpu = [], []
    for step in range(options.warmup_steps + options.steps):
        if options.processes > 1:
            distributed.barrier()
        began, began_cpu = time.perf_counter(), time.process_time()
        optimizer.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        loss = loss.item()
        if step >= options.warmup_steps:
            wall.append(time.perf_counter() - began)
            cpu.append(time.process_time() - began_cpu)
    if rank == 0:
        report = {
            "network": options.network, "batch_size": options.batch_size, "image_size": options.image_size,
            "ranks": options.processes, "threads": options.threads, "variant": options.variant,
            "images_per_second": options.batch_size / statistics.median(wall),
            "step_ms_median": 1e3 * statistics.median(wall), "step_ms_min": 1e3 * min(wall),
            "step_cpu_ms_median": 1e3 * statistics.median(cpu),
            "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
            "parameters": parameters, "loss": loss, "version": torch.__version__,
            "onednn": torch.backends.mkldnn.is_available(), "mkl": torch.backends.mkl.is_available(),
        }
        with open(result_path, "w", encoding="utf-8") as file:
            json.dump(report, file)
    if options.processes > 1:
        distributed.barrier()
        distributed.destroy_process_group()


def parsed(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=sorted(PARAMETERS), default="alexnet")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=1, help="of each process")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--warmup-steps", type=int, default=2)
    parser.add_argument("--variant", choices=VARIANTS, default="default")
    options = parser.parse_args(arguments)
    if min(options.batch_size // options.processes, options.threads, options.processes, options.steps) < 1:
        parser.error("every process needs an image, a thread and a step")
    return options


def main():
    options = parsed(sys.argv[1:])
    if options.variant != "default" and any(os.environ.get(k) != v for k, v in TUNED_MALLOC.items()):
        os.execve(sys.executable, [sys.executable, os.path.abspath(__file__), *sys.argv[1:]],
                  {**os.environ, **TUNED_MALLOC})
    with tempfile.TemporaryDirectory() as folder:
        rendezvous, result = os.path.join(folder, "rendezvous"), os.path.join(folder, "result.json")
        if options.processes == 1:
            train(0, options, rendezvous, result)
        else:
            import torch.multiprocessing as multiprocessing
            multiprocessing.spawn(train, (options, rendezvous, result), nprocs=options.processes)
        with open(result, encoding="utf-8") as file:
            print(file.read())


if __name__ == "__main__":
    main()
