"""The value that every pseudo-label rule returns, and its default rule."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class PseudoLabels:
    """Image labels deduced from bag labels.

    Attributes:
        ids: Class index of each image, `(N,)` long; -1 = none.
        probs: Distribution over the candidates of each image's bag, `(N, L)` float32; 0 at padding.
    """

    ids: Tensor
    probs: Tensor
