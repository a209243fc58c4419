"""Two processes, all that W&B can get: process 0 alone logs, and no process waits for it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_distributed import SET
from tests.experiments.test_configs import EXPERIMENTS, TINY_RUN
from tests.tracking.wandb_runs import logged_run


@pytest.mark.slow  # two processes, each with its own imports
def test_two_processes_are_one_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    config = ["--config", str(EXPERIMENTS / "quickstart.yaml"), "--run", str(run), *SET, *TINY_RUN]
    two = ["--model.backbone", "osnet_x0_25", "--trainer.devices", "2", "--trainer.strategy", "ddp"]
    two += ["--trainer.max_epochs", "2", "--trainer.deterministic", "false", "--data.val_fraction", "0.34"]
    wandb = ["--wandb.mode", "offline", "--wandb.embeddings", "6", "--wandb.activation_maps", "2"]
    wandb += ["--wandb.artifacts", "true", "--wandb.bags", "99"]
    done = subprocess.run(
        [sys.executable, "-m", "wsreid", "fit", *config, *two, *wandb],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    assert "W&B" not in done.stderr
    found = logged_run(run)  # which asks for one run
    assert len(found.pictures("train/bags")) == 2
    assert [len(table) for table in found.tables("val/queries")] == [found.summary["val/n_query"]] * 2
    assert len(found.tables("test/queries")) == len(found.pictures("test/activation_maps")) == 1
    assert len(found.tables("test/embeddings")[0]) == 6
    assert {artifact.type for artifact in found.artifacts} == {"run_table", "model", "bags"}
    assert sum("test/mAP_step" in row for row in found.history) == 1
