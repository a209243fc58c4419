"""What a method's forward pass over a batch gives to its losses."""

from dataclasses import dataclass

from torch import Tensor

from wsreid.models import NetworkOutput


@dataclass(frozen=True)
class BagOutputs:
    """Class logits and network features of one view of a batch.

    Attributes:
        logits: One tensor `(N, C)` float32 per head of the network.
        network: The network's features, with gradient.
    """

    logits: tuple[Tensor, ...]
    network: NetworkOutput
