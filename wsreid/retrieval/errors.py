"""What is wrong with features that cannot be ranked."""

from __future__ import annotations

from typing import Literal

from wsreid.errors import FeatureError

Side = Literal["query", "gallery"]


class NonFiniteFeaturesError(FeatureError):
    """Some features are NaN or infinite, or so large that their squares are.

    Attributes:
        side: The argument they came in, "query" or "gallery".
        indices: Their rows in that argument, ascending.
    """

    def __init__(self, side: Side, indices: tuple[int, ...], names: tuple[str, ...] = ()) -> None:
        self._arguments = (side, indices, names)
        self.side: Side = side
        self.indices = indices
        shown = names or tuple(f"row {i}" for i in indices[:5])
        more = "" if len(shown) >= len(indices) else f" and {len(indices) - len(shown)} more"
        super().__init__(
            f"{len(indices)} {side} feature(s) hold NaN, inf or values too large to square: {', '.join(shown)}{more}. "
            "A ranking would silently put them last. Look at those images, lower the learning rate, "
            "or compute the features in float32."
        )

    def __reduce__(self) -> tuple[type[NonFiniteFeaturesError], tuple[Side, tuple[int, ...], tuple[str, ...]]]:
        """Pickles by the arguments: the text alone would not make it again."""
        return type(self), self._arguments


class OtherFeaturesError(FeatureError):
    """An index was made from other features than those it is to be used with."""


class NoMatchError(FeatureError):
    """No query has a single valid match, so there is nothing to measure."""
