"""The bootstrap of the tables: `wsreid.retrieval.pooled_bootstrap`, by the name that this folder knows it by."""

from wsreid.retrieval.pooled_bootstrap import DRAWS, LEVEL, SEED, Difference, Spread, difference, interval

__all__ = ["DRAWS", "LEVEL", "SEED", "Difference", "Spread", "difference", "interval"]
