"""Passes over whole bags, for diagnostics."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
from torch.utils.data import Sampler

from wsreid.data.bags import Bags
from wsreid.data.samplers.plan import BatchPlan, plan_of_bags


class WholeBagSampler(Sampler[BatchPlan]):
    """Plans batches of whole bags in file order, each member once.

    Bags are packed while they fit into a batch; a bag larger than a batch is cut into chunks, each of which still
    says the whole bag's size.

    Args:
        bags: All bags.
        batch_size: Most images in a batch.
        rank: Which process this is; it gets a contiguous part of the bags.
        world_size: Number of processes.
    """

    def __init__(self, bags: Bags, batch_size: int, rank: int = 0, world_size: int = 1) -> None:
        self.bags = bags
        self.batch_size = batch_size
        self.first, self.last = (len(bags) * r // world_size for r in (rank, rank + 1))

    def __len__(self) -> int:
        """Batches of one rank."""
        return self._length

    @cached_property
    def _length(self) -> int:
        sizes = self.bags.sizes
        return sum(1 if end - first > 1 else -(-int(sizes[first]) // self.batch_size) for first, end in self._packs())

    def __iter__(self) -> Iterator[BatchPlan]:
        """Yields this rank's batches."""
        for first, last, start, stop in self._cuts():
            which = list(range(first, last))
            whole = [np.arange(start, stop)] if last - first == 1 else [np.arange(self.bags.sizes[b]) for b in which]
            yield plan_of_bags(self.bags, which, whole, epoch=0)

    def _cuts(self) -> Iterator[tuple[int, int, int, int]]:
        """(first bag, last bag + 1, first image, last image + 1) of each batch; the images where it is one bag."""
        for first, end in self._packs():
            images = int(self.bags.sizes[first:end].sum())
            step = self.batch_size if end - first == 1 else images
            for start in range(0, images, step):
                yield first, end, start, min(start + step, images)

    def _packs(self) -> Iterator[tuple[int, int]]:
        """(first bag, last bag + 1) of bags that share a batch, or of one bag that may need several."""
        bag = self.first
        while bag < self.last:
            images, end = int(self.bags.sizes[bag]), bag + 1
            while end < self.last and images + int(self.bags.sizes[end]) <= self.batch_size:
                images += int(self.bags.sizes[end])
                end += 1
            yield bag, end
            bag = end
