"""A number over the seeds of an experiment."""

from dataclasses import dataclass


@dataclass(frozen=True)
class OverSeeds:
    """A number over the seeds.

    Attributes:
        mean: Its mean.
        deviation: Its sample standard deviation; None with one seed.
    """

    mean: float
    deviation: float | None
