"""Networks: backbones, pooling, neck and weights. Nothing here knows a bag."""

from wsreid.models.build import build_network
from wsreid.models.network import EmbeddingNet, NetworkOutput
from wsreid.models.weights import find_weights, load_weights, read_state_dict

__all__ = ["EmbeddingNet", "NetworkOutput", "build_network", "find_weights", "load_weights", "read_state_dict"]
