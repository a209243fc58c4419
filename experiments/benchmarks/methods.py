"""What each method adds to a training step, in time and memory, beside plain cross entropy on the same network.

    OMP_NUM_THREADS=1 python experiments/benchmarks/methods.py [--backbone resnet50 --height 256 --width 128]

A step is forward pass, losses, pseudo labels, backward pass and Adam, over C = 28,310 classes and 180 images: 12 bags,
15 images of each bag's 400, five candidates. `BagCE` is the plain cross entropy. Both step in turns in one process,
with default options, and a ratio is the median over the turns of one turn's ratio: what else the machine does then
weighs on both sides; on the CPU it is of the process's CPU time. Memory is what is kept (weights, buffers, the
optimiser's state) and the most that a step allocates on top, each beside BagCE's, tensors alone; tables by member grow
with the set and are not in it. Aims: 10 % of the time, 200 MB. The pass over the set that some methods make once an
epoch is not in a step.

The default network is so small that the ratio shows what the losses cost at their dearest: with a ResNet-50 the same
milliseconds stand beside a far longer step (`--backbone resnet50`; the column "ms more" carries over as it is).

Prints a table, and one JSON object on the last line.
"""

import argparse
import contextlib
import json
import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Final

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler that counts memory talks otherwise

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.profiler import ProfilerActivity, profile

import wsreid.methods
from wsreid.data.batch import BagBatch, Truth
from wsreid.data.needs import Needs
from wsreid.methods import DGL, BagCE, Distill, Method
from wsreid.methods.epoch_pass import EmbeddedRows
from wsreid.models import build_network
from wsreid.models.trained import TrainedNetwork

MOST_TIME, MOST_MB = 1.10, 200.0
CLUSTERS, PER_CLUSTER = 50, 40  # of the rows that a method with a pass over the set is given
_NOTES: Final = {
    "Distill": "teacher's forward pass",
    "RC": "second forward pass",
    "DGL": "second softmax over all identities",
}  # beyond what `needs` says


@dataclass(frozen=True)
class Size:
    """The size of a step."""

    classes: int = 28_310
    bags: int = 12
    per_bag: int = 15
    bag_size: int = 400
    candidates: int = 5
    height: int = 64
    width: int = 32


@dataclass(frozen=True)
class Row:
    """What one method costs.

    Attributes:
        method: Its name.
        needs: What it asks for.
        ms: Median step in milliseconds.
        ms_more: The median of what a step takes beyond BagCE's of the same turn.
        ratio: The median of the same as a ratio.
        extra_mb: Memory beyond BagCE's, in MB of 10^6 bytes.
        within: Whether both aims are met.
        by_definition: What makes it dearer by definition; empty = nothing.
    """

    method: str
    needs: str
    ms: float
    ms_more: float
    ratio: float
    extra_mb: float
    within: bool
    by_definition: str


