"""The scores that define the ranking: float64 products of the features, added up in one fixed order."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from threading import Barrier

import numpy as np
import torch
from torch import Tensor

from wsreid.retrieval.features import Doubles, FeatureTable, Integers, Metric
from wsreid.retrieval.scratch import Scratch

CACHE = 2**22  # bytes worked on at once where the work is elementwise: more only costs fresh pages
ROWS_CACHE = 2**20  # the same for whole rows, which are met again at once: they stay in a core's own cache
PAIRS_CACHE = 2**24  # the same for pairs, whose pieces cost some calls each
LARGEST = 1e150  # greatest norm whose square, and the sum of two of them, float64 holds
SMALLEST = 1e-145  # least norm whose square loses nothing to the least number that float64 holds; zero is exact too
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
    step = max(1, min(memory // 4, PAIRS_CACHE * (1 if device.type == "cpu" else 128)) // (32 * width))
    starts = range(0, len(qi), step)
    if device.type == "cpu":
        q_index, g_index, out = qi.numpy(), gi.numpy(), scores.numpy()

        local = threading.local()  # a thread's own arrays, used again: fresh ones cost as much as the work in them

        def one(start: int) -> None:
            if not hasattr(local, "scratch"):
                local.scratch = Scratch(device)
            part = slice(start, start + step)
            with np.errstate(over="ignore", invalid="ignore"):  # such rows are refused with their names later
                out[part] = _scores_by_numpy(query, gallery, q_index[part], g_index[part], metric, local.scratch)

        in_threads(one, starts)
        return scores
    for start in starts:  # no cover: GPU
        q, _ = scaled_rows(query, qi[start : start + step], metric)
        g, square = scaled_rows(gallery, gi[start : start + step], metric)
        s = row_sum(q * g)  # (p, D) -> (p,)
        scores[start : start + step] = 2 * s - square if metric == "euclidean" else s
    return scores


def _scores_by_numpy(
    query: FeatureTable, gallery: FeatureTable, qi: Integers, gi: Integers, metric: Metric, scratch: Scratch
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    pieces = [scratch.take(name, (len(gi), query.width), torch.float64).numpy() for name in ("gallery", "other")]
    q_rows, q_place = np.unique(qi, return_inverse=True)
    q = query.pick_array(q_rows)  # (q, D)
    divide_by_norms(q, metric, scratch.take("query", q.shape, torch.float64).numpy())
    g_rows, g_place = np.unique(gi, return_inverse=True)
    shared = 2 * len(g_rows) <= len(gi)  # queries of one person have the same matches: each is made ready once
    if not shared:
        g_rows = gi
    g, product = pieces[0][: len(g_rows)], pieces[1]
    gallery.pick_into(g_rows, g)  # (g, D)
    square = divide_by_norms(g, metric, product[: len(g)])
    if shared:
        np.take(g, g_place, axis=0, out=product, mode="clip")  # (g, D) -> (p, D); the places are sound
        bounds = np.flatnonzero(np.diff(qi, prepend=-1, append=-1)).tolist()
        for start, stop in pairwise(bounds):
            part = product[start:stop]  # not `product[start:stop] *= ...`, which writes the part onto itself once more
            np.multiply(part, q[q_place[start]], out=part)  # (n, D), (D,) -> (n, D)
        square = square if isinstance(square, float) else square[g_place]
    else:
        np.take(q, q_place, axis=0, out=product, mode="clip")  # (q, D) -> (p, D)
        product *= g
    s: np.ndarray[tuple[int], np.dtype[np.float64]] = product.sum(axis=1)  # (p, D) -> (p,)
    return 2 * s - square if metric == "euclidean" else s


def divide_by_norms(
    rows: Doubles, metric: Metric, squares: Doubles
) -> np.ndarray[tuple[int], np.dtype[np.float64]] | float:
    """Brings rows `(n, D)`, in place, into the form that the metric compares; `squares` `(n, D)` is for passing use.

    Returns:
        Squared norms, `(n,)`, where the metric needs them.
    """
    if metric == "dot":
        return 0.0
    square: np.ndarray[tuple[int], np.dtype[np.float64]] = np.multiply(rows, rows, out=squares).sum(axis=1)  # -> (n,)
    if metric == "cosine":
        norm = np.sqrt(square)
        rows /= np.where(norm > 0, norm, 1.0)[:, None]
    return square


def scaled_rows(table: FeatureTable, index: Tensor, metric: Metric) -> tuple[Tensor, Tensor]:
    """Rows as the metric compares them, in float64, to the last bit those of `pair_scores`.

    Args:
        table: N rows.
        index: Which of them, `(n,)` long.
        metric: The similarity; under `cosine` rows are divided by their norms, a row of zeros stays.

    Returns:
        The rows, `(n, D)` float64, and their squared norms before the division, `(n,)` float64.
    """
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
    step = rows_at_once(rows)
    for start in range(0, len(rows), step):
        part = rows[start : start + step].double()
        norms[start : start + step] = torch.linalg.vector_norm(part, dim=1)  # (n, D) -> (n,)
    return norms


def out_of_range(rows: Tensor, norms: Tensor) -> Tensor:
    """Which rows are not finite, or too large or too small for exact scores.

    Args:
        rows: `(n, D)` of any float type.
        norms: Their norms by `row_norms`, `(n,)` float64; 0 also where the squares are too small for float64.

    Returns:
        `(n,)` bool.
    """
    bad = ~(norms <= LARGEST)
    if rows.dtype == torch.float64:  # the squares of all other types are far from the limits
        small = torch.nonzero(norms < SMALLEST).flatten()
        bad[small] = (rows[small] != 0).any(dim=1)  # (s, D) -> (s,)
    return bad


def rows_at_once(rows: Tensor) -> int:
    """How many `(N, D)` rows to work on at once in float64."""
    return max(1, ROWS_CACHE * (1 if rows.device.type == "cpu" else 32) // (8 * rows.shape[1]))


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
    return pairwise_row_sum(values)  # no cover: GPU


def pairwise_row_sum(values: Tensor) -> Tensor:
    """`row_sum` from elementwise additions alone, for any device; some forty of them, whatever the width."""
    eights, rest = _leaves(values.shape[1], values.device)
    entries = torch.nn.functional.pad(values, (0, 1)).T.contiguous()  # (N, D) -> (D + 1, N), the last row 0
    r = entries[eights[0]]  # (8, L, N)
    for more in eights[1:]:
        r = r + entries[more]
    for _ in range(3):
        r = r[0::2] + r[1::2]  # (8, L, N) -> (4, L, N) -> (2, L, N) -> (1, L, N)
    total = r[0]  # (L, N)
    for more in rest:
        total = total + entries[more]
    while len(total) > 1:
        total = total[0::2] + total[1::2]  # (L, N) -> (L / 2, N)
    return total[0]


@cache
def _leaves(width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Columns of the blocks of up to 128 entries that pairwise summation halves a row into.

    Args:
        width: D.
        device: Where they go.

    Returns:
        The eight entries that each block adds in each step, `(s, 8, L)`, and those left over, `(t, L)`, for L blocks,
        a power of two; column D, which holds 0, stands where a block has none.
    """

    def halves(start: int, stop: int, depth: int) -> list[tuple[int, int]]:
        if depth == 0:
            return [(start, stop)]
        if stop - start <= 128:
            return [(start, stop), *[(stop, stop)] * (2**depth - 1)]
        middle = start + (stop - start) // 2 // 8 * 8
        return halves(start, middle, depth - 1) + halves(middle, stop, depth - 1)

    depth, longest = 0, width
    while longest > 128:
        depth, longest = depth + 1, longest - longest // 2 // 8 * 8
    blocks = halves(0, width, depth)
    steps = max(1, *((stop - start) // 8 for start, stop in blocks), 0)
    over = max((stop - start) % 8 for start, stop in blocks)
    eights = torch.full((steps, 8, len(blocks)), width)
    rest = torch.full((over, len(blocks)), width)
    for block, (start, stop) in enumerate(blocks):
        whole = (stop - start) // 8 * 8
        eights[: whole // 8, :, block] = torch.arange(start, start + whole).reshape(-1, 8)
        rest[: stop - start - whole, block] = torch.arange(start + whole, stop)
    return eights.to(device), rest.to(device)


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
    """Threads whose own torch operations do not start further threads."""
    started = Barrier(threads + 1)

    def begin() -> None:
        torch.get_num_threads()  # a thread's first question of this kind gives it the default, whatever was set before
        torch.set_num_threads(1)
        started.wait()

    pool = ThreadPoolExecutor(threads, thread_name_prefix="wsreid-retrieval", initializer=begin)
    for _ in range(threads):
        pool.submit(lambda: None)
    started.wait()
    torch.set_num_threads(threads)  # what a thread sets for itself is also the default of all new ones
    return pool


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a forked process has no threads but its own
