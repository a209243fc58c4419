"""Re-ranking at the size of Market-1501, and beside a dense NumPy implementation of the same formula.

    OMP_NUM_THREADS=1 python experiments/benchmarks/rerank.py [--dense 4000 6000] [--width 2048] [--threads 1]

The dense one is timed in the same process on fewer images, features to d*: it holds (Q+G)^2 matrices, sorts whole
rows, and walks through the nodes in Python, as the published programs do; `dense` compares whole rows of weights,
`dense without zeros` only the columns that a query fills. All of them begin with a float32 product of all with all,
and the wider the features, the more of our time is that product's. Runs take turns, and the best of each counts. CPU
time stands beside wall time, for machines that others use too: with one thread the ratio of CPU times is the one to
read. Prints a table, and one JSON object on the last line.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from wsreid.retrieval.distance_ranks import counts_of_distances
from wsreid.retrieval.features import FeatureTable
from wsreid.retrieval.junk import same_identity_pairs
from wsreid.retrieval.metrics import query_figures
from wsreid.retrieval.rerank import rerank_distances, reranked_distances
from wsreid.retrieval.rerank_settings import KReciprocal

Matrix = np.ndarray[tuple[int, int], np.dtype[np.floating]]
Ids = np.ndarray[tuple[int], np.dtype[np.int64]]
MARKET = (3368, 15913)


def dense_distances(d: Matrix, n_query: int, settings: KReciprocal, *, skip_zeros: bool = False) -> Matrix:
    """d* from dense matrices (graph-model.md section 9).

    Args:
        d: Squared distances of queries and gallery, `(Q + G, Q + G)`, -1 on the diagonal: each heads its own list.
        n_query: Q; the queries come first.
        settings: Sizes and weight; `top` is not looked at.
        skip_zeros: Compare a query's row with the gallery in the columns alone that the query fills.

    Returns:
        `(Q, G)`.
    """
    n, k1, half = len(d), settings.k1, round(settings.k1 / 2)
    rank = np.argsort(d, axis=1, kind="stable")  # (N, N)
    d = np.maximum(d, 0)
    largest = d.max(axis=1, keepdims=True)
    d /= np.where(largest > 0, largest, 1)

    def mutual(i: int, k: int) -> Ids:
        near = rank[i, : k + 1]
        found: Ids = near[(rank[near, : k + 1] == i).any(axis=1)]
        return found

    v = np.zeros_like(d)
    for i in range(n):
        members = mutual(i, k1)
        sets = [members]
        for j in members:
            other = mutual(int(j), half)
            if 3 * np.isin(other, members, assume_unique=True).sum() > 2 * len(other):
                sets.append(other)
        chosen = np.unique(np.concatenate(sets))
        weight = np.exp(-d[i, chosen])
        v[i, chosen] = weight / weight.sum()
    if settings.k2 > 1:
        v = np.stack([v[rank[i, : settings.k2]].mean(axis=0) for i in range(n)])  # (N, N)
    result = np.empty((n_query, n - n_query))
    gallery = np.ascontiguousarray(v[n_query:].T) if skip_zeros else v[n_query:]  # (N, G) or (G, N)
    for i in range(n_query):
        if skip_zeros:
            filled = np.flatnonzero(v[i])
            shared = np.minimum(v[i, filled, None], gallery[filled]).sum(axis=0)  # (G,)
        else:
            shared = np.minimum(v[i], gallery).sum(axis=1)  # (G,)
        result[i] = 1 - shared / (2 - shared)
    final: Matrix = (1 - settings.lam) * result + settings.lam * d[:n_query, n_query:]
    return final


def images(n_query: int, n_gallery: int, width: int, seed: int) -> tuple[Matrix, Matrix, Ids, Ids]:
    """Centres and noise, about 21 gallery images an identity as in Market-1501: features `(N, D)`, identities."""
    rng = np.random.default_rng(seed)
    n_ids = max(2, n_gallery // 21)
    centre = rng.standard_normal((n_ids, width), dtype=np.float32)
    q_pid, g_pid = rng.integers(0, n_ids, n_query), rng.integers(0, n_ids, n_gallery)

    def draw(pid: Ids) -> Matrix:
        spread = rng.uniform(1.0, 6.0, (len(pid), 1)).astype(np.float32)  # some images are bad ones
        x: Matrix = centre[pid] + spread * rng.standard_normal((len(pid), width), dtype=np.float32)
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        return x

    return draw(q_pid), draw(g_pid), q_pid, g_pid


def timed(work: Callable[[], Matrix]) -> tuple[Matrix, float, float]:
    """What `work` returns, and its wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - wall, time.process_time() - cpu


