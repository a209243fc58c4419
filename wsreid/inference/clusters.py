"""Clusters of a whole set as pseudo labels, and what bag labels say of them.

Ester et al., "A Density-Based Algorithm for Discovering Clusters" (DBSCAN), KDD 1996, by scikit-learn; on Jaccard
distances as in Dai et al., "Cluster Contrast", arXiv:2103.11568. Splitting by bag labels is ours.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Ints = NDArray[np.int64]


def density_clusters(graph: csr_array[Any, tuple[int, int]], eps: float = 0.6, min_samples: int = 4) -> Ints:
    """DBSCAN on a sparse graph of distances.

    An image with at least `min_samples` images within `eps`, itself included, is a core; cores within `eps` of one
    another are one cluster, and so are the images within `eps` of a core. The others are outliers.

    Args:
        graph: Distances `(N, N)`, symmetric; a pair that is not stored is farther apart than `eps`.
        eps: Largest distance of neighbours.
        min_samples: Neighbours of a core.

    Returns:
        Cluster of each image, `(N,)`, numbered 0..K-1; -1 = outlier.
    """
    from sklearn.cluster import DBSCAN
    from sklearn.neighbors import sort_graph_by_row_values

    by_distance = sort_graph_by_row_values(graph, copy=True, warn_when_not_sorted=False)
    found = DBSCAN(eps=eps, min_samples=min_samples, metric="precomputed").fit_predict(by_distance)
    return np.asarray(found, dtype=np.int64)


def split_by_candidate(clusters: Ints, image: Ints, classes: Ints) -> Ints:
    """Splits clusters until the members of each have a candidate in common; greedy, ours.

    Of a cluster, the members that have its most frequent candidate stay together (of equally frequent ones the
    smallest class index), and the same is done with the rest until none is left. A part of one image alone is no
    cluster, nor are images without a candidate: they become outliers.

    Args:
        clusters: Cluster of each image, `(N,)`; -1 = outlier.
        image: Image of each (image, candidate) pair, `(P,)`, each pair once.
        classes: Class of each pair, `(P,)`.

    Returns:
        `(N,)`, numbered 0..K'-1 in the order of the clusters and of their parts; -1 = outlier.
    """
    result = np.full(len(clusters), -1, dtype=np.int64)
    order = np.argsort(clusters[image], kind="stable")  # pairs by cluster
    image, classes = image[order], classes[order]
    start = np.searchsorted(clusters[image], np.arange(clusters.max(initial=-1) + 2))  # (K + 1,)
    named = 0
    for first, stop in pairwise(start):
        left, of = image[first:stop], classes[first:stop]
        while len(left):
            _, at, count = np.unique(of, return_inverse=True, return_counts=True)
            members = left[at == count.argmax()]
            if len(members) > 1:
                result[members] = named
                named += 1
            rest = ~np.isin(left, members)
            left, of = left[rest], of[rest]
    return result


def candidate_counts(clusters: Ints, image: Ints, classes: Ints, width: int) -> tuple[Ints, Ints]:
    """How many members of a cluster have a class among their candidates.

    Args:
        clusters: Cluster of each image, `(N,)`; -1 = outlier.
        image: Image of each (image, candidate) pair, `(P,)`, each pair once.
        classes: Class of each pair, `(P,)`.
        width: Classes, C.

    Returns:
        Keys `cluster * C + class`, ascending, `(U,)`, and counts `(U,)`, above 0.
    """
    own = clusters[image]
    keys, counts = np.unique(own[own >= 0] * width + classes[own >= 0], return_counts=True)
    return keys.astype(np.int64), counts.astype(np.int64)
