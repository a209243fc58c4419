"""What the figures of a test mean, in a line each."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

MEANING: Final[Mapping[str, str]] = MappingProxyType(
    {
        "R1": "share of queries whose first gallery image, junk left out, is a match",
        "R5": "share of queries with a match among the first 5",
        "R10": "share of queries with a match among the first 10",
        "mAP_step": "mean over queries of AP = (1/G) sum (i+1)/(r_i+1), r_i the rank from 0 of the i-th of G matches",
        "mAP_trapezoid": "as mAP_step with the mean of (i+1)/(r_i+1) and i/r_i (1 where r_i = 0) in each place",
        "mINP": "mean over queries of G over the rank, from 1, of the last match",
        "refine_raw": "share of training images whose pseudo label is their identity",
        "refine_per_bag": "the same after the best matching of labels to identities in each bag",
        "refine_over_set": "the same after one matching over the whole training set",
        "intervals": "95 %, bootstrap over query identities",
        "seconds": "training time",
    }
)
"""By name in `results.json`; all but seconds are shares in 0..1."""
