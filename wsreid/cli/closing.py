"""The end of a run: test the last checkpoint and the untrained network, print the table, write results.json."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import lightning.pytorch as pl
import numpy as np
from torch import Tensor

from wsreid.cli.fit_clock import FitClock
from wsreid.cli.run_setup import progress_bar
from wsreid.data.datamodule import BagDataModule
from wsreid.methods import LabelRefine, LabelRefineCallback, Transfer
from wsreid.methods.camera_norm import CameraNorm
from wsreid.retrieval.callback import RetrievalCallback, limited
from wsreid.terminal import Console
from wsreid.tracking import (
    Accuracy,
    GuardedWandbLogger,
    ResultRow,
    definition_line,
    write_results,
)
from wsreid.tracking.provenance import data_hashes, git_commit, versions
from wsreid.tracking.result_table import RESULTS_FILE, result_table

if TYPE_CHECKING:
    from wsreid.cli.suite import SuiteCLI

log = logging.getLogger(__name__)
_Kind = TypeVar("_Kind", bound=pl.Callback)
# What the pass over the untrained network shares with the run's own trainer.
_SHARED = (
    "accelerator",
    "strategy",
    "devices",
    "num_nodes",
    "precision",
    "fast_dev_run",
    "limit_test_batches",
    "enable_progress_bar",
    "deterministic",
    "benchmark",
    "inference_mode",
    "use_distributed_sampler",
)


def close_fit(cli: SuiteCLI) -> list[ResultRow]:
    """Tests the last checkpoint, then the network as it was before training, and shows both.

    Args:
        cli: The command after its fit.

    Returns:
        The rows of the table.
    """
    trainer, model, data = cli.trainer, cli.model, cli.datamodule
    clock = _callback(trainer, FitClock)
    last = cli.run_folder.last_checkpoint
    checkpoint = str(last) if last.is_file() and trainer.checkpoint_callbacks else None
    trainer.test(model, datamodule=data, ckpt_path=checkpoint, weights_only=True, verbose=False)
    seconds = None if clock is None else clock.seconds
    which = "weights" if checkpoint is None else "checkpoint"
    rows = [_row(trainer, f"{type(model).__name__}, last {which}", seconds)]
    rows.append(_before_training(cli, cli.untrained))
    untrained = trainer.global_step == 0 and trainer.max_epochs != 0
    notes = ["NO OPTIMISER STEP WAS TAKEN: both rows are the untrained network's."] if untrained else []
    _finish(cli, rows, labelled_val_ids=_val_ids(data), notes=notes)
    return rows


def close_test(cli: SuiteCLI) -> list[ResultRow]:
    """Shows the row of a test.

    Args:
        cli: The command after its test.

    Returns:
        The one row.
    """
    method, path = type(cli.model).__name__, cli.config[cli.subcommand].get("ckpt_path")
    if isinstance(cli.model, Transfer):
        name = cli.model.row_name
    else:
        name = f"{method}, {Path(path).stem} checkpoint" if path else _untrained_name(cli)
    rows = [_row(cli.trainer, name, None)]
    _finish(cli, rows, labelled_val_ids=_val_ids(cli.datamodule) if path else 0, notes=[])
    return rows


def _before_training(cli: SuiteCLI, weights: Mapping[str, Tensor]) -> ResultRow:
    init, config, model = cli.config_init[cli.subcommand], cli.config[cli.subcommand], cli.model
    trained = {key: value.detach().cpu().clone() for key, value in model.state_dict().items()}
    callbacks: list[pl.Callback] = [
        RetrievalCallback(**config.retrieval),
        CameraNorm(**config.camera_norm),
        LabelRefineCallback(**config.label_refine),
        *(progress_bar() for bar in [cli.trainer.progress_bar_callback] if bar is not None),
    ]
    trainer = pl.Trainer(
        **{name: init.trainer[name] for name in _SHARED},
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        default_root_dir=str(cli.run_folder.path / "untrained"),
        callbacks=callbacks,
    )
    learned = remembered(model)
    model.load_state_dict(dict(weights))
    model.on_load_checkpoint(copy.deepcopy(cli.untrained_memory))
    try:
        trainer.test(model, datamodule=cli.datamodule, verbose=False)
    finally:
        model.load_state_dict(trained)
        model.on_load_checkpoint(learned)
        model.trainer = cli.trainer
    return _row(trainer, _untrained_name(cli), None)


def remembered(model: pl.LightningModule) -> dict[str, Any]:
    """What a method remembers besides its weights, such as a table by member: what it adds to a checkpoint."""
    memory: dict[str, Any] = {}
    model.on_save_checkpoint(memory)
    return copy.deepcopy(memory)


def _untrained_name(cli: SuiteCLI) -> str:
    model = cli.config[cli.subcommand].model.init_args
    return "before training" if model.get("weights") or model.get("pretrained") else "untrained network"


def _row(trainer: pl.Trainer, name: str, seconds: float | None) -> ResultRow:
    retrieval, refine = _callback(trainer, RetrievalCallback), _callback(trainer, LabelRefineCallback)
    found = None if retrieval is None else retrieval.results.get("test")
    return ResultRow(name, found, None if refine is None else _accuracies(refine.result), seconds)


def _accuracies(found: LabelRefine | None) -> dict[str, Accuracy] | None:
    if found is None:
        return None
    return {
        "raw": Accuracy(found.raw, found.raw_random),
        "per_bag": Accuracy(found.bag_matched, found.bag_matched_random),
        "over_set": Accuracy(found.set_matched, found.set_matched_random),
    }


def _val_ids(data: pl.LightningDataModule) -> int:
    return len(np.unique(data.manifest.pid[data.val_rows])) if isinstance(data, BagDataModule) else 0


def _finish(cli: SuiteCLI, rows: list[ResultRow], *, labelled_val_ids: int, notes: list[str]) -> None:
    if not cli.trainer.is_global_zero:
        return
    if limited(cli.trainer, "test"):
        notes = [*notes, "ONLY A PART OF THE TEST SPLIT was scored: trainer.limit_test_batches or fast_dev_run."]
    norm = _callback(cli.trainer, CameraNorm)
    if norm is not None:
        notes = [*notes, *norm.notes]
    needs = getattr(cli.model, "needs", None)
    truth = bool(getattr(needs, "truth", False))
    measured = next((row.retrieval for row in rows if row.retrieval is not None), None)
    name = str(getattr(cli.datamodule, "name", "data"))
    definition = {} if measured is None else {**measured.definition, "n_query": measured.n_query}
    definition |= {} if norm is None else norm.origin
    write_results(
        cli.run_folder.path / RESULTS_FILE,
        rows,
        about={
            "method": type(cli.model).__name__,
            "data": name,
            "hashes": data_hashes(cli.datamodule),
            "used_truth": truth,
            "learns_from": getattr(cli.model, "learns_from", "not told"),
            "labelled_val_ids": labelled_val_ids,
            "notes": notes,
            "seed": cli.config[cli.subcommand].seed_everything,
            "versions": versions(),
            "git_commit": git_commit(),
        },
        definition=definition,
    )
    _to_wandb(cli.trainer, rows[1:])
    console = Console()
    console = console if console.is_terminal else Console(width=100)
    console.print()
    console.print(result_table(rows, f"{name}, test split"))
    if measured is not None:
        refined = any(row.refine is not None for row in rows)
        line = definition_line(measured, truth=truth, labelled_val_ids=labelled_val_ids, refined=refined, notes=notes)
        console.print(line, highlight=False)
    console.print(f"Run folder: {cli.run_folder.path}", highlight=False, soft_wrap=True)


def _to_wandb(trainer: pl.Trainer, others: list[ResultRow]) -> None:
    figures = {
        f"untrained/{name}": value for row in others for name, value in row.figures().items() if value is not None
    }
    for logger in trainer.loggers:
        if isinstance(logger, GuardedWandbLogger) and figures:
            logger.log_metrics(figures)


def _callback(trainer: pl.Trainer, kind: type[_Kind]) -> _Kind | None:
    return next((c for c in trainer.callbacks if isinstance(c, kind)), None)  # type: ignore[attr-defined]
