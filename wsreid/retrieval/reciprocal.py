"""The k-reciprocal graph: who lists whom back, and the weight that each image gives its neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from wsreid.retrieval.distances import Distances
from wsreid.retrieval.neighbours import Lists

if TYPE_CHECKING:
    from scipy.sparse import csr_array


ROWS = 2**13  # rows of a sparse product at once: its entries are many more than those that are kept


def expanded_sets(lists: Lists, k1: int) -> csr_array[Any, tuple[int, int]]:
    """The sets R* of k-reciprocal neighbours (Zhong et al. 2017, section 3.2).

    N(i, k): the first k + 1 of i's list. R(i, k) = {j in N(i, k): i in N(j, k)}. R*(i) = R(i, k1) with every
    R(j, k1/2) of j in R(i, k1) of which more than 2/3 lies in R(i, k1). k1/2 is rounded, halves to the even number.

    Args:
        lists: Nearest first, each row heads its own, `(N, at least min(N, k1 + 1))` int64.
        k1: Size of the neighbourhood.

    Returns:
        `(N, N)` bool; entry (i, j) is stored where j is in R*(i); columns ascend in a row.
    """
    from scipy.sparse import coo_array, csr_array, vstack

    wide, narrow = mutual(lists, k1), mutual(lists, round(k1 / 2))
    size = narrow.sum(axis=1)  # (N,)
    back = narrow.T.tocsr()
    parts = []
    for start in range(0, wide.shape[0], ROWS):
        mine = wide[start : start + ROWS]  # (b, N)
        shared = (mine @ back).multiply(mine).tocoo()  # (b, N): |R(j, k1/2) and R(i, k1)| for j in R(i, k1)
        row, column = shared.coords
        joins = 3 * shared.data > 2 * size[column]
        chosen = coo_array((shared.data[joins], (row[joins], column[joins])), shape=mine.shape).tocsr()
        parts.append((mine + chosen @ narrow).astype(bool))  # (b, N)
    result = csr_array(vstack(parts, format="csr"))
    result.sort_indices()
    return result


def mutual(lists: Lists, k: int) -> csr_array[Any, tuple[int, int]]:
    """R(i, k) of each row, `(N, N)` int32, ones; N(i, k) holds the row itself and its k nearest."""
    from scipy.sparse import csr_array

    n = len(lists)
    near = lists[:, : k + 1]
    ones, ends = np.ones(near.size, dtype=np.int32), np.arange(n + 1) * near.shape[1]
    listed = csr_array((ones, near.ravel(), ends), shape=(n, n))
    return csr_array(listed.multiply(listed.T.tocsr()))


def weights(
    sets: csr_array[Any, tuple[int, int]],
    farthest: np.ndarray[tuple[int], np.dtype[np.float64]],
    distances: Distances,
    nodes: torch.Tensor,
) -> csr_array[Any, tuple[int, int]]:
    """V_i[j] = exp(-d_ij / max_l d_il) over R*(i), each row divided by its sum.

    Args:
        sets: R*, `(N, N)`, columns ascending in a row.
        farthest: The greatest d of each row, `(N,)`.
        distances: Where the d of the pairs come from.
        nodes: Row of each node in the table of `distances`, `(N,)` long.

    Returns:
        `(N, N)` float64.
    """
    from scipy.sparse import csr_array

    n = sets.shape[0]
    row = np.repeat(np.arange(n, dtype=np.int64), np.diff(sets.indptr))  # (E,)
    column = sets.indices.astype(np.int64)
    pairs, place = np.unique(np.minimum(row, column) * n + np.maximum(row, column), return_inverse=True)
    first, second = pairs // n, pairs % n
    d, two = np.zeros(len(pairs)), first != second  # (P,); a row is at distance 0 to itself
    i, j = (nodes[torch.from_numpy(x[two]).to(nodes.device)] for x in (first, second))
    d[two] = distances.between(i, j).cpu().numpy()
    scale = np.where(farthest > 0, farthest, 1.0)
    weight = np.exp(-d[place] / scale[row])  # (E,)
    total = np.add.reduceat(weight, sets.indptr[:-1])  # (N,); no set is empty: each row lists itself
    return csr_array((weight / total[row], sets.indices, sets.indptr), shape=sets.shape)


def mean_of_nearest(v: csr_array[Any, tuple[int, int]], lists: Lists, k2: int) -> csr_array[Any, tuple[int, int]]:
    """Replaces each row by the mean over its k2 nearest rows, itself among them (Zhong et al. 2017, section 3.4).

    Args:
        v: `(N, N)` float64.
        lists: Nearest first, each row heads its own, `(N, at least min(N, k2))`.
        k2: Number of rows in the mean; 1 = leave them as they are.

    Returns:
        `(N, N)` float64, columns ascending in a row.
    """
    from scipy.sparse import csr_array

    n, near = len(lists), lists[:, :k2]
    share = np.full(near.size, 1 / near.shape[1])
    result = csr_array((share, near.ravel(), np.arange(n + 1) * near.shape[1]), shape=(n, n)) @ v
    result.sort_indices()
    return csr_array(result)
