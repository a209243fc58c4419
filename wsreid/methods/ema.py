"""A network that follows the trained one slowly: mean teacher, arXiv:1703.01780; momentum encoder, arXiv:1911.05722."""

from __future__ import annotations

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from wsreid.models import EmbeddingNet


class Follower(nn.Module):
    """A network with classifiers whose weights are an exponential moving average; it takes no gradient.

        theta' <- d theta' + (1 - d) theta        after each step of the optimiser, buffers included

    It is always in evaluation mode: batch normalisation uses the averaged statistics. Its weights are part of the
    method's `state_dict`, so checkpoints hold them.

    Args:
        network: The network to follow.
        classifiers: Its classifiers.
        decay: d, in [0, 1).
    """

    def __init__(self, network: EmbeddingNet, classifiers: nn.ModuleList, decay: float) -> None:
        super().__init__()
        both = nn.ModuleDict({"network": network, "classifiers": classifiers})
        average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]  # torch has no types there
        self.averaged = AveragedModel(both, multi_avg_fn=average, use_buffers=True)
        self.averaged.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> Follower:
        """Stays in evaluation mode."""
        return super().train(False)

    @property
    def network(self) -> EmbeddingNet:
        """The averaged network."""
        network = self.averaged.module["network"]  # type: ignore[index]  # a ModuleDict
        assert isinstance(network, EmbeddingNet)
        return network

    @property
    def classifiers(self) -> nn.ModuleList:
        """The averaged classifiers."""
        classifiers = self.averaged.module["classifiers"]  # type: ignore[index]  # a ModuleDict
        assert isinstance(classifiers, nn.ModuleList)
        return classifiers

    @torch.no_grad()
    def follow(self, network: EmbeddingNet, classifiers: nn.ModuleList) -> None:
        """Moves towards the network; to be called after each step of the optimiser."""
        self.averaged.update_parameters(nn.ModuleDict({"network": network, "classifiers": classifiers}))
