import logging

import pytest
import wandb

from wsreid.tracking.wandb_logger import GuardedWandbLogger, WandbSettings


def _logger(folder):
    return GuardedWandbLogger(WandbSettings("offline"), folder, name="n", group="DGL", data="synthetic", job_type="fit")


def test_an_offline_run_lies_in_the_run_folder_and_a_resume_keeps_its_id(tmp_path):
    logger = _logger(tmp_path)
    logger.log_hyperparams({"config": {"model": {"lr": 0.1}}})
    logger.log_metrics({"val/R1": 0.5, "best/R1": 0.5}, step=1)
    run = logger.experiment
    assert (run.group, run.job_type, tuple(run.tags)) == ("DGL", "fit", ("synthetic",))
    assert run.config["config"]["model"]["lr"] == 0.1
    logger.finish()
    assert list((tmp_path / "wandb").glob(f"offline-run-*-{run.id}/run-{run.id}.wandb"))
    again = _logger(tmp_path)
    assert again.experiment.id == run.id
    again.finish()


@pytest.mark.parametrize("method", ["init", "log"])
def test_a_failure_of_wandb_is_one_warning(tmp_path, monkeypatch, caplog, method):
    def fail(*_, **__):
        raise OSError("no space left on device")

    class Run:
        id, log, summary = "abc", fail, {}

        def define_metric(self, *_, **__):
            pass

    monkeypatch.setattr(wandb, "init", fail if method == "init" else lambda **_: Run())
    logger = _logger(tmp_path)
    with caplog.at_level(logging.WARNING):
        for step in range(3):
            logger.log_metrics({"loss": 1.0}, step)
        logger.log_hyperparams({"a": 1})
        logger.log_image("picture", ["missing.png"])
        logger.experiment.anything("goes")
        logger.finish()
    assert [r.message for r in caplog.records if "no space left" in r.message and "W&B" in r.message] != []
    assert len([r for r in caplog.records if r.name == "wsreid.tracking.wandb_logger"]) == 1
