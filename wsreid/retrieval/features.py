"""A table of features, read in slices, and the exact scores between two of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

Metric = Literal["cosine", "dot", "euclidean"]
CACHE = 2**24  # bytes worked on at once where the work is elementwise: more only costs fresh pages
Array: TypeAlias = "np.ndarray[tuple[int, ...], np.dtype[np.generic]] | Tensor"


def row_sum(values: Tensor) -> Tensor:
    """Sums each row in one fixed order: pairwise, eight partial sums in a block of up to 128.

    It is NumPy's order for a contiguous row, so on the CPU NumPy does it; elsewhere the same additions are made one
    by one. The result therefore depends neither on the number of rows nor on the device or the number of threads.

    Args:
        values: `(N, D)` float64.

    Returns:
        `(N,)` float64.
    """
    if values.device.type == "cpu":
        return torch.from_numpy(np.ascontiguousarray(values.numpy()).sum(axis=1))  # (N, D) -> (N,)
    return pairwise_row_sum(values)


def pairwise_row_sum(values: Tensor) -> Tensor:
    """`row_sum` from elementwise additions alone, for any device."""
    width = values.shape[1]
    if width > 128:
        half = width // 2 - (width // 2) % 8
        return pairwise_row_sum(values[:, :half]) + pairwise_row_sum(values[:, half:])
    whole = width - width % 8 if width >= 8 else 0
    if whole:
        r = values[:, :8]
        for start in range(8, whole, 8):
            r = r + values[:, start : start + 8]  # (N, 8)
        total = ((r[:, 0] + r[:, 1]) + (r[:, 2] + r[:, 3])) + ((r[:, 4] + r[:, 5]) + (r[:, 6] + r[:, 7]))  # (N,)
    else:
        total = torch.zeros_like(values[:, 0])
    for column in range(whole, width):
        total = total + values[:, column]
    return total


def root(values: Tensor) -> Tensor:
    """The correctly rounded square root of float64 values.

    On the CPU torch hands long arrays to a vector library that is an ulp off now and then (1.2 % of values measured
    with torch 2.15), which would break the tie of two equal images.
    """
    return torch.from_numpy(np.sqrt(values.numpy())) if values.device.type == "cpu" else values.sqrt()


class FeatureTable:
    """Features in the type they are stored in; slices and picks of them come out on the device that computes.

    Args:
        features: `(N, D)` float16, bfloat16, float32 or float64; a memory-mapped array is read slice by slice.
        device: Where the slices go.
    """

    def __init__(self, features: Array, device: torch.device) -> None:
        self.device = device
        self._features = features.detach() if isinstance(features, Tensor) else features
        self.rows, self.width = int(features.shape[0]), int(features.shape[1])

    def slice(self, start: int, stop: int) -> Tensor:
        """Rows `start` to `stop`, `(stop - start, D)`, in the stored type."""
        if isinstance(self._features, Tensor):
            return self._features[start:stop].to(self.device)
        return self._move(self._features[start:stop])

    def pick(self, index: Tensor) -> Tensor:
        """The rows at `index` `(n,)`, as `(n, D)` float64."""
        if isinstance(self._features, Tensor):
            return self._features[index.to(self._features.device)].to(self.device).double()
        return self._move(self._features[index.cpu().numpy()]).double()

    def _move(self, part: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> Tensor:
        native = np.array(part, dtype=part.dtype.newbyteorder("="))  # a copy: files are mapped read-only
        return torch.from_numpy(native).to(self.device)


@dataclass(frozen=True)
class ScaledFeatures:
    """A table whose rows are divided by `scale` before they are compared.

    Under `cosine` the scale is the row's norm. Else it is a power of two, so that the division is exact and neither
    the float32 pass nor the float64 one can overflow; a common factor changes no order.

    Attributes:
        table: The stored features.
        scale: `(N,)` float64, positive.
        square: Squared norm of the scaled rows, `(N,)` float64, at most a little over 1.
        first: For each row the first row that holds the same numbers, `(N,)` long.
    """

    table: FeatureTable
    scale: Tensor
    square: Tensor
    first: Tensor

    @property
    def distinct(self) -> bool:
        """Whether no two rows are known to be equal."""
        return bool((self.first.diff() == 1).all())

    def approximate(self, start: int, stop: int) -> Tensor:
        """Scaled rows `start` to `stop`, `(n, D)` float32, each entry within two roundings of its true value."""
        rows, scale = self.table.slice(start, stop), self.scale[start:stop, None]
        mild = bool(scale.min() > 1e-30) and bool(scale.max() < 1e30)
        if rows.dtype == torch.float64 or not mild:
            return (rows.double() / scale).float()
        return rows.float() / scale.float()

    def exact(self, index: Tensor) -> Tensor:
        """Scaled rows at `index` `(n,)`, `(n, D)` float64."""
        return self.table.pick(index) / self.scale[index, None]


def exact_scores(
    query: ScaledFeatures, gallery: ScaledFeatures, qi: Tensor, gi: Tensor, *, metric: Metric, memory: int
) -> Tensor:
    """The scores that define the ranking: higher is more alike.

    `cosine` and `dot`: s = the row sum, in the order of `row_sum`, of the float64 products of the scaled entries.
    `euclidean`: 2 s - |g|^2, which orders as the negative distance does.

    Args:
        query: Q rows.
        gallery: G rows.
        qi: Query of each pair, `(P,)` long.
        gi: Gallery row of each pair, `(P,)` long.
        metric: The similarity.
        memory: Bytes that the working arrays may take.

    Returns:
        `(P,)` float64. A pair's score depends on its two rows alone.
    """
    scores = torch.empty(len(qi), dtype=torch.float64, device=query.table.device)
    step = max(
        1, min(memory, CACHE) // (40 * query.table.width)
    )  # two picks, two quotients and a product of 8 bytes each
    for start in range(0, len(qi), step):
        q, g = qi[start : start + step], gi[start : start + step]
        s = row_sum(query.exact(q) * gallery.exact(g))  # (p, D) -> (p,)
        scores[start : start + step] = 2 * s - gallery.square[g] if metric == "euclidean" else s
    return scores


def scale_rows(
    query: FeatureTable, gallery: FeatureTable, q_square: Tensor, g_square: Tensor, *, metric: Metric
) -> tuple[ScaledFeatures, ScaledFeatures]:
    """Chooses the scale of each row from its squared norm, `(Q,)` and `(G,)` float64; a row of zeros keeps scale 1."""
    if metric == "cosine":
        scales = [torch.where(square > 0, root(square), torch.ones_like(square)) for square in (q_square, g_square)]
    elif metric == "dot":
        scales = [_power_of_two(q_square), _power_of_two(g_square.max()).expand_as(g_square)]
    else:  # |g|^2 is added to a product with q, so both sides need one unit
        one = _power_of_two(torch.maximum(q_square.max(), g_square.max()))
        scales = [one.expand_as(q_square), one.expand_as(g_square)]
    q_scale, g_scale = scales
    return (
        ScaledFeatures(query, q_scale, q_square / q_scale.square(), first_equal_rows(query, q_square)),
        ScaledFeatures(gallery, g_scale, g_square / g_scale.square(), first_equal_rows(gallery, g_square)),
    )


def first_equal_rows(table: FeatureTable, square: Tensor) -> Tensor:
    """Finds duplicated rows, so that a collapsed network need not be scored pair by pair.

    Args:
        table: N rows.
        square: Their squared norms, `(N,)` float64: equal rows have equal ones.

    Returns:
        For each row an earlier row that holds the same numbers, or itself, `(N,)` long.
    """
    first = torch.arange(table.rows, device=table.device)
    ordered, order = torch.sort(square, stable=True)
    new = torch.ones_like(order, dtype=torch.bool)
    new[1:] = ordered[1:] != ordered[:-1]
    leader = order[torch.nonzero(new).flatten()][new.cumsum(0) - 1]  # (N,) first row of the same norm
    follower = order[~new]
    leader = leader[~new]
    step = max(1, 2**22 // table.width)
    for start in range(0, len(follower), step):
        a, b = follower[start : start + step], leader[start : start + step]
        same = (table.pick(a) == table.pick(b)).all(dim=1)
        first[a[same]] = b[same]
    return first


def _power_of_two(square: Tensor) -> Tensor:
    norm = square.sqrt()
    return torch.where(square > 0, norm / torch.frexp(norm)[0], torch.ones_like(square))  # exact: 2 ** exponent
