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
_Bools = npt.NDArray[np.bool_]


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
    """Images right after the best one-to-one renaming of labels inside each bag; see `bag_matched`."""
    return int(np.count_nonzero(bag_matched(pseudo, truth, bag)))


def bag_matched(pseudo: _Ints, truth: _Ints, bag: _Ints) -> _Bools:
    """Which images are right after the best one-to-one renaming of labels inside each bag.

    Args:
        pseudo: Class index per image, `(M,)`; -1 = none, never right.
        truth: True class index per image, `(M,)`.
        bag: Bag per image, `(M,)`, any integers.

    Returns:
        `(M,)`. Where several renamings are equally good it is one of them: the number of right images in a bag is
        certain, which images they are is not.
    """
    right = np.zeros(len(pseudo), dtype=np.bool_)
    named = np.flatnonzero(pseudo >= 0)
    if len(named) == 0:
        return right
    _, own = np.unique(bag[named], return_inverse=True)  # bags numbered from 0
    row, label, rows = _numbered(own, pseudo[named])  # the labels of all bags in one row, bag after bag
    column, identity, columns = _numbered(own, truth[named])
    size = rows * columns  # cells of each bag's table of labels x identities
    start = np.cumsum(size) - size
    cell = start[own] + label * columns[own] + identity
    table = np.bincount(cell, minlength=int(size.sum()))
    first_row, first_column = np.cumsum(rows) - rows, np.cumsum(columns) - columns
    name = np.full(int(rows.sum()), -1)  # the identity that each label is renamed to
    for at, n, m, i, j in zip(
        start.tolist(), rows.tolist(), columns.tolist(), first_row.tolist(), first_column.tolist(), strict=True
    ):
        labels, ids = linear_sum_assignment(table[at : at + n * m].reshape(n, m), maximize=True)
        name[i + labels] = j + ids
    right[named] = name[row] == column
    return right


def _numbered(bag: _Ints, values: _Ints) -> tuple[_Ints, _Ints, _Ints]:
    """Number of each (bag, value) pair among all, and in its bag, `(M,)`; different values of each bag, `(B,)`."""
    _, value = np.unique(values, return_inverse=True)
    pairs, number = np.unique(bag * (int(value.max()) + 1) + value, return_inverse=True)
    counts = np.bincount(pairs // (int(value.max()) + 1))
    first = np.cumsum(counts) - counts
    return number, number - first[bag], counts


def set_matched_count(pseudo: _Ints, truth: _Ints) -> int:
    """Images right after the best one-to-one renaming of classes over the whole set; see `set_matched`."""
    return int(np.count_nonzero(set_matched(pseudo, truth)))


def set_matched(pseudo: _Ints, truth: _Ints) -> _Bools:
    """Which images are right after the best one-to-one renaming of classes over the whole set.

    Sparse: each class may also go to a column of its own that is worth nothing, so a full matching always exists, and
    all weights are raised by one because the solver reads 0 as "no edge".

    Args:
        pseudo: Class index per image, `(M,)`; -1 = none, never right.
        truth: True class index per image, `(M,)`.

    Returns:
        `(M,)`; the same among equally good renamings as in `bag_matched`.
    """
    right = np.zeros(len(pseudo), dtype=np.bool_)
    named = np.flatnonzero(pseudo >= 0)
    if len(named) == 0:
        return right
    labels, row = np.unique(pseudo[named], return_inverse=True)
    ids, column = np.unique(truth[named], return_inverse=True)
    n = len(labels)
    pairs, count = np.unique(row * len(ids) + column, return_counts=True)
    rows = np.concatenate([pairs // len(ids), np.arange(n)])
    columns = np.concatenate([pairs % len(ids), len(ids) + np.arange(n)])
    weights = np.concatenate([count + 1.0, np.ones(n)])
    places = rows.astype(np.int32), columns.astype(np.int32)  # SciPy 1.14's solver takes no others
    graph = csr_array((weights, places), shape=(n, len(ids) + n))
    i, j = min_weight_full_bipartite_matching(graph, maximize=True)
    name = np.empty(n, dtype=np.int64)
    name[i] = j
    right[named] = name[row] == column
    return right


def random_labels(candidates: _Ints, *, repeats: int, seed: int = 0) -> list[_Ints]:
    """Labels drawn uniformly among each image's candidates: what the figures are by chance.

    Args:
        candidates: Candidates of each image's bag, `(M, L)`, padded with -1; at least one in each row.
        repeats: How often to draw.
        seed: Seed of the draws.

    Returns:
        `repeats` times `(M,)`.
    """
    width = (candidates >= 0).sum(1)  # (M, L) -> (M,)
    packed = np.take_along_axis(candidates, np.argsort(candidates < 0, axis=1, kind="stable"), axis=1)  # padding last
    rng = np.random.default_rng(seed)
    return [packed[np.arange(len(packed)), rng.integers(0, width)] for _ in range(repeats)]


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

    draws = random_labels(own, repeats=repeats, seed=seed)

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
