"""Images a second that a network embeds, in several ways of running it, and what each does to rank-1 and mAP.

    OMP_NUM_THREADS=1 python experiments/benchmarks/embed.py [--weights osnet_x0_25=FILE --root PKU_ROOT]

From uint8 images in memory to float32 features; loading is not in it. The ways: eager (float32, no gradient), inference
mode, channels-last (what `test` does), folded (batch normalisation in the weights before it) with denormal numbers
taken for zero (what `predict` does), the same in bfloat16 (autocast), through torch.compile, and as ONNX in
onnxruntime, which runs on the CPU. They take turns with a bare matrix product in float32 and in bfloat16, in one
process: each figure is a median over the turns, "x eager" the median of a turn's ratios. On one thread of a CPU the
time is the process's own, so that other work on the machine weighs less; compiling is not in it.

"of product" = images a second times the multiplications and additions of an image (convolutions and matrix products,
by torch's FlopCounterMode; two for each multiply-add), over what the bare product of the same type reaches.

A network with weights is scored too, on PKU-Reid under --root (74 identities), else on the rendered set: R1 and mAP in
percent, and how far they are from eager; the aim is at most .1. "cosine" is the smallest between a feature and its
eager one; without weights it is of noise. What there is no time for (--seconds) is named. Prints a table, and one JSON
object on the last line.
"""

import argparse
import contextlib
import copy
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity
from torch.utils.flop_counter import FlopCounterMode

from wsreid.data import BagDataModule, PKUReID, RenderSettings
from wsreid.export.embedder import Embedder
from wsreid.export.formats import INPUT, OUTPUT, write_exported
from wsreid.export.recipe import Recipe
from wsreid.methods.denormals import flushed_denormals
from wsreid.models import EmbeddingNet, build_network
from wsreid.models.folding import folded
from wsreid.retrieval import evaluate

AIM = 0.1
NETWORKS = ("osnet_x0_25", "osnet_x1_0", "resnet50")
WAYS = ("eager", "inference", "channels_last", "folded", "bf16", "onnx", "compiled", "compiled_bf16")
COMPILED = ("compiled", "compiled_bf16")  # last: each takes a minute before its first image
Embed = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Scored:
    """R1 and mAP in percent, and the features `(N, D)` of queries and gallery."""

    rank1: float
    mean_ap: float
    features: Tensor


@dataclass(frozen=True)
class Row:
    """One way of running one network; None = not measured."""

    network: str
    way: str
    images_s: float
    times_eager: float
    gflop_s: float
    of_product: float
    cosine: float
    rank1: float | None
    mean_ap: float | None
    rank1_moves: float | None
    mean_ap_moves: float | None
    within: bool | None


