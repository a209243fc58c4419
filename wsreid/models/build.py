"""A backbone's name and its options in, an embedding network out."""

from typing import get_args

from wsreid.errors import ConfigError
from wsreid.models.neck import Neck
from wsreid.models.network import EmbeddingNet
from wsreid.models.osnet import OSNET_WIDTHS, OSNet
from wsreid.models.pooling import Pooling
from wsreid.models.weights import NETWORK_PREFIX, is_run_checkpoint, load_weights


def build_network(
    backbone: str,
    *,
    weights: str | None = None,
    pretrained: bool = False,
    last_stride: int = 1,
    pooling: Pooling = "avg",
    neck: Neck = "bnneck",
) -> EmbeddingNet:
    """Build an embedding network.

    Args:
        backbone: "osnet_x0_25", "osnet_x0_5", "osnet_x0_75", "osnet_x1_0", "osnet_ibn_x1_0", "mgn", or any
            timm name.
        weights: A weights file, as a path or as a name inside the folder that WSREID_WEIGHTS_DIR names: torchreid's
            for OSNet; timm's keys for timm bodies, which for ResNets are torchvision's; ResNet-50's for MGN. Or a
            checkpoint of a run with the same backbone, pooling and neck, of whatever method: its whole network.
        pretrained: Start from timm's published weights instead; needs a network, or timm's cache.
        last_stride: Stride of the last stage, 1 or 2. OSNet's is 1; MGN's branches have their own, so it takes 1 only.
        pooling: "avg", or "gem" with a learnable power for backbones that end in a map.
        neck: "bnneck", or "none". MGN's reductions are its neck, so it takes "bnneck" only.

    Returns:
        The network in training mode.

    Raises:
        ConfigError: The name is unknown, or the backbone cannot have that option.
        WeightsError: The weights cannot be found, read or fetched, or do not fit.
    """
    for option, value, known in (("pooling", pooling, get_args(Pooling)), ("neck", neck, get_args(Neck))):
        if value not in known:
            raise ConfigError(f"{option} {value!r} is none of {', '.join(known)}")
    if last_stride not in (1, 2):
        raise ConfigError(f"last_stride must be 1 or 2, got {last_stride}")
    if weights is not None and pretrained:
        raise ConfigError("weights and pretrained both say where to start: set pretrained to false or weights to null")
    if weights is not None and is_run_checkpoint(weights):
        network = build_network(backbone, last_stride=last_stride, pooling=pooling, neck=neck)
        load_weights(network, weights, prefix=NETWORK_PREFIX)
        return network
    if backbone in OSNET_WIDTHS:
        return _build_osnet(backbone, weights, pretrained, last_stride, pooling, neck)
    from wsreid.models import timm_build  # late: timm takes seconds to load, and `--help` and OSNet do without

    return timm_build.build_timm(backbone, weights, pretrained, last_stride, pooling, neck)


def _build_osnet(
    name: str, weights: str | None, pretrained: bool, last_stride: int, pooling: Pooling, neck: Neck
) -> OSNet:
    if pretrained:
        raise ConfigError(f"timm publishes no weights for {name!r}: give torchreid's file as `weights`")
    if last_stride != 1:
        raise ConfigError(f"the last stage of {name!r} has stride 1 by definition: set last_stride to 1")
    network = OSNet(name, pooling, neck)
    if weights is not None:
        load_weights(network, weights, fresh=("neck", "pooling"))
    return network
