"""Weights & Biases, offline unless asked, and never a reason for a run to stop."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, ParamSpec

from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from wsreid.tracking.process_rank import process_rank

log = logging.getLogger(__name__)
_P = ParamSpec("_P")
_ID_FILE = "run-id.txt"


@dataclass(frozen=True)
class WandbSettings:
    """Where Weights & Biases keeps the run.

    Attributes:
        mode: `offline` writes files into the run folder, for `wandb sync` later; `online` needs an account and a
            network; `disabled` writes nothing.
        project: W&B project.
        entity: W&B user or team; None = the account's default.
        tags: Tags beside the data set's name, which is always one.
    """

    mode: Literal["offline", "online", "disabled"] = "disabled"
    project: str = "wsreid"
    entity: str | None = None
    tags: tuple[str, ...] = ()


class _Nothing:
    """Stands for a W&B run that failed: accepts every call and does nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: None


class GuardedWandbLogger(WandbLogger):
    """Lightning's W&B logger, which gives up with one warning instead of stopping the run.

    Args:
        settings: What the user chose; its mode is not `disabled`.
        folder: The run folder; W&B's files go into its `wandb` folder. A resumed run keeps its W&B id.
        name: Name of the run.
        group: Name of the method.
        data: Name of the data set, the first tag.
        job_type: The command: fit, validate, test or predict.
    """

    def __init__(
        self, settings: WandbSettings, folder: Path, *, name: str, group: str, data: str, job_type: str
    ) -> None:
        super().__init__(
            name=name,
            save_dir=str(folder),
            project=settings.project,
            entity=settings.entity,
            group=group,
            tags=[data, *(tag for tag in settings.tags if tag != data)],
            job_type=job_type,
            mode=settings.mode,
        )
        del self._wandb_init["anonymous"]  # wandb warns of it since 0.23
        self._failed = False
        self._ids = folder / "wandb" / f"{job_type}-{_ID_FILE}"

    @property
    def experiment(self) -> Any:  # noqa: ANN401  # W&B's run has no public type that fits its stand-ins
        """The W&B run, or a stand-in that does nothing once W&B has failed."""
        if self._failed or process_rank() != 0:
            return _Nothing()
        if self._experiment is None:
            self._guard(self._start)
        return self._experiment if self._experiment is not None and not self._failed else _Nothing()

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Logs numbers at a step."""
        self._guard(super().log_metrics, metrics, step)

    def log_hyperparams(self, params: Any, *_: object, **__: object) -> None:  # noqa: ANN401  # Lightning's type
        """Adds to the W&B configuration."""
        self._guard(super().log_hyperparams, params)

    def log_image(self, key: str, images: list[Any], step: int | None = None, **kwargs: Any) -> None:  # noqa: ANN401
        """Logs pictures."""
        self._guard(super().log_image, key, images, step, **kwargs)

    def after_save_checkpoint(self, checkpoint_callback: Any) -> None:  # noqa: ANN401  # Lightning's type
        """Remembers the checkpoint callback."""
        self._guard(super().after_save_checkpoint, checkpoint_callback)

    def finalize(self, status: str) -> None:
        """Does nothing: the closing pass still logs after the fit; `finish` ends the W&B run."""

    @rank_zero_only
    def finish(self, exit_code: int = 0) -> None:
        """Ends the W&B run.

        Args:
            exit_code: 0 = the command went well.
        """
        if self._experiment is not None and not self._failed:
            run, self._experiment = self._experiment, None
            self._guard(run.finish, exit_code=exit_code)
        self._failed = True

    def _start(self) -> None:
        import wandb

        self._ids.parent.mkdir(parents=True, exist_ok=True)
        self._wandb_init["settings"] = wandb.Settings(silent=True, console="off")
        self._wandb_init["id"] = self._ids.read_text(encoding="utf-8").strip() if self._ids.exists() else None
        self._wandb_init["reinit"] = "create_new"
        run = wandb.init(**self._wandb_init)
        self._experiment = run
        self._ids.write_text(run.id, encoding="utf-8")
        run.define_metric("trainer/global_step")
        run.define_metric("*", step_metric="trainer/global_step", step_sync=True)
        # Beside these W&B summaries, which it nests, plain best/* numbers are logged: those can be sorted by.
        for name in ("val/R1", "val/mAP_step"):
            run.define_metric(name, summary="max")
        run.define_metric("train/loss", summary="min")

    def _guard(self, call: Callable[_P, object], *args: _P.args, **kwargs: _P.kwargs) -> None:
        if self._failed:
            return
        try:
            call(*args, **kwargs)
        except Exception as error:  # noqa: BLE001  # whatever W&B raises, the run goes on
            self._failed = True
            log.warning("W&B failed and is off for the rest of this run (%s: %s)", type(error).__name__, error)