class Stepper:
    """A method and its optimiser, taking the same step again and again."""

    def __init__(self, kind: type[Method], size: Size, backbone: str, device: torch.device) -> None:
        torch.manual_seed(0)
        self.method = kind(num_ids=size.classes, backbone=backbone).to(device).train()
        self.batch = batch_of(size, kind.needs, 1 if kind.__name__ == "FolderCE" else size.candidates).to(device)
        self.device = device
        self.trainer = SimpleNamespace(
            current_epoch=1,
            max_epochs=3,
            max_steps=-1,
            global_step=0,
            global_rank=0,
            world_size=1,
            datamodule=None,
            precision_plugin=SimpleNamespace(forward_context=contextlib.nullcontext),
        )
        self.method._trainer = self.trainer  # type: ignore[assignment]  # what methods ask a trainer for, no loop
        self.method.log = lambda *_, **__: None  # type: ignore[method-assign]
        found = self.method.configure_optimizers()
        assert isinstance(found, Optimizer)
        self.optimizer = found
        if isinstance(self.method, DGL):
            self.method.sureness.fill_(1)  # as late in a run, when it asks its bank
        if isinstance(self.method, Distill):  # a teacher of the student's own size
            teacher = build_network(backbone).to(device).requires_grad_(False).eval()
            self.method.teach(TrainedNetwork(teacher, (0.5,) * 3, (0.5,) * 3, None, Path(), ""))
        if kind.needs.epoch_pass:
            self.method.epoch_features(self._rows(len(self.batch)))

    def step(self) -> None:
        """One step, as Lightning's loop calls it."""

        def closure() -> Tensor:
            self.optimizer.zero_grad()
            loss = self.method.training_step(self.batch, 0)
            assert loss is not None
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        self.method.optimizer_step(0, 0, self.optimizer, closure)
        self.trainer.global_step += 1
        self.method.on_train_batch_end({}, self.batch, 0)

    def seconds(self) -> float:
        """Time of one step."""
        self._wait()
        start = self._clock()
        self.step()
        self._wait()
        return self._clock() - start

    def bytes(self) -> int:
        """What is kept, and the most that a step allocates on top."""
        state = [value for entry in self.optimizer.state.values() for value in entry.values()]
        kept = {t.data_ptr(): t for t in (*self.method.state_dict().values(), *state) if isinstance(t, Tensor)}
        self.optimizer.zero_grad()
        return sum(t.numel() * t.element_size() for t in kept.values()) + self._peak()

    def _peak(self) -> int:
        if self.device.type == "cuda":
            before = torch.cuda.memory_allocated(self.device)
            torch.cuda.reset_peak_memory_stats(self.device)
            self.step()
            return torch.cuda.max_memory_allocated(self.device) - before
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as watched:
            self.step()
        events = watched.profiler.kineto_results.events()
        now, peak = 0, 0
        for event in sorted((e for e in events if e.name() == "[memory]"), key=lambda e: e.start_ns()):
            now += event.nbytes()
            peak = max(peak, now)
        return peak

    def _clock(self) -> float:
        return time.perf_counter() if self.device.type == "cuda" else time.process_time()

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def _rows(self, images: int) -> EmbeddedRows:
        """Features in tight groups, which hold the batch's rows among others."""
        generator = torch.Generator().manual_seed(0)
        rows = max(CLUSTERS * PER_CLUSTER, images)
        centres = torch.randn(CLUSTERS, self.method.network.feature_dim, generator=generator)
        group = torch.arange(rows) % CLUSTERS
        features = centres[group] + 0.1 * torch.randn(rows, centres.shape[1], generator=generator)
        return EmbeddedRows(torch.arange(rows), torch.nn.functional.normalize(features).half())


def batch_of(size: Size, needs: Needs, width: int) -> BagBatch:
    """Noise in bags; neighbouring bags share a candidate, and each candidate has its share of a bag's images."""
    generator = torch.Generator().manual_seed(0)
    n = size.bags * size.per_bag
    candidates = torch.randperm(size.classes, generator=generator)[: size.bags * width].view(size.bags, width)
    if width > 1:
        pairs = size.bags // 2
        candidates[1 : 2 * pairs : 2, 0] = candidates[0 : 2 * pairs : 2, 0]
    candidates = candidates.sort(1).values
    bag = torch.arange(size.bags).repeat_interleave(size.per_bag)
    some = torch.arange(n)
    return BagBatch(
        images=torch.randint(
            0, 256, (needs.views, n, 3, size.height, size.width), generator=generator, dtype=torch.uint8
        ),
        bag=bag,
        candidates=candidates,
        bag_id=torch.arange(size.bags),
        bag_size=torch.full((size.bags,), size.bag_size),
        member=some,
        row=some,
        camera=some % 6,
        sequence=some % 3,
        frame=some,
        truth=Truth(ids=candidates[bag].gather(1, (some % width)[:, None])[:, 0]),
        skipped=torch.empty(0, dtype=torch.long),
    )


