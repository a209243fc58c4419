"""Batches of bags: each bag once in an epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from wsreid.data.bags import Bags
from wsreid.data.samplers.plan import BatchPlan, plan_of_bags
from wsreid.data.seeding import Substreams, stream
from wsreid.errors import ConfigError


class BagSampler(Sampler[BatchPlan]):
    """Plans batches of B bags with min(bag, m) images each, drawn uniformly over the bag, without replacement.

    Each epoch draws each bag once, in an order of its own. The bags are spread evenly over as few batches as possible,
    so the last batch is not much smaller than the others. Everything depends on (seed, epoch) alone, the images of a
    bag on (seed, epoch, bag). Ranks get different bags and the same number of batches; only where `bags_per_batch`
    is 1 may an epoch leave out up to `world_size - 1` bags, others in each epoch.

    Args:
        bags: All bags.
        bags_per_batch: Most bags in a batch of one rank, B.
        images_per_bag: Most images of a bag in a batch, m.
        seed: Seed of order and images.
        rank: Which process this is.
        world_size: Number of processes.
        redraw: Makes the bags of an epoch anew; None = the bags stay as they are.

    Raises:
        ConfigError: There are fewer bags than ranks.
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
        redraw: Callable[[int], Bags] | None = None,
    ) -> None:
        if len(bags) < world_size:
            raise ConfigError(f"{len(bags)} bags cannot be split over {world_size} processes: use fewer processes")
        self.bags = bags
        self.bags_per_batch = bags_per_batch
        self.images_per_bag = images_per_bag
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.redraw = redraw
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch that the next iteration plans; called by Lightning."""
        if self.redraw is not None and epoch != self.epoch:
            self.bags = self.redraw(epoch)
        self.epoch = epoch

    def __len__(self) -> int:
        """Batches of one rank in an epoch."""
        if self.bags_per_batch == 1:
            return len(self.bags) // self.world_size
        return -(-len(self.bags) // (self.bags_per_batch * self.world_size))

    @property
    def images_per_epoch(self) -> int:
        """Images that all ranks together draw in an epoch."""
        return int(np.minimum(self.bags.sizes, self.images_per_bag).sum())

    def __iter__(self) -> Iterator[BatchPlan]:
        """Yields this rank's batches of the epoch."""
        bags, epoch = self.bags, self.epoch
        order = stream("bag order", self.seed, epoch).permutation(len(bags))
        if self.bags_per_batch == 1:
            order = order[: len(self) * self.world_size]
        draws = Substreams("bag images", self.seed, epoch)
        for together in np.array_split(order, len(self)):  # the bags of one step, all ranks
            mine = together if self.world_size == 1 else np.array_split(together, self.world_size)[self.rank]
            which = mine.tolist()
            yield plan_of_bags(bags, which, [self._positions(bags, draws, b) for b in which], epoch=epoch)

    def _positions(self, bags: Bags, draws: Substreams, bag: int) -> NDArray[np.int64]:
        size = int(bags.sizes[bag])
        if size <= self.images_per_bag:
            return np.arange(size)
        drawn = draws[bag].choice(size, self.images_per_bag, replace=False, shuffle=False)
        drawn.sort()
        return drawn
