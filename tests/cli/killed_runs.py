"""Runs that die in a forked child, as a kill -9 leaves them, and what two runs' folders differ in."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import lightning.pytorch as pl
import pytest
import torch

from wsreid.methods import Method
from wsreid.tracking import checkpoint_file

# in a checkpoint: where and how long; and the latest score, which Lightning shows but does not load
OF_THIS_RUN = ("seconds", "dirpath", "_path", "best_k_models", "current_score")


LONGEST = 300  # seconds of a run: one that hangs is no SIGKILL, and fails its test


def die(*_: object, **__: object) -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def dies(run: Callable[[], object], plan: Callable[[pytest.MonkeyPatch], None]) -> None:
    """Carries out `run` in a child that `plan` has killed somewhere in it."""
    child = os.fork()
    if child == 0:
        torch.set_num_threads(1)  # threads of another test are not there after a fork, and would be waited for
        signal.alarm(LONGEST)
        try:
            with pytest.MonkeyPatch.context() as patch:
                plan(patch)
                run()
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def in_step(step: int) -> Callable[[pytest.MonkeyPatch], None]:
    def plan(patch: pytest.MonkeyPatch) -> None:
        before = Method.training_step
        patch.setattr(
            Method, "training_step", lambda self, *args: die() if self.global_step == step else before(self, *args)
        )

    return plan


def in_validation(epoch: int) -> Callable[[pytest.MonkeyPatch], None]:
    def plan(patch: pytest.MonkeyPatch) -> None:
        before = Method.validation_step
        patch.setattr(
            Method,
            "validation_step",
            lambda self, *args: die() if self.current_epoch == epoch else before(self, *args),
        )

    return plan


def behind_the_checkpoint_of(epoch: int) -> Callable[[pytest.MonkeyPatch], None]:
    """Before the row of the epoch is written to metrics.csv."""

    def plan(patch: pytest.MonkeyPatch) -> None:
        before = pl.Trainer.save_checkpoint

        def save(self: pl.Trainer, path: str, *args: object, **kwargs: object) -> None:
            before(self, path, *args, **kwargs)
            if (
                "last" in str(path)
                and self.current_epoch == epoch
                and self.fit_loop.epoch_progress.current.processed > epoch
            ):
                die()

        patch.setattr(pl.Trainer, "save_checkpoint", save)

    return plan


def in_the_write_of_checkpoint(number: int) -> Callable[[pytest.MonkeyPatch], None]:
    """The bytes are written, and not renamed yet."""

    def plan(patch: pytest.MonkeyPatch) -> None:
        before, left = checkpoint_file._keep, [number]

        def keep(file: Path) -> None:
            left[0] -= 1
            die() if left[0] < 0 else before(file)

        patch.setattr(checkpoint_file, "_keep", keep)

    return plan


def differences(one: Path, other: Path) -> list[str]:
    """What the curves and the last checkpoints of two run folders differ in."""
    found = [f for f in ("metrics.csv", "diagnostics.csv") if (one / f).read_text() != (other / f).read_text()]
    content = [torch.load(run / "checkpoints" / "last.ckpt", weights_only=True) for run in (one, other)]
    return found + _unequal(*content)


def _unequal(a: object, b: object, where: str = "") -> list[str]:
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        same = a.shape == b.shape and bool(((a == b) | ((a != a) & (b != b))).all())
        return [] if same else [where]
    if isinstance(a, dict) and isinstance(b, dict):
        names = [name for name in a.keys() | b.keys() if not any(str(name).endswith(end) for end in OF_THIS_RUN)]
        return [d for name in names for d in _unequal(a.get(name), b.get(name), f"{where}/{name}")]
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) and len(a) == len(b):
        return [d for i, pair in enumerate(zip(a, b, strict=True)) for d in _unequal(*pair, f"{where}/{i}")]
    return [] if a == b else [where]
