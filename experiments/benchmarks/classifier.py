"""What the classifier over all identities costs a training step, and what splitting it over processes would save.

    OMP_NUM_THREADS=1 python experiments/benchmarks/classifier.py [--backbone resnet50 --processes 8]

A process of W holds either the whole classifier (D x C weights, logits of its own N images) or, as in Partial FC
(arXiv:2203.15565, without its sampling of classes), C / W columns, which see the images of all processes: N W x C / W
products either way. So splitting saves memory, Adam's step over the columns and the sum of their gradients over the
processes; it costs the exchange of features, their gradients and the softmax's denominators. Each is measured alone, in
one process, at the sizes that it would have; the network's step is measured at `--network_images` and scaled to N,
which it is linear in. The exchange between processes is not timed (it is a network's matter): its bytes are stated.

Prints a table, and one JSON object on the last line.
"""

import argparse
import json
from collections.abc import Callable, Sequence

import torch
from timed import timed
from torch import Tensor, nn

from wsreid.losses.cross_entropy import smoothed_cross_entropy
from wsreid.models import build_network

STATES = 4  # weights, their gradient, Adam's two moments


def seconds(work: Callable[[], object], turns: int) -> float:
    """Median time of some work on the CPU, after one turn that warms up."""
    return timed(work, torch.device("cpu"), turns).seconds


def classifier_step(images: int, width: int, classes: int, turns: int) -> dict[str, float]:
    """Milliseconds of a classifier's products and loss, and of Adam over it; and what it keeps."""
    head = nn.Linear(width, classes, bias=False)
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-4)
    features = torch.randn(images, width, requires_grad=True)
    labels = torch.arange(images) % classes

    def products() -> None:
        head.weight.grad = features.grad = None
        loss: Tensor = smoothed_cross_entropy(head(features), labels)
        loss.backward()  # type: ignore[no-untyped-call]

    made = seconds(products, turns)
    stepped = seconds(optimizer.step, turns)
    held = head.weight.numel() * head.weight.element_size()
    return {
        "rows": images,
        "columns": classes,
        "products ms": 1000 * made,
        "Adam ms": 1000 * stepped,
        "kept MB": STATES * held / 1e6,
        "logits MB": 2 * images * classes * 4 / 1e6,  # and their gradient
        "gradient MB": held / 1e6,
    }


def network_step(backbone: str, images: int, size: tuple[int, int], turns: int) -> tuple[float, float, int]:
    """Seconds an image of a network's step, of Adam over it, and its parameters."""
    network = build_network(backbone).train().to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)
    batch = torch.randn(images, 3, *size).contiguous(memory_format=torch.channels_last)

    def step() -> None:
        optimizer.zero_grad()
        sum(head.square().mean() for head in network(batch).heads).backward()

    each = seconds(step, turns) / images
    return each, seconds(optimizer.step, turns), sum(parameter.numel() for parameter in network.parameters())


def table(rows: Sequence[dict[str, float | str]]) -> str:
    """As Markdown."""
    names = list(rows[0])
    lines = ["| " + " | ".join(names) + " |", "|---" * len(names) + "|"]
    for row in rows:
        cells = [f"{value:.0f}" if isinstance(value, (int, float)) else value for value in row.values()]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> dict[str, object]:
    """Measures, prints, returns what the last line holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--size", type=int, nargs=2, default=(256, 128), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--images", type=int, default=180, help="of a process's step")
    parser.add_argument("--network_images", type=int, default=12, help="with which the network is timed")
    parser.add_argument("--classes", type=int, default=28_310)
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--turns", type=int, default=5)
    given = parser.parse_args(arguments)
    torch.manual_seed(0)
    height, across = given.size
    each, adam, parameters = network_step(given.backbone, given.network_images, (height, across), given.turns)
    network = {
        "part": f"{given.backbone}, a process",
        "rows": given.images,
        "columns": "-",
        "products ms": 1000 * each * given.images,
        "Adam ms": 1000 * adam,
        "kept MB": STATES * parameters * 4 / 1e6,
        "logits MB": "-",
        "gradient MB": parameters * 4 / 1e6,
    }
    whole = classifier_step(given.images, given.width, given.classes, given.turns)
    columns = -(-given.classes // given.processes)
    part = classifier_step(given.images * given.processes, given.width, columns, given.turns)
    rows = [network, {"part": "whole classifier", **whole}, {"part": f"one of {given.processes} parts", **part}]
    print(f"CPU, {torch.get_num_threads()} threads, torch {torch.__version__}, {height} x {across}")
    print(table(rows))
    step = 1000 * (each * given.images + adam)
    result = {
        **vars(given),
        "rows": rows,
        "classifier's share of a step": (whole["products ms"] + whole["Adam ms"])
        / (step + whole["products ms"] + whole["Adam ms"]),
        "saved share of a step": (whole["products ms"] + whole["Adam ms"] - part["products ms"] - part["Adam ms"])
        / (step + whole["products ms"] + whole["Adam ms"]),
        "saved MB": whole["kept MB"] + whole["logits MB"] - part["kept MB"] - part["logits MB"],
    }
    print(json.dumps(result))
    return result


if __name__ == "__main__":
    main()
