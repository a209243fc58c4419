"""The handful of figures that tables and loggers show."""

from __future__ import annotations

from wsreid.retrieval.result import RetrievalResult


def summary(result: RetrievalResult) -> dict[str, float]:
    """Names the headline figures, as fractions over the valid queries.

    Args:
        result: An evaluation.

    Returns:
        R1, R5, R10, mAP_step, mAP_trapezoid and mINP, in this order.
    """
    return {
        "R1": result.rank_k(1),
        "R5": result.rank_k(5),
        "R10": result.rank_k(10),
        "mAP_step": result.map_step,
        "mAP_trapezoid": result.map_trapezoid,
        "mINP": result.minp,
    }
