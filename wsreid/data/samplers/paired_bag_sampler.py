"""Batches of bags in pairs that share a label: each bag once in an epoch."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from random import Random

import numpy as np
from numpy.typing import NDArray

from wsreid.data.bags import Bags
from wsreid.data.samplers.bag_matching import BagMatching
from wsreid.data.samplers.bag_sampler import BagSampler
from wsreid.data.samplers.plan import BatchPlan, plan_of_bags
from wsreid.data.seeding import Substreams, stream
from wsreid.errors import ConfigError

_log = logging.getLogger(__name__)
_LOOK_AT = 16


class PairedBagSampler(BagSampler):
    """Plans batches as `BagSampler` does, of pairs of bags whose labels share an identity, wherever there are any.

    Each epoch draws each bag once, the same number of images in the same number of batches. Bags are paired at random
    (`BagMatching`), anew in each epoch; a pair is never split over two batches or ranks. Batches are filled by twos. A
    bag without a partner goes, if there is room, to a batch with a bag that it shares an identity with, else anywhere.
    With an odd `bags_per_batch` there may be more pairs than places for two: those left over are treated as bags
    without a partner. Everything depends on (seed, epoch) alone.

    Args:
        bags: All bags.
        bags_per_batch: Most bags in a batch of one rank, at least 2; best an even number.
        images_per_bag: Most images of a bag in a batch.
        seed: Seed of pairs, order and images.
        rank: Which process this is.
        world_size: Number of processes.

    Raises:
        ConfigError: One bag in a batch, or fewer bags than ranks.
    """

    def __init__(
        self,
        bags: Bags,
        *,
        bags_per_batch: int,
        images_per_bag: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        check_room_for_pairs(bags_per_batch)
        super().__init__(
            bags,
            bags_per_batch=bags_per_batch,
            images_per_bag=images_per_bag,
            seed=seed,
            rank=rank,
            world_size=world_size,
        )
        self._matching = BagMatching(bags.draft.candidates, bags.draft.candidate_offsets)
        if not self._matching.any_shared:
            _log.warning(
                "no two bags share an identity, so there are no pairs to compare: the method trains on those of its "
                "terms that need one bag. Bags of several chunks of an identity (data.bags.images_per_id), of "
                "data.bags.protocol windows or sysu share identities."
            )

    def __iter__(self) -> Iterator[BatchPlan]:
        """Yields this rank's batches of the epoch."""
        bags, epoch = self.bags, self.epoch
        cells = self._dealt(stream("bag pairs", self.seed, epoch))
        draws = Substreams("bag images", self.seed, epoch)
        for which in cells[self.rank :: self.world_size]:
            yield plan_of_bags(bags, which, [self._positions(bags, draws, b) for b in which], epoch=epoch)

    def _dealt(self, rng: np.random.Generator) -> list[list[int]]:
        """The bags of each cell; a cell is the batch of one rank in one step, step by step."""
        pairs, singles = self._matching.draw(rng)
        room = _sizes(len(self.bags), len(self) * self.world_size, self.bags_per_batch)  # (cells,)
        twos = rng.permutation(np.repeat(np.arange(len(room)), room // 2))  # places for a pair, by cell
        cells: list[list[int]] = [[] for _ in room]
        where = np.full(len(self.bags), -1)  # (B,): cell of each bag
        for cell, pair in zip(twos.tolist(), pairs.tolist(), strict=False):
            cells[cell] += pair
            where[pair] = cell
        room = room - np.array([len(cell) for cell in cells])
        alone = rng.permutation(np.concatenate([singles, pairs[len(twos) :].ravel()])).tolist()
        self._join(alone, cells, where, room, Random(int(rng.integers(2**62))))
        rest = [bag for bag in alone if where[bag] < 0]
        for cell, bag in zip(np.repeat(np.arange(len(room)), room).tolist(), rest, strict=True):
            cells[cell].append(bag)
        return cells

    def _join(
        self, alone: list[int], cells: list[list[int]], where: NDArray[np.int64], room: NDArray[np.int64], rng: Random
    ) -> None:
        """Puts bags beside one that they share an identity with, where there is room; takes note in the arrays."""
        for bag in alone:
            for other in self._matching.sharing(bag, _LOOK_AT, rng.random):
                cell = int(where[other])
                if cell >= 0 and room[cell] > 0:
                    cells[cell].append(bag)
                    where[bag] = cell
                    room[cell] -= 1
                    break


def check_room_for_pairs(bags_per_batch: int) -> None:
    """Verifies that a batch holds two bags.

    Raises:
        ConfigError: It does not.
    """
    if bags_per_batch < 2:
        raise ConfigError(
            f"data.bags_per_batch is {bags_per_batch}, but the method compares bags that share a label, two in a "
            f"batch: give at least 2"
        )


def _sizes(bags: int, cells: int, most: int) -> NDArray[np.int64]:
    """How many bags each cell gets: all of them, by twos, as evenly as that allows, at least one and at most `most`."""
    if bags < 2 * cells:
        return 1 + (np.arange(cells) < bags - cells)
    twos = min(bags // 2, cells * (most // 2))
    sizes = 2 * (twos // cells + (np.arange(cells) < twos % cells))  # (cells,)
    sizes[cells - (bags - 2 * twos) :] += 1  # the last cells are the smaller ones
    return sizes