def measured(kind: type[Method], size: Size, backbone: str, device: torch.device, turns: int) -> Row:
    """One method beside BagCE."""
    plain, ours = Stepper(BagCE, size, backbone, device), Stepper(kind, size, backbone, device)
    for stepper in (plain, ours, plain, ours):
        stepper.step()
    pairs = []
    for turn in range(turns):
        first, second = (plain, ours) if turn % 2 else (ours, plain)
        taken = {first: first.seconds(), second: second.seconds()}
        pairs.append((taken[plain], taken[ours]))
    ratio = statistics.median(b / a for a, b in pairs)
    extra = (ours.bytes() - plain.bytes()) / 1e6
    return Row(
        method=kind.__name__,
        needs=asked(kind.needs),
        ms=1000 * statistics.median(b for _, b in pairs),
        ms_more=1000 * statistics.median(b - a for a, b in pairs),
        ratio=ratio,
        extra_mb=extra,
        within=ratio <= MOST_TIME and extra <= MOST_MB,
        by_definition=dearer(kind),
    )


def asked(needs: Needs) -> str:
    """What a method asks of data and base, in words."""
    given = [name.replace("_", " ") for name, value in asdict(needs).items() if value is True]
    return ", ".join([f"{needs.views} views"] * (needs.views > 1) + given)


def dearer(kind: type[Method]) -> str:
    """What of a method's definition takes time or memory beyond its losses."""
    found = [_NOTES[kind.__name__]] if kind.__name__ in _NOTES else []
    found += ["second view"] * (kind.needs.views > 1) + ["averaged weights"] * kind.needs.ema
    return ", ".join(found)


def kinds() -> list[type[Method]]:
    """All methods, by name."""
    named = (getattr(wsreid.methods, name) for name in wsreid.methods.__all__)
    methods = [kind for kind in named if isinstance(kind, type) and issubclass(kind, Method) and kind is not Method]
    found = [kind for kind in methods if kind.trains]
    return sorted(found, key=lambda kind: kind.__name__)


def table(rows: Sequence[Row]) -> str:
    """As Markdown."""
    lines = ["| method | needs | ms | ms more | ratio | extra MB | within | by definition |", "|---" * 8 + "|"]
    lines += [
        f"| {r.method} | {r.needs or '-'} | {r.ms:.1f} | {r.ms_more:+.1f} | {r.ratio:.2f} | {r.extra_mb:+.0f} | "
        f"{'yes' if r.within else 'NO'} | {r.by_definition or '-'} |"
        for r in rows
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> dict[str, object]:
    """Measures, prints, returns what the last line holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="test_resnet")
    parser.add_argument("--height", type=int, default=Size.height)
    parser.add_argument("--width", type=int, default=Size.width)
    parser.add_argument("--whole", action="store_true", help="bags of 15 images, of which the batch holds all")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--methods", nargs="*", help="their names; all by default")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--tiny", action="store_true", help="a few classes and images, for tests")
    options = parser.parse_args(arguments)
    size = Size(height=options.height, width=options.width)
    if options.tiny:
        size = replace(size, classes=60, bags=4, per_bag=4, candidates=3, height=32, width=16)
    if options.whole:
        size = replace(size, bag_size=size.per_bag)
    device = torch.device(options.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    images = size.bags * size.per_bag
    print(
        f"{options.backbone}, {images} images of {size.height} x {size.width}, {size.classes} classes, {name}, "
        f"torch {torch.__version__}"
    )
    chosen = [kind for kind in kinds() if not options.methods or kind.__name__ in options.methods]
    rows = [measured(kind, size, options.backbone, device, 1 if options.tiny else options.turns) for kind in chosen]
    print(table(rows))
    result = {"backbone": options.backbone, "device": name, **asdict(size), "rows": [asdict(row) for row in rows]}
    print(json.dumps(result))
    return result


if __name__ == "__main__":
    main()
