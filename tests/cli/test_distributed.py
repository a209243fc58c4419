"""Two processes on the CPU, started by the command line as a user starts them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.experiments.test_configs import EXPERIMENTS, TINY_RUN
from wsreid.cli import main

SET = ["--data.rendered.train_ids", "12", "--data.rendered.test_ids", "8", "--data.rendered.cameras", "3"]


def figures(run: Path) -> dict[str, float]:
    row = json.loads((run / "results.json").read_text())["rows"][0]
    ends = {f"{name}_{i}": end for name, both in row["intervals"].items() for i, end in enumerate(both)}
    return ends | {name: value for name, value in row.items() if name not in ("name", "seconds", "intervals")}


@pytest.mark.slow  # two processes, each with its own imports
def test_two_processes_train_and_score_as_one_process_scores(tmp_path: Path) -> None:
    run = tmp_path / "run"
    config = ["--config", str(EXPERIMENTS / "quickstart.yaml"), "--run", str(run), *SET, *TINY_RUN]
    network = ["--model.backbone", "osnet_x0_25"]
    two = ["--trainer.devices", "2", "--trainer.strategy", "ddp"]
    done = subprocess.run(
        [sys.executable, "-m", "wsreid", "fit", *config, *network, *two],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("untrained network") == 1  # one table, by one process
    of_two = figures(run)
    main(["test", *config, *network, "--ckpt_path", "last"])
    assert figures(run / "test-last") == pytest.approx(of_two, abs=1e-6)
