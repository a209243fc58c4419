import errno
import logging
import os
from pathlib import Path

import numpy as np
import pytest
import wandb
from lightning.pytorch.utilities import rank_zero_only
from wandb.sdk.wandb_config import Config
from wandb.sdk.wandb_run import Run

from wsreid.tracking.wandb_logger import GuardedWandbLogger
from wsreid.tracking.wandb_settings import WandbSettings

from .wandb_runs import logged_run


def make_logger(folder, mode="offline", **settings):
    chosen = WandbSettings(mode, **settings)
    return GuardedWandbLogger(chosen, folder, name="n", group="DGL", data="synthetic", job_type="fit")


def log_everything(logger, file):
    """Each kind of thing, as a run logs it, then once more."""
    for step in range(2):
        logger.log_hyperparams({"config": {"model": {"lr": 0.1}}})
        logger.log_metrics({"val/R1": 0.5 - step / 10, "best/R1": 0.5}, step)
        logger.log_image("picture", [np.zeros((4, 4, 3), np.uint8)], caption=["black"])
        logger.log_table("table", columns=["a", "image"], data=[[1, np.zeros((4, 4, 3), np.uint8)]])
        logger.log_files("files", "model", [file], {"epochs": 3})
        logger.experiment.log({"own": step})
        logger.experiment.config.get("config")
        logger.experiment.summary["own"] = step


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "last.ckpt"
    path.write_bytes(b"weights")
    return path


def test_an_offline_run_lies_in_the_run_folder_and_is_read_back(tmp_path, file, monkeypatch):
    monkeypatch.delenv("WANDB_ERROR_REPORTING", raising=False)
    logger = make_logger(tmp_path, tags=("first", "synthetic"), project="mine", entity="team")
    log_everything(logger, file)
    logger.finish()
    assert os.environ.pop("WANDB_ERROR_REPORTING") == "false"  # tests/cli/test_network.py shows what that keeps in
    found = logged_run(tmp_path)
    assert (found.run.run_group, found.run.job_type, found.run.display_name) == ("DGL", "fit", "n")
    assert (found.run.project, found.run.entity, sorted(found.run.tags)) == ("mine", "team", ["first", "synthetic"])
    assert found.config["config"] == {"model": {"lr": 0.1}}
    assert [row["val/R1"] for row in found.history if "val/R1" in row] == [0.5, 0.4]
    assert [caption for _, caption in found.pictures("picture")] == ["black", "black"]
    assert all(picture.is_file() for picture, _ in found.pictures("picture"))
    assert [row["a"] for table in found.tables("table") for row in table] == [1, 1]
    (model,) = {artifact.name for artifact in found.artifacts if artifact.type == "model"}
    assert model == "files"


def test_files_are_logged_where_they_lie(tmp_path, file):
    logger = make_logger(tmp_path / "run")
    logger.log_files("files", "model", [file], {"epochs": 3}, aliases=["mine"])
    logger.finish()
    (artifact,) = logged_run(tmp_path / "run").artifacts
    (entry,) = artifact.manifest.contents
    assert (entry.path, entry.size, entry.local_path) == ("last.ckpt", 7, str(file))
    assert artifact.metadata == '{"epochs":3}'
    assert "mine" in artifact.aliases
    assert file.stat().st_mode & 0o200  # not made read-only


def test_tables_are_staged_in_the_run_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("WANDB_DATA_DIR", raising=False)
    logger = make_logger(tmp_path)
    logger.log_table("table", columns=["a"], data=[[1]])
    logger.finish()
    (entry,) = [entry for artifact in logged_run(tmp_path).artifacts for entry in artifact.manifest.contents]
    assert Path(entry.local_path).is_relative_to(tmp_path / "wandb")


def test_curves_have_the_step_as_axis_and_best_figures_are_plain_numbers(tmp_path, file):
    logger = make_logger(tmp_path)
    log_everything(logger, file)
    logger.finish()
    found = logged_run(tmp_path)
    assert found.summary["best/R1"] == 0.5
    assert found.summary["val/R1"] == {"max": 0.5}
    metrics = {metric.name or metric.glob_name: metric for metric in found.metrics}
    assert set(metrics) == {"trainer/global_step", "*", "val/R1", "val/mAP_step", "train/loss"}
    for name in ("*", "val/R1", "val/mAP_step", "train/loss"):
        assert metrics[name].step_metric == "trainer/global_step"
        assert metrics[name].options.step_sync
    assert metrics["val/mAP_step"].summary.max
    assert metrics["train/loss"].summary.min


