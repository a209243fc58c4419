"""What is wrong with features that cannot be ranked."""

from __future__ import annotations

from typing import Literal

from wsreid.errors import FeatureError

Side = Literal["query", "gallery"]


class NonFiniteFeaturesError(FeatureError):
    """Some features are NaN or infinite, or so large or small that float64 cannot hold their squares.

    Attributes:
        side: The argument they came in, "query" or "gallery".
        indices: Their rows in that argument, ascending.
        finite: Whether they are numbers, but too large or too small.
    """

    def __init__(self, side: Side, indices: tuple[int, ...], names: tuple[str, ...] = (), finite: bool = False) -> None:
        self._arguments = (side, indices, names, finite)
        self.side: Side = side
        self.indices = indices
        self.finite = finite
        shown = names or tuple(f"row {i}" for i in indices[:5])
        more = "" if len(shown) >= len(indices) else f" and {len(indices) - len(shown)} more"
        if finite:
            fault = (
                "are too large or too small for their squares to be right in float64 (norm above 1e150 or below 1e-145)"
            )
            remedy = "Rescale the features: multiply those of query and gallery by one number that brings them near 1."
        else:
            fault = "hold NaN or inf"
            remedy = (
                "A ranking would silently put them last. Look at those images, lower the learning rate, "
                "or compute the features in float32."
            )
        super().__init__(f"{len(indices)} {side} feature(s) {fault}: {', '.join(shown)}{more}. {remedy}")

    def named(self, names: tuple[str, ...]) -> NonFiniteFeaturesError:
        """The same error with other names for the first of the rows."""
        return type(self)(self.side, self.indices, names, self.finite)

    def __reduce__(self) -> tuple[type[NonFiniteFeaturesError], tuple[Side, tuple[int, ...], tuple[str, ...], bool]]:
        """Pickles by the arguments: the text alone would not make it again."""
        return type(self), self._arguments


class OtherFeaturesError(FeatureError):
    """An index was made from other features than those it is to be used with."""


class NoMatchError(FeatureError):
    """No query has a single valid match, so there is nothing to measure."""
