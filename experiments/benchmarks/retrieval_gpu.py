"""Exact rank counting on a GPU, beside the bare matrix product of the same shape and precision.

    python experiments/benchmarks/retrieval_gpu.py [--queries 1000] [--galleries 479730 5000000] [--widths 2048 256]

Needs NumPy and torch, and the repository root on `sys.path` where wsreid is not installed; FAISS is used where it is
there. The features are float16 and lie on the GPU; products are float32 without TF32 ("highest"). The floor is the
tiled product of rows that are float32 already, and nothing else; of three tile widths the fastest counts.
`--tiny --device cpu` runs all of it in seconds without a GPU, for its tests. Prints tables, and one JSON object on the
last line; without a GPU it says so and ends well.
"""

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext

import numpy as np
import torch
from centre_noise import Ids, distractors, plant, similarity_for
from timed import timed
from torch import Tensor

from wsreid.retrieval import RetrievalResult, evaluate
from wsreid.retrieval.counting import Counts, count_better
from wsreid.retrieval.exact_search import nearest
from wsreid.retrieval.features import FeatureTable, Metric
from wsreid.retrieval.junk import same_identity_pairs
from wsreid.retrieval.precision import full_float32
from wsreid.retrieval.ranking import sort_thresholds
from wsreid.retrieval.scores import pair_scores

Row = dict[str, float | int | str | None]
CASES = ((0.3, 1), (0.3, 20), (0.9, 1), (0.9, 20))  # R1, matches a query
METRICS: tuple[Metric, ...] = ("cosine", "euclidean", "dot")
TILES = (2**14, 2**15, 2**16)  # gallery rows that the floor multiplies at once
SMALL = 10**6  # gallery rows up to which float32 features are made too


def product(q: Tensor, g: Tensor, block: int, out: Tensor) -> Tensor:
    """`(q, D)`, `(g, D)` -> `(q, g)`, added up in blocks of `block` dimensions."""
    torch.mm(q[:, :block], g[:, :block].T, out=out)  # (q, D), (g, D) -> (q, g)
    for start in range(block, q.shape[1], block):
        out.addmm_(q[:, start : start + block], g[:, start : start + block].T)
    return out


