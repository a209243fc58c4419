"""Weights & Biases, offline unless asked, and never a reason for a run to stop."""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

import numpy as np
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from wsreid.tracking.process_rank import process_rank
from wsreid.tracking.wandb_file import is_whole
from wsreid.tracking.wandb_settings import WandbSettings

if TYPE_CHECKING:
    import wandb
    from wandb.sdk.lib import RunDisabled

log = logging.getLogger(__name__)
_P = ParamSpec("_P")
_T = TypeVar("_T")
_ID_FILE: Final = "run-id.txt"
_REPORTING: Final = "WANDB_ERROR_REPORTING"
_DATA_DIR: Final = "WANDB_DATA_DIR"
_FLUSHED_S: Final = 5.0  # W&B's process ends its file a moment after it has said that the run is finished
STEP: Final = "trainer/global_step"
"""The axis of all curves, which Lightning logs."""
HIGHEST: Final = ("val/R1", "val/mAP_step")
LOWEST: Final = ("train/loss",)


class _Nothing:
    """Stands for a W&B run that failed, and for all that it has: accepts every call and does nothing."""

    def __getattr__(self, name: str) -> _Nothing:
        return self

    def __call__(self, *_: object, **__: object) -> _Nothing:
        return self

    def __getitem__(self, _: object) -> _Nothing:
        return self

    def __setitem__(self, _: object, __: object) -> None:
        pass


class _Guarded:
    """A W&B run whose calls never raise.

    Args:
        run: The run.
        guard: Calls, and catches.
    """

    def __init__(self, run: object, guard: Callable[..., object]) -> None:
        self._run = run
        self._guard = guard

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # whatever the run has
        value = getattr(self._run, name)
        return (lambda *args, **kwargs: self._guard(value, *args, **kwargs)) if callable(value) else value


