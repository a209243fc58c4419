"""Settings of query expansion, readable without torch."""

from __future__ import annotations

from dataclasses import dataclass

from wsreid.errors import ConfigError


@dataclass(frozen=True)
class QueryExpansion:
    """Settings of alpha query expansion (Radenovic et al., "Fine-tuning CNN Image Retrieval with No Human
    Annotation", TPAMI 2018).

    q' = q + sum over its k nearest gallery images of max(cos(q, g), 0)^alpha g, all normalised, and normalised again.
    It looks at the gallery's test images, without their labels: say so beside the figures.

    Attributes:
        k: Gallery images taken up; 0 = none, which leaves the queries as they are.
        alpha: Power of the similarity; 0 = the plain mean.
    """  # noqa: D205

    k: int = 10
    alpha: float = 3.0

    def __post_init__(self) -> None:
        if self.k < 0:
            raise ConfigError(f"QueryExpansion: k={self.k}: expected at least 0.")
        if not 0 <= self.alpha < float("inf"):
            raise ConfigError(f"QueryExpansion: alpha={self.alpha}: expected a finite number, at least 0.")
