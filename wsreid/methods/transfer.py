"""Weights trained elsewhere, scored as they are."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal, NoReturn

import torch
from torch import Tensor, nn

from wsreid.data.batch import BagBatch
from wsreid.data.needs import Needs
from wsreid.errors import ConfigError
from wsreid.export.format_names import format_of
from wsreid.export.recipe import WEIGHTS, Recipe
from wsreid.methods.base import Method
from wsreid.methods.outputs import BagOutputs
from wsreid.models import build_network
from wsreid.models.published import read_published
from wsreid.models.weights import find_weights

_log = logging.getLogger(__name__)
EXPORTED_FROM = "exported_from"
"""Under this name features of an exported file say from which run's weights it was exported."""
_Channels = tuple[float, float, float]


class Transfer(Method):
    """No method: the "trained elsewhere" row of a table. It is tested and never trained.

    A checkpoint of another project is told by its keys (`python -m wsreid weights` lists the formats); the network,
    its normalisation and its test feature are that project's. With `backbone` the file holds that network's own keys
    (timm's, or a run's checkpoint) instead. A file of `python -m wsreid export` is told by its ending; how it prepares
    images is part of it.

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
        self.recipe: Recipe | None = None
        if weights is not None and format_of(Path(weights)) is not None:
            from wsreid.export.network import ExportedNet  # late: torch.export is for these files alone

            path = find_weights(weights)
            network = ExportedNet(path)
            own = {"backbone": backbone, "flip_test": flip_test, "mean": mean, "std": std}
            _check_options(path, network.recipe, feature, own | {"pretrained": pretrained or None})
            self.network, self.source, self.recipe = network, path.name, network.recipe
            # what the file does itself is not done again; the buffers tell whoever asks
            flip_test, mean, std = False, network.recipe.mean, network.recipe.std
        elif backbone is not None:
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
        origin = "trained elsewhere" if self.recipe is None else f"{self.recipe.method}'s export"
        return f"{self.source}, {origin}"

    @property
    def learns_from(self) -> str:
        """Nothing of this data."""
        return "nothing here: trained elsewhere"

    @property
    def made_from(self) -> dict[str, str]:
        """What features of an exported file say of its origin: the hash of the weights of its run; else nothing."""
        found = None if self.recipe is None else self.recipe.run.get(WEIGHTS)
        return {} if found is None else {EXPORTED_FROM: found}

    def setup(self, stage: str) -> None:
        """Refuses training; warns where the images have another size than the weights' training images.

        Raises:
            ConfigError: `stage` is "fit", or an exported file takes images of another size.
        """
        if stage == "fit":
            raise refusal()
        super().setup(stage)
        data = getattr(self.trainer, "datamodule", None)
        own = getattr(data, "height", None), getattr(data, "width", None)
        self.check_size(*own)
        if self.size is not None and None not in own and own != self.size:
            _log.warning(
                "%s was trained on images of %dx%d pixels and these are resized to %dx%d, which may cost most of its "
                "accuracy: --data.height %d --data.width %d",
                self.source,
                *self.size,
                *own,
                *self.size,
            )

    def check_size(self, height: int | None, width: int | None) -> None:
        """Refuses images of another size than an exported file takes.

        Args:
            height: Height that images are resized to; None = not known.
            width: Width.

        Raises:
            ConfigError: It is another one.
        """
        if self.recipe is None or None in (height, width):
            return
        own = (self.recipe.height, self.recipe.width)
        if (height, width) != own:
            raise ConfigError(
                f"{self.source} takes images of {own[0]}x{own[1]} pixels and these are resized to {height}x{width}: "
                f"--data.height {own[0]} --data.width {own[1]}"
            )

    def normalise(self, images: Tensor) -> Tensor:
        """As `Method.normalise`; an exported file normalises itself."""
        return super().normalise(images) if self.recipe is None else images

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


def _check_options(path: Path, recipe: Recipe, feature: str, given: Mapping[str, object]) -> None:
    """Refuses options that say otherwise than the file, which they cannot change."""
    for name, value in given.items():
        own = getattr(recipe, name, None)
        if value is not None and value != own:
            told = "no such option" if own is None else f"{own}"
            raise ConfigError(
                f"--model.{name} {value}: {path} was exported with {told}, which is part of it. Leave the option out."
            )
    if feature != "official":
        raise ConfigError(f"--model.feature {feature}: {path} has one feature, that of its run. Leave the option out.")