def beside_dense(size: int, width: int, settings: KReciprocal, repeats: int) -> dict[str, float]:
    """Times all on `size` images, and compares what they return."""
    n_query = size * MARKET[0] // sum(MARKET)
    query, gallery, _, _ = images(n_query, size - n_query, width, seed=1)
    rerank_distances(query[:50], gallery[:200], settings)  # imports and threads

    def dense(skip_zeros: bool) -> Matrix:
        both = np.concatenate([query, gallery])
        d = 2 - 2 * (both @ both.T)
        np.fill_diagonal(d, -1)
        return dense_distances(d, n_query, settings, skip_zeros=skip_zeros)

    ways: dict[str, Callable[[], Matrix]] = {
        "ours": lambda: rerank_distances(query, gallery, settings),
        "dense": lambda: dense(skip_zeros=False),
        "dense_without_zeros": lambda: dense(skip_zeros=True),
    }
    result: dict[str, float] = {"images": size}
    found = {}
    for _ in range(repeats):
        for name, work in ways.items():
            found[name], wall, cpu = timed(work)
            result[f"{name}_s"] = min(wall, result.get(f"{name}_s", wall))
            result[f"{name}_cpu_s"] = min(cpu, result.get(f"{name}_cpu_s", cpu))
    for name in ("dense", "dense_without_zeros"):
        result[f"{name}_ratio"] = result[f"{name}_s"] / result["ours_s"]
        result[f"{name}_cpu_ratio"] = result[f"{name}_cpu_s"] / result["ours_cpu_s"]
    result["largest_difference"] = max(float(np.abs(found["ours"] - x).max()) for x in found.values())
    return result


def resident(key: str) -> float:
    """A size of this process from /proc, in MiB: `VmRSS` now, `VmHWM` the most since it was last reset."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(key)).split()[1]) / 1024


def market(width: int, settings: KReciprocal) -> dict[str, float]:
    """Re-ranks as many images as Market-1501 has, block by block, and scores them."""
    query, gallery, q_pid, g_pid = images(*MARKET, width, seed=0)
    cpu = torch.device("cpu")
    tables = FeatureTable(query, cpu), FeatureTable(gallery, cpu)
    unknown = [np.full(len(x), -1) for x in (q_pid, g_pid)]
    pairs = same_identity_pairs(q_pid, g_pid, *unknown)
    Path("/proc/self/clear_refs").write_text("5")
    before, start, cpu_start = resident("VmRSS"), time.perf_counter(), time.process_time()
    blocks = reranked_distances(*tables, settings, metric="cosine", memory=512 * 2**20)
    ranks, _ = counts_of_distances(blocks, pairs, g_pid != -1, share=0.5)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    figures = query_figures([r for r in ranks if len(r)])
    return {
        "images": sum(MARKET),
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "growth_mib": resident("VmHWM") - before,
        "R1": float((figures.first < 1).mean()),
        "mAP_step": float(figures.ap_step.mean()),
    }


def main() -> None:
    """Measures both and prints them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--dense", type=int, nargs="+", default=[4000, 6000], help="images of the comparisons (default 4000 6000)"
    )
    parser.add_argument("--repeats", type=int, default=2, help="runs of each, of which the best counts (default 2)")
    parser.add_argument("--width", type=int, default=2048, help="dimensions (default 2048)")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (default 1)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    settings = KReciprocal()
    at_market = market(args.width, settings)
    beside = [beside_dense(size, args.width, settings, args.repeats) for size in args.dense]
    print(f"| what | images | D | seconds | CPU seconds | wall ratio | CPU ratio | growth MiB |\n|{'---|' * 8}")
    print(
        f"| Market size | {at_market['images']} | {args.width} | {at_market['seconds']:.1f} | "
        f"{at_market['cpu_seconds']:.1f} | | | {at_market['growth_mib']:.0f} |"
    )
    for row in beside:
        for name in ("ours", "dense", "dense_without_zeros"):
            ratios = "| " if name == "ours" else f"{row[f'{name}_ratio']:.1f} x | {row[f'{name}_cpu_ratio']:.1f} x"
            print(
                f"| {name.replace('_', ' ')} | {row['images']} | {args.width} | {row[f'{name}_s']:.2f} | "
                f"{row[f'{name}_cpu_s']:.2f} | {ratios} | |"
            )
    print(json.dumps({"width": args.width, "threads": args.threads, "market": at_market, "beside_dense": beside}))


if __name__ == "__main__":
    main()
