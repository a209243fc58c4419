"""Settings of k-reciprocal re-ranking, readable without torch."""

from __future__ import annotations

from dataclasses import dataclass

from wsreid.errors import ConfigError


@dataclass(frozen=True)
class KReciprocal:
    """Settings of k-reciprocal re-ranking (Zhong et al., "Re-ranking Person Re-identification with k-reciprocal
    Encoding", CVPR 2017).

    d* = (1 - lam) d_J + lam d, with d the squared Euclidean distance over its row maximum, and d_J the Jaccard
    distance of the neighbourhoods in the graph of queries and gallery. It looks at all queries and the whole gallery
    at once: a query's figures depend on the other queries.

    Attributes:
        k1: Size of the neighbourhood.
        k2: Rows in the mean of neighbourhoods, the image itself among them; 1 = no mean.
        lam: Weight of the distance itself, 0 to 1.
        top: Only the union of the queries' first `top` gallery images joins the graph; to all others d_J = 1. None =
            the whole gallery.
        memory_mb: What the graph and the working arrays may take; None = what the machine has free.
    """  # noqa: D205

    k1: int = 20
    k2: int = 6
    lam: float = 0.3
    top: int | None = None
    memory_mb: int | None = None

    def __post_init__(self) -> None:
        for name, value in (("k1", self.k1), ("k2", self.k2), ("top", self.top), ("memory_mb", self.memory_mb)):
            if value is not None and value < 1:
                raise ConfigError(f"KReciprocal: {name}={value}: expected at least 1.")
        if not 0 <= self.lam <= 1:
            raise ConfigError(f"KReciprocal: lam={self.lam}: expected 0 to 1.")