class GuardedWandbLogger(WandbLogger):
    """Lightning's W&B logger, which never stops the run.

    A picture, table or artifact that cannot be made or logged is left out; where figures cannot be logged, W&B is off
    for the rest of the run. A warning says so, once. Only process 0 logs, and nothing in here waits for another one.

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
        self.settings = settings
        self._failed = False
        self._left_out: set[str] = set()
        self._folder = folder / "wandb"
        self._ids = self._folder / f"{job_type}-{_ID_FILE}"

    @property
    def experiment(self) -> Any:  # noqa: ANN401  # W&B's run has no public type that fits its stand-ins
        """The W&B run, whose calls never raise, or a stand-in that does nothing once W&B has failed."""
        run = self._running() if process_rank() == 0 else None
        return _Nothing() if run is None else _Guarded(run, self._guard)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Logs numbers at a step."""
        self._guard(super().log_metrics, metrics, step)

    def log_hyperparams(self, params: Any, *_: object, **__: object) -> None:  # noqa: ANN401  # Lightning's type
        """Adds to the W&B configuration."""
        self._guard(super().log_hyperparams, params)

    @rank_zero_only
    def log_image(self, key: str, images: list[Any], step: int | None = None, **kwargs: Any) -> None:  # noqa: ANN401
        """Logs pictures: arrays, or files; other arguments are lists, one entry a picture, such as `caption`."""
        import wandb

        with self.attempt(key):
            each = [{name: values[i] for name, values in kwargs.items()} for i in range(len(images))]
            self._log_media(key, [wandb.Image(image, **own) for image, own in zip(images, each, strict=True)], step)

    @rank_zero_only
    def log_table(
        self,
        key: str,
        columns: list[str] | None = None,
        data: list[list[Any]] | None = None,
        dataframe: Any = None,  # noqa: ANN401  # Lightning's type
        step: int | None = None,
    ) -> None:
        """Logs a table; images in it are arrays, `(H, W, 3)` uint8."""
        import wandb

        def cell(value: object) -> object:
            return wandb.Image(value) if isinstance(value, np.ndarray) else value

        with self.attempt(key):
            names: Any = columns  # W&B types it as a list that could hold numbers too
            shown: Any = None if data is None else [[cell(value) for value in row] for row in data]
            self._log_media(key, wandb.Table(columns=names, data=shown, dataframe=dataframe), step)

    @rank_zero_only
    def log_files(
        self, name: str, kind: str, files: Sequence[Path], metadata: Mapping[str, object], aliases: Sequence[str] = ()
    ) -> None:
        """Logs files as an artifact. They are not copied, so offline they must be there until `wandb sync`.

        Args:
            name: Name of the artifact.
            kind: Its type.
            files: The files.
            metadata: What is to be known of them, as plain values.
            aliases: Names of this version beside W&B's own.
        """
        import wandb

        with self.attempt(f"artifact {name}"):
            if (run := self._running()) is None:
                return
            artifact = wandb.Artifact(name, kind, metadata=dict(metadata))
            for file in files:
                artifact.add_file(str(file), policy="immutable", skip_cache=True)
            run.log_artifact(artifact, aliases=list(aliases))

    @rank_zero_only
    def after_save_checkpoint(self, checkpoint_callback: Any) -> None:  # noqa: ANN401  # Lightning's type
        """Does nothing: checkpoints are logged once, when the fit ends, if `settings.artifacts` says so."""

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Does nothing: the closing pass still logs after the fit; `finish` ends the W&B run."""

    @contextlib.contextmanager
    def attempt(self, what: str) -> Iterator[None]:
        """Makes something for W&B alone: if that fails, it is left out, one warning says so, and the run goes on.

        Args:
            what: Its name.
        """
        try:
            with self._staging_here():
                yield
        except Exception as error:  # noqa: BLE001  # a picture is no reason to lose a run of days
            if what not in self._left_out:
                log.warning("W&B gets no %s (%s: %s)", what, type(error).__name__, error)
            self._left_out.add(what)

    @rank_zero_only
    def finish(self, exit_code: int = 0) -> None:
        """Ends the W&B run, also one that failed: what it got until then is closed properly.

        Args:
            exit_code: 0 = the command went well.
        """
        run, self._experiment = self._experiment, None
        if run is None:
            self._failed = True
            return
        try:
            run.finish(exit_code=exit_code)
        except Exception as error:  # noqa: BLE001  # as in `_guard`
            self._give_up(error)
            self._let_go()
        else:
            file = Path(run.settings.sync_file)
            if run.settings.mode == "offline" and not _ends(file) and not self._failed:
                log.warning("W&B could not write all of this run to %s: was the disk full?", file)
        self._failed = True

    def finish_after(self, problem: type[BaseException] | None, *_: object) -> None:
        """Ends the W&B run as failed where an error ended the command; to be pushed on an exit stack."""
        self.finish(exit_code=0 if problem is None else 1)

    def _start(self) -> None:
        os.environ.setdefault(_REPORTING, "false")  # W&B tells its makers of its errors, of offline runs too
        import wandb

        self._ids.parent.mkdir(parents=True, exist_ok=True)
        self._wandb_init["settings"] = wandb.Settings(
            silent=True,
            console="off",
            finish_timeout=self.settings.finish_timeout,
            finish_timeout_raises=True,
        )
        self._wandb_init["id"] = self._ids.read_text(encoding="utf-8").strip() if self._ids.exists() else None
        self._wandb_init["reinit"] = "create_new"
        try:
            run = wandb.init(**self._wandb_init)
        except Exception as error:
            if self.settings.mode != "online":
                raise
            log.warning(
                "W&B cannot be reached (%s: %s). This run goes on offline; send it later with `wandb sync %s`",
                *(type(error).__name__, " ".join(str(error).split())[:200], self._unsent),
            )
            run = wandb.init(**{**self._wandb_init, "mode": "offline"})
        self._experiment = run
        self._ids.write_text(run.id, encoding="utf-8")
        run.define_metric(STEP)
        run.define_metric("*", step_metric=STEP, step_sync=True)
        # Beside these W&B summaries, which it nests, plain best/* numbers are logged: those can be sorted by.
        for names, summary in ((HIGHEST, "max"), (LOWEST, "min")):
            for name in names:
                run.define_metric(name, step_metric=STEP, step_sync=True, summary=summary)

    def _running(self) -> wandb.Run | RunDisabled | None:
        """The W&B run itself; None once W&B is off."""
        if not self._failed and self._experiment is None:
            self._guard(self._start)
        return None if self._failed else self._experiment

    def _log_media(self, key: str, media: object, step: int | None) -> None:
        if (run := self._running()) is not None:
            run.log({key: media} if step is None else {key: media, STEP: step})

    def _guard(self, call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T | None:
        """What the call gives; None once one has failed, after which no others are made."""
        if self._failed:
            return None
        try:
            return call(*args, **kwargs)
        except Exception as error:  # noqa: BLE001  # whatever W&B raises, the run goes on
            self._give_up(error)
            return None

    @contextlib.contextmanager
    def _staging_here(self) -> Iterator[None]:
        """Keeps what W&B stages of tables until `wandb sync` in the run folder, not in the user's home."""
        if _DATA_DIR in os.environ:
            yield
            return
        os.environ[_DATA_DIR] = str(self._folder.absolute())
        try:
            yield
        finally:
            os.environ.pop(_DATA_DIR, None)

    @property
    def _unsent(self) -> str:
        """What is kept offline, for a shell."""
        return shlex.quote(str(self._folder)) + "/offline-run-*"  # behind the quotes, where the shell expands it

    def _give_up(self, error: Exception) -> None:
        if not self._failed:
            log.warning("W&B failed and is off for the rest of this run (%s: %s)", type(error).__name__, error)
        self._failed = True

    def _let_go(self) -> None:
        """Drops W&B's own process, which does not answer: else it would complain when this process ends."""
        import wandb

        with contextlib.suppress(Exception):
            wandb.teardown()


def _ends(file: Path) -> bool:
    """Whether W&B's process wrote all of a run; of a full disk it tells no one."""
    patience = time.monotonic() + _FLUSHED_S
    while not is_whole(file):
        if time.monotonic() > patience:
            return False
        time.sleep(0.02)
    return True
