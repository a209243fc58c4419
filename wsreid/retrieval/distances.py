"""Squared distances that are the same numbers however they are computed: rounded to a fixed grid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from wsreid.errors import ConfigError
from wsreid.retrieval.features import FeatureTable, Metric
from wsreid.retrieval.scores import pair_scores, root, scaled_rows

GRID = 2.0**31  # steps in a unit of d: 4.7e-10, far above the error of a float64 product, far below that of float32


@dataclass(frozen=True, eq=False)
class Part:
    """Some rows, ready for a matrix product.

    Attributes:
        index: Their numbers in the table, `(n,)` long.
        rows: `(n, D)` float64, of norm 1 (`cosine`) or at most 1 (`euclidean`).
        square: Their squared norms as stored (`cosine`), or those of `rows`, `(n,)` float64.
    """

    index: Tensor
    rows: Tensor
    square: Tensor


class Distances:
    """Squared Euclidean distances d between rows of a table, on a grid of 2^-31.

    `cosine`: d = 2 - 2 s, the squared distance of the normalised rows. `euclidean`: d = |a|^2 + |b|^2 - 2 a.b, in
    units of the square of a power of two, which makes all norms at most 1 and cancels where d is scaled. s and a.b
    are those of `pair_scores`. A matrix product in float64 knows d up to `bound`; the few values that lie so near to
    the middle between two steps that this does not settle their rounding are looked up by `pair_scores`. So d depends
    on its two rows alone: not on tiles, threads or device.

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
        self.bound = (4 * table.width + 256) * 2.0**-53
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

    def part(self, index: Tensor) -> Part:
        """The rows at `index` `(n,)`, ready for a matrix product."""
        if self.metric == "euclidean":
            return Part(index, self.table.pick(index).div_(self.unit), self._square[index])
        return Part(index, self.table.pick(index).div_(self._norm[index, None]), self._square[index])

    def tile(self, a: Part, b: Part) -> Tensor:
        """The d of all pairs up to `bound`, `(n, m)` float64; may be a little below 0."""
        d = torch.mm(a.rows, b.rows.T).mul_(-2.0)  # (n, m)
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

    def settle(self, d: Tensor, i: Tensor, j: Tensor) -> Tensor:
        """Rounds values of `tile` to the grid, as `exact` would.

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