def product_seconds(query: Tensor, gallery: Tensor, tile: int, block: int, repeats: int) -> float:
    """Times a tiled product of all pairs: float32 rows of one tile, multiplied as often as the gallery has tiles.

    Args:
        query: `(Q, D)`.
        gallery: `(G, D)`; only the first tile is read.
        tile: Gallery rows in a tile.
        block: Dimensions that are added up at once; D = the bare product.
        repeats: Runs.

    Returns:
        Median seconds.
    """
    rows, tile = len(gallery), min(tile, len(gallery))
    q, g = query.float(), gallery[:tile].float()
    out = torch.empty(len(q), tile, device=q.device)
    rest = rows % tile
    last = torch.empty(len(q), rest, device=q.device)

    def work() -> None:
        for _ in range(rows // tile):
            product(q, g, block, out)
        if rest:
            product(q, g[:rest], block, last)

    with full_float32(q.device):
        return timed(work, q.device, repeats).seconds


def floor_rows(query: Tensor, gallery: Tensor, repeats: int) -> tuple[float, list[Row]]:
    """Times the bare product at several tile widths, and in blocks of dimensions.

    Returns:
        The floor in seconds, and a row for each way; `x floor` is 1 for the floor itself.
    """
    rows, width = gallery.shape
    ways = [(tile, width) for tile in TILES] + [(TILES[-1], b) for b in (256, 512, 1024) if b < width]
    taken = {way: product_seconds(query, gallery, *way, repeats) for way in ways}
    floor = min(seconds for (_, block), seconds in taken.items() if block == width)
    work = 2 * len(query) * rows * width
    return floor, [
        {
            **_shape(gallery),
            "product": "bare" if block == width else f"blocks of {block}",
            "tile": tile,
            "ms": 1000 * seconds,
            "TFLOP/s": work / seconds / 1e12,
            "x floor": seconds / floor,
        }
        for (tile, block), seconds in taken.items()
    ]


def counting_row(
    query: Tensor, gallery: Tensor, q_pid: Ids, g_pid: Ids, *, floor: float, memory_mb: int, repeats: int
) -> Row:
    """Times the counting alone, and a whole `evaluate`, on features that lie on the device.

    Args:
        query: `(Q, D)`.
        gallery: `(G, D)`.
        q_pid: `(Q,)`.
        g_pid: `(G,)`.
        floor: Seconds of the bare product.
        memory_mb: The working memory that they may take.
        repeats: Runs of each.

    Returns:
        Times, TFLOP/s of the product's operations over the counting's time, ratios, shares, peak memory, R1 and mAP.
    """
    device, memory = gallery.device, memory_mb * 2**20
    q, g = FeatureTable(query, device), FeatureTable(gallery, device)
    unknown = [np.full(len(x), -1) for x in (q_pid, g_pid)]
    pairs = same_identity_pairs(q_pid, g_pid, *unknown)
    qi, gi = (torch.from_numpy(x).to(device) for x in (pairs.query, pairs.gallery))
    scores: list[Tensor] = []
    counts: list[Counts] = []
    found: list[RetrievalResult] = []

    def score() -> None:
        scores[:] = [pair_scores(q, g, qi, gi, metric="cosine", memory=memory)]

    def count() -> None:
        counts[:] = [count_better(q, g, thresholds, metric="cosine", memory=memory)]

    def whole() -> None:
        found[:] = [evaluate(query, gallery, q_pid=q_pid, g_pid=g_pid, memory_mb=memory_mb)]

    scoring = timed(score, device, repeats)
    thresholds = sort_thresholds(qi, scores[0], q.rows)
    counting, evaluation = timed(count, device, repeats), timed(whole, device, max(1, repeats // 2))
    return {
        **_shape(gallery),
        "matches": len(pairs.query) // q.rows,
        "MB": memory_mb,
        "R1": float(found[0].cmc[0]),
        "mAP": float(found[0].map_step),
        "count ms": 1000 * counting.seconds,
        "TFLOP/s": 2 * q.rows * g.rows * g.width / counting.seconds / 1e12,
        "x floor": counting.seconds / floor,
        "slowest x": counting.slowest / floor,
        "match scores ms": 1000 * scoring.seconds,
        "evaluate ms": 1000 * evaluation.seconds,
        "evaluate x": evaluation.seconds / floor,
        "rechecked": counts[0].rechecked / max(counts[0].compared, 1),
        "doubled": counts[0].doubled / max(counts[0].compared, 1),
        "peak MiB": max(counting.peak_mib, evaluation.peak_mib),
    }


def torch_topk(query: Tensor, gallery: Tensor, k: int, tile: int) -> Tensor:
    """The best k gallery rows of each query by dot product, `(Q, k)`: tiled float32 products and `torch.topk`."""
    q, device = query.float(), query.device
    best = torch.full((len(q), 0), -torch.inf, device=device)
    found = torch.zeros((len(q), 0), dtype=torch.int64, device=device)
    with full_float32(device):
        for start in range(0, len(gallery), tile):
            g = gallery[start : start + tile].float()  # (g, D)
            value, column = (q @ g.T).topk(min(k, len(g)), dim=1)  # (q, D), (g, D) -> (q, g) -> (q, k)
            best, found = torch.cat([best, value], 1), torch.cat([found, column + start], 1)  # (q, 2 k)
            best, kept = best.topk(min(k, best.shape[1]), dim=1)  # (q, 2 k) -> (q, k)
            found = found.gather(1, kept)
    return found


def topk_rows(query: Tensor, gallery: Tensor, k: int, *, floor: float, memory_mb: int, repeats: int) -> list[Row]:
    """Times ranked lists by dot product: torch, ours in exact order, FAISS; and what share of torch's each finds."""
    device = gallery.device
    tables = FeatureTable(query, device), FeatureTable(gallery, device)
    everything = np.arange(len(gallery))
    reference = torch_topk(query, gallery, k, TILES[-1])

    def ours() -> Tensor:
        return torch.from_numpy(nearest(*tables, everything, k, metric="dot", memory=memory_mb * 2**20)[0]).to(device)

    ways: dict[str, Callable[[], Tensor] | str] = {
        "torch.topk": lambda: torch_topk(query, gallery, k, TILES[-1]),
        "ours, exact order": ours,
        "FAISS-GPU": faiss_topk(query, gallery, k),
    }
    rows: list[Row] = []
    for name, work in ways.items():
        row: Row = {**_shape(gallery), "k": k, "lists": name}
        if isinstance(work, str):
            rows.append({**row, "ms": None, "x floor": None, "same as torch": None, "peak MiB": None, "note": work})
            continue
        same = (work()[:, :, None] == reference[:, None]).any(2).float().mean()  # (Q, k), (Q, k) -> (Q, k, k)
        timing = timed(work, device, repeats)
        figures = {"ms": 1000 * timing.seconds, "x floor": timing.seconds / floor, "same as torch": float(same)}
        rows.append({**row, **figures, "peak MiB": timing.peak_mib, "note": ""})
    return rows


def faiss_topk(query: Tensor, gallery: Tensor, k: int) -> Callable[[], Tensor] | str:
    """FAISS' brute-force search of features that lie on the GPU, by inner product; or why there is none."""
    try:
        import faiss
    except ImportError:
        return "not installed"
    if gallery.device.type != "cuda" or not hasattr(faiss, "StandardGpuResources") or not faiss.get_num_gpus():
        return "without a GPU"
    import faiss.contrib.torch_utils  # it changes FAISS for the whole process: not before there is need

    resources = faiss.StandardGpuResources()

    def work() -> Tensor:
        found: Tensor = faiss.knn_gpu(
            resources, query, gallery, k, metric=faiss.METRIC_INNER_PRODUCT, device=gallery.device.index or 0
        )[1]
        return found

    return work


def float16_row(gallery32: Tensor, case: tuple[float, int], queries: int, seed: int, memory_mb: int) -> Row:
    """How far R1 and mAP move when the features are rounded to float16; the gallery gets the case's matches."""
    rank1, matches = case
    similarity = similarity_for(rank1, matches, *gallery32.shape)
    query, q_pid, g_pid = plant(gallery32, queries, matches, similarity, seed)
    full = evaluate(query, gallery32, q_pid=q_pid, g_pid=g_pid, memory_mb=memory_mb)
    half = evaluate(query.half(), gallery32.half(), q_pid=q_pid, g_pid=g_pid, memory_mb=memory_mb)
    moved = [not np.array_equal(a, b) for a, b in zip(full.ranks, half.ranks, strict=True)]
    return {
        **_shape(gallery32),
        "matches": matches,
        "R1 float32": float(full.cmc[0]),
        "R1 moves": float(half.cmc[0] - full.cmc[0]),
        "mAP float32": float(full.map_step),
        "mAP moves": float(half.map_step - full.map_step),
        "queries with another rank": float(np.mean(moved)),
    }


def same_as_cpu(device: torch.device, seed: int) -> Row:
    """Whether ranks on the device are those on the CPU, to the last bit, where only deterministic steps are wished for.

    Returns:
        `same` or `DIFFERENT` for each metric and kind of features, and what torch warned of.
    """
    result: Row = {}
    noted: set[str] = set()
    cpu = torch.device("cpu")
    for kind in ("usual", "collapsed", "duplicated"):
        gallery = distractors(3000, 136, torch.float16, cpu, seed)
        query, q_pid, g_pid = plant(gallery, 40, 20, similarity_for(0.3, 20, 3000, 136), seed)
        if kind == "collapsed":
            gallery, query = (1 + 1e-2 * x for x in (gallery, query))
        elif kind == "duplicated":
            gallery[1::2] = gallery[::2].clone()
        for metric in METRICS:
            ranks = []
            for where in (device, cpu):
                with deterministic(), warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    found = evaluate(
                        query.to(where), gallery.to(where), q_pid=q_pid, g_pid=g_pid, metric=metric, memory_mb=64
                    )
                noted |= {str(w.message)[:200] for w in caught}
                ranks.append(np.concatenate(found.ranks))
            result[f"{kind}, {metric}"] = "same" if np.array_equal(ranks[0], ranks[1]) else "DIFFERENT"
    return {**result, "warnings": "; ".join(sorted(noted))}


@contextmanager
def deterministic() -> Iterator[None]:
    """As a run with `trainer.deterministic: warn` has set torch."""
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


def _shape(gallery: Tensor) -> Row:
    return {"G": gallery.shape[0], "D": gallery.shape[1]}


class Run:
    """Measures shapes one by one, prints what it finds, and leaves off what there is no time for.

    Args:
        args: The options.
        device: Where the features lie.
    """

    def __init__(self, args: argparse.Namespace, device: torch.device) -> None:
        self.args, self.device, self.start = args, device, time.perf_counter()
        self.shown: tuple[str, object, object] | None = None
        self.tables: dict[str, list[Row]] = {
            name: [] for name in ("products", "counting", "lists", "float16", "left out")
        }

    def shape(self, rows: int, width: int) -> None:
        """Measures one size of gallery."""
        args, memory_mb = self.args, int(self.args.memory_mb)
        gallery = distractors(rows, width, torch.float16, self.device, args.seed)
        query = plant(gallery, args.queries, 1, 0.5, args.seed)[0]
        floor, products = floor_rows(query, gallery, args.repeats)
        self._note("products", products)
        few = max(1, args.repeats // 2)
        if self._in_time("lists", gallery):
            k = min(args.k, rows)
            self._note("lists", topk_rows(query, gallery, k, floor=floor, memory_mb=memory_mb, repeats=few))
        # the library's default memory makes many small tiles
        ways = [(case, memory_mb, False) for case in CASES] + [(CASES[1], memory_mb, True), (CASES[0], 512, False)]
        for number, ((rank1, matches), budget, fixed) in enumerate(ways):
            if not self._in_time(f"counting, R1 {rank1}, {matches} matches, {budget} MB", gallery):
                continue
            a = similarity_for(rank1, matches, rows, width)
            query, q_pid, g_pid = plant(gallery, args.queries, matches, a, args.seed + 1 + number)
            with deterministic() if fixed else nullcontext(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                row = counting_row(query, gallery, q_pid, g_pid, floor=floor, memory_mb=budget, repeats=args.repeats)
            self._note("counting", [{**row, "deterministic": str(fixed)}])
        if rows <= SMALL and self._in_time("float16", gallery):
            del gallery
            gallery = distractors(rows, width, torch.float32, self.device, args.seed)
            for number, case in enumerate(CASES):  # other seeds: the matches of the case before become distractors
                self._note("float16", [float16_row(gallery, case, args.queries, args.seed + 1 + number, memory_mb)])

    def leave_out(self, rows: int, width: int, what: str, why: str) -> None:
        """Notes what was not measured."""
        self._note("left out", [{"G": rows, "D": width, "what": what, "why": why}])

    def _in_time(self, what: str, gallery: Tensor) -> bool:
        if time.perf_counter() - self.start < self.args.seconds:
            return True
        self.leave_out(len(gallery), gallery.shape[1], what, f"{self.args.seconds:.0f} s were over")
        return False

    def _note(self, name: str, rows: list[Row]) -> None:
        shown = (name, rows[0]["G"], rows[0]["D"])
        if shown != self.shown:
            self.shown = shown
            print(f"\n{name}\n\n{_line(list(rows[0]))}\n|{'---|' * len(rows[0])}")
        self.tables[name] += rows
        for row in rows:
            print(_line(list(row.values())), flush=True)


def _line(cells: Sequence[float | int | str | None]) -> str:
    shown = (f"{x:.4g}" if isinstance(x, float) else "" if x is None else str(x) for x in cells)
    return f"| {' | '.join(shown)} |"


def main(argv: Sequence[str] | None = None) -> None:
    """Measures on the GPU, if there is one, and prints what it finds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=1000, help="default 1000")
    parser.add_argument("--galleries", type=int, nargs="+", default=[479_730, 5_000_000], help="gallery rows")
    parser.add_argument("--widths", type=int, nargs="+", default=[2048, 256], help="dimensions")
    parser.add_argument("--k", type=int, default=100, help="length of ranked lists (default 100)")
    parser.add_argument("--memory-mb", type=int, default=8192, help="working memory on the GPU (default 8192)")
    parser.add_argument("--repeats", type=int, default=5, help="runs that a median is taken of (default 5)")
    parser.add_argument("--seconds", type=float, default=330, help="start nothing new after this time (default 330)")
    parser.add_argument("--seed", type=int, default=0, help="of the features (default 0)")
    parser.add_argument("--device", default="cuda", help="default cuda; cpu for tests")
    parser.add_argument("--tiny", action="store_true", help="tiny sizes: 20 queries, 400 rows, 24 dimensions")
    args = parser.parse_args(argv)
    if args.tiny:
        args.queries, args.galleries, args.widths, args.k, args.repeats = 20, [400], [24], 5, 1
    device = torch.device(args.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("No CUDA device: nothing was measured.")
        return
    start = time.perf_counter()
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    print(
        f"{card}, torch {torch.__version__}, CUDA {torch.version.cuda}; Q {args.queries}, float16 features", flush=True
    )
    exact = same_as_cpu(device, args.seed)
    print("ranks beside those of the CPU:", ", ".join(f"{name}: {value}" for name, value in exact.items()), flush=True)
    run = Run(args, device)
    for rows in args.galleries:
        for width in args.widths:
            try:
                run.shape(rows, width)
            except torch.cuda.OutOfMemoryError as error:
                run.leave_out(rows, width, "the rest of this shape", str(error).split(". ")[0])
            if device.type == "cuda":
                torch.cuda.empty_cache()
    seconds = time.perf_counter() - start
    about = {"device": card, "torch": torch.__version__, "cuda": torch.version.cuda, "seconds": seconds}
    print(json.dumps({**about, "options": vars(args), "same as CPU": exact, **run.tables}))


if __name__ == "__main__":
    main()
