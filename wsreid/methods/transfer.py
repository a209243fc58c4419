"""Weights trained elsewhere, scored as they are."""

import logging
from pathlib import Path
from typing import ClassVar, Literal, NoReturn

import torch
from torch import Tensor, nn

from wsreid.data.batch import BagBatch
from wsreid.data.needs import Needs
from wsreid.errors import ConfigError
from wsreid.methods.base import Method
from wsreid.methods.outputs import BagOutputs
from wsreid.models import build_network
from wsreid.models.published import read_published

_log = logging.getLogger(__name__)
_Channels = tuple[float, float, float]


class Transfer(Method):
    """No method: the "trained elsewhere" row of a table. It is tested and never trained.

    A checkpoint of another project is told by its keys (`python -m wsreid weights` lists the formats); the network,
    its normalisation and its test feature are that project's. With `backbone` the file holds that network's own keys
    (timm's, or a run's checkpoint) instead.

    Args:
        num_ids: Not used: a file's own classifier counts.
        weights: The file, a path or a name in the folder WSREID_WEIGHTS_DIR.
        feature: "official", what the project's own script ranks by (for SYSU-30k's networks the logits, 28,310 numbers
            for each image), or "embedding", what the classifier reads.
        backbone: Another network than the published formats': any name of `build_network`, "hf-hub:OWNER/NAME" too.
        pretrained: With `backbone`: take timm's published weights, or Hugging Face's; needs a network connection.
        flip_test: Sum the features of the image and of its horizontal flip; None: as the project's script does.
        mean: Mean of the channels in [0, 1]; None: as the project's script normalises.
        std: Their standard deviation.
    """

    needs: ClassVar[Needs] = Needs()
    trains: ClassVar[bool] = False

    def __init__(
        self,
        num_ids: int = 1,
        weights: str | None = None,
        feature: Literal["official", "embedding"] = "official",
        backbone: str | None = None,
        pretrained: bool = False,
        flip_test: bool | None = None,
        mean: _Channels | None = None,
        std: _Channels | None = None,
    ) -> None:
        super().__init__(num_ids=num_ids, backbone="osnet_x0_25", neck="none")  # a stand-in of 0.2 million weights
        self.classifiers = nn.ModuleList()
        self.size: tuple[int, int] | None = None
        if backbone is not None:
            self.network = build_network(backbone, weights=weights, pretrained=pretrained)
            self.source = backbone if weights is None else Path(weights).name
            if weights is None and not pretrained:
                raise ConfigError(f"no weights for {backbone!r}: add --model.weights FILE or --model.pretrained true")
        elif weights is None or pretrained:
            raise ConfigError(
                "Transfer scores weights that were trained elsewhere: name them by --model.weights FILE, or by "
                "--model.backbone NAME --model.pretrained true"
            )
        else:
            found = read_published(weights, feature)
            self.network = found.network
            self.source, self.size = found.path.name, found.size
            flip_test = found.flip if flip_test is None else flip_test
            mean, std = mean or found.mean, std or found.std
        self.network.to(memory_format=torch.channels_last).eval()
        self.flip_test = bool(flip_test)
        for buffer, values in ((self.mean, mean), (self.std, std)):
            if values is not None:
                buffer.copy_(torch.tensor(values).view(3, 1, 1))  # (3,) -> (3, 1, 1)

    @property
    def row_name(self) -> str:
        """What the closing table calls it."""
        return f"{self.source}, trained elsewhere"

    @property
    def learns_from(self) -> str:
        """Nothing of this data."""
        return "nothing here: trained elsewhere"

    def setup(self, stage: str) -> None:
        """Refuses training; warns where the images have another size than the weights' training images.

        Raises:
            ConfigError: `stage` is "fit".
        """
        if stage == "fit":
            raise refusal()
        super().setup(stage)
        data = getattr(self.trainer, "datamodule", None)
        own = getattr(data, "height", None), getattr(data, "width", None)
        if self.size is not None and None not in own and own != self.size:
            _log.warning(
                "%s was trained on images of %dx%d pixels and these are resized to %dx%d, which may cost most of its "
                "accuracy: --data.height %d --data.width %d",
                self.source,
                *self.size,
                *own,
                *self.size,
            )

    def losses(self, batch: BagBatch, outputs: BagOutputs) -> NoReturn:
        """Refuses.

        Raises:
            ConfigError: Always.
        """
        raise refusal()

    def outputs(self, batch: BagBatch) -> NoReturn:
        """As `losses`."""
        raise refusal()

    def embed(self, images: Tensor) -> Tensor:
        """As `Method.embed`."""
        with torch.no_grad():
            return super().embed(images)


def refusal() -> ConfigError:
    """What a fit of it ends with."""
    return ConfigError(
        "Transfer only scores weights that were trained elsewhere: `python -m wsreid test` it, or fit a method such as "
        "BagCE from --model.weights FILE"
    )
