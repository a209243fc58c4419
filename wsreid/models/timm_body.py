"""Bodies made by timm: created by name without a classifier, with the stride of the last stage that was asked for."""

from typing import Any, Final, Protocol, cast

import timm
import torch
from timm.models.resnet import ResNet
from torch import Tensor, nn

from wsreid.errors import ConfigError, WeightsError

_REMOTE_SCHEMES: Final = ("hf-hub:", "hf_hub:", "local-dir:")
# What lets a transformer take images of another size than it was trained with: a timm class knows one of them, or none.
_SIZE_OPTIONS: Final[tuple[dict[str, bool], ...]] = ({"dynamic_img_size": True}, {"strict_img_size": False}, {})
_LOW_LEVEL_REDUCTION: Final = 4


class TimmBody(Protocol):
    """The part of timm's model interface that the suite uses."""

    head_hidden_size: int
    pretrained_cfg: dict[str, object]
    feature_info: list[dict[str, object]]

    def forward_intermediates(self, x: Tensor, indices: list[int]) -> tuple[Tensor, list[Tensor]]:
        """Final features, and the maps (N, C, H, W) of the stages asked for."""
        ...

    def forward_head(self, x: Tensor, pre_logits: bool) -> Tensor:
        """From final features to logits, or to what the classifier would read."""
        ...


def is_timm_name(name: str) -> bool:
    """Whether timm knows the name: a model, with or without a tag of weights, or an address of one."""
    return name.startswith(_REMOTE_SCHEMES) or bool(timm.is_model(name))


def create_body(name: str, *, pretrained: bool = False, last_stride: int | None = None) -> TimmBody:
    """Create a timm model without its classifier.

    ResNets get last stride 1 as in Bag of Tricks (arXiv:1903.07071): the first block of layer4 no longer
    halves the map; no weight changes. Other bodies get timm's `output_stride`, which dilates the last stage instead.

    Args:
        name: See `is_timm_name`.
        pretrained: Load timm's published weights; needs a network, or timm's cache.
        last_stride: Stride of the last stage, 1 or 2; None keeps the body's own.

    Raises:
        ConfigError: The body cannot be created, or not with that last stride.
        WeightsError: The published weights could not be fetched, or there are none.
    """
    try:
        body = _create(name, pretrained)
    except Exception as error:
        if pretrained or name.startswith(_REMOTE_SCHEMES):
            raise WeightsError(
                f"timm could not load the published weights of {name!r} ({_summary(error)}). Without a network, "
                "fetch them elsewhere and give the file as `weights`, or set pretrained to false."
            ) from error
        raise ConfigError(f"timm could not create backbone {name!r} ({_summary(error)})") from error
    own = own_last_stride(body)
    if last_stride is None or last_stride == own:
        return body
    refusal = ConfigError(
        f"backbone {name!r} cannot have last stride {last_stride}: its own is {own}. Set last_stride to {own}, "
        "or choose a ResNet."
    )
    if last_stride != 1:
        raise refusal
    if isinstance(cast("nn.Module", body), ResNet):
        flatten_last_stage(cast("nn.Module", body))
        return body
    try:
        body = _create(name, pretrained, output_stride=_reductions(body)[-1] // own)
    except (TypeError, AssertionError, NotImplementedError) as error:
        raise refusal from error
    if own_last_stride(body) != 1:
        raise refusal
    return body


def own_last_stride(body: TimmBody) -> int:
    """By how much the last stage shrinks the map; 1 for plain transformers."""
    reductions = _reductions(body)
    return reductions[-1] // reductions[-2]


def flatten_last_stage(body: nn.Module) -> None:
    """Let layer4 of a timm ResNet keep the size of the map, in place; no weight changes."""
    # layer4[0] halves by the stride of a convolution, or by a blur or average pool behind a convolution of stride 1;
    # on the shortcut by a strided 1x1 convolution or an average pool.
    first = cast("nn.ModuleList", body.layer4)[0]
    halving = [
        (parent, child_name, child)
        for parent in first.modules()
        for child_name, child in parent.named_children()
        if getattr(child, "stride", 1) in (2, (2, 2))
    ]
    for parent, child_name, child in halving:
        if isinstance(child, nn.Conv2d):
            child.stride = (1, 1)
        elif isinstance(child, nn.AvgPool2d) and child.kernel_size == 3:
            child.stride = 1  # part of the block (Res2Net, ResNeSt); padded, so it keeps the size
        else:
            setattr(parent, child_name, nn.Identity())


def low_level_stage(body: TimmBody) -> int:
    """Index of the first stage at a quarter of the image's size (layer1 of a ResNet), or of the first of all."""
    reductions = _reductions(body)
    return reductions.index(_LOW_LEVEL_REDUCTION) if _LOW_LEVEL_REDUCTION in reductions else 0


def classifier_names(body: TimmBody) -> tuple[str, ...]:
    """Names of the modules that are the classifier in checkpoints of this body."""
    names = body.pretrained_cfg.get("classifier") or ()
    return ("classifier", names) if isinstance(names, str) else ("classifier", *cast("tuple[str, ...]", names))


def ends_in_map(body: TimmBody) -> bool:
    """Whether the final features are a map rather than tokens; found by one pass over a blank image."""
    module = cast("nn.Module", body)
    training = module.training
    blank = torch.zeros(1, *cast("tuple[int, int, int]", body.pretrained_cfg["input_size"]))
    with torch.no_grad():
        module.eval()
        final, _ = body.forward_intermediates(blank, indices=[0])
        module.train(training)
    return final.dim() == 4


def _create(name: str, pretrained: bool, **options: int) -> TimmBody:
    for size_option in _SIZE_OPTIONS:
        arguments: dict[str, Any] = {**size_option, **options}
        try:
            body = timm.create_model(name, pretrained=pretrained, num_classes=0, **arguments)
        except TypeError as error:
            if any(option in str(error) for option in size_option):
                continue
            raise
        return cast("TimmBody", body)
    raise AssertionError("the last attempt adds no size option, so it returns or raises")


def _summary(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"[:200]


def _reductions(body: TimmBody) -> list[int]:
    return [cast("int", stage["reduction"]) for stage in body.feature_info]
