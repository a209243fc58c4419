"""The weight that two images' neighbourhoods share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Block = np.ndarray[tuple[int, int], np.dtype[np.float64]]


def shared_weight(
    a: csr_array[Any, tuple[int, int]], b: csr_array[Any, tuple[int, int]], *, rows: int, memory: int
) -> Iterator[tuple[int, int, Block]]:
    """s_ij = sum_l min(a_il, b_jl), block by block; only pairs that share a column are visited.

    Args:
        a: `(Q, N)` float64, columns ascending in a row.
        b: `(G, N)` float64.
        rows: Most rows of a block.
        memory: Bytes that the visited pairs and a block may take.

    Yields:
        `(start, stop, (stop - start, G) float64)`, in the order of the rows. A sum runs over l ascending.
    """
    columns = b.tocsc()
    length = np.diff(columns.indptr).astype(np.int64)  # (N,)
    visits = np.concatenate([[0], np.cumsum(length[a.indices])])[a.indptr]  # (Q + 1,)
    most, start, (n, g) = max(1, memory // 80), 0, (a.shape[0], b.shape[0])
    rows = max(1, min(rows, memory // (16 * g)))
    while start < n:
        stop = int(np.searchsorted(visits, visits[start] + most, side="right")) - 1
        stop = min(max(stop, start + 1), start + rows, n)
        entries = slice(int(a.indptr[start]), int(a.indptr[stop]))
        count = length[a.indices[entries]]  # (E,)
        row = np.repeat(np.arange(stop - start), np.diff(a.indptr[start : stop + 1]))  # (E,)
        begin = columns.indptr[a.indices[entries]] - (np.cumsum(count) - count)
        at = np.repeat(begin, count) + np.arange(int(count.sum()))  # (P,): places in b's columns
        both = np.minimum(np.repeat(a.data[entries], count), columns.data[at])
        flat = np.repeat(row * g, count) + columns.indices[at]
        shared = np.bincount(flat, both, minlength=(stop - start) * g).astype(np.float64, copy=False)  # (b * G,)
        yield start, stop, shared.reshape(stop - start, g)
        start = stop
