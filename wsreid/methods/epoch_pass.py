"""Embeds the training images once, for methods that look at the whole set before an epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from wsreid.methods.base import Method


@dataclass(frozen=True)
class EmbeddedRows:
    """Features of training images, the same on each process.

    Attributes:
        row: Manifest rows, `(n,)` long, ascending.
        features: `(n, D)` float16 on the CPU, L2-normalised.
    """

    row: Tensor
    features: Tensor


@torch.no_grad()
def embed_training_rows(method: Method, limit: int | None = None) -> EmbeddedRows:
    """Embeds the training images, undistorted, in evaluation mode; each process embeds its part and gets all.

    Args:
        method: A method that is being trained.
        limit: Most images; more than these are sampled, by the run's seed and the epoch. None = all.

    Returns:
        Rows and features.
    """
    trainer = method.trainer
    data = trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it
    loader = data.epoch_pass_dataloader(limit, trainer.current_epoch)
    training = method.training
    method.eval()
    rows, features = [], []
    try:
        with trainer.precision_plugin.forward_context():
            for batch in loader:
                on_device = data.on_before_batch_transfer(batch, 0).to(method.device)
                rows.append(batch.row)
                features.append(torch.nn.functional.normalize(method.embed(on_device.images)).half().cpu())  # (n, D)
    finally:
        method.train(training)
    row = torch.cat(rows) if rows else torch.empty(0, dtype=torch.long)
    found = torch.cat(features) if features else torch.empty(0, 0, dtype=torch.float16)
    if trainer.world_size > 1:
        everyone: list[tuple[Tensor, Tensor]] = [(row, found)] * trainer.world_size
        torch.distributed.all_gather_object(everyone, (row, found))
        kept = [part for part in everyone if len(part[0])]
        row, found = (torch.cat(parts) for parts in zip(*kept, strict=True))
    order = torch.argsort(row)
    row, found = row[order], found[order]
    first = torch.ones(len(row), dtype=torch.bool)
    first[1:] = row[1:] != row[:-1]  # a sampler may give a row to two processes
    return EmbeddedRows(row[first], found[first])
