"""Batches of P identities x K images, drawn by the truth: for oracles alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from wsreid.data.samplers.plan import BatchPlan
from wsreid.data.seeding import stream
from wsreid.errors import ConfigError


class IdentitySampler(Sampler[BatchPlan]):
    """Plans batches of P different identities with K images each; everything depends on (seed, epoch) alone.

    An epoch draws about as many images as one of the bag sampler, so that both train on the same budget. Identities
    come in rounds, each identity once in a round; one with fewer than K images has them repeated evenly.
    In the batch each identity stands as a bag of its own, with itself as the only candidate.

    Args:
        rows: Manifest rows to draw from, `(N,)`.
        classes: Class index of each row, `(N,)`; rows with -1 are left out.
        ids_per_batch: Identities in a batch, P.
        images_per_id: Images of each identity, K.
        images_per_epoch: Images to draw in an epoch, all ranks together; rounded to whole batches, at least one.
        seed: Seed of the draw.
        rank: Which process this is.
        world_size: Number of processes.

    Raises:
        ConfigError: There are fewer identities than P.
    """

    def __init__(
        self,
        rows: NDArray[np.int64],
        classes: NDArray[np.int32],
        *,
        ids_per_batch: int,
        images_per_id: int,
        images_per_epoch: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        order = np.argsort(classes, kind="stable")
        order = order[classes[order] >= 0]
        self.classes, first, self.counts = np.unique(classes[order], return_index=True, return_counts=True)
        if len(self.classes) < ids_per_batch:
            raise ConfigError(
                f"data.ids_per_batch is {ids_per_batch}, but there are only {len(self.classes)} identities to train "
                f"on: lower it"
            )
        self.rows = np.split(rows[order], first[1:])
        self.ids_per_batch = ids_per_batch
        self.images_per_id = images_per_id
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0
        self._length = max(round(images_per_epoch / (ids_per_batch * images_per_id * world_size)), 1)

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch that the next iteration plans; called by Lightning."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Batches of one rank in an epoch."""
        return self._length

    def __iter__(self) -> Iterator[BatchPlan]:
        """Yields this rank's batches of the epoch."""
        epoch = self.epoch
        rng = stream("identity batches", self.seed, epoch)
        ids = self._identities(rng)  # (S, P): of all ranks
        drawn = np.stack([np.resize(rng.permutation(self.rows[i]), self.images_per_id) for i in ids.flat])
        row = drawn.reshape(len(ids), -1)  # (S P, K) -> (S, P K)
        copy = occurrence(row.ravel()).reshape(row.shape)
        bag = np.repeat(np.arange(self.ids_per_batch), self.images_per_id)  # (P K,)
        none = np.full(self.ids_per_batch, -1)
        for step in range(self.rank, len(ids), self.world_size):
            yield BatchPlan(
                epoch=epoch,
                row=row[step],
                bag=bag,
                member=np.full(len(bag), -1),
                copy=copy[step],
                candidates=self.classes[ids[step]].astype(np.int64)[:, None],  # (P,) -> (P, 1)
                bag_id=none,
                bag_size=self.counts[ids[step]].astype(np.int64),
            )

    def _identities(self, rng: np.random.Generator) -> NDArray[np.int64]:
        steps = self._length * self.world_size
        per_round = len(self.classes) // self.ids_per_batch
        rounds = [
            rng.permutation(len(self.classes))[: per_round * self.ids_per_batch] for _ in range(-(-steps // per_round))
        ]
        return np.concatenate(rounds).reshape(-1, self.ids_per_batch)[:steps]


def occurrence(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """How often each value stands earlier in the array, `(N,)`."""
    order = np.argsort(values, kind="stable")
    _, first, counts = np.unique(values[order], return_index=True, return_counts=True)
    result = np.empty(len(values), np.int64)
    result[order] = np.arange(len(values)) - np.repeat(first, counts)
    return result
