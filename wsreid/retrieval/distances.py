"""Squared distances that are the same numbers however they are computed: rounded to a fixed grid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from wsreid.errors import ConfigError
from wsreid.retrieval.features import FeatureTable, Metric
from wsreid.retrieval.products import error_bound, product32
from wsreid.retrieval.scores import CACHE, in_threads, pair_scores, root, scaled_rows

GRID = 2.0**31  # steps in a unit of d: 4.7e-10, far above the error of a float64 product, far below that of float32


@dataclass(frozen=True, eq=False)
class Part:
    """Some rows, ready for a matrix product.

    Attributes:
        index: Their numbers in the table, `(n,)` long.
        rows: `(n, D)` float32 or float64, of norm 1 (`cosine`) or at most 1 (`euclidean`).
        square: Their squared norms as stored (`cosine`), or those of `rows`, `(n,)`, of the same type.
    """

    index: Tensor
    rows: Tensor
    square: Tensor


class Distances:
    """Squared Euclidean distances d between rows of a table, on a grid of 2^-31.

    `cosine`: d = 2 - 2 s, the squared distance of the normalised rows. `euclidean`: d = |a|^2 + |b|^2 - 2 a.b, in
    units of the square of a power of two, which makes all norms at most 1 and cancels where d is scaled. s and a.b
    are those of `pair_scores`. A matrix product knows d up to `error`; in float64 this leaves the rounding of few
    values open, near the middle between two steps, and `pair_scores` looks those up. So d depends on its two rows
    alone: not on tiles, threads or device.

    Args:
        table: N rows.
        metric: `cosine` or `euclidean`.
        memory: Bytes that the working arrays may take.

    Raises:
        ConfigError: The metric is no distance.
    """

    def __init__(self, table: FeatureTable, *, metric: Metric, memory: int) -> None:
        check_metric(metric)
        self.table, self.metric, self.memory = table, metric, memory
        # a sum of D products, in whatever order, is off by D u |a||b| (u = 2^-53), the pairwise one of `pair_scores` by
        # far less; d doubles it; the rest pays for the roundings around them
        self.bound = (2 * table.width + 256) * 2.0**-53
        # four roundings of sums up to 4 behind the product
        self.bound32 = 2 * error_bound(table.width, "cosine", 1.0, 1.0) + 16 * 2.0**-24
        self.unit = 1.0
        self._square = torch.empty(table.rows, dtype=torch.float64, device=table.device)  # (N,)
        for index in self.blocks(torch.arange(table.rows, device=table.device)):
            self._square[index] = scaled_rows(table, index, "dot")[1]
        if metric == "cosine":
            norm = root(self._square)
            self._norm = torch.where(norm > 0, norm, 1.0)
            return
        largest = self._square.max().sqrt()
        self.unit = float(2.0 ** torch.frexp(largest)[1]) if largest > 0 else 1.0
        self._square /= self.unit**2

    def blocks(self, index: Tensor) -> Iterator[Tensor]:
        """Cuts `index` `(n,)` into pieces of `side` entries."""
        yield from torch.split(index, self.side)

    @property
    def side(self) -> int:
        """Rows of a part, so that two parts and their tile fit the memory."""
        rows = self.memory // (64 * self.table.width)  # two parts and the float64 copies that they are made from
        return max(16, min(rows, int((self.memory / 64) ** 0.5), 1024))

    def part(self, index: Tensor, dtype: torch.dtype = torch.float64) -> Part:
        """The rows at `index` `(n,)`, ready for a matrix product in `dtype`."""
        rows = self.table.pick(index).div_(self.unit if self.metric == "euclidean" else self._norm[index, None])
        return Part(index, rows.to(dtype), self._square[index].to(dtype))

    def error(self, dtype: torch.dtype) -> float:
        """How far a value of a `tile` in `dtype` may lie from d."""
        return self.bound32 if dtype == torch.float32 else self.bound

    def tile(self, a: Part, b: Part) -> Tensor:
        """The d of all pairs up to `error`, `(n, m)` in the type of the rows; may be a little below 0."""
        product = product32(a.rows, b.rows) if a.rows.dtype == torch.float32 else torch.mm(a.rows, b.rows.T)
        d = product.mul_(-2.0)  # (n, m)
        if self.metric == "euclidean":
            return d.add_(a.square[:, None]).add_(b.square)
        return d.add_(2.0)

    def exact(self, i: Tensor, j: Tensor) -> Tensor:
        """The d of pairs, `(P,)` float64 on the grid.

        Args:
            i: First row of each pair, `(P,)` long.
            j: Second row of each pair, `(P,)` long.
        """
        metric: Metric = "cosine" if self.metric == "cosine" else "dot"
        s = pair_scores(self.table, self.table, i, j, metric=metric, memory=self.memory)
        if self.metric == "cosine":
            return on_grid(2.0 - 2.0 * s)
        return on_grid((self._square[i] + self._square[j]) - 2.0 * (s / self.unit**2))

    def between(self, i: Tensor, j: Tensor) -> Tensor:
        """The numbers of `exact`, in less time where most pairs are not undecided; i had better ascend."""
        s = torch.empty(len(i), dtype=torch.float64, device=i.device)
        step = max(1, min(self.memory, CACHE) // (32 * self.table.width))

        def one(start: int) -> None:
            part = slice(start, start + step)
            distinct, place = np.unique(i.numpy()[part], return_inverse=True)
            a = self.part(torch.from_numpy(distinct)).rows.numpy()[place]  # (p, D)
            s.numpy()[part] = np.einsum("pd,pd->p", a, self.table.pick_array(j.numpy()[part]))

        if s.device.type == "cpu":
            in_threads(one, range(0, len(i), step))
        else:  # no cover: GPU
            for part in (slice(start, start + 32 * step) for start in range(0, len(i), 32 * step)):
                s[part] = torch.linalg.vecdot(self.part(i[part]).rows, self.table.pick(j[part]))  # (p, D) -> (p,)
        if self.metric == "cosine":
            return self.settle(2.0 - 2.0 * (s / self._norm[j]), i, j)
        return self.settle((self._square[i] + self._square[j]) - 2.0 * (s / self.unit), i, j)

    def settle(self, d: Tensor, i: Tensor, j: Tensor) -> Tensor:
        """Rounds values of a float64 `tile` to the grid, as `exact` would.

        Args:
            d: Values known up to `bound`, of any shape, float64; changed in place.
            i: First row of each pair, a shape that broadcasts to that of `d`, long.
            j: Second row, the same.

        Returns:
            `d`, on the grid.
        """
        open_ = torch.nonzero(self.undecided(d), as_tuple=True)
        if len(open_[0]):
            found = self.exact(i.expand(d.shape)[open_], j.expand(d.shape)[open_])
            on_grid(d)[open_] = found
            return d
        return on_grid(d)

    def block(self, rows: Tensor, columns: Tensor) -> Tensor:
        """The d of some rows `(b,)` to some columns `(m,)`, `(b, m)` float64 on the grid."""
        a = self.part(rows)
        block = torch.empty((len(rows), len(columns)), dtype=torch.float64, device=rows.device)
        for start in range(0, len(columns), self.side):
            b = self.part(columns[start : start + self.side])
            block[:, start : start + self.side] = self.settle(self.tile(a, b), a.index[:, None], b.index)  # (b, c)
        return block

    def undecided(self, d: Tensor) -> Tensor:
        """Where the error of `tile` leaves the rounding open, bool, in the shape of `d`."""
        steps = d * GRID  # exact, as are the two subtractions
        steps -= steps.floor()
        return steps.sub_(0.5).abs_() <= self.bound * GRID


def on_grid(d: Tensor) -> Tensor:
    """Rounds float64 distances in place to the grid, none below 0."""
    return d.mul_(GRID).round_().clamp_(min=0.0).div_(GRID)


def check_metric(metric: Metric) -> None:
    """Refuses a similarity without a distance.

    Raises:
        ConfigError: The metric is `dot`.
    """
    if metric == "dot":
        raise ConfigError(
            "metric='dot': re-ranking needs distances, and a dot product gives none. Use 'cosine' or 'euclidean'."
        )
