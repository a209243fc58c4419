"""Means and variances by camera: of what batch normalisation reads, or of the features.

Camera-based batch normalisation: Zhuang et al., "Rethinking the Distribution Gap of Person Re-identification with
Camera-based Batch Normalization", ECCV 2020, arXiv:2001.08680: a layer normalises each image by the statistics of the
image's own camera, which are estimated anew on images without labels.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from wsreid.data.batch import EvalBatch

CameraNormMode = Literal["none", "batch_norm", "feature_mean", "feature_std"]
FEWEST: Final = 2  # images: one has no variance
_FEATURES: Final = ""  # their name among the layers
_EPS: Final = 1e-5  # as PyTorch's batch normalisation

Embed = Callable[[Tensor], Tensor]
Moments = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Sums:
    """What the batches of a camera add up to in a layer, in float64.

    Attributes:
        images: How many images.
        count: How many numbers of each channel.
        total: Their sum, `(C,)`.
        squares: The sum of their squares, `(C,)`.
    """

    images: int
    count: int
    total: Tensor
    squares: Tensor

    @classmethod
    def of(cls, x: Tensor) -> Sums:
        """Those of `(N, C)` or `(N, C, H, W)`."""
        values = x.transpose(0, 1).flatten(1).double()  # (N, C, ...) -> (C, N * ...)
        return cls(len(x), values.shape[1], values.sum(1).cpu(), values.square().sum(1).cpu())

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            self.images + other.images,
            self.count + other.count,
            self.total + other.total,
            self.squares + other.squares,
        )

    @property
    def moments(self) -> Moments:
        """Mean and variance, `(C,)` each; the variance is that of the numbers themselves, divided by their count."""
        mean = self.total / self.count
        return mean, (self.squares / self.count - mean.square()).clamp(min=0)


SumsByCamera = dict[int, dict[str, Sums]]


@torch.no_grad()
def camera_sums(model: nn.Module, embed: Embed, batches: Iterable[EvalBatch], mode: CameraNormMode) -> SumsByCamera:
    """One pass over images: sums by camera and layer.

    In a batch each layer normalises by the batch itself, as in training. The order of the batches does not matter.

    Args:
        model: What embeds, in evaluation mode; its statistics are as before when this returns.
        embed: `(N, 3, H, W)` uint8 to `(N, D)` float32, by `model`.
        batches: Of one camera each, on the model's device.
        mode: "batch_norm", else sums of the features alone.

    Returns:
        The sums of the layers that took part; no images, no entry.
    """
    sums: SumsByCamera = {}
    norms = batch_norms(model) if mode == "batch_norm" else {}
    for batch in batches:
        if not len(batch):
            continue  # none of its images could be read
        own = sums.setdefault(int(batch.camera[0]), {})
        with statistics_of(norms, {}), _by_the_batch(norms, own):
            features = embed(batch.images)
        if mode != "batch_norm":
            _add(own, _FEATURES, features)
    return sums


def together(parts: Iterable[SumsByCamera]) -> SumsByCamera:
    """Adds up the sums of several processes.

    Args:
        parts: In the order of the processes.

    Returns:
        The sums over all of them.
    """
    whole: SumsByCamera = {}
    for part in parts:
        for camera, layers in part.items():
            own = whole.setdefault(camera, {})
            for name, sums in layers.items():
                own[name] = own[name] + sums if name in own else sums
    return whole


class CameraEmbedding:
    """Embeds each image by the statistics of its camera.

    Args:
        model: As for `camera_sums`.
        embed: As for `camera_sums`.
        sums: What that found.
        mode: As for that.

    Attributes:
        cameras: Those that have statistics. Images of other cameras are embedded by the model's own; with
            "feature_mean" and "feature_std" their features are as they are.
    """

    def __init__(self, model: nn.Module, embed: Embed, sums: SumsByCamera, mode: CameraNormMode) -> None:
        self._embed = embed
        self._norms = batch_norms(model) if mode == "batch_norm" else {}
        self._mode = mode
        self._moments = {
            camera: {name: own.moments for name, own in layers.items()}
            for camera, layers in sums.items()
            if layers and min(own.images for own in layers.values()) >= FEWEST
        }
        self.cameras = frozenset(self._moments)

    @torch.no_grad()
    def __call__(self, batch: EvalBatch) -> Tensor:
        """Embeds.

        Args:
            batch: Images of any cameras, on the model's device.

        Returns:
            `(N, D)` float32.
        """
        cameras = [camera if camera in self.cameras else -1 for camera in batch.camera.tolist()]
        places, parts = [], []
        for camera in sorted(set(cameras)):
            at = torch.tensor([i for i, own in enumerate(cameras) if own == camera], device=batch.images.device)
            places.append(at)
            parts.append(self._of_camera(batch.images[at], self._moments.get(camera, {})))  # (n, D)
        if not parts:
            return self._embed(batch.images)
        return torch.cat(parts)[torch.argsort(torch.cat(places))]  # (N, D), in the batch's order

    def _of_camera(self, images: Tensor, moments: Mapping[str, Moments]) -> Tensor:
        with statistics_of(self._norms, moments):
            features = self._embed(images)
        if _FEATURES not in moments:
            return features
        mean, variance = (x.to(features) for x in moments[_FEATURES])
        centred = features - mean
        return centred if self._mode == "feature_mean" else centred / (variance + _EPS).sqrt()


def batch_norms(model: nn.Module) -> dict[str, _BatchNorm]:
    """The layers that normalise by statistics that they keep, by name."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, _BatchNorm) and module.running_mean is not None
    }


@contextlib.contextmanager
def statistics_of(norms: Mapping[str, _BatchNorm], moments: Mapping[str, Moments]) -> Iterator[None]:
    """Lets layers normalise by other statistics inside.

    Args:
        norms: Layers by name; behind it their statistics are as before.
        moments: Mean and variance of some of them.

    Yields:
        Nothing.
    """
    before = {name: _kept(norm).clone() for name, norm in norms.items()}
    try:
        for name, found in moments.items():
            if name in norms:
                _keep(norms[name], *found)
        yield
    finally:
        for name, kept in before.items():
            _keep(norms[name], *kept)


@contextlib.contextmanager
def _by_the_batch(norms: Mapping[str, _BatchNorm], own: dict[str, Sums]) -> Iterator[None]:
    # not by training mode: that would wake dropout, count batches, and wait for other processes under SyncBatchNorm
    def before(name: str, norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(norm, _BatchNorm)
        _keep(norm, *_add(own, name, inputs[0]).moments)

    handles = [norm.register_forward_pre_hook(partial(before, name)) for name, norm in norms.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _add(own: dict[str, Sums], name: str, x: Tensor) -> Sums:
    sums = Sums.of(x)
    own[name] = own[name] + sums if name in own else sums
    return sums


def _kept(norm: _BatchNorm) -> Tensor:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return torch.stack([norm.running_mean, norm.running_var])  # (2, C)


def _keep(norm: _BatchNorm, mean: Tensor, variance: Tensor) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
