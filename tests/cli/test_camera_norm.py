"""Normalisation by camera through the command line: what is scored, recorded and refused."""

import json
import logging
import os
import subprocess
import sys
from types import SimpleNamespace

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from torch import nn

from wsreid.cli.search_gallery import open_gallery
from wsreid.data.batch import EvalBatch
from wsreid.errors import ConfigError
from wsreid.methods import BagCE
from wsreid.methods.camera_norm import CameraNorm
from wsreid.methods.camera_statistics import batch_norms
from wsreid.models import EmbeddingNet, NetworkOutput
from wsreid.retrieval import evaluate
from wsreid.retrieval.feature_files import read_features
from wsreid.retrieval.shard_index import ShardIndex
from wsreid.tracking.experiment_hash import config_hash

NORM = ("--camera_norm.mode", "batch_norm")
SIDES = ("query", "gallery")


def naive(cli):
    """Rows, identities, cameras and features of both sides, each camera by a network that normalises by the batch."""
    sides = [next(iter(loader)) for loader in cli.datamodule.test_dataloader()]
    images, camera = (torch.cat([getattr(side, name) for side in sides]) for name in ("images", "camera"))
    found = None
    for one in camera.unique():
        network = cli.model.eval()
        for norm in batch_norms(network).values():
            norm.train().momentum = 0.0
        with torch.no_grad():
            features = network.embed(images[camera == one])
        found = features.new_zeros(len(images), features.shape[1]) if found is None else found
        found[camera == one] = features
        network.eval()
    cut = len(sides[0])
    return sides, (found[:cut].numpy(), found[cut:].numpy())


def test_a_test_scores_by_camera_and_says_so(run_cli, tmp_path, capsys):
    cli = run_cli("test", "--run", tmp_path / "run", *NORM)
    (query, gallery), features = naive(cli)
    pids, cameras = ([getattr(side, name).numpy() for side in (query, gallery)] for name in ("pid", "camera"))
    expected = evaluate(*features, q_pid=pids[0], g_pid=pids[1], q_cam=cameras[0], g_cam=cameras[1])
    plain = [cli.model.embed(side.images).detach().numpy() for side in (query, gallery)]
    other = evaluate(*plain, q_pid=pids[0], g_pid=pids[1], q_cam=cameras[0], g_cam=cameras[1])
    result = cli.results[0].retrieval
    assert result.map_step == pytest.approx(expected.map_step, abs=1e-6)
    assert result.map_step != pytest.approx(other.map_step, abs=1e-3)
    assert cli.model.score_with is None
    written = json.loads((tmp_path / "run" / "results.json").read_text())
    assert written["definition"]["camera_norm"] == "batch_norm, at most 1024 images"
    assert "TRANSDUCTIVE" in written["notes"][0]
    assert "TRANSDUCTIVE" in capsys.readouterr().out


def test_predicted_features_are_normalised_recorded_and_mixed_with_no_others(run_cli, tmp_path):
    args = ["--run", tmp_path / "run", "--features.dtype", "float32"]
    cli = run_cli("predict", *args, *NORM)
    folders = [tmp_path / "run" / "features" / side for side in SIDES]
    _, expected = naive(cli)
    for folder, features in zip(folders, expected, strict=True):
        assert np.allclose(np.asarray(read_features(folder).features), features, atol=5e-3)
    origin = ShardIndex.read(folders[0]).origin
    assert (origin["camera_norm"], origin["engine"]) == ("batch_norm, at most 1024 images", "eager")
    with pytest.raises(ConfigError, match=r"shards of another prediction.*camera_norm batch_norm"):
        run_cli("predict", *args)
    network = SimpleNamespace(check_origin=lambda *_: None)
    with pytest.raises(ConfigError, match="an image that is searched for has no camera"):
        open_gallery(network, SimpleNamespace(gallery=folders[1]))


def test_the_experiment_is_another_one_only_where_it_is_on():
    def options(**norm):
        return {"model": {"class_path": "BagCE"}, **({"camera_norm": norm} if norm else {})}

    off, on = (config_hash(options(mode=mode, images=1024)) for mode in ("none", "batch_norm"))
    assert off == config_hash(options())
    assert on != off


