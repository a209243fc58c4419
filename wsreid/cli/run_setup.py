"""What a command needs before it runs: its run folder, its checkpoint, its loggers and callbacks."""

from __future__ import annotations

import logging
import pickle
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import (
    Callback,
    ModelCheckpoint,
    ProgressBar,
    RichProgressBar,
    TQDMProgressBar,
)
from lightning.pytorch.loggers import Logger

from wsreid.cli.fit_clock import FitClock
from wsreid.cli.last_checkpoint import CheckpointSettings, LastCheckpoint
from wsreid.cli.random_state import RandomState
from wsreid.cli.restart_by_epochs import RestartByEpochs
from wsreid.cli.stop_signals import StopSignals
from wsreid.errors import ConfigError
from wsreid.torn import torn
from wsreid.tracking import (
    CSVLogger,
    CutCurve,
    GuardedWandbLogger,
    RunFolder,
    WandbCallback,
    WandbSettings,
    config_hash,
    run_of_checkpoint,
)
from wsreid.tracking.checkpoint_file import previous_of, whole_checkpoint

_log = logging.getLogger(__name__)
RUNS = Path("runs")
MONITOR = "val/mAP_step"
NETWORK_OPTIONS = ("backbone", "last_stride", "pooling", "neck")


@dataclass(frozen=True)
class CheckpointFacts:
    """What scoring a checkpoint needs to know of it.

    Attributes:
        num_ids: Training identities, the width of its classifiers; None = no checkpoint.
    """

    num_ids: int | None = None


def choose_run(command: str, config: Mapping[str, Any]) -> tuple[RunFolder, Path | None]:
    """The run folder of a command, and the checkpoint that it starts from.

    `--ckpt_path last` and `best` are looked up in the run folder. Scoring a checkpoint of a run writes into
    `<command>-<checkpoint>` in its folder: the figures that the fit ended with stay.

    Args:
        command: fit, validate, test or predict.
        config: The command's resolved configuration as plain values.

    Returns:
        The folder, and the checkpoint's path or None.

    Raises:
        ConfigError: There is no such checkpoint, or the run folder is set through the trainer.
    """
    if config["trainer"].get("default_root_dir"):
        raise ConfigError("trainer.default_root_dir: the run folder is set by --run DIR")
    ckpt_path: str | None = config.get("ckpt_path")
    chosen = RunFolder(Path(config["run"])) if config.get("run") else None
    if ckpt_path is None:
        return chosen or _default_run(command, config), None
    named = ckpt_path in ("last", "best")
    run = chosen or _default_run("fit" if named else command, config)
    path = run.checkpoints / f"{ckpt_path}.ckpt" if named else Path(ckpt_path)
    if command == "fit" and ckpt_path == "last":
        path = whole_checkpoint(path)
        if not path.is_file() and run.broken_off():
            _log.warning("%s holds a run that ended before its first checkpoint: it begins anew", run.path)
            return run, None
    if not path.is_file():
        raise ConfigError(f"--ckpt_path {ckpt_path}: there is no {path}. Name the run with --run DIR, or a file.")
    if not named and chosen is None:
        run = run_of_checkpoint(path) or run
    if command != "fit" and path.absolute().parent == run.checkpoints.absolute():
        run = RunFolder(run.path / f"{command}-{path.stem}")
    return run, path


def _default_run(command: str, config: Mapping[str, Any]) -> RunFolder:
    seed = config["seed_everything"]
    name = f"seed{seed}-{config_hash(config)}"
    return RunFolder(
        RUNS / data_name(config) / method_name(config) / (name if command == "fit" else f"{command}-{name}")
    )


def method_name(config: Mapping[str, Any]) -> str:
    """The chosen method's class name in lower case."""
    return str(config["model"]["class_path"]).rpartition(".")[2].lower()


def data_name(config: Mapping[str, Any]) -> str:
    """The chosen data set's name, as the datamodule will give it."""
    data = config["data"].get("init_args", {})
    if data.get("root") is None and data.get("manifest") is None:
        return "synthetic"
    if data.get("manifest") is not None:
        return Path(data["manifest"]).absolute().parent.name
    source = data.get("source") or {}
    return str(source.get("class_path", "Market1501")).rpartition(".")[2].lower()


