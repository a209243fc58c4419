"""Keeps other packages' remarks that a user can do nothing about out of a run's output."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator

_REMARKS = ("litlogger", "TPU available")
_WARNINGS = (
    r".*isinstance\(treespec, LeafSpec\).*",  # lightning 2.6 with torch 2.11 and newer
    r".*Total length of `(list|CombinedLoader|DataLoader)` across ranks is zero.*",  # a run without validation
    r".*Checkpoint directory .* exists and is not empty.*",  # a resume
    r".*The dirpath has changed from .*",  # scoring another checkpoint of a run
    r".*does not have many workers.*",  # num_workers is the user's choice
    r".*Found \d+ module\(s\) in eval mode at the start of training.*",  # the follower of an EMA; nothing else of ours
)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Filters Lightning's advertisements and the deprecations inside Lightning while a command runs."""
    logger = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    logger.addFilter(_wanted)
    try:
        with warnings.catch_warnings():
            for message in _WARNINGS:
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        logger.removeFilter(_wanted)


def _wanted(record: logging.LogRecord) -> bool:
    return not any(remark in record.getMessage() for remark in _REMARKS)
