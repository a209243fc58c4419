"""The scores that define the ranking: float64 products of the features, added up in one fixed order."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import torch
from torch import Tensor

from wsreid.retrieval.features import Doubles, FeatureTable, Integers, Metric

CACHE = 2**22  # bytes worked on at once where the work is elementwise: more only costs fresh pages
LARGEST = 1e150  # greatest norm whose square, and the sum of two of them, float64 holds
MILD = (1e-10, 1e10)  # norms between which float32 products neither overflow nor lose digits


def pair_scores(
    query: FeatureTable, gallery: FeatureTable, qi: Tensor, gi: Tensor, *, metric: Metric, memory: int
) -> Tensor:
    """The exact scores of pairs: higher is more alike.

    `cosine` and `dot`: s = the row sum, in the order of `row_sum`, of the float64 products of the entries, each
    divided by its row's norm under `cosine`. `euclidean`: 2 s - |g|^2, which orders as the negative distance does.

    Args:
        query: Q rows.
        gallery: G rows.
        qi: Query of each pair, `(P,)` long; neighbouring pairs of one query are quickest.
        gi: Gallery row of each pair, `(P,)` long.
        metric: The similarity.
        memory: Bytes that the working arrays may take.

    Returns:
        `(P,)` float64. A pair's score depends on its two rows alone.
    """
    device, width = query.device, query.width
    scores = torch.empty(len(qi), dtype=torch.float64, device=device)
    step = max(1, min(memory // 4, CACHE * (1 if device.type == "cpu" else 32)) // (32 * width))
    starts = range(0, len(qi), step)
    if device.type == "cpu":
        q_index, g_index, out = qi.numpy(), gi.numpy(), scores.numpy()

        def one(start: int) -> None:
            part = slice(start, start + step)
            out[part] = _scores_by_numpy(query, gallery, q_index[part], g_index[part], metric)

        in_threads(one, starts)
        return scores
    for start in starts:
        q, _ = _scaled(query, qi[start : start + step], metric)
        g, square = _scaled(gallery, gi[start : start + step], metric)
        s = row_sum(q * g)  # (p, D) -> (p,)
        scores[start : start + step] = 2 * s - square if metric == "euclidean" else s
    return scores


def _scores_by_numpy(
    query: FeatureTable, gallery: FeatureTable, qi: Integers, gi: Integers, metric: Metric
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    distinct, place = np.unique(qi, return_inverse=True)
    q = _divided_by_norms(query.pick_array(distinct), metric)[0]  # (q, D)
    g, square = _divided_by_norms(gallery.pick_array(gi), metric)  # (p, D)
    s: np.ndarray[tuple[int], np.dtype[np.float64]] = np.multiply(g, q[place], out=g).sum(axis=1)  # (p, D) -> (p,)
    return 2 * s - square if metric == "euclidean" else s


def _divided_by_norms(
    rows: Doubles, metric: Metric
) -> tuple[Doubles, np.ndarray[tuple[int], np.dtype[np.float64]] | float]:
    """Rows as the metric compares them, changed in place, and their squared norms where the metric needs them."""
    if metric == "dot":
        return rows, 0.0
    square = (rows * rows).sum(axis=1)  # (n, D) -> (n,)
    if metric == "cosine":
        norm = np.sqrt(square)
        rows /= np.where(norm > 0, norm, 1.0)[:, None]
    return rows, square


def scaled_rows(table: FeatureTable, index: Tensor, metric: Metric) -> tuple[Tensor, Tensor]:
    """Rows as the metric compares them, in float64, to the last bit those of `pair_scores`.

    Args:
        table: N rows.
        index: Which of them, `(n,)` long.
        metric: The similarity; under `cosine` rows are divided by their norms, a row of zeros stays.

    Returns:
        The rows, `(n, D)` float64, and their squared norms before the division, `(n,)` float64.
    """
    return _scaled(table, index, metric)


def _scaled(table: FeatureTable, index: Tensor, metric: Metric) -> tuple[Tensor, Tensor]:
    rows = table.pick(index)  # (n, D)
    square = row_sum(rows * rows)  # (n, D) -> (n,)
    if metric == "cosine":
        norm = root(square)
        rows = rows / torch.where(norm > 0, norm, 1.0)[:, None]
    return rows, square


def unit_rows(table: FeatureTable, start: int, stop: int) -> Tensor:
    """Rows `start` to `stop` divided by their norms, `(n, D)` float32; rows of zeros stay as they are."""
    rows = table.slice(start, stop)
    return divide_rows(rows, row_norms(rows))


def row_norms(rows: Tensor) -> Tensor:
    """Norms of `(N, D)` rows of any float type, `(N,)` float64, right to a few units in the last place."""
    norms = torch.empty(len(rows), dtype=torch.float64, device=rows.device)
    step = max(1, CACHE // (8 * rows.shape[1])) if rows.device.type == "cpu" else len(rows)
    for start in range(0, len(rows), max(1, step)):
        part = rows[start : start + step].double()
        norms[start : start + step] = torch.linalg.vector_norm(part, dim=1)  # (n, D) -> (n,)
    return norms


def divide_rows(rows: Tensor, norms: Tensor, out: Tensor | None = None) -> Tensor:
    """`(N, D)` rows over `(N,)` float64 norms, in float32, each entry within two roundings of its true value."""
    safe = torch.where(norms > 0, norms, 1.0)
    if rows.dtype == torch.float64 or float(safe.min()) < MILD[0] or float(safe.max()) > MILD[1]:
        result = (rows.double() / safe[:, None]).float()
        return result if out is None else out.copy_(result)
    return torch.mul(rows.float(), (1 / safe).float()[:, None], out=out)


def row_sum(values: Tensor) -> Tensor:
    """Sums each row in one fixed order: pairwise, eight partial sums in a block of up to 128.

    It is NumPy's order for a contiguous row, so on the CPU NumPy does it; elsewhere the same additions are made one
    by one. The result therefore depends neither on the number of rows nor on the device or the number of threads.

    Args:
        values: `(N, D)` float64.

    Returns:
        `(N,)` float64.
    """
    if values.device.type == "cpu":
        return torch.from_numpy(np.ascontiguousarray(values.numpy()).sum(axis=1))  # (N, D) -> (N,)
    return pairwise_row_sum(values)


def pairwise_row_sum(values: Tensor) -> Tensor:
    """`row_sum` from elementwise additions alone, for any device."""
    width = values.shape[1]
    if width > 128:
        half = width // 2 - (width // 2) % 8
        return pairwise_row_sum(values[:, :half]) + pairwise_row_sum(values[:, half:])
    whole = width - width % 8 if width >= 8 else 0
    if whole:
        r = values[:, :8]
        for start in range(8, whole, 8):
            r = r + values[:, start : start + 8]  # (N, 8)
        total = ((r[:, 0] + r[:, 1]) + (r[:, 2] + r[:, 3])) + ((r[:, 4] + r[:, 5]) + (r[:, 6] + r[:, 7]))  # (N,)
    else:
        total = torch.zeros_like(values[:, 0])
    for column in range(whole, width):
        total = total + values[:, column]
    return total


def root(values: Tensor) -> Tensor:
    """The correctly rounded square root of float64 values.

    On the CPU torch hands long arrays to a vector library that is an ulp off now and then (1.2 % of values measured
    with torch 2.15), which would break the tie of two equal images.
    """
    return torch.from_numpy(np.sqrt(values.numpy())) if values.device.type == "cpu" else values.sqrt()


def in_threads(work: Callable[[int], None], items: Iterable[int]) -> None:
    """Does independent pieces of work that release the interpreter lock, in as many threads as torch uses."""
    threads = torch.get_num_threads()
    todo = list(items)
    if threads == 1 or len(todo) < 2:
        for item in todo:
            work(item)
        return
    for _ in _pool(threads).map(work, todo):
        pass


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="wsreid-retrieval")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a forked process has no threads but its own
