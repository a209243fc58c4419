"""Dealing each identity's chunks into bags of different identities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_DRAWS = 8  # random draws for one bag before the draw that cannot fail


def deal(chunks: NDArray[np.int64], ids_per_bag: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Deals chunks into as few bags as possible, no bag with two chunks of one identity.

    Which identities meet is random, an identity being drawn in proportion to its chunks left. A draw that would make a
    later bag short without need is drawn again; after some draws the identities with the most chunks left are taken,
    which never does (the construction in the proof of the Gale-Ryser theorem).

    Args:
        chunks: Chunks of each identity, `(I,)`.
        ids_per_bag: Identities in a bag, n.
        rng: Where the randomness comes from.

    Returns:
        The identities of each bag: max(ceil(sum(chunks) / n), max(chunks)) bags. The last one alone may have fewer
        than n identities, unless a few identities hold so many chunks that more short bags cannot be avoided.
    """
    left = chunks.astype(np.int64, copy=True)
    avoidable = only_last_bag_short(left, ids_per_bag)
    bags: list[NDArray[np.int64]] = []
    while (present := np.flatnonzero(left)).size:
        if present.size <= ids_per_bag:
            bag = present
        else:
            bag = _drawn(left, present, ids_per_bag, rng) if avoidable else _fullest(left, present, ids_per_bag, rng)
        left[bag] -= 1
        bags.append(bag)
    return bags


def only_last_bag_short(chunks: NDArray[np.int64], ids_per_bag: int) -> bool:
    """Whether the chunks fit into bags of n different identities, the last one alone having fewer (Gale-Ryser).

    The condition: for every j up to the number of full bags, sum_i min(chunks_i, j) >= n j; and no identity has more
    chunks than there are bags.
    """
    total, most = int(chunks.sum()), int(chunks.max(initial=0))
    full, rest = divmod(total, ids_per_bag)
    if most > full + (rest > 0):
        return False
    at_least = np.cumsum(np.bincount(chunks, minlength=1)[::-1])[::-1]  # (most + 1,): identities with j chunks or more
    reach = np.cumsum(at_least[1:])  # (most,): sum_i min(chunks_i, j), j = 1..most
    j = np.arange(1, min(most, full) + 1)
    return bool(np.all(reach[: len(j)] >= ids_per_bag * j))


def _drawn(
    left: NDArray[np.int64], present: NDArray[np.int64], ids_per_bag: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    for _ in range(_DRAWS):
        keys = np.log(rng.random(present.size)) / left[present]  # the n largest: drawn by weight, without replacement
        bag = present[np.argpartition(keys, -ids_per_bag)[-ids_per_bag:]]
        rest = left.copy()
        rest[bag] -= 1
        if only_last_bag_short(rest, ids_per_bag):
            return bag
    return _fullest(left, present, ids_per_bag, rng)


def _fullest(
    left: NDArray[np.int64], present: NDArray[np.int64], ids_per_bag: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    keys = left[present] + rng.random(present.size)  # ties are broken at random
    return present[np.argpartition(keys, -ids_per_bag)[-ids_per_bag:]]
