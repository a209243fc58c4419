"""Batches drawn by folder, as SYSU-30k's official code draws them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from wsreid.data.bags import Bags
from wsreid.data.samplers.bag_sampler import BagSampler
from wsreid.data.samplers.identity_sampler import occurrence
from wsreid.data.samplers.plan import BatchPlan, plan_of_bags
from wsreid.data.seeding import stream
from wsreid.errors import ConfigError

_log = logging.getLogger(__name__)


class FolderSampler(BagSampler):
    """Plans batches of B bags with m images each, the same number from each folder of a bag.

    It reads which folder each image lies in: more than the bags' labels say. A bag of one folder is that folder, so
    its images are as good as labelled; and in a wider bag each folder shows, and equally often. Two more things are as
    in the official code (12 bags of 15 images, github.com/wanggrun/SYSU-30k, UnaryTerm_Only): bags of few and of many
    candidates are in each batch in the proportion in which there are such bags, thirds there; and a folder that has
    too few images has them drawn with repetition, so that each bag has all its m images. A warning says all this.

    Two things differ. An epoch is each bag once, as for `BagSampler`; there it is one batch for each m * B images of
    the set, 23 times as many, with bags drawn anew for each batch. And at the ends of the folders' row, where a window
    is cut off, each folder counts once; there the first or last folder is drawn several times.

    Args:
        bags: All bags.
        folder: Folder of each manifest row, `(rows of the manifest,)`: the manifest's column `sequence`.
        bags_per_batch: Most bags in a batch of one rank, B.
        images_per_bag: Images of each bag in a batch, m.
        seed: Seed of order and images.
        rank: Which process this is.
        world_size: Number of processes.

    Raises:
        ConfigError: The bags were not made of folders, or there are fewer bags than ranks.
    """

    def __init__(
        self,
        bags: Bags,
        folder: NDArray[np.int32],
        *,
        bags_per_batch: int,
        images_per_bag: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if bags.settings.protocol != "sysu":
            raise ConfigError(
                f"data.draw folders needs bags of whole folders, but these are of data.bags.protocol "
                f"{bags.settings.protocol}. Use data.draw bags, or data.bags.protocol sysu."
            )
        super().__init__(
            bags,
            bags_per_batch=bags_per_batch,
            images_per_bag=images_per_bag,
            seed=seed,
            rank=rank,
            world_size=world_size,
        )
        self.folder = folder
        _log.warning(
            "data.draw folders reads which folder each image lies in, as SYSU-30k's official code does: a bag of one "
            "folder is as good as labelled, and each folder of a bag shows equally often. Do not compare with "
            "data.draw bags, which knows the bags' labels alone."
        )

    @property
    def images_per_epoch(self) -> int:
        """Images that all ranks together draw in an epoch; with one bag in a batch, a few of them may be left out."""
        return len(self.bags) * self.images_per_bag

    def __iter__(self) -> Iterator[BatchPlan]:
        """Yields this rank's batches of the epoch."""
        bags, epoch = self.bags, self.epoch
        widths = np.array([len(bags.candidates(b)) for b in range(len(bags))])
        order = spread_evenly(widths, stream("folder bag order", self.seed, epoch))
        if self.bags_per_batch == 1:
            order = order[: len(self) * self.world_size]
        for together in np.array_split(order, len(self)):  # the bags of one step, all ranks
            mine = np.array_split(together, self.world_size)[self.rank].tolist()
            plan = plan_of_bags(bags, mine, [self._by_folder(bags, epoch, b) for b in mine], epoch=epoch)
            yield replace(plan, copy=occurrence(plan.row))

    def _by_folder(self, bags: Bags, epoch: int, bag: int) -> NDArray[np.int64]:
        """Which images of a bag to take, ascending, `(m,)`; repeated where a folder has too few."""
        folder = self.folder[bags.rows(bag)]  # (S,)
        members = np.argsort(folder, kind="stable")
        ends = np.append(np.flatnonzero(np.diff(folder[members])) + 1, len(folder))  # (W,): of the bag's W folders
        width = len(ends)
        shares = (self.images_per_bag + np.arange(width)) // width  # (W,): sum m, the last folders get the remainder
        rng = stream("folder bag images", self.seed, epoch, bag)
        drawn = [
            part[rng.choice(len(part), share, replace=len(part) < share, shuffle=False)]
            for part, share in zip(np.split(members, ends[:-1]), shares.tolist(), strict=True)
        ]
        return np.sort(np.concatenate(drawn)).astype(np.int64)


def spread_evenly(kind: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """A random order in which any stretch has the kinds in about the proportion of the whole.

    Args:
        kind: Kind of each item, `(N,)`.
        rng: Where the randomness comes from.

    Returns:
        The items in their new order, `(N,)`: those of each kind in random order, evenly spaced.
    """
    shuffled = rng.permutation(len(kind))
    _, which, count = np.unique(kind[shuffled], return_inverse=True, return_counts=True)
    grouped = np.argsort(which, kind="stable")
    place = np.empty(len(kind))
    place[grouped] = np.arange(len(kind)) - np.repeat(np.cumsum(count) - count, count)  # among those of its kind
    offset = rng.random(len(count))  # the kinds are out of step, so that no batch boundary favours one
    return shuffled[np.argsort((place + offset[which]) / count[which], kind="stable")]
