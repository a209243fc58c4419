"""Label-refine accuracy: how many images a weak method gave their true identity, three ways, each beside chance.

With fixed disjoint bags the labels are identifiable only up to a permutation inside each bag, so the raw figure says
little alone; and twelve images of five identities match well by chance, so each figure stands beside the mean of
random in-bag assignments.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

_Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LabelRefine:
    """Shares in [0, 1] of the images whose true identity is among their bag's candidates.

    Attributes:
        raw: Pseudo label equals the truth.
        raw_random: The same for random in-bag labels (mean over the repeats, as all `_random` figures).
        bag_matched: After the best renaming of labels inside each bag (one Hungarian per bag).
        bag_matched_random: The same for random labels.
        set_matched: After the best renaming over the data set (one Hungarian between classes and identities).
        set_matched_random: The same for random labels.
        n_images: Images scored.
        n_outside: Images left out because their true identity is no candidate of their bag.
    """

    raw: float
    raw_random: float
    bag_matched: float
    bag_matched_random: float
    set_matched: float
    set_matched_random: float
    n_images: int
    n_outside: int


def bag_matched_count(pseudo: _Ints, truth: _Ints, bag: _Ints) -> int:
    """Images right after the best one-to-one renaming of labels inside each bag.

    Args:
        pseudo: Class index per image, `(M,)`; -1 = none, never right.
        truth: True class index per image, `(M,)`.
        bag: Bag per image, `(M,)`, any integers.
    """
    order = np.argsort(bag, kind="stable")
    starts = np.flatnonzero(np.diff(bag[order], prepend=bag[order[:1]] - 1))
    total = 0
    for images in np.split(order, starts[1:]):
        images = images[pseudo[images] >= 0]
        if len(images) == 0:
            continue
        labels, row = np.unique(pseudo[images], return_inverse=True)
        ids, column = np.unique(truth[images], return_inverse=True)
        shape = (len(labels), len(ids))
        confusion = np.bincount(row * len(ids) + column, minlength=shape[0] * shape[1]).reshape(shape)
        best = linear_sum_assignment(confusion, maximize=True)
        total += int(confusion[best].sum())
    return total


def set_matched_count(pseudo: _Ints, truth: _Ints) -> int:
    """Images right after the best one-to-one renaming of classes over the whole set.

    Sparse: each class may also go to a column of its own that is worth nothing, so a full matching always exists, and
    all weights are raised by one because the solver reads 0 as "no edge".

    Args:
        pseudo: Class index per image, `(M,)`; -1 = none, never right.
        truth: True class index per image, `(M,)`.
    """
    named = pseudo >= 0
    if not named.any():
        return 0
    labels, row = np.unique(pseudo[named], return_inverse=True)
    ids, column = np.unique(truth[named], return_inverse=True)
    n = len(labels)
    pairs, count = np.unique(row * len(ids) + column, return_counts=True)
    rows = np.concatenate([pairs // len(ids), np.arange(n)])
    columns = np.concatenate([pairs % len(ids), len(ids) + np.arange(n)])
    weights = np.concatenate([count + 1.0, np.ones(n)])
    graph = csr_array((weights, (rows, columns)), shape=(n, len(ids) + n))
    i, j = min_weight_full_bipartite_matching(graph, maximize=True)
    return round(float(graph[i, j].sum())) - n


def label_refine(
    pseudo: _Ints,
    truth: _Ints,
    bag: _Ints,
    candidates: _Ints,
    *,
    repeats: int = 20,
    seed: int = 0,
) -> LabelRefine | None:
    """The three figures of label-refine accuracy, each beside chance.

    Args:
        pseudo: Class index per image, `(M,)`; -1 = none, which counts as wrong.
        truth: True class index per image, `(M,)`; -1 = unknown, such images are left out.
        bag: Row of `candidates` per image, `(M,)`.
        candidates: Class indices of each bag's label, `(B, L)`, padded with -1.
        repeats: Random in-bag assignments that the chance figures average.
        seed: Seed of those.

    Returns:
        The figures, or None where no image can be scored: no truth, or no true identity is a candidate.
    """
    own = candidates[bag]  # (B, L) -> (M, L)
    known = truth >= 0
    inside = known & (own == truth[:, None]).any(1)
    n_images = int(inside.sum())
    if n_images == 0:
        return None
    pseudo, truth, bag, own = pseudo[inside], truth[inside], bag[inside], own[inside]

    width = (own >= 0).sum(1)  # (M, L) -> (M,)
    packed = np.take_along_axis(own, np.argsort(own < 0, axis=1, kind="stable"), axis=1)  # (M, L), padding last
    rng = np.random.default_rng(seed)
    draws = [packed[np.arange(n_images), rng.integers(0, width)] for _ in range(repeats)]

    def shares(labels: _Ints) -> tuple[float, float, float]:
        counts = (
            int(np.count_nonzero(labels == truth)),
            bag_matched_count(labels, truth, bag),
            set_matched_count(labels, truth),
        )
        return (counts[0] / n_images, counts[1] / n_images, counts[2] / n_images)

    raw, per_bag, per_set = shares(pseudo)
    raw_random, per_bag_random, per_set_random = np.mean([shares(labels) for labels in draws], axis=0).tolist()
    return LabelRefine(
        raw=raw,
        raw_random=raw_random,
        bag_matched=per_bag,
        bag_matched_random=per_bag_random,
        set_matched=per_set,
        set_matched_random=per_set_random,
        n_images=n_images,
        n_outside=int(known.sum()) - n_images,
    )


def candidate_table(bags: Sequence[Sequence[int]]) -> _Ints:
    """Candidate lists of different lengths as one `(B, L)` table padded with -1."""
    table = np.full((len(bags), max(map(len, bags), default=0)), -1, dtype=np.int64)
    for row, ids in zip(table, bags, strict=True):
        row[: len(ids)] = ids
    return table
