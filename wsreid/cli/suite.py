"""Lightning's commands in one screen: `python -m wsreid fit|validate|test|predict --config ...`.

A method of your own needs no registration: write `class MyMethod(wsreid.methods.Method)` in `my_file.py` and run
`python -m wsreid fit --model my_file.MyMethod ...` in its folder. A configuration file that names it needs
`--allow my_file` beside it: see `wsreid.class_paths`.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from jsonargparse import set_parsing_settings
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from wsreid.cli.closing import close_fit, close_test, remembered
from wsreid.cli.last_checkpoint import CheckpointSettings
from wsreid.cli.null_option import refuse_null
from wsreid.cli.predict_shards import FeatureSettings, begin_predict, close_predict, holds_prediction
from wsreid.cli.quiet import quiet
from wsreid.cli.run_setup import CheckpointFacts, choose_run, make_callbacks, make_loggers, read_checkpoint
from wsreid.cli.save_config import RunConfigCallback
from wsreid.cli.stop_signals import Stopped, StopSignals
from wsreid.cli.typo import class_options, explain, option_names, subclasses
from wsreid.cli.user_errors import user_error
from wsreid.cli.whole_numbers import prefer_whole_numbers
from wsreid.data.datamodule import BagDataModule
from wsreid.data.sources.base import Source
from wsreid.errors import ConfigError, WsreidError
from wsreid.methods import Distill, Method
from wsreid.methods.camera_norm import CameraNorm
from wsreid.methods.diagnostics_callback import DiagnosticsCallback
from wsreid.methods.label_refine_callback import LabelRefineCallback
from wsreid.methods.transfer import refusal
from wsreid.retrieval.callback import RetrievalCallback
from wsreid.tracking import GuardedWandbLogger, RankedPicturesCallback, ResultRow, RunFolder, WandbSettings
from wsreid.tracking.checkpoint_file import CheckpointFiles

# Lightning lets any option of a configuration name a file of options on a server; ours are files on the disk.
set_parsing_settings(config_read_mode_fsspec_enabled=False)
prefer_whole_numbers(pl.Trainer.__init__)

TRAINER_DEFAULTS: dict[str, object] = {
    "use_distributed_sampler": False,  # our samplers know their rank; Lightning's would replace them
    "deterministic": "warn",
    "num_sanity_val_steps": 0,  # what it would find, the datamodule finds before
    "log_every_n_steps": 1,  # what a method logs by step is for looking at; the loss is logged by epoch
    "enable_autolog_hparams": False,  # W&B gets the whole resolved configuration instead
}
_GO_ON = "What the run folder holds is whole: the same command with --ckpt_path last goes on from its last checkpoint."
DATA_DEFAULT = {"class_path": "wsreid.data.datamodule.BagDataModule"}


class SuiteCLI(LightningCLI):
    """LightningCLI with a run folder, loggers, retrieval, and a closing table.

    Attributes:
        run_folder: Where the run lies.
        results: The rows of the closing table.

    Args:
        stack: What is entered here is left when the command ends: the run folder's lock, W&B.
        args: The command line.
        signals: Those that came while the command runs.
    """

    def __init__(self, stack: contextlib.ExitStack, args: list[str], signals: StopSignals) -> None:
        self.stack = stack
        self.signals = signals
        self.args = args
        self.results: list[ResultRow] = []
        self.checkpoint = CheckpointFacts()
        self.run_folder = RunFolder(Path())
        parser_kwargs: dict[str, Any] = {
            "exit_on_error": False,
            "allow_abbrev": False,
            "description": "Weakly supervised person re-identification.",
            "prog": "python -m wsreid",
        }
        super().__init__(
            Method,
            BagDataModule,
            save_config_callback=RunConfigCallback,
            trainer_defaults=dict(TRAINER_DEFAULTS),
            seed_everything_default=0,
            parser_kwargs=parser_kwargs,
            subclass_mode_model=True,
            subclass_mode_data=True,
            auto_configure_optimizers=False,
            args=args,
        )

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]  # Lightning's needs no instance
        """The command that is asked for, with what is not an option of it: others' options take time to look up."""
        known = super().subcommands()
        asked = self.args[0] if self.args else None
        return {asked: known[asked]} if asked in known else known

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Adds our own options beside Lightning's."""
        parser.add_argument(
            "--run",
            type=Path | None,
            default=None,
            help="Run folder; by default runs/<data set>/<method>/seed<k>-<config hash>, or that of --ckpt_path FILE.",
        )
        parser.add_argument(
            "--test_after_fit",
            type=bool,
            default=True,
            help="End a fit with a test of the last checkpoint, and a table.",
        )
        parser.add_class_arguments(WandbSettings, "wandb")
        parser.add_class_arguments(FeatureSettings, "features")
        parser.add_class_arguments(CheckpointSettings, "checkpoint")
        parser.add_lightning_class_args(RetrievalCallback, "retrieval")
        parser.add_lightning_class_args(CameraNorm, "camera_norm")
        parser.add_lightning_class_args(LabelRefineCallback, "label_refine")
        parser.add_lightning_class_args(DiagnosticsCallback, "diagnostics")
        parser.add_lightning_class_args(RankedPicturesCallback, "pictures")
        parser.set_defaults({"data": DATA_DEFAULT})
        parser.link_arguments("data", "model.init_args.num_ids", compute_fn=self._num_ids, apply_on="instantiate")

    def _num_ids(self, data: BagDataModule) -> int:
        # A checkpoint knows its number of classes: scoring it needs no training data, nor does what is never trained.
        return data.num_ids if self.checkpoint.num_ids is None else self.checkpoint.num_ids

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:  # noqa: ANN401  # Lightning's type
        """Parses; a mistake is one line with the nearest right name."""
        try:
            self.config = parser.parse_args(args)
        except argparse.ArgumentError as error:
            classes = {"model": subclasses(Method), "data": (BagDataModule,), "data.source": subclasses(Source)}
            names = {name for sub in self._subcommand_parsers.values() for name in option_names(sub)}
            names |= {name for key in ("model", "data") for cls in classes[key] for name in class_options(cls, key)}
            others = [cls for base in (pl.Callback, Optimizer, LRScheduler) for cls in subclasses(base)]
            raise ConfigError(explain(str(error), args, names, {**classes, "": others})) from None

    def _parse_ckpt_path(self) -> None:
        # Lightning would let the checkpoint's hyper-parameters beat the command line; `choose_run` reads what we need.
        pass

    def before_instantiate_classes(self) -> None:
        """Chooses and claims the run folder, before anything slow or large is made."""
        self._dump_config()
        config = self.config[self.subcommand]
        command = str(self.subcommand)
        for key in ("model", "data"):
            refuse_null(key, self.config_dump[key])
        if not _trains(self.config_dump["model"]["class_path"]):
            if command == "fit" or config.get("ckpt_path") is not None:
                raise refusal()
            self.checkpoint = CheckpointFacts(num_ids=1)
        self.run_folder, path = choose_run(command, self.config_dump)
        asks = config.get("ckpt_path") is not None  # a fit may begin anew in the folder that it asked to go on in
        resumes = asks or (command == "predict" and holds_prediction(self.run_folder.path))
        self.stack.enter_context(self.run_folder.claimed(new=not resumes))
        config["ckpt_path"] = None if path is None else str(path)
        if path is not None:
            facts = read_checkpoint(path, self.config_dump["model"])
            self.checkpoint = CheckpointFacts() if command == "fit" else facts
        config["run"] = self.run_folder.path
        self.save_config_kwargs = {"command": command}

    def instantiate_trainer(self, **kwargs: Any) -> pl.Trainer:  # noqa: ANN401  # Lightning's type
        """Makes the trainer with the run folder, loggers and callbacks of ours."""
        init = self.config_init[self.subcommand]
        self.datamodule.run_seed = int(init.seed_everything)
        loggers = make_loggers(
            self.run_folder, init.wandb, self.model, self.datamodule, str(self.subcommand), init.trainer.logger
        )
        for logger in loggers:
            if isinstance(logger, GuardedWandbLogger):
                self.stack.push(logger.finish_after)
        callbacks = make_callbacks(self.run_folder, init.trainer, init.wandb, init.checkpoint, self.signals)
        self.trainer_defaults["callbacks"] = callbacks
        try:
            trainer = super().instantiate_trainer(default_root_dir=str(self.run_folder.path), logger=loggers, **kwargs)
            if type(trainer.strategy.checkpoint_io) is TorchCheckpointIO:  # else it is the user's, or the strategy's
                trainer.strategy.checkpoint_io = CheckpointFiles()
            return trainer
        except (ValueError, TypeError, MisconfigurationException) as error:
            raise ConfigError(f"trainer: {error}") from error

    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict[str, Any]:
        kwargs = {**super()._prepare_subcommand_kwargs(subcommand), "weights_only": True}
        own = {
            "test": {"verbose": False},
            "predict": {"return_predictions": False},
        }  # the closing says and keeps it all
        return kwargs | own.get(subcommand, {})

    def before_fit(self) -> None:
        """Reads a teacher before anything is written; keeps the untrained method for the closing table."""
        if isinstance(self.model, Distill):
            self.model.read_teacher()
        self.untrained_memory = remembered(self.model)
        self.untrained = {key: value.detach().cpu().clone() for key, value in self.model.state_dict().items()}

    def after_fit(self) -> None:
        """Tests the last checkpoint and the untrained network, and prints the table."""
        self.signals.waits = False
        if self.signals.asked is not None:
            raise Stopped(self.signals.asked, "The training has ended: --ckpt_path last goes on with the test.")
        if self.config_init[self.subcommand].test_after_fit and not self.trainer.interrupted:
            self.results = close_fit(self)

    def after_test(self) -> None:
        """Prints the table of one row."""
        self.results = close_test(self)

    def before_predict(self) -> None:
        """Leaves out what an earlier go has finished."""
        begin_predict(self)

    def after_predict(self) -> None:
        """Says where the features are."""
        close_predict(self)


