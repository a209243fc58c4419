"""The batches that cross from data to methods: `BagBatch` for training, `EvalBatch` for scoring."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TypeVar

import torch
from torch import Tensor

_Moved = TypeVar("_Moved", bound="_Movable")


@dataclass(frozen=True)
class _Movable:
    """A frozen dataclass whose tensors move together."""

    def to(self: _Moved, device: torch.device | str, non_blocking: bool = False) -> _Moved:
        """Returns a copy whose tensors are on `device`."""
        moved = {
            f.name: value.to(device, non_blocking=non_blocking)
            for f in fields(self)
            if isinstance(value := getattr(self, f.name), (Tensor, _Movable))
        }
        return replace(self, **moved)

    def pin_memory(self: _Moved) -> _Moved:
        """Returns a copy whose tensors are in page-locked memory (called by the DataLoader)."""
        pinned = {
            f.name: value.pin_memory()
            for f in fields(self)
            if isinstance(value := getattr(self, f.name), (Tensor, _Movable))
        }
        return replace(self, **pinned)

    def share_memory(self) -> None:
        """Moves the tensors to shared memory.

        A loader's worker does so behind its own back, in a thread whose errors reach nobody: without room in /dev/shm
        the batch would be lost, and the loader would wait for it forever.

        Raises:
            RuntimeError: There is no room.
        """
        for f in fields(self):
            if isinstance(value := getattr(self, f.name), (Tensor, _Movable)):
                if isinstance(value, Tensor):
                    value.share_memory_()  # type: ignore[no-untyped-call]  # torch has no types there
                else:
                    value.share_memory()


@dataclass(frozen=True)
class Truth(_Movable):
    """The image-level identities, apart from what a weak method may read.

    Attributes:
        ids: Class index of each image, `(N,)` long; -1 = unknown.
    """

    ids: Tensor


@dataclass(frozen=True)
class BagBatch(_Movable):
    """Images of B bags with the bags' labels.

    Attributes:
        images: `(V, N, 3, H, W)` uint8 RGB; normalised on the device, by the method.
        bag: Index in 0..B-1 of each image's bag, `(N,)` long.
        candidates: Class indices of each bag's label, `(B, L)` long, padded with -1.
        bag_id: The bags' ids in the bag file, `(B,)` long; -1 where a batch was not drawn by bag.
        bag_size: Images in the whole bag, of which the batch may hold a sample, `(B,)` long.
        member: Index of each (bag, row) pair in the bag file, `(N,)` long; -1 where not drawn by bag.
        row: Row in the manifest, `(N,)` long.
        camera: Camera, `(N,)` long; -1 = unknown.
        sequence: Sequence of the camera, `(N,)` long; -1 = unknown.
        frame: Frame within the sequence, `(N,)` long; -1 = unknown.
        truth: For oracle methods and diagnostics alone.
        skipped: Manifest rows that could not be read and were left out, `(K,)` long.
    """

    images: Tensor
    bag: Tensor
    candidates: Tensor
    bag_id: Tensor
    bag_size: Tensor
    member: Tensor
    row: Tensor
    camera: Tensor
    sequence: Tensor
    frame: Tensor
    truth: Truth
    skipped: Tensor

    @property
    def image_candidates(self) -> Tensor:
        """The candidates of each image's bag, `(N, L)` long, padded with -1."""
        return self.candidates[self.bag]  # (B, L) -> (N, L)

    def __len__(self) -> int:
        """The number N of images."""
        return int(self.bag.shape[0])


@dataclass(frozen=True)
class EvalBatch(_Movable):
    """Images to score.

    Attributes:
        images: `(N, 3, H, W)` uint8 RGB.
        pid: Identity as the data set numbers it, `(N,)` long; -1 = junk, never counted.
        camera: Camera, `(N,)` long; -1 = unknown.
        row: Row in the manifest, `(N,)` long.
        skipped: Manifest rows that could not be read and were left out, `(K,)` long.
    """

    images: Tensor
    pid: Tensor
    camera: Tensor
    row: Tensor
    skipped: Tensor

    def __len__(self) -> int:
        """The number N of images."""
        return int(self.row.shape[0])
