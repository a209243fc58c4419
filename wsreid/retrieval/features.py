"""A table of features, in memory or in files, read in slices."""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from wsreid.retrieval.pages import is_mapped, release

Metric = Literal["cosine", "dot", "euclidean"]
Anything = np.ndarray[tuple[int, ...], np.dtype[np.generic]]
Doubles = np.ndarray[tuple[int, int], np.dtype[np.float64]]
Integers = np.ndarray[tuple[int], np.dtype[np.int64]]


@runtime_checkable
class Sliceable(Protocol):
    """Rows that lie elsewhere, such as in the shards of a folder."""

    @property
    def shape(self) -> tuple[int, int]:
        """`(N, D)`."""

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Type of the stored numbers."""

    def slice(self, start: int, stop: int) -> Anything:
        """Rows `start` to `stop`, `(stop - start, D)`, a copy."""

    def pick(self, index: Integers) -> Anything:
        """The rows at `index` `(n,)`, `(n, D)`, a copy."""


Array: TypeAlias = "Anything | Tensor"
Features: TypeAlias = "Array | Sliceable"


class FeatureTable:
    """Features in the type they are stored in; slices and picks of them come out on the device that computes.

    Pages of a memory-mapped file are given back behind each read, so that they do not add up.

    Args:
        features: `(N, D)` float16, bfloat16, float32 or float64.
        device: Where the slices go.
    """

    def __init__(self, features: Features, device: torch.device) -> None:
        self.device = device
        self._features: Features = features.detach() if isinstance(features, Tensor) else features
        self.rows, self.width = int(features.shape[0]), int(features.shape[1])
        self._mapped = isinstance(features, np.ndarray) and is_mapped(features)

    def slice(self, start: int, stop: int) -> Tensor:
        """Rows `start` to `stop`, `(stop - start, D)`, in the stored type."""
        features = self._features
        if isinstance(features, Tensor):
            return features[start:stop].to(self.device)
        if not isinstance(features, np.ndarray):
            return torch.from_numpy(_native(features.slice(start, stop))).to(self.device)
        part = features[start:stop]
        forward = all(stride >= 0 for stride in part.strides)  # torch knows no other
        if part.flags.writeable and part.dtype.isnative and forward and not self._mapped:
            return torch.from_numpy(part).to(self.device)
        tensor = torch.from_numpy(np.array(part, dtype=part.dtype.newbyteorder("="))).to(self.device)
        release(part)
        return tensor

    def pick(self, index: Tensor) -> Tensor:
        """The rows at `index` `(n,)`, as `(n, D)` float64."""
        if isinstance(self._features, Tensor):
            return self._features[index.to(self._features.device)].to(self.device).double()
        return torch.from_numpy(self.pick_array(index.cpu().numpy())).to(self.device)

    def pick_array(self, index: Integers) -> Doubles:
        """The rows at `index` `(n,)`, as a `(n, D)` float64 array, by NumPy alone: threads can do it side by side."""
        features = self._features
        if isinstance(features, Tensor):
            return np.asarray(features[torch.from_numpy(index).to(features.device)].double().cpu().numpy()).reshape(
                -1, self.width
            )
        if not isinstance(features, np.ndarray):
            return features.pick(index).astype(np.float64).reshape(-1, self.width)
        picked = np.take(features, index, axis=0).astype(np.float64)  # other than features[index], it frees the lock
        if self._mapped:
            release(features)
        return picked.reshape(-1, self.width)

    def pick_into(self, index: Integers, out: Doubles) -> None:
        """Writes the rows at `index` `(n,)` into `out` `(n, D)` float64; for threads, as `pick_array`."""
        features = self._features
        if not isinstance(features, np.ndarray) or self._mapped:
            out[:] = self.pick_array(index)
        elif features.dtype == np.float64 and features.dtype.isnative:
            np.take(features, index, axis=0, out=out)
        else:  # not features[index], which holds the interpreter lock
            out[:] = np.take(features, index, axis=0)


def _native(array: Anything) -> Anything:
    return array if array.dtype.isnative and array.flags.writeable else np.array(array, array.dtype.newbyteorder("="))
