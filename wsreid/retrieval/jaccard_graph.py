"""Jaccard distances of a whole set's neighbourhoods, as a sparse graph: what clustering by density reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from wsreid.errors import ConfigError
from wsreid.retrieval.checks import check_features, check_finite, check_positive, check_similarity
from wsreid.retrieval.distances import Distances
from wsreid.retrieval.features import Array, FeatureTable, Metric
from wsreid.retrieval.jaccard import shared_weight
from wsreid.retrieval.neighbours import nearest
from wsreid.retrieval.reciprocal import expanded_sets, mean_of_nearest, weights

if TYPE_CHECKING:
    from scipy.sparse import csr_array


def jaccard_graph(
    features: Array,
    k1: int = 30,
    k2: int = 6,
    *,
    below: float = 1.0,
    metric: Metric = "cosine",
    device: torch.device | str = "cpu",
    memory_mb: int = 512,
) -> csr_array[Any, tuple[int, int]]:
    """The Jaccard distances of all pairs that share a neighbour, in the k-reciprocal graph of one set.

    d_J = 1 - s / (2 - s) with s_ij = sum_l min(V_il, V_jl), where V is as in `KReciprocal` (Zhong et al. 2017), with
    the set in place of queries and gallery. All other pairs are at distance 1. No N x N matrix is made.

    Args:
        features: `(N, D)` floating point.
        k1: Size of the neighbourhood.
        k2: Rows in the mean of neighbourhoods, the image itself among them; 1 = no mean.
        below: Pairs farther apart than this are left out too.
        metric: `cosine` or `euclidean`.
        device: Where distances are computed.
        memory_mb: What the working arrays may take, graph aside.

    Returns:
        `(N, N)` float64, symmetric, columns ascending in a row. What is stored at 0 is a distance of 0, not a missing
        pair; the diagonal is stored.

    Raises:
        FeatureError: The features cannot be compared.
        ConfigError: A number makes no sense, or the metric has no distance.
    """
    from scipy.sparse import csr_array

    check_positive("k1", k1)
    check_positive("k2", k2)
    if not 0 <= below <= 1:
        raise ConfigError(f"below={below}: expected 0 to 1.")
    check_similarity(metric)
    check_features(features, "gallery")
    memory = memory_mb * 2**20
    table = FeatureTable(features, torch.device(device))
    check_finite(table, "gallery", memory=memory)
    n, distances = table.rows, Distances(table, metric=metric, memory=memory // 2)
    nodes = torch.arange(n, device=table.device)
    found = nearest(distances, nodes, None, min(n, max(k1 + 1, k2)))
    v = weights(expanded_sets(found.index, k1), found.farthest, distances, nodes)
    v = mean_of_nearest(v, found.index, k2)
    lowest = 2 * (1 - below) / (2 - below)  # the s of a pair at distance `below`
    columns, values, lengths = [], [], [np.zeros(1, dtype=np.int64)]
    for _, _, shared in shared_weight(v, v, rows=distances.side, memory=memory // 2):  # (b, N)
        row, column = np.nonzero(shared > lowest - 1e-9)
        s = shared[row, column]
        d = np.maximum(1 - s / (2 - s), 0.0)  # (E,)
        near = (d <= below) & (s > 0)
        columns.append(column[near])
        values.append(d[near])
        lengths.append(np.bincount(row[near], minlength=len(shared)))  # (b,)
    indptr = np.cumsum(np.concatenate(lengths))  # (N + 1,)
    return csr_array((np.concatenate(values), np.concatenate(columns), indptr), shape=(n, n))