class Normless(EmbeddingNet):
    """A linear network."""

    def __init__(self):
        super().__init__((3,), 3)
        self.layer = nn.Linear(3, 3)

    def forward(self, images):
        features = self.layer(images.mean((2, 3)))
        return NetworkOutput(features, (features,), (features,), features)


def scoring(cameras, method, mode):
    """The callback about to score images of these cameras."""
    batches = [
        EvalBatch(
            images=torch.randint(0, 256, (n, 3, 8, 4), dtype=torch.uint8),
            pid=torch.full((n,), -1),
            camera=torch.full((n,), camera),
            row=torch.arange(n),
            skipped=torch.empty(0, dtype=torch.long),
        )
        for camera, n in cameras.items()
    ]
    data = SimpleNamespace(camera_dataloader=lambda *_: batches, on_before_batch_transfer=lambda batch, _: batch)
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    trainer.datamodule = data
    norm = CameraNorm(mode)
    norm.setup(trainer, method, "test")
    norm.on_test_start(trainer, method)
    return method.score_with


@pytest.fixture
def normless(monkeypatch):
    monkeypatch.setattr("wsreid.methods.base.build_network", lambda *_, **__: Normless())
    return BagCE(num_ids=3).eval()


def test_a_network_without_batch_normalisation_is_refused(normless):
    with pytest.raises(ConfigError, match=r"no batch normalisation.*Take feature_mean"):
        scoring({0: 3}, normless, "batch_norm")
    assert scoring({0: 3}, normless, "feature_mean").cameras == {0}


def test_a_norm_that_takes_no_part_in_the_features_is_no_help(normless):
    normless.unused = nn.BatchNorm1d(3)
    with pytest.raises(ConfigError, match="takes part"):
        scoring({0: 3}, normless, "batch_norm")


def test_cameras_of_one_image_are_told_once_and_must_not_be_all(normless, caplog):
    with caplog.at_level(logging.WARNING):
        assert scoring({0: 3, 4: 1, 5: 1}, normless, "feature_std").cameras == {0}
    told = [record.message for record in caplog.records if "camera_norm" in record.message]
    assert told == [
        "camera_norm: 2 cameras (such as 4) are of one image alone: embedded without its camera's statistics"
    ]
    with pytest.raises(ConfigError, match="no camera of the test split is known by two images"):
        scoring({4: 1}, normless, "feature_std")
    with pytest.raises(ConfigError, match=r"camera_norm\.images must be at least 2"):
        CameraNorm("batch_norm", images=1)


@pytest.mark.slow  # two fits
def test_training_is_as_without_it(run_cli, tmp_path):
    figures, weights = [], []
    for args in ((), NORM):
        run = tmp_path / f"run{len(args)}"
        cli = run_cli("fit", "--run", run, "--trainer.max_epochs", "2", *args)
        weights.append(torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"])
        figures.append([row.retrieval.map_step for row in cli.results])
        assert cli.model.score_with is None
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    assert all(one != other for one, other in zip(*figures, strict=True))  # the trained and the untrained network's


@pytest.mark.slow  # two processes, each with its own imports
def test_two_processes_score_as_one(market_root, run_cli, tmp_path):
    alone = run_cli("test", "--run", tmp_path / "one", "--data.eval_batch_size", "3", *NORM)
    command = ["test", "--model", "BagCE", "--model.backbone", "osnet_x0_25", "--data.root", market_root]
    command += ["--data.height", 32, "--data.width", 16, "--data.val_fraction", 0.34, "--data.bags_per_batch", 2]
    command += ["--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false", "--run", tmp_path / "two"]
    command += ["--trainer.devices", 2, "--trainer.strategy", "ddp", "--data.eval_batch_size", 3, *NORM]
    done = subprocess.run(
        [sys.executable, "-m", "wsreid", *map(str, command)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / "two" / "results.json").read_text())
    assert written["rows"][0]["mAP_step"] == pytest.approx(alone.results[0].retrieval.map_step, abs=1e-6)
