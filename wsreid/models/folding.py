"""Batch normalisation folded into the layer before it, for networks that are not trained any more."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval
from torch.utils.hooks import RemovableHandle

from wsreid.errors import WsreidError
from wsreid.models.network import EmbeddingNet

LIMIT: Final = 1e-4
"""Largest difference of two features of norm 1 that is let through; `export` has the same."""

_NORMS: Final = (nn.BatchNorm1d, nn.BatchNorm2d)  # no subclass: timm's add an activation


@torch.no_grad()
def folded(network: EmbeddingNet, example: Tensor) -> EmbeddingNet:
    """A copy in evaluation mode, each batch normalisation that directly follows a convolution or a linear layer gone.

    Which follows which is seen in a forward pass, so that any network will do.

    Args:
        network: The network; it stays as it is.
        example: Images as it takes them, `(N, 3, H, W)`.

    Returns:
        The copy; its weights lie in the same memory format.

    Raises:
        WsreidError: The copy's features of the example differ by more than `LIMIT`.
    """
    found = copy.deepcopy(network).eval()
    expected = found(example).features  # (N, D)
    for layer_name, norm_name in _pairs(found, example):
        layer, norm = found.get_submodule(layer_name), found.get_submodule(norm_name)
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        assert isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d)
        fused = fuse_linear_bn_eval(layer, norm) if isinstance(layer, nn.Linear) else fuse_conv_bn_eval(layer, norm)
        found.set_submodule(layer_name, fused)
        found.set_submodule(norm_name, nn.Identity())
    ours, theirs = (nn.functional.normalize(x.float()) for x in (found(example).features, expected))
    difference = float((ours - theirs).abs().max())
    if not difference <= LIMIT:
        raise WsreidError(
            f"batch normalisation cannot be folded into this network: its features differ by {difference:.1e}, more "
            f"than {LIMIT:.0e}. Use --features.engine eager"
        )
    return found


def _pairs(network: nn.Module, example: Tensor) -> list[tuple[str, str]]:
    """Names of layers and of the norms that read just what they put out, each called once."""
    calls: Counter[str] = Counter()
    made: dict[int, tuple[str, Tensor]] = {}  # the tensor too, or its id would be given away again
    pairs: list[tuple[str, str]] = []
    handles: list[RemovableHandle] = []

    def watch(name: str, module: nn.Module) -> None:
        def after(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            calls[name] += 1
            made[id(output)] = (name, output)

        def before(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            calls[name] += 1
            if id(inputs[0]) in made:
                pairs.append((made[id(inputs[0])][0], name))

        if isinstance(module, nn.Conv2d | nn.Linear):
            handles.append(module.register_forward_hook(after))
        elif type(module) in _NORMS and module.running_mean is not None:
            handles.append(module.register_forward_pre_hook(before))

    for name, module in network.named_modules():
        watch(name, module)
    try:
        network(example)
    finally:
        for handle in handles:
            handle.remove()
    return [(layer, norm) for layer, norm in pairs if calls[layer] == calls[norm] == 1]
