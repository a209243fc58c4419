"""An offline run, sent later."""

import os
import subprocess
import sys

import pytest

from .test_wandb_logger import make_logger
from .wandb_server import FakeServer


@pytest.mark.slow  # a process with its own imports
def test_an_offline_run_is_sent_later(tmp_path):
    logger = make_logger(tmp_path)
    logger.log_hyperparams({"config": {"model": {"lr": 0.25}}})
    for step in range(3):
        logger.log_metrics({"val/R1": 0.125 * step, "best/R1": 0.125 * step}, step)
    logger.finish()
    (folder,) = (tmp_path / "wandb").glob("offline-run-*")
    server = FakeServer()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "wandb", "sync", str(folder)],
            env={**os.environ, "WANDB_BASE_URL": server.url, "WANDB_API_KEY": "0" * 40},
            cwd=tmp_path,  # where it leaves its logs
            capture_output=True,
            text=True,
            timeout=120,
        )
    finally:
        server.close()
    assert done.returncode == 0, done.stderr
    assert "UpsertBucket" in server.asked
    history = "".join(server.sent)
    for step in range(3):
        assert f'\\"val/R1\\":{0.125 * step:g}' in history
