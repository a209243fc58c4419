"""The handful of figures that tables and loggers show."""

from __future__ import annotations

from wsreid.retrieval.result import RetrievalResult

SHOWN_RANKS = {"R1": 1, "R5": 5, "R10": 10}
DEFAULT_HEADLINE = "mAP_step"


def summary(result: RetrievalResult) -> dict[str, float]:
    """Names the shown figures, as fractions over the queries that the protocol counts.

    Those are the valid queries, or all of them where the protocol counts a query without a match as a miss.

    Args:
        result: An evaluation.

    Returns:
        R1, R5, R10, mAP_step, mAP_trapezoid and mINP, in this order.
    """
    over_all = result.counts_all
    return {
        **{name: result.rank_k(k, over_all=over_all) for name, k in SHOWN_RANKS.items()},
        "mAP_step": result.map_step_all if over_all else result.map_step,
        "mAP_trapezoid": result.map_trapezoid_all if over_all else result.map_trapezoid,
        "mINP": result.minp_all if over_all else result.minp,
    }


def headline(result: RetrievalResult) -> tuple[str, float]:
    """The figure that papers with this protocol compare: its name in `summary`, and its value."""
    name = str(result.definition.get("headline", DEFAULT_HEADLINE))
    return name, summary(result)[name]
