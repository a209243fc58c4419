"""Reads what other projects publish: tells the format by the keys, builds that network, loads all or nothing."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from torch import Tensor, nn

from wsreid.errors import WeightsError
from wsreid.models.network import EmbeddingNet
from wsreid.models.osnet import OSNET_WIDTHS, OSNet
from wsreid.models.published_weights import FORMATS, UNREAD, PublishedFormat, Shapes
from wsreid.models.weights import find_weights, read_state_dict

if TYPE_CHECKING:
    from wsreid.models.published_resnet import ResNetBody

Feature = Literal["official", "embedding"]
Size = tuple[int, int]
_BATCH_COUNTER: Final = "num_batches_tracked"  # files older than torch 0.4.1 have none; nothing reads it
_NAMED_KEYS: Final = 4
# ViT of 16 x 16 patches: tokens of the position embedding to height, width and stride.
_TOKENS: Final = {
    129: (256, 128, 16),
    211: (256, 128, 12),
    193: (384, 128, 16),
    311: (384, 128, 12),
}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class PublishedNetwork:
    """A network with published weights.

    Attributes:
        network: It, in eval mode.
        format: What the file was.
        path: The file.
        size: Height and width of the training images; None = not told.
        mean: Of the channels, for normalisation.
        std: Their standard deviation.
        flip: Whether the features are summed over the image and its horizontal flip.
        dropped: Keys of the file that were left out.
    """

    network: EmbeddingNet
    format: PublishedFormat
    path: Path
    size: Size | None
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    flip: bool
    dropped: tuple[str, ...]


def read_published(name: str, feature: Feature = "official") -> PublishedNetwork:
    """Reads a checkpoint of another project.

    Args:
        name: A path, or a file name in the folder that WSREID_WEIGHTS_DIR names.
        feature: The test feature of the project's own script, or always the embedding before any classifier.

    Returns:
        The network and what belongs to it.

    Raises:
        WeightsError: The file cannot be found or read, its format is none of ours, or keys or shapes do not fit.
    """
    path = find_weights(name)
    state = read_state_dict(path)
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    kind = recognised(shapes, path)
    logits = kind.official == "logits" and feature == "official"
    classes = shapes[kind.classifier][0] if logits and kind.classifier else None
    network, size = _built(kind, shapes, classes, path)
    dropped = _load(network, state, kind, path)
    mean, std = _normalisation(kind, state)
    _log.info("%s is %s: %s", path, kind.name, kind.body)
    flip = kind.flip and feature == "official"
    return PublishedNetwork(network.eval(), kind, path, size, mean, std, flip, dropped)


def recognised(shapes: Shapes, path: Path) -> PublishedFormat:
    """The format of a file.

    Args:
        shapes: Shape of each of its keys.
        path: The file, for messages.

    Raises:
        WeightsError: It is of no format that can be read.
    """
    unread = next((unread for unread in UNREAD if unread.fits(shapes)), None)
    if unread is not None:
        raise WeightsError(
            f"weights {path} are {unread.name} of {unread.project}, which cannot be read ({unread.why}): take another "
            "checkpoint; `python -m wsreid weights` lists those that can"
        )
    found = [kind for kind in FORMATS if kind.fits(shapes)]
    if len(found) != 1:
        raise WeightsError(
            f"weights {path} are of no published format that is known (keys: {_quote(list(shapes))}): `python -m "
            "wsreid weights` lists the formats; for timm's keys and for checkpoints of runs name the --model.backbone"
        )
    return found[0]


def _built(kind: PublishedFormat, shapes: Shapes, classes: int | None, path: Path) -> tuple[EmbeddingNet, Size | None]:
    if kind.kind in OSNET_WIDTHS:
        return OSNet(kind.kind, neck="none"), kind.size
    if kind.kind == "mgn":
        from wsreid.models import timm_build  # late, as the others: timm takes seconds to load

        return timm_build.build_timm("mgn", None, False, 1, "avg", "bnneck"), kind.size
    if kind.kind.startswith("transreid"):
        return _built_vit(kind, shapes, path)
    from wsreid.models.published_resnet import PublishedResNet

    return PublishedResNet(_resnets()[kind.kind], classes), kind.size


def _resnets() -> "dict[str, ResNetBody]":
    from wsreid.models.published_resnet import ResNetBody

    bot = ResNetBody(last_stride=1, ceil_pool=True, neck=True)
    agw = replace(bot, non_local=True, pooling="gem3")
    fastreid = {"bot": bot, "agw": agw, "sbs": replace(agw, pooling="gem")}
    return {
        "torchreid_resnet50": ResNetBody(last_stride=2),
        "torchreid_resnet50_fc512": ResNetBody(last_stride=1, fc=512),
        "torchreid_resnet50_ibn_a": ResNetBody(last_stride=2, ibn=True),
        "sysu": ResNetBody(last_stride=2),
        "tricks": ResNetBody(last_stride=1, stem_relu=False, neck=True),
        "tricks_ibn": ResNetBody(last_stride=1, ibn=True, neck=True),
        **{f"fastreid_{name}": body for name, body in fastreid.items()},
        **{f"fastreid_{name}_ibn": replace(body, ibn=True) for name, body in fastreid.items()},
    }


def _built_vit(kind: PublishedFormat, shapes: Shapes, path: Path) -> tuple[EmbeddingNet, Size]:
    from wsreid.models.published_vit import TransReID, ViTBody

    tokens = shapes["base.pos_embed"][1]
    if tokens not in _TOKENS:
        raise WeightsError(
            f"weights {path} have {tokens} positions (base.pos_embed), which is no pedestrian size: known are "
            f"{', '.join(f'{n} for {h}x{w}, stride {s}' for n, (h, w, s) in _TOKENS.items())}"
        )
    height, width, stride = _TOKENS[tokens]
    cameras = shapes.get("base.sie_embed", (0,))[0]
    if cameras:
        _log.warning(
            "%s: base.sie_embed holds an embedding for each of %d training cameras, which are not those of these "
            "images: their mean stands for all",
            path,
            cameras,
        )
    name = "vit_base_patch16_224" if kind.kind == "transreid_768" else "vit_small_patch16_224"
    body = ViTBody(name, height, width, stride, cameras, jigsaw="b2.0.norm1.weight" in shapes)
    return TransReID(body), (height, width)


def _load(network: nn.Module, state: dict[str, Tensor], kind: PublishedFormat, path: Path) -> tuple[str, ...]:
    own = network.state_dict()
    found = kind.keys.apply(state, own)
    missing = [kind.keys.theirs(key) for key in own if key not in found.kept and not key.endswith(_BATCH_COUNTER)]
    misshapen = [
        f"{theirs} is {tuple(state[theirs].shape)} and should be {tuple(own[key].shape)}"
        for key, theirs in found.kept.items()
        if state[theirs].shape != own[key].shape
    ]
    faults = [
        f"{label}: {_quote(keys)}"
        for label, keys in (("missing", missing), ("unexpected", found.unexpected), ("other shape", misshapen))
        if keys
    ]
    if faults:
        raise WeightsError(
            f"weights {path} look like {kind.name} ({kind.project}) and do not fit it, so nothing was loaded; "
            f"{'; '.join(faults)}. Another depth or head of that project cannot be read."
        )
    network.load_state_dict({key: state[theirs] for key, theirs in found.kept.items()}, strict=False)
    if found.dropped:
        told = [f"{key} {tuple(state[key].shape)}" for key in found.dropped]
        _log.info("dropped from %s: %s", path, ", ".join(told))
    return found.dropped


def _normalisation(
    kind: PublishedFormat, state: dict[str, Tensor]
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    if "pixel_mean" not in state or "pixel_std" not in state:
        return kind.normalisation
    mean, std = (
        [float(v) / 255 for v in state[key].flatten()[:3]] for key in ("pixel_mean", "pixel_std")
    )  # fast-reid before 1.0 keeps what it normalises by, of channels in [0, 255]
    return (mean[0], mean[1], mean[2]), (std[0], std[1], std[2])


def _quote(keys: Sequence[str]) -> str:
    more = len(keys) - _NAMED_KEYS
    return ", ".join(keys[:_NAMED_KEYS]) + (f" and {more} more" if more > 0 else "")
