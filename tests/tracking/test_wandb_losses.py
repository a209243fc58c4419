"""W&B's own process, disk and network, really lost: the run goes on, is told, and ends in time."""

import logging
import resource
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
import wandb

from wsreid.tracking import wandb_logger
from wsreid.tracking.wandb_file import records

from .test_wandb_logger import make_logger
from .wandb_runs import logged_run
from .wandb_server import FakeServer


@pytest.fixture
def own_process():
    """A process of W&B that no other test has, which is dropped afterwards."""
    wandb.teardown()
    yield lambda: next(p for p in psutil.Process().children(recursive=True) if p.name() == "wandb-core")
    wandb.teardown()


@pytest.fixture
def server(own_process, monkeypatch):
    server = FakeServer()
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    yield server
    server.close()


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.WARNING)
    return lambda: [r.getMessage() for r in caplog.records if r.name == "wsreid.tracking.wandb_logger"]


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux can limit another process")
def test_a_disk_that_fills_up_is_said_at_the_end(tmp_path, own_process, said, monkeypatch):
    monkeypatch.setattr(wandb_logger, "_FLUSHED_S", 0.5)
    logger = make_logger(tmp_path)
    logger.log_metrics({"early": 1.0}, 0)
    resource.prlimit(own_process().pid, resource.RLIMIT_FSIZE, (4096, 4096))
    for step in range(50):
        logger.experiment.log({"text": "x" * 200, "trainer/global_step": step})
    logger.finish()
    (message,) = said()
    assert "could not write all of this run" in message
    assert ".wandb" in message


def test_a_process_of_wandb_that_was_killed_is_one_warning(tmp_path, own_process, said):
    logger = make_logger(tmp_path)
    logger.log_metrics({"early": 1.0}, 0)
    own_process().kill()
    psutil.wait_procs([own_process()], timeout=5)
    for step in range(50):
        logger.log_metrics({"a": 1.0}, step)
    start = time.monotonic()
    logger.finish()
    assert time.monotonic() - start < 10
    (message,) = said()
    assert "W&B failed and is off" in message


@pytest.mark.slow  # a process with its own imports
def test_the_command_ends_without_a_trace_where_the_process_of_wandb_was_killed(tmp_path):
    script = """
import psutil, sys
from pathlib import Path
from wsreid.tracking import GuardedWandbLogger, WandbSettings
logger = GuardedWandbLogger(WandbSettings("offline"), Path(sys.argv[1]), name="n", group="g", data="d", job_type="fit")
logger.log_metrics({"a": 1.0}, 0)
for process in psutil.Process().children(recursive=True):
    if process.name() == "wandb-core":
        process.kill()
        process.wait()
for step in range(20):
    logger.log_metrics({"a": 1.0}, step)
logger.finish()
"""
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    # either a call fails, and we say so once, or the end of the run does, which W&B may say itself
    ours = [line for line in done.stderr.splitlines() if not line.startswith("wandb: ")]
    assert len(ours) <= 1
    assert all(line.startswith("W&B failed") for line in ours)


def test_without_a_network_an_online_run_is_kept_offline(tmp_path, server, said, monkeypatch):
    monkeypatch.setenv("WANDB_INIT_TIMEOUT", "1")
    server.lose()
    logger = make_logger(tmp_path, "online")
    logger.log_metrics({"a": 1.0}, 0)
    logger.finish()
    (message,) = said()
    assert "cannot be reached" in message
    assert "wandb sync" in message
    assert logged_run(tmp_path).summary["a"] == 1.0


def test_without_an_account_an_online_run_is_kept_offline(tmp_path, own_process, said, monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    logger = make_logger(tmp_path / "a run", "online")
    logger.log_metrics({"a": 1.0}, 0)
    logger.finish()
    (message,) = said()
    assert "wandb login" in message
    assert f"`wandb sync '{tmp_path}/a run/wandb'/offline-run-*`" in message
    assert logged_run(tmp_path / "a run").summary["a"] == 1.0


def test_a_network_that_is_lost_on_the_way_holds_the_end_up_no_longer_than_was_asked_for(tmp_path, server, said):
    logger = make_logger(tmp_path, "online", finish_timeout=1.0)
    logger.log_metrics({"early": 1.0}, 0)
    server.lose()
    for step in range(20):
        logger.log_metrics({"a": 1.0}, step)
    logger.log_image("picture", [np.zeros((4, 4, 3), np.uint8)])
    start = time.monotonic()
    logger.finish()
    assert time.monotonic() - start < 15
    (message,) = said()
    assert "Timed out" in message
    assert "UpsertBucket" in server.asked
    (kept,) = (tmp_path / "wandb").glob("run-*/run-*.wandb")  # for `wandb sync`
    steps = [
        item.value_json
        for record in records(kept)
        for item in record.history.item
        if list(item.nested_key) == ["trainer/global_step"]
    ]
    assert len(steps) == 22


@pytest.mark.slow  # W&B tries for a while before it gives up
def test_a_table_without_a_network_is_left_out(tmp_path, server, said):
    logger = make_logger(tmp_path, "online", finish_timeout=1.0)
    logger.log_metrics({"early": 1.0}, 0)
    server.lose()
    logger.log_table("table", columns=["a"], data=[[1]])
    logger.log_metrics({"late": 1.0}, 1)
    logger.finish()
    assert sum("gets no table" in message for message in said()) == 1
    assert sum("is off" in message for message in said()) == 1  # the end, which timed out