class Ways:
    """The ways of running a network, each made when it is first asked for."""

    def __init__(self, network: EmbeddingNet, recipe: Recipe, device: torch.device, folder: Path) -> None:
        self.recipe, self.device, self.folder = recipe, device, folder
        self._network = network.eval().to(device)
        self._folded: EmbeddingNet | None = None

    def way(self, name: str) -> Embed:
        """From uint8 images on the device to float32 features."""
        if name == "onnx":
            return self._onnx()
        if name in ("eager", "inference"):
            return self._run(copy.deepcopy(self._network), channels_last=False, inference=name != "eager")
        if name == "channels_last":
            return self._run(copy.deepcopy(self._network).to(memory_format=torch.channels_last))
        network = copy.deepcopy(self.folded)
        if name in COMPILED:
            network.compile(dynamic=False)
        return self._run(network, flush=True, half="bf16" in name)

    @property
    def folded(self) -> EmbeddingNet:
        """The network without batch normalisation behind a convolution, channels last."""
        if self._folded is None:
            noise = torch.rand(2, 3, self.recipe.height, self.recipe.width, device=self.device)
            self._folded = folded(copy.deepcopy(self._network).to(memory_format=torch.channels_last), noise)
        return self._folded

    def _run(
        self,
        network: EmbeddingNet,
        *,
        channels_last: bool = True,
        inference: bool = True,
        flush: bool = False,
        half: bool = False,
    ) -> Embed:
        embedder = Embedder(network, self.recipe).to(self.device)

        def embed(images: Tensor) -> Tensor:
            with contextlib.ExitStack() as stack:
                stack.enter_context(torch.inference_mode() if inference else torch.no_grad())
                if flush:
                    stack.enter_context(flushed_denormals())
                stack.enter_context(torch.autocast(self.device.type, torch.bfloat16, enabled=half))
                as_laid = images.contiguous(memory_format=torch.channels_last) if channels_last else images
                features: Tensor = embedder(as_laid)
                return features.float()

        return embed

    def _onnx(self) -> Embed:
        import onnxruntime  # late: an extra

        path = self.folder / "network.onnx"
        write_exported(Embedder(copy.deepcopy(self._network).cpu(), self.recipe), self.recipe, "onnx", path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return lambda images: torch.from_numpy(session.run([OUTPUT], {INPUT: images.cpu().numpy()})[0])


class Clock:
    """Seconds of work: of the process where one thread of a CPU does it, else of the wall."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._now = time.perf_counter if device.type == "cuda" or torch.get_num_threads() > 1 else time.process_time

    def seconds(self, work: Callable[[], object]) -> float:
        """Those of one run."""
        self._wait()
        start = self._now()
        work()
        self._wait()
        return self._now() - start

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def product(size: int, dtype: torch.dtype, device: torch.device) -> Callable[[], Tensor]:
    """A bare matrix product of 2 size^3 multiplications and additions."""
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    out = torch.empty(size, size, dtype=dtype, device=device)
    return lambda: torch.mm(a, b, out=out)


def flops_of_image(network: EmbeddingNet, height: int, width: int) -> int:
    """Multiplications and additions of convolutions and matrix products for one image."""
    with torch.no_grad(), FlopCounterMode(display=False) as counted:
        network(torch.zeros(1, 3, height, width, device=next(network.parameters()).device))
    return int(counted.get_total_flops())


def retrieval_data(root: Path | None, height: int, width: int, tiny: bool) -> BagDataModule:
    """What R1 and mAP are of."""
    if root is not None:
        source = PKUReID(train_ids=0)
        return BagDataModule(source=source, root=root, height=height, width=width, val_fraction=0.0, eval_batch_size=64)
    rendered = RenderSettings(train_ids=4, test_ids=6) if tiny else RenderSettings()
    return BagDataModule(rendered=rendered, height=height, width=width, val_fraction=0.0, eval_batch_size=64)


def scored(embed: Embed, data: BagDataModule, device: torch.device) -> Scored:
    """Ranks with the features of one way."""
    sides, pids, cameras = [], [], []
    for loader in data.test_dataloader():
        batches = list(loader)
        sides.append(torch.cat([embed(batch.images.to(device)).cpu() for batch in batches]))
        pids.append(torch.cat([batch.pid for batch in batches]).numpy())
        cameras.append(torch.cat([batch.camera for batch in batches]).numpy())
    result = evaluate(*sides, q_pid=pids[0], g_pid=pids[1], q_cam=cameras[0], g_cam=cameras[1])
    return Scored(100 * float(result.cmc[0]), 100 * float(result.map_step), torch.cat(sides))


@dataclass(frozen=True)
class Plan:
    """What is measured of each network."""

    ways: Sequence[str]
    batch: int
    turns: int
    product_size: int
    height: int
    width: int
    until: float


def measured(
    name: str,
    network: EmbeddingNet,
    plan: Plan,
    device: torch.device,
    data: BagDataModule | None,
    left_out: list[str],
) -> tuple[list[Row], dict[str, float]]:
    """One network in every way, in turns, and what the bare products reach in GFLOP a second."""
    recipe = Recipe(
        height=plan.height,
        width=plan.width,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        flip_test=False,
        feature_dim=network.feature_dim,
        backbone=name,
        pooling="avg",
        neck="none",
        last_stride=1,
        method="benchmark",
        run={},
    )
    shape = (plan.batch, 3, plan.height, plan.width)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0)).to(device)
    types = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    products = {kind: product(plan.product_size, dtype, device) for kind, dtype in types.items()}
    clock = Clock(device)
    with tempfile.TemporaryDirectory() as folder:
        ways = Ways(network, recipe, device, Path(folder))
        flops = flops_of_image(network, plan.height, plan.width)
        embeds: dict[str, Embed] = {}
        for way in plan.ways:
            if embeds and time.monotonic() > plan.until:
                left_out.append(f"{name}: {way}")
                continue
            embeds[way] = ways.way(way)
            embeds[way](images)
        work: Mapping[str, Callable[[], object]] = products | {
            way: partial(embed, images) for way, embed in embeds.items()
        }
        taken: dict[str, list[float]] = {key: [] for key in work}
        for turn in range(plan.turns):
            for key in list(work) if turn % 2 else reversed(list(work)):
                taken[key].append(clock.seconds(work[key]))
        noise = {way: embed(images).cpu() for way, embed in embeds.items()}
        found = {way: scored(embed, data, device) for way, embed in embeds.items()} if data is not None else {}
    rates = {kind: 2 * plan.product_size**3 / statistics.median(taken[kind]) / 1e9 for kind in types}
    rows = []
    for way in embeds:
        rate = plan.batch / statistics.median(taken[way])
        bare = rates["bfloat16" if "bf16" in way else "float32"]
        ours, eager = found.get(way), found.get("eager")
        pair = (noise[way], noise["eager"]) if ours is None or eager is None else (ours.features, eager.features)
        moves = None if ours is None or eager is None else (ours.rank1 - eager.rank1, ours.mean_ap - eager.mean_ap)
        rows.append(
            Row(
                network=name,
                way=way,
                images_s=rate,
                times_eager=statistics.median(a / b for a, b in zip(taken["eager"], taken[way], strict=True)),
                gflop_s=rate * flops / 1e9,
                of_product=rate * flops / 1e9 / bare,
                cosine=float(cosine_similarity(*pair).min()),
                rank1=None if ours is None else ours.rank1,
                mean_ap=None if ours is None else ours.mean_ap,
                rank1_moves=None if moves is None else moves[0],
                mean_ap_moves=None if moves is None else moves[1],
                within=None if moves is None else max(map(abs, moves)) <= AIM,
            )
        )
    return rows, rates | {"gflop_image": flops / 1e9}


def table(rows: Sequence[Row]) -> str:
    """As Markdown."""

    def number(value: float | None, form: str) -> str:
        return "-" if value is None else format(value, form)

    names = ("network", "way", "images/s", "x eager", "GFLOP/s", "of product", "cosine", "R1", "mAP", "R1 moves")
    lines = ["| " + " | ".join((*names, "mAP moves", "within .1")) + " |", "|---" * (len(names) + 2) + "|"]
    lines += [
        f"| {r.network} | {r.way} | {r.images_s:.1f} | {r.times_eager:.2f} | {r.gflop_s:.1f} | {r.of_product:.2f} | "
        f"{r.cosine:.6f} | {number(r.rank1, '.2f')} | {number(r.mean_ap, '.2f')} | {number(r.rank1_moves, '+.2f')} | "
        f"{number(r.mean_ap_moves, '+.2f')} | {'-' if r.within is None else 'yes' if r.within else 'NO'} |"
        for r in rows
    ]
    return "\n".join(lines)


def named_files(given: Sequence[str]) -> Iterator[tuple[str, str]]:
    """NAME=FILE, split."""
    for each in given:
        name, equals, file = each.partition("=")
        if not equals:
            raise SystemExit(f"--weights {each}: expected NETWORK=FILE")
        yield name, file


def main(arguments: Sequence[str] | None = None) -> dict[str, object]:
    """Measures, prints, returns what the last line holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS))
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS, help="eager is always among them")
    parser.add_argument("--weights", nargs="*", default=[], metavar="NETWORK=FILE", help="of networks to score")
    parser.add_argument("--root", type=Path, help="folder of PKU-Reid to score on; by default the rendered set")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--product", type=int, help="rows of the bare product; by default 2048, on a GPU 8192")
    parser.add_argument("--seconds", type=float, default=300, help="no further way is begun after so many")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--tiny", action="store_true", help="small images and one turn, for tests")
    options = parser.parse_args(arguments)
    device = torch.device(options.device)
    size = options.product or (8192 if device.type == "cuda" else 2048)
    plan = Plan(
        ways=[way for way in WAYS if way in {"eager", *options.ways}],
        batch=2 if options.tiny else options.batch,
        turns=1 if options.tiny else options.turns,
        product_size=64 if options.tiny else size,
        height=64 if options.tiny else 256,
        width=32 if options.tiny else 128,
        until=time.monotonic() + options.seconds,
    )
    torch.manual_seed(0)
    kind = torch.cuda.get_device_name(device) if device.type == "cuda" else torch.backends.cpu.get_cpu_capability()
    where = f"{device.type}, {kind}, {torch.get_num_threads()} threads"
    print(f"batches of {plan.batch} images of {plan.height} x {plan.width}, {where}, torch {torch.__version__}")
    weights = dict(named_files(options.weights))
    rows: list[Row] = []
    rates: dict[str, dict[str, float]] = {}
    left_out: list[str] = []
    for name in options.networks:
        network = build_network(name, weights=weights.get(name), neck="none")
        data = retrieval_data(options.root, plan.height, plan.width, options.tiny) if name in weights else None
        found, rates[name] = measured(name, network, plan, device, data, left_out)
        rows += found
    print(table(rows))
    for name, each in rates.items():
        print(
            f"{name}: {each['gflop_image']:.3f} GFLOP an image; bare product {each['float32']:.0f} GFLOP/s in float32, "
            f"{each['bfloat16']:.0f} in bfloat16"
        )
    if left_out:
        print(f"Left out after {options.seconds:.0f} s: {', '.join(left_out)}")
    result: dict[str, object] = {
        "where": where,
        "batch": plan.batch,
        "turns": plan.turns,
        "rows": [asdict(row) for row in rows],
        "products": rates,
        "left_out": left_out,
    }
    print(json.dumps(result))
    return result


if __name__ == "__main__":
    main()