def _trains(class_path: str) -> bool:
    package, name = class_path.partition(".")[0], class_path.rpartition(".")[2]
    kinds = [kind for kind in subclasses(Method) if kind.__module__.partition(".")[0] == package]
    return all(getattr(kind, "trains", True) for kind in kinds if kind.__name__ == name)


def run(args: list[str]) -> SuiteCLI:
    """Runs one command.

    Args:
        args: The command line without the program's name.

    Returns:
        The finished command, with `trainer`, `model`, `datamodule`, `run_folder` and `results`.

    Raises:
        WsreidError: Something that the user can mend; its text is all that needs to be shown.
    """
    signals = StopSignals()
    with signals.handled(), quiet(), contextlib.ExitStack() as stack:
        try:
            return SuiteCLI(stack, args, signals)
        except SIGTERMException:  # Lightning's own, behind an epoch
            raise Stopped(signal.SIGTERM, _GO_ON) from None
        except (KeyboardInterrupt, SystemExit):  # Lightning makes the one the other
            if signals.asked is None:
                raise
            raise Stopped(signals.asked, _GO_ON) from None
        except WsreidError as error:
            raise user_error(error) or error from None
        except Exception as error:
            if signals.asked is not None:  # it reached the processes that load images too
                raise Stopped(signals.asked, _GO_ON) from error
            found = user_error(error)
            if found is None:
                raise
            raise found from None
