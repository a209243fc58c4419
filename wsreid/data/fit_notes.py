"""What a user should know about the data before training begins."""

from __future__ import annotations

import logging

_log = logging.getLogger(__name__)


def log_before_fit(name: str, redraw_bags: bool, val_fraction: float, has_truth: bool) -> None:
    """Logs where bags leak identities, and why there is no validation.

    Args:
        name: Name of the data set.
        redraw_bags: Whether each epoch draws new bags.
        val_fraction: Share of the training identities that validation was to take.
        has_truth: Whether the identity of any training image is known.
    """
    if redraw_bags:
        _log.warning(
            "data.redraw_bags draws new bags in each epoch, which leaks the identities: the labels of an image's "
            "bags soon have the true identity alone in common. Do not compare with fixed bags."
        )
    if val_fraction == 0:
        _log.info("no validation: data.val_fraction is 0")
    elif not has_truth:
        _log.warning("no validation: %s has no image-level truth for its training images", name)
