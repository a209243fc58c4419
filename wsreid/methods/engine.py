"""How `predict` runs the network: as in a test, or faster with the same figures."""

from __future__ import annotations

import contextlib
import logging
from typing import Final, Literal

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from wsreid.errors import ConfigError
from wsreid.methods.base import Method
from wsreid.methods.denormals import flushed_denormals
from wsreid.models.folding import folded
from wsreid.models.network import EmbeddingNet

Engine = Literal["auto", "eager", "folded", "compiled"]
Chosen = Literal["eager", "folded", "compiled"]
COMPILE_FROM: Final = 50_000
"""Images from which a compilation of a minute or two pays on a CPU, by experiments/benchmarks/embed.py."""

_HALF: Final = ("16-true", "bf16-true", "transformer-engine", "transformer-engine-float16")

_log = logging.getLogger(__name__)


def chosen_engine(asked: Engine, *, own_statistics: bool, precision: str, images: int, device: str) -> Chosen:
    """What runs the network: for "auto", the fastest that was measured to change no figure.

    Args:
        asked: What the user asked for.
        own_statistics: The batch normalisations must stay, as `camera_norm` gives them other statistics.
        precision: The trainer's; weights in half precision cannot be folded within the tolerance.
        images: How many there are; those that an earlier go has finished count too, so that the choice stays.
        device: The type of the device, such as "cpu". On others nothing has been timed, and "auto" compiles nothing.

    Returns:
        The engine. "auto" is "eager" where folding cannot be, "compiled" for `COMPILE_FROM` images or more on a CPU
        where torch.compile works, and else "folded".

    Raises:
        ConfigError: Something forbids what was asked for.
    """
    why = "camera_norm needs the batch normalisations" if own_statistics else ""
    why = why or (f"trainer.precision {precision} rounds the weights" if precision in _HALF else "")
    if asked == "auto":
        compiles = not why and device == "cpu" and images >= COMPILE_FROM and _compiles()
        return "eager" if why else "compiled" if compiles else "folded"
    if why and asked != "eager":
        raise ConfigError(f"features.engine {asked} folds batch normalisation away, and {why}. Use eager, or auto.")
    return asked


def _compiles() -> bool:
    try:
        torch.compile(torch.nn.Hardswish(), dynamic=True)(torch.zeros(2))
    except (RuntimeError, OSError) as error:  # no compiler, no headers of Python, no folder for what it makes
        first = str(error).partition("\n")[0]
        _log.warning("predict would be faster if torch.compile worked here (a C++ compiler is needed): %s", first)
        return False
    return True


class EmbedEngine(pl.Callback):
    """Predicts with copies of the networks that are faster; the method has its own again afterwards.

    "folded": batch normalisation in the weights of the layer before it, checked on two images of noise, and denormal
    numbers taken for zero. "compiled": that and `torch.compile`, which takes a minute before the first image.

    Args:
        engine: Which.
    """

    def __init__(self, engine: Chosen) -> None:
        self.engine = engine
        self._stack = contextlib.ExitStack()

    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Puts the copies in the networks' places.

        Raises:
            WsreidError: A copy's features differ.
        """
        if self.engine == "eager" or not isinstance(pl_module, Method):
            return
        self._stack.enter_context(flushed_denormals())
        data = trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it
        size = (2, 3, data.height, data.width)
        noise = torch.randint(0, 256, size, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
        for name, (network, images) in _networks(pl_module, noise.to(pl_module.device)).items():
            if next(network.parameters(), None) is None:
                continue  # an exported file's graph
            copy = folded(network, images)
            if self.engine == "compiled":
                copy.compile(dynamic=True)
            pl_module.set_submodule(name, copy)
            self._stack.callback(pl_module.set_submodule, name, network)
        _log.info("predict runs the network %s", self.engine)

    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Puts the networks back."""
        self._stack.close()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Puts the networks back."""
        self._stack.close()


@torch.no_grad()
def _networks(method: Method, images: Tensor) -> dict[str, tuple[EmbeddingNet, Tensor]]:
    """The networks that take part in the features, by name, each with what it is given."""
    given: dict[str, tuple[EmbeddingNet, Tensor]] = {}
    handles = []
    for name, module in method.named_modules():
        if isinstance(module, EmbeddingNet):

            def before(network: nn.Module, inputs: tuple[Tensor, ...], name: str = name) -> None:
                assert isinstance(network, EmbeddingNet)
                given[name] = (network, inputs[0])

            handles.append(module.register_forward_pre_hook(before))
    try:
        method.embed(images)
    finally:
        for handle in handles:
            handle.remove()
    return given
