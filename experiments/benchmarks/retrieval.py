"""Exact evaluation on the CPU beside the bare matrix product of the same shape, and its memory.

    python experiments/benchmarks/retrieval.py [--sizes needle wide market file argsort] [--repeats 3] [--tiny]

Centre-plus-noise features at rank-1 .3 and .9 with 1 and 20 matches a query; 500 matches a query; a collapsed network.
The floor is the tiled float32 product of the features and nothing else, at the fastest of three tile widths, timed in
turns with ours in the same process. Ours is the whole of `evaluate`: norms, checks, matches' scores, ranks, figures.
Memory is the growth of the peak resident size over what was resident when the features were there, mapped pages
included. Prints a table, and one JSON object on the last line.
"""

import argparse
import ctypes
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from centre_noise import Ids, distractors, plant, similarity_for

from wsreid.retrieval import counting, evaluate, ranking
from wsreid.retrieval.counting import Counts

Row = dict[str, float | int | str | None]
CPU = torch.device("cpu")
SIZES = {"needle": (1000, 479_730, 2048), "wide": (1000, 479_730, 256), "market": (3368, 15_913, 2048)}
TINY = {"needle": (40, 3000, 300), "wide": (40, 3000, 64), "market": (60, 1000, 64)}
LIMITS = {"needle": 1.25, "wide": 2.0, "market": 1.6}
CASES = ((0.3, 1), (0.3, 20), (0.9, 1), (0.9, 20))  # R1, matches a query
DENSE_LIMIT = 4.0
BUDGET = 512
TILES = (1000, 2040, 4000)


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one run."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def floor_work(query: torch.Tensor, gallery: torch.Tensor, tile: int) -> Callable[[], None]:
    """The tiled product, its result thrown away."""
    out = torch.empty(len(query), tile)

    def work() -> None:
        for start in range(0, len(gallery), tile):
            rows = gallery[start : start + tile]
            torch.mm(query, rows.T, out=out if len(rows) == tile else torch.empty(len(query), len(rows)))

    return work


def fastest_tile(query: torch.Tensor, gallery: torch.Tensor) -> int:
    """The tile width at which a part of the product is fastest."""
    part = gallery[:24_000]
    return min(TILES, key=lambda tile: min(seconds(floor_work(query, part, tile)) for _ in range(3)))


def peak_growth(work: Callable[[], object]) -> float | None:
    """MiB by which the peak resident size grows during some work; None where the system does not tell."""
    if sys.platform == "linux":  # what earlier work has freed and the allocator keeps would hide growth
        ctypes.CDLL(None).malloc_trim(0)
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forget the peak so far
    except OSError:
        work()
        return None
    before = _status("VmRSS")
    work()
    return (_status("VmHWM") - before) / 1024


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith(key)).split()[1])


@contextmanager
def watched() -> Iterator[list[Counts]]:
    """Collects the counts that evaluations make, for the share of rechecked pairs."""
    found: list[Counts] = []
    original = counting.count_better

    def count_better(*args: object, **options: object) -> Counts:
        counts = original(*args, **options)  # type: ignore[arg-type]
        found.append(counts)
        return counts

    vars(ranking)["count_better"] = count_better
    try:
        yield found
    finally:
        vars(ranking)["count_better"] = original


def compare(
    name: str, case: str, query: torch.Tensor, gallery: torch.Tensor, q_pid: Ids, g_pid: Ids, limit: float, repeats: int
) -> Row:
    """Times ours and the floor in turns."""
    q, g = query.numpy(), gallery.numpy()
    rank1 = [0.0]

    def ours() -> None:
        rank1[0] = float(evaluate(q, g, q_pid=q_pid, g_pid=g_pid, memory_mb=BUDGET).cmc[0])

    floor = floor_work(query, gallery, fastest_tile(query, gallery))
    with watched() as counts:
        growth = peak_growth(ours)
    times = [(seconds(floor), seconds(ours)) for _ in range(repeats)]
    ratio = statistics.median(b / a for a, b in times)
    c = counts[-1]
    return {
        "size": name,
        "case": case,
        "R1": rank1[0],
        "floor_s": statistics.median(a for a, _ in times),
        "ours_s": statistics.median(b for _, b in times),
        "ratio": ratio,
        "limit": limit,
        "rechecked": c.rechecked / c.compared,
        "float64": c.doubled / c.compared,
        "growth_mib": growth,
    }