def test_a_resume_keeps_its_id(tmp_path):
    logger = make_logger(tmp_path)
    logger.log_metrics({"a": 1.0}, 0)
    first = logger.experiment.id
    logger.finish()
    again = make_logger(tmp_path)
    assert again.experiment.id == first
    again.finish()


def test_other_processes_log_nothing(tmp_path, file, monkeypatch):
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    logger = make_logger(tmp_path)
    log_everything(logger, file)
    logger.experiment.anything("goes")
    logger.finish()
    assert not (tmp_path / "wandb").exists()


def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


OFF = {
    "init": (wandb, "init"),
    "definition": (Run, "define_metric"),
    "configuration": (Config, "update"),
    "log": (Run, "log"),
    "end": (Run, "finish"),
}
LEFT_OUT = {
    "picture": (wandb, "Image"),
    "table": (wandb, "Table"),
    "files": (wandb.Artifact, "add_file"),
    "artifact": (Run, "log_artifact"),
}


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.WARNING)
    return lambda: [r.getMessage() for r in caplog.records if r.name == "wsreid.tracking.wandb_logger"]


@pytest.mark.parametrize("what", OFF)
def test_a_full_disk_is_one_warning(tmp_path, file, monkeypatch, said, what):
    with monkeypatch.context() as patch:
        patch.setattr(*OFF[what], full)
        logger = make_logger(tmp_path)
        logger.log_hyperparams({"a": 1})
        for step in range(3):
            logger.log_metrics({"a": 1.0}, step)
        log_everything(logger, file)
        logger.finish()
        logger.log_metrics({"late": 1.0}, 9)
        logger.finish()
    (message,) = [message for message in said() if "gets no" not in message]
    assert message.startswith("W&B failed and is off for the rest of this run")
    assert "No space left on device" in message
    again = make_logger(tmp_path / "again")  # the next run of this process is as any other
    again.log_metrics({"a": 1.0}, 0)
    again.finish()
    assert logged_run(tmp_path / "again").summary["a"] == 1.0


@pytest.mark.parametrize("what", LEFT_OUT)
def test_what_a_full_disk_has_no_room_for_is_left_out(tmp_path, file, monkeypatch, said, what):
    logger = make_logger(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(*LEFT_OUT[what], full)
        log_everything(logger, file)
    logger.finish()
    messages = said()
    assert all("gets no" in message and "No space left on device" in message for message in messages)
    assert len(messages) == len(set(messages)) >= 1  # each thing is named once, however often it was tried
    found = logged_run(tmp_path)
    assert [row["own"] for row in found.history if "own" in row] == [0, 1]
    missing = {"picture": "picture/_type", "table": "table/_type"}.get(what)
    assert missing is None or missing not in found.keys
    assert "artifact files" in str(messages) or what in ("picture", "table")


def test_a_disk_that_is_full_when_a_picture_is_copied(tmp_path, monkeypatch, said):
    logger = make_logger(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("shutil.move", full)  # how W&B takes a picture into its folder, inside of Run.log
        patch.setattr("shutil.copy", full)
        logger.log_image("picture", [np.zeros((4, 4, 3), np.uint8)], caption=["black"])
    logger.log_metrics({"a": 1.0}, 0)
    logger.finish()
    assert ["No space left" in message for message in said()] == [True]
    found = logged_run(tmp_path)
    assert not found.pictures("picture")
    assert found.summary["a"] == 1.0


def test_what_was_logged_before_a_failure_is_kept(tmp_path, file, monkeypatch):
    logger = make_logger(tmp_path)
    logger.log_metrics({"early": 1.0}, 0)
    with monkeypatch.context() as patch:
        patch.setattr(Run, "log", full)
        log_everything(logger, file)
    logger.finish()
    assert logged_run(tmp_path).summary["early"] == 1.0


def test_what_cannot_be_made_is_left_out_and_said(tmp_path, said):
    logger = make_logger(tmp_path)
    for _ in range(2):
        with logger.attempt("picture of bags"):
            raise ValueError("no such image")
    assert said() == ["W&B gets no picture of bags (ValueError: no such image)"]
    logger.log_metrics({"a": 1.0}, 0)
    logger.finish()
    assert logged_run(tmp_path).summary["a"] == 1.0
