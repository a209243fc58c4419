"""Which bags go together: a random matching of bags whose labels share an identity."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np
from numpy.typing import NDArray

_Number = Callable[[], float]


class BagMatching:
    """Draws pairs of bags that share a candidate, each bag in at most one pair.

    Args:
        candidates: Candidates of all bags, one bag after the other, unique within a bag, `(M,)`.
        offsets: Bag b has `candidates[offsets[b] : offsets[b + 1]]`, `(B + 1,)`.
    """

    def __init__(self, candidates: NDArray[np.int32], offsets: NDArray[np.int64]) -> None:
        _, kind = np.unique(candidates, return_inverse=True)
        by_class = np.argsort(kind, kind="stable")  # (M,): entries of `candidates`, class by class
        counts = np.bincount(kind)
        place = np.empty(len(kind), np.int64)
        place[by_class] = np.arange(len(kind))
        # lists, not arrays: the loops below read single numbers
        self._kind: list[int] = kind.tolist()
        self._offsets: list[int] = offsets.tolist()
        self._owner: list[int] = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets)).tolist()
        self._by_class: list[int] = by_class.tolist()
        self._place: list[int] = place.tolist()
        self._counts: list[int] = counts.tolist()
        self._start: list[int] = (np.cumsum(counts) - counts).tolist()

    @property
    def any_shared(self) -> bool:
        """Whether any two bags share a candidate."""
        return any(count > 1 for count in self._counts)

    def draw(self, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """A greedy matching: bags in random order, each takes a partner uniformly among those still free.

        Takes time proportional to the number of candidates of all bags. A class keeps its free bags at the front of
        its stretch, so that one is removed by a swap; a bag that shares k candidates stands in k stretches, and is
        taken in one of k times that it is found, which makes the choice uniform over bags.

        Args:
            rng: Where the randomness comes from.

        Returns:
            Pairs `(P, 2)`, and the bags left over `(B - 2 P,)`: no two of these share a candidate. Both in random
            order.
        """
        order = rng.permutation(len(self._offsets) - 1).tolist()
        number = Random(int(rng.integers(2**62))).random  # single numbers, ten times as fast as those of NumPy
        slots, place, free = list(self._by_class), list(self._place), list(self._counts)
        taken = [False] * len(order)
        pairs, singles = [], []
        for bag in order:
            if taken[bag]:
                continue
            self._remove(bag, slots, place, free)
            partner = self._partner(bag, slots, free, number)
            taken[bag] = True
            if partner < 0:
                singles.append(bag)
                continue
            taken[partner] = True
            self._remove(partner, slots, place, free)
            pairs.append((bag, partner))
        # the last pairs are of bags that had little choice: who deals pairs out in order should not see that
        return rng.permutation(np.array(pairs, np.int64).reshape(-1, 2)), np.array(singles, np.int64)

    def _remove(self, bag: int, slots: list[int], place: list[int], free: list[int]) -> None:
        for entry in range(self._offsets[bag], self._offsets[bag + 1]):
            kind = self._kind[entry]
            free[kind] -= 1
            last, here = self._start[kind] + free[kind], place[entry]
            other = slots[last]
            slots[here], slots[last] = other, entry
            place[other], place[entry] = here, last

    def _partner(self, bag: int, slots: list[int], free: list[int], number: _Number) -> int:
        mine = self._kind[self._offsets[bag] : self._offsets[bag + 1]]
        total = sum(free[kind] for kind in mine)
        while total:
            at = int(number() * total)
            for kind in mine:
                if at < free[kind]:
                    break
                at -= free[kind]
            other = self._owner[slots[self._start[kind] + at]]
            shared = sum(kind in mine for kind in self._kind[self._offsets[other] : self._offsets[other + 1]])
            if shared == 1 or number() * shared < 1:
                return other
        return -1

    def sharing(self, bag: int, most: int, number: _Number) -> list[int]:
        """Bags that share a candidate with one: for each candidate, up to `most`, from a random one on.

        Args:
            bag: Which bag.
            most: Bags to look at for each candidate.
            number: Gives random numbers in [0, 1).

        Returns:
            The bags; one that shares several candidates may stand there several times, and so may the bag itself.
        """
        found = []
        for kind in self._kind[self._offsets[bag] : self._offsets[bag + 1]]:
            count, start = self._counts[kind], self._start[kind]
            first = int(number() * count)
            found += [self._owner[self._by_class[start + (first + i) % count]] for i in range(min(most, count))]
        return found
