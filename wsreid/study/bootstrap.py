"""The bootstrap of the tables: `wsreid.tracking.pooled_bootstrap`, by the name that this folder knows it by."""

from wsreid.tracking.pooled_bootstrap import DRAWS, LEVEL, SEED, Difference, Spread, difference, interval

__all__ = ["DRAWS", "LEVEL", "SEED", "Difference", "Spread", "difference", "interval"]
