"""Scores each image by the statistics of its camera, which are estimated on the very images that are scored."""

from __future__ import annotations

import logging
from typing import Any

import lightning.pytorch as pl
import torch

from wsreid.errors import ConfigError
from wsreid.methods.base import Method
from wsreid.methods.camera_statistics import (
    CameraEmbedding,
    CameraNormMode,
    SumsByCamera,
    batch_norms,
    camera_sums,
    together,
)

_log = logging.getLogger(__name__)
_OFF_NOTE = "--camera_norm.mode none scores as it is"


class CameraNorm(pl.Callback):
    """Normalises by camera when scoring: in `validate`, `test`, `predict`, and the validations and test of `fit`.

    Before each of these passes the images to be scored, queries and gallery, are embedded once by camera; their camera
    is read, no identity. This makes the figures transductive: an image's feature depends on the others that are scored.
    Training is as without it. Docs: docs/evaluate.md.

    Args:
        mode: "batch_norm": every batch normalisation takes the mean and variance of the image's camera
            (arXiv:2001.08680). "feature_mean": the camera's mean feature is subtracted. "feature_std": and the result
            divided by the camera's standard deviation. "none": off.
        images: Most images of a camera that its statistics are taken from, drawn by the run's seed; null = all.

    Raises:
        ConfigError: `images` is below 2.
    """

    def __init__(self, mode: CameraNormMode = "none", images: int | None = 1024) -> None:
        if images is not None and images < 2:
            raise ConfigError(f"camera_norm.images must be at least 2, or null for all, got {images}")
        self.mode = mode
        self.images = images

    @property
    def origin(self) -> dict[str, str]:
        """What features and figures depend on; empty where it is off."""
        if self.mode == "none":
            return {}
        return {"camera_norm": f"{self.mode}, {'all' if self.images is None else f'at most {self.images}'} images"}

    @property
    def notes(self) -> list[str]:
        """What the results must say; empty where it is off."""
        if self.mode == "none":
            return []
        return [f"TRANSDUCTIVE: normalised by statistics of each test camera (camera_norm: {self.mode})."]

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Refuses a network without batch normalisation.

        Raises:
            ConfigError: There is none, and the mode needs one.
        """
        if self.mode == "batch_norm" and not batch_norms(pl_module):
            raise _no_norm()

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Estimates, unless it is the sanity check."""
        if not trainer.sanity_checking:
            self._begin(trainer, pl_module, "val")

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Estimates."""
        self._begin(trainer, pl_module, "test")

    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Estimates."""
        self._begin(trainer, pl_module, "test")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Embeds as before again."""
        self._end(pl_module)

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Embeds as before again."""
        self._end(pl_module)

    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Embeds as before again."""
        self._end(pl_module)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Embeds as before again."""
        self._end(pl_module)

    def _begin(self, trainer: pl.Trainer, pl_module: pl.LightningModule, split: str) -> None:
        data: Any = getattr(trainer, "datamodule", None)
        if self.mode == "none" or not isinstance(pl_module, Method):
            return
        loader = data.camera_dataloader(split, self.images)
        batches = (data.on_before_batch_transfer(batch, 0).to(pl_module.device) for batch in loader)
        with torch.no_grad(), trainer.precision_plugin.forward_context():
            sums = camera_sums(pl_module, pl_module.embed, batches, self.mode)
        if trainer.world_size > 1:
            parts: list[SumsByCamera] = [sums] * trainer.world_size
            torch.distributed.all_gather_object(parts, sums)
            sums = together(parts)
        if sums and not any(sums.values()):
            raise _no_norm()
        embedding = CameraEmbedding(pl_module, pl_module.embed, sums, self.mode)
        if not embedding.cameras:
            raise ConfigError(
                f"camera_norm: no camera of the {split} split is known by two images or more, so there is nothing to "
                f"normalise by; {_OFF_NOTE}."
            )
        left = sorted(set(sums) - embedding.cameras)
        if left:
            _log.warning(
                "camera_norm: %s of one image alone: embedded without its camera's statistics",
                f"camera {left[0]} is" if len(left) == 1 else f"{len(left)} cameras (such as {left[0]}) are",
            )
        pl_module.score_with = embedding

    def _end(self, pl_module: pl.LightningModule) -> None:
        if isinstance(pl_module, Method):
            pl_module.score_with = None


def _no_norm() -> ConfigError:
    return ConfigError(
        "camera_norm.mode batch_norm: no batch normalisation takes part in this network's features. Take feature_mean, "
        f"which needs none; {_OFF_NOTE}."
    )
