"""Saves what was run: config.yaml in the run folder, the same in W&B."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import yaml  # type: ignore[import-untyped]
from lightning.pytorch.cli import LightningArgumentParser, SaveConfigCallback

from wsreid.file_hash import file_hash
from wsreid.models.weights import find_weights
from wsreid.tracking.provenance import data_hashes, git_commit, machine, versions, write_provenance
from wsreid.tracking.run_folder import CONFIG_FILE
from wsreid.tracking.wandb_logger import GuardedWandbLogger
from wsreid.whole_file import whole_file


class RunConfigCallback(SaveConfigCallback):
    """Writes the resolved configuration to the run folder and to W&B.

    The first command's stays `config.yaml`; a resume writes `config-resume.yaml`, `test` on a run `config-test.yaml`.

    Args:
        parser: The command's parser.
        config: The command's resolved configuration.
        command: fit, validate, test or predict.
    """

    def __init__(self, parser: LightningArgumentParser, config: object, *, command: str) -> None:
        super().__init__(parser, config, save_to_log_dir=False)  # type: ignore[arg-type]  # jsonargparse has no types
        self.command = command

    def save_config(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Writes the files."""
        config = self.config.clone()
        config["run"] = None  # a folder may be moved or copied: where it lies is not for it to say
        text = self.parser.dump(config, skip_unset=False)
        path = Path(trainer.default_root_dir) / CONFIG_FILE
        if path.exists():
            path = path.with_name(f"config-{'resume' if self.command == 'fit' else self.command}.yaml")
        with whole_file(path) as file:
            file.write(text)
        plain = yaml.safe_load(text)
        facts = {
            "hashes": data_hashes(getattr(trainer, "datamodule", None)) | _start_hash(plain, self.command),
            "versions": versions(),
            "git_commit": git_commit(),
        }
        write_provenance(
            path.with_name(path.name.replace("config", "provenance")).with_suffix(".json"),
            {"command": self.command, **facts, **machine()},
        )
        about = {"config": plain, "num_ids": pl_module.hparams.get("num_ids"), **facts}
        for logger in trainer.loggers:
            if isinstance(logger, GuardedWandbLogger):
                logger.log_hyperparams(about)


def _start_hash(config: Mapping[str, Any], command: str) -> dict[str, str]:
    """The hashes of the weights that a run starts from, and of those that a fit learns from."""
    options = config["model"].get("init_args", {})
    keys = ("weights", "teacher") if command == "fit" else ("weights",)
    return {key: file_hash(find_weights(options[key])) for key in keys if options.get(key)}