def read_checkpoint(path: Path, model: Mapping[str, Any]) -> CheckpointFacts:
    """Reads what scoring needs to know before the network is built.

    Args:
        path: The checkpoint.
        model: The configured method, its `class_path` and `init_args`.

    Returns:
        The facts.

    Raises:
        ConfigError: It is damaged, no checkpoint of ours, or of another method or network.
    """
    method = str(model["class_path"])
    if fault := torn(path):
        raise _damaged(path, fault)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
        raise _damaged(path, "it does not load with weights_only=True") from error
    try:
        hparams = content["hyper_parameters"]
        num_ids = int(hparams["num_ids"])
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path, "it does not say of how many training identities it is") from error
    made_by = hparams.get("_class_path", method)
    if made_by.rpartition(".")[2] != method.rpartition(".")[2]:
        raise ConfigError(f"{path} holds a {made_by}, and the configuration says --model {method}.")
    for name in NETWORK_OPTIONS:
        configured = model.get("init_args", {}).get(name)
        if name in hparams and configured is not None and hparams[name] != configured:
            raise ConfigError(
                f"{path} was trained with --model.{name} {hparams[name]}, and the configuration says {configured}. "
                f"Take the config.yaml of its run, or --model.{name} {hparams[name]}."
            )
    return CheckpointFacts(num_ids=num_ids)


def _damaged(path: Path, why: str) -> ConfigError:
    before = previous_of(path)
    way_out = f" The checkpoint before it is there: --ckpt_path {shlex.quote(str(before))}" if before.is_file() else ""
    return ConfigError(f"{path} is damaged, or no checkpoint of a run: {why}.{way_out}")


def make_loggers(
    run: RunFolder,
    settings: WandbSettings,
    model: pl.LightningModule,
    data: pl.LightningDataModule,
    command: str,
    others: object,
) -> list[Logger]:
    """Our CSV always, W&B if it is on, and what the user set as `trainer.logger`."""
    loggers: list[Logger] = [CSVLogger(run.path)]
    if settings.mode != "disabled":
        method = type(model).__name__
        loggers.append(
            GuardedWandbLogger(
                settings,
                run.path,
                name=f"{method.lower()}-{run.path.name}",
                group=method,
                data=str(getattr(data, "name", type(data).__name__)),
                job_type=command,
            )
        )
    given = others if isinstance(others, (list, tuple)) else [others]
    return [*loggers, *(logger for logger in given if isinstance(logger, Logger))]


def make_callbacks(
    run: RunFolder,
    trainer: Any,  # noqa: ANN401  # jsonargparse has no types
    wandb: WandbSettings,
    checkpoint: CheckpointSettings,
    signals: StopSignals,
) -> list[Callback]:
    """Checkpoints, progress bar, clock, curve and W&B's pictures, as far as the options leave them on."""
    callbacks: list[Callback] = [FitClock(), CutCurve(), RandomState(), RestartByEpochs()]
    if wandb.mode != "disabled":
        callbacks.append(WandbCallback(wandb))
    given = trainer.callbacks if isinstance(trainer.callbacks, list) else [trainer.callbacks]
    own_bar = any(isinstance(callback, ProgressBar) for callback in given)
    if trainer.enable_progress_bar is not False and not trainer.barebones and not own_bar:
        callbacks.append(progress_bar())
    if trainer.enable_checkpointing is not False and not trainer.barebones and not trainer.fast_dev_run:
        common: dict[str, Any] = {"dirpath": str(run.checkpoints), "enable_version_counter": False}
        callbacks += [
            # not save_last: that writes beside another checkpoint of the same callback alone, or when training ends
            LastCheckpoint(str(run.checkpoints), checkpoint, signals),
            ModelCheckpoint(filename="best", monitor=MONITOR, mode="max", save_on_train_epoch_end=False, **common),
        ]
    return callbacks


def progress_bar() -> ProgressBar:
    """Rich in a terminal; elsewhere, where rich shows nothing until the end, tqdm."""
    return RichProgressBar() if sys.stdout.isatty() else TQDMProgressBar(refresh_rate=10)
