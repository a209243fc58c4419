"""`predict`: the features of queries and gallery, in shards that a kill leaves usable."""

from __future__ import annotations

import contextlib
import json
import logging
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor

from wsreid.errors import FeatureError
from wsreid.methods import Transfer
from wsreid.methods.camera_norm import CameraNorm
from wsreid.methods.engine import EmbedEngine, Engine, chosen_engine
from wsreid.models.weights_hash import weights_hash
from wsreid.retrieval.errors import Side
from wsreid.retrieval.outputs import SIDES, StepOutputs
from wsreid.retrieval.protocols import PROTOCOLS
from wsreid.retrieval.shard_folder import ShardFolder, begin_folders
from wsreid.retrieval.shard_writer import ShardSettings, ShardWriter
from wsreid.terminal import Console
from wsreid.tracking.process_rank import process_rank

if TYPE_CHECKING:
    from wsreid.cli.suite import SuiteCLI

_log = logging.getLogger(__name__)
FEATURES = "features"
# Options of a method that no feature depends on, or that the hash of the weights covers.
_NOT_FEATURES = (
    "num_ids",
    "weights",
    "pretrained",
    "lr",
    "classifier_lr_factor",
    "optimizer",
    "scheduler",
    "warmup_epochs",
)


@dataclass(frozen=True)
class FeatureSettings(ShardSettings):
    """How `predict` computes and stores features; see docs/evaluate.md.

    Attributes:
        dtype: Type to store them in. float16 takes half the room.
        shard_images: Most images in a file.
        shard_seconds: A file is written after so many seconds even if it is not full: what a kill may cost.
        engine: How the network runs: "eager", as in a test; "folded", batch normalisation in the weights of the layer
            before it and denormal numbers taken for zero; "compiled", that through torch.compile. "auto" is compiled
            for 50,000 images or more on a CPU where that works, else folded, or eager where that cannot be.
    """

    engine: Engine = "auto"


class PredictShards(pl.Callback):
    """Writes what `predict_step` returns, each process its own images.

    Args:
        folders: Where the query and the gallery features go.
        settings: How they are stored.
        before: Images of each side that an earlier go has finished.
    """

    def __init__(
        self, folders: Mapping[Side, ShardFolder], settings: ShardSettings, before: Mapping[Side, int]
    ) -> None:
        self.folders = folders
        self.before = before
        self._writers = {side: ShardWriter(folder, settings) for side, folder in folders.items()}

    def on_predict_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Takes a batch's features."""
        collected = StepOutputs()
        collected.add(outputs, "predict_step")
        found = collected.take(np.arange(collected.images))
        if dataloader_idx:  # the gallery may take hours: the last queries must not wait for its end
            self._writers[SIDES[0]].flush()
        self._writers[SIDES[dataloader_idx]].add(found.features, found.pid, found.camera, found.row)

    def on_predict_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes the last shards, and waits for the other processes' last shards."""
        for writer in self._writers.values():
            writer.flush()
        trainer.strategy.barrier("predict: shards")

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Keeps what has been computed so far."""
        for writer in self._writers.values():
            with contextlib.suppress(FeatureError):  # the first error is the one to show
                writer.flush()


def begin_predict(cli: SuiteCLI) -> None:
    """Finds out what an earlier go has finished, and has the rest written.

    Args:
        cli: The command before its prediction.

    Raises:
        ConfigError: The folder holds features of other weights, data or settings.
        FeatureError: A shard is damaged, or the folder cannot be written.
    """
    config, data = cli.config_init[cli.subcommand], cli.datamodule
    data.check(fit=False)  # before anything is written
    if isinstance(cli.model, Transfer):
        cli.model.check_size(data.height, data.width)
    norm = next(c for c in cli.trainer.callbacks if isinstance(c, CameraNorm))  # type: ignore[attr-defined]
    engine = chosen_engine(
        config.features.engine,
        own_statistics=norm.mode == "batch_norm",
        precision=str(cli.trainer.precision),
        images=sum(len(rows) for rows in data.test_rows),
        device=cli.trainer.strategy.root_device.type,
    )
    origin = {
        "weights": weights_hash(_weights(cli)),
        "data": data.manifest.hash,
        "dtype": config.features.dtype,
        "precision": str(cli.trainer.precision),
        "image": f"{data.height}x{data.width}",
        "engine": engine,
        **norm.origin,
        **(cli.model.made_from if isinstance(cli.model, Transfer) else {}),
        **_method_options(cli.config_dump["model"]),
    }
    root = cli.run_folder.path / FEATURES
    folders = {side: ShardFolder(root / side, rows, origin) for side, rows in zip(SIDES, data.test_rows, strict=True)}
    done = {side: folder.done(verify=True) for side, folder in folders.items()}
    if process_rank() == 0:
        begin_folders(folders.values())
    data.predicted = np.concatenate(list(done.values()))
    if len(data.predicted):
        rest = sum(len(rows) for rows in data.test_rows) - len(data.predicted)
        _log.info("%s: %d images are finished already, %d to go", root, len(data.predicted), rest)
    callback = PredictShards(folders, config.features, {side: len(rows) for side, rows in done.items()})
    cli.trainer.callbacks += [EmbedEngine(engine), callback]  # type: ignore[attr-defined]  # it has no type there


def close_predict(cli: SuiteCLI) -> None:
    """Marks the features as complete and says how to score them.

    Args:
        cli: The command after its prediction.
    """
    trainer, data = cli.trainer, cli.datamodule
    if not trainer.is_global_zero:
        return
    callback = next(c for c in trainer.callbacks if isinstance(c, PredictShards))  # type: ignore[attr-defined]
    console = Console()
    console = console if console.is_terminal else Console(width=100)
    for side, folder in callback.folders.items():
        done, images = len(folder.done()), len(folder.rows)
        if trainer.limit_predict_batches != 1.0 and done < images:
            note = "ONLY A PART: trainer.limit_predict_batches or fast_dev_run. The same command without it goes on"
        else:
            index = folder.finish(unreadable=data.max_corrupt * trainer.world_size)
            note = f"{len(index.missing)} could not be read" if index.missing else "complete"
        console.print(
            f"{folder.path}: {done:,} of {images:,} images ({callback.before[side]:,} from before); {note}.",
            highlight=False,
            soft_wrap=True,
        )
    query, gallery = (shlex.quote(str(callback.folders[side].path)) for side in SIDES)
    name = "market1501" if data.name == "synthetic" else data.name
    protocol = f" --protocol {name}" if name in PROTOCOLS else ""
    console.print(
        f"Score them: python -m wsreid evaluate --query {query} --gallery {gallery}{protocol}",
        highlight=False,
        soft_wrap=True,
    )


def holds_prediction(run: Path) -> bool:
    """Whether a run folder holds features that a further go may complete.

    Args:
        run: The run folder.

    Returns:
        True if so.
    """
    return any((run / FEATURES / side).is_dir() for side in SIDES)


def _weights(cli: SuiteCLI) -> Mapping[str, Tensor]:
    path = cli.config[cli.subcommand].get("ckpt_path")
    if path is None:
        return dict(cli.model.state_dict())
    # the trainer loads it only after the loaders would have been asked for the rows that are left
    return dict(torch.load(path, map_location="cpu", weights_only=True)["state_dict"])


def _method_options(model: Mapping[str, Any]) -> dict[str, str]:
    options = {name: value for name, value in model.get("init_args", {}).items() if name not in _NOT_FEATURES}
    return {"method": str(model["class_path"]), **{name: json.dumps(value) for name, value in options.items()}}
