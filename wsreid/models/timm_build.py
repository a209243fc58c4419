"""Networks on a body of timm's: MGN, and every model that timm knows by name."""

import difflib
from typing import Final, cast

import timm
from torch import nn

from wsreid.errors import ConfigError
from wsreid.models.mgn import MGN
from wsreid.models.neck import Neck
from wsreid.models.network import EmbeddingNet
from wsreid.models.osnet import OSNET_WIDTHS
from wsreid.models.pooling import Pooling
from wsreid.models.timm_body import classifier_names, create_body, is_timm_name
from wsreid.models.timm_net import TimmNet
from wsreid.models.weights import load_weights

MGN_NAME: Final = "mgn"
_MGN_BODY: Final = "resnet50"


def build_timm(
    backbone: str, weights: str | None, pretrained: bool, last_stride: int, pooling: Pooling, neck: Neck
) -> EmbeddingNet:
    """Build MGN or a timm model.

    Args:
        backbone: "mgn", or any timm name.
        weights: See `build_network`, as are all others.
        pretrained: Whether timm's published weights are the start.
        last_stride: 1 or 2.
        pooling: A pooling's name.
        neck: A neck's name.

    Returns:
        The network in training mode.

    Raises:
        ConfigError: timm does not know the name, or the body cannot have that option.
        WeightsError: The weights cannot be found, read or fetched, or do not fit.
    """
    if backbone == MGN_NAME:
        return _build_mgn(weights, pretrained, last_stride, pooling, neck)
    if not is_timm_name(backbone):
        raise ConfigError(f"unknown backbone {backbone!r}; {_nearest(backbone)}")
    body = create_body(backbone, pretrained=pretrained, last_stride=last_stride)
    if weights is not None:
        load_weights(cast("nn.Module", body), weights, classifiers=classifier_names(body))
    return TimmNet(body, backbone, pooling, neck)


def _build_mgn(weights: str | None, pretrained: bool, last_stride: int, pooling: Pooling, neck: Neck) -> MGN:
    if last_stride != 1:
        raise ConfigError("MGN's branches define their own last strides (2, 1, 1): leave last_stride at 1")
    if neck != "bnneck":
        raise ConfigError("MGN's reductions end in batch norm and ReLU and are its neck: leave neck at bnneck")
    body = create_body(_MGN_BODY, pretrained=pretrained)
    if weights is not None:
        load_weights(cast("nn.Module", body), weights, classifiers=classifier_names(body))
    return MGN(cast("nn.Module", body), pooling)


def _nearest(name: str) -> str:
    close = difflib.get_close_matches(name, [*OSNET_WIDTHS, MGN_NAME, *timm.list_models()], n=3, cutoff=0.5)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"known are {', '.join(OSNET_WIDTHS)}, {MGN_NAME} and the names of timm.list_models()"
