"""A run that is killed and goes on ends as one that was not: curve, weights, tables, banks, queues, random numbers."""

import os
from functools import cache
from pathlib import Path

import pytest
import torch

from tests.cli.killed_runs import (
    behind_the_checkpoint_of,
    dies,
    differences,
    in_step,
    in_the_write_of_checkpoint,
    in_validation,
)
from tests.experiments.test_configs import EXPERIMENTS, TINY_RUN
from tests.teachers import teacher_arguments
from wsreid.cli import main
from wsreid.methods import BagCE

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the run to kill is forked")

SMALL = [
    *("--data.rendered.train_ids", "12", "--data.rendered.test_ids", "8", "--data.rendered.cameras", "3"),
    *TINY_RUN,
    *("--data.val_fraction", "0.3", "--model.pretrained", "false", "--model.weights", "null"),
    *("--model.backbone", "osnet_x0_25", "--model.last_stride", "1", "--test_after_fit", "false"),
    *("--trainer.max_epochs", "3", "--trainer.limit_train_batches", "3", "--trainer.enable_model_summary", "false"),
    *("--checkpoint.every_n_steps", "2"),  # behind steps 2, 3 (the epoch), 5, 6, 8, 9
]
METHODS = sorted(
    path.stem for path in (EXPERIMENTS / "synthetic").glob("*.yaml") if path.stem not in ("pretrain", "transfer")
)
MOMENTS = {
    "in the first step": in_step(0),
    "in validation": in_validation(1),
    "between a checkpoint and its epoch's row": behind_the_checkpoint_of(1),
    "in the write of a checkpoint": in_the_write_of_checkpoint(3),
}


def fit(method: str, run: Path, *more: str) -> None:
    own = teacher_arguments(method, Path(os.environ["WSREID_CACHE_DIR"]))  # one place: it stands in checkpoints
    main(["fit", "--config", str(EXPERIMENTS / "synthetic" / f"{method}.yaml"), "--run", str(run), *SMALL, *own, *more])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a method's run that nothing interrupts."""

    @cache
    def of(method: str) -> Path:
        run = tmp_path_factory.mktemp("whole") / method
        fit(method, run)
        return run

    return of


@pytest.mark.slow  # three runs for each method
@pytest.mark.parametrize("method", METHODS)
def test_killed_within_an_epoch_each_method_goes_on_exactly(method, whole, tmp_path):
    run = tmp_path / "run"
    dies(lambda: fit(method, run), in_step(5))
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 5
    fit(method, run, "--ckpt_path", "last")
    assert differences(whole(method), run) == []


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("method", ["clustercontrast", "cvmiml", "dgl", "meanteacher", "pico"])
def test_killed_at_any_moment_a_run_goes_on_exactly(method, moment, whole, tmp_path):
    run = tmp_path / "run"
    dies(lambda: fit(method, run), MOMENTS[moment])
    fit(method, run, "--ckpt_path", "last")
    assert differences(whole(method), run) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "step"),
    [
        (["--trainer.accumulate_grad_batches", "2", "--trainer.limit_train_batches", "5"], 4),
        (["--trainer.val_check_interval", "2", "--trainer.limit_train_batches", "5"], 8),
        (["--trainer.check_val_every_n_epoch", "2", "--trainer.max_epochs", "4"], 10),
        (["--trainer.max_steps", "8"], 7),  # in an epoch
        (["--trainer.max_steps", "8"], 6),  # from an epoch's end
        (["--trainer.max_steps", "8", "--trainer.max_epochs", "-1"], 6),
        (["--data.num_workers", "2"], 5),
        (["--trainer.precision", "bf16-mixed", "--trainer.gradient_clip_val", "0.1"], 5),
    ],
    ids=lambda value: value[0].removeprefix("--") if isinstance(value, list) else None,
)
def test_under_other_options_too(options, step, tmp_path):
    fit("proden", tmp_path / "whole", *options)
    dies(lambda: fit("proden", tmp_path / "run", *options), in_step(step))
    fit("proden", tmp_path / "run", "--ckpt_path", "last", *options)
    assert differences(tmp_path / "whole", tmp_path / "run") == []


def test_random_numbers_of_the_method_go_on_too(run_cli, tmp_path, monkeypatch):
    outputs = BagCE.outputs

    def dropping(self, batch):
        found = outputs(self, batch)
        logits = tuple(torch.nn.functional.dropout(of_head, 0.5, self.training) for of_head in found.logits)
        return type(found)(logits=logits, network=found.network)

    monkeypatch.setattr(BagCE, "outputs", dropping)
    limits = ["--trainer.max_epochs", 2, "--data.bags_per_batch", 1, "--checkpoint.every_n_steps", 1]

    def run(name, *more):
        run_cli("fit", "--run", tmp_path / name, "--test_after_fit", "false", *limits, *more)

    run("whole")
    dies(lambda: run("killed"), in_step(3))
    run("killed", "--ckpt_path", "last")
    assert differences(tmp_path / "whole", tmp_path / "killed") == []