def rows_of(name: str, size: tuple[int, int, int], repeats: int) -> Iterator[Row]:
    """All cases of one size."""
    n_query, n_gallery, width = size
    gallery = distractors(n_gallery, width, torch.float32, CPU, seed=0)
    for seed, (rank1, matches) in enumerate(CASES):
        ids = min(n_query, n_gallery // 2 // matches)
        a = similarity_for(rank1, matches, n_gallery, width)
        query, q_pid, g_pid = plant(gallery, ids, matches, a, seed=seed + 1, queries=n_query // ids)
        yield compare(name, f"{matches} matches", query, gallery, q_pid, g_pid, LIMITS[name], repeats)
    ids = max(1, min(n_query, n_gallery // 2 // 500))
    per_id, each = n_query // ids, min(500, n_gallery // 2 // ids)
    for rank1 in () if name == "market" else (0.3, 0.9):  # 500 are too many for so small a gallery
        a = similarity_for(rank1, each, n_gallery, width)
        query, q_pid, g_pid = plant(gallery, ids, each, a, seed=9, queries=per_id)
        yield compare(name, f"{each} matches", query, gallery, q_pid, g_pid, DENSE_LIMIT, 1 + (width < 1000))
    noise = distractors(n_query, width, torch.float32, CPU, seed=11)
    _, q_pid, g_pid = plant(gallery, n_query, 1, 0.5, seed=12)
    base = gallery[:1].clone()
    # 1e-6 apart, cosines differ by 1e-12, near the error of a float64 product: the worst there is, shown at one size
    for before, apart in ((1.0, 1e-2), (1e-2, 1e-6))[: 2 if name == "wide" else 1]:
        gallery.sub_(base * (before < 1)).mul_(apart / before).add_(base)
        case = f"collapsed, {apart:g} apart"
        yield compare(name, case, base + noise * apart, gallery, q_pid, g_pid, DENSE_LIMIT, 1)
    gallery[:] = gallery[:1].clone()
    yield compare(name, "collapsed, constant", gallery[:n_query], gallery, q_pid, g_pid, DENSE_LIMIT, 1)


def file_rows(n_query: int, galleries: Sequence[int], width: int) -> Iterator[Row]:
    """A float16 gallery in a file, of two lengths: growth must not depend on it, time must be linear in it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gallery.npy"
        for n_gallery in galleries:
            gallery = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=(n_gallery, width))
            rng = np.random.default_rng(0)
            for start in range(0, n_gallery, 50_000):
                rows = gallery[start : start + 50_000]
                rows[:] = rng.standard_normal(rows.shape, dtype=np.float32)
            query, g_pid = np.array(gallery[:n_query], np.float32), np.arange(n_gallery)
            query += rng.standard_normal(query.shape, dtype=np.float32) * 1.6
            gallery.flush()
            del gallery, rows
            mapped = np.load(path, mmap_mode="r")
            taken = [0.0]

            def work(g: np.ndarray = mapped, pid: Ids = g_pid, q: np.ndarray = query, t: list[float] = taken) -> None:
                t[0] = seconds(lambda: evaluate(q, g, q_pid=pid[:n_query], g_pid=pid, memory_mb=BUDGET))

            growth = peak_growth(work)
            yield {"size": f"file, G {n_gallery:,}", "case": "float16", "ours_s": taken[0], "growth_mib": growth}
            del mapped
            path.unlink()


def argsort_row(n_query: int, n_gallery: int, width: int) -> Row:
    """Ours beside an evaluation that sorts each row of the whole matrix of scores."""
    gallery = distractors(n_gallery, width, torch.float32, CPU, seed=0)
    query, q_pid, g_pid = plant(gallery, n_query, 5, similarity_for(0.9, 5, n_gallery, width), seed=1)
    q, g = query.numpy(), gallery.numpy()
    found: dict[str, float] = {}

    def ours() -> None:
        found["ours"] = evaluate(q, g, q_pid=q_pid, g_pid=g_pid).map_step

    def by_argsort() -> None:
        unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (q, g)]
        order = np.argsort(-(unit[0] @ unit[1].T), axis=1)  # (Q, D), (D, G) -> (Q, G)
        good = g_pid[order] == q_pid[:, None]
        rank = np.arange(1, n_gallery + 1)
        precision = np.cumsum(good, axis=1) / rank
        found["argsort"] = float(((precision * good).sum(1) / good.sum(1)).mean())

    ours()
    mine, theirs = seconds(ours), seconds(by_argsort)
    if abs(found["ours"] - found["argsort"]) > 1e-6:
        raise AssertionError(f"the two disagree: {found}")
    return {"size": f"argsort, G {n_gallery:,}", "case": f"D {width}", "ours_s": mine, "argsort_s": theirs,
            "times_faster": theirs / mine}  # fmt: skip


def show(row: Row) -> None:
    """One line of the table."""
    cells = [f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}" for key, value in row.items()]
    print(" | ".join(cells), flush=True)


def main(args: Sequence[str] | None = None) -> dict[str, object]:
    """Runs the benchmark.

    Args:
        args: The command line; None = that of the process.

    Returns:
        What the last line holds.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=[*SIZES, "file", "argsort"], choices=[*SIZES, "file", "argsort"])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--tiny", action="store_true", help="sizes for a test of this script")
    options = parser.parse_args(args)
    rows: list[Row] = []
    for name in options.sizes:
        if name == "file":
            found = file_rows(*((20, (2000, 4000), 32) if options.tiny else (1000, (1_000_000, 5_000_000), 256)))
        elif name == "argsort":
            found = iter([argsort_row(*((20, 2000, 32) if options.tiny else (1000, 100_000, 256)))])
        else:
            found = rows_of(name, (TINY if options.tiny else SIZES)[name], options.repeats)
        for row in found:
            rows.append(row)
            show(row)
    result: dict[str, object] = {
        "benchmark": "retrieval",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "budget_mb": BUDGET,
        "rows": rows,
    }
    print(json.dumps(result))
    return result


if __name__ == "__main__":
    main()
