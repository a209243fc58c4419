"""`predict`: what it writes, and that a further go computes nothing twice and mixes nothing."""

import os
import shlex
import subprocess
import sys

import numpy as np
import pytest
import torch

from wsreid.errors import ConfigError, FeatureError
from wsreid.methods import BagCE
from wsreid.retrieval.feature_files import read_features
from wsreid.retrieval.feature_shards import shard_files

SIDES = ("query", "gallery")
SMALL = ("--features.dtype", "float32", "--features.shard_images", "3", "--data.eval_batch_size", "2")


@pytest.fixture
def predict(run_cli, tmp_path, monkeypatch):
    """Runs predict into a folder; returns the finished command and the rows that it embedded."""

    def run(*args):
        rows = []
        step = BagCE.predict_step

        def counted(self, batch, batch_idx, dataloader_idx=0):
            rows.extend(batch.row.tolist())
            return step(self, batch, batch_idx, dataloader_idx)

        with monkeypatch.context() as patch:
            patch.setattr(BagCE, "predict_step", counted)
            return run_cli("predict", "--run", tmp_path / "run", *SMALL, *args), rows

    return run


def contents(folder):
    return {file.name: file.read_bytes() for side in SIDES for file in shard_files(folder / side)}


def test_predict_writes_both_sides_and_says_how_to_score_them(predict, tmp_path, capsys):
    cli, rows = predict("--run", tmp_path / "it's [b] run")
    features = tmp_path / "it's [b] run" / "features"
    query, gallery = (read_features(features / side) for side in SIDES)
    manifest = cli.datamodule.manifest
    assert [len(query.pid), len(gallery.pid)] == [8, 10]
    assert sorted(rows) == [*query.row, *gallery.row]
    for side in (query, gallery):
        assert np.array_equal(side.pid, manifest.pid[side.row])
        assert np.array_equal(side.camera, manifest.camera[side.row])
    with torch.inference_mode():
        batch = next(iter(cli.datamodule.test_dataloader()[0]))
        expected = cli.model.eval().embed(batch.images).numpy()
    assert np.allclose(query.features.slice(0, 2), expected, atol=1e-5)
    assert [len(shard_files(features / side)) for side in SIDES] == [3, 4]
    assert cli.trainer.predict_loop.predictions in ([], [[], []])  # nothing is kept in memory
    out = capsys.readouterr().out
    assert f"{features / 'query'}: 8 of 8 images (0 from before); complete." in out
    assert f"{features / 'gallery'}: 10 of 10 images (0 from before); complete." in out
    words = shlex.split(out.split("Score them: ")[1])
    sides = ["--query", str(features / "query"), "--gallery", str(features / "gallery")]
    assert words == ["python", "-m", "wsreid", "evaluate", *sides, "--protocol", "market1501"]


def test_a_finished_prediction_is_not_computed_again(predict, tmp_path, capsys):
    predict()
    before = contents(tmp_path / "run" / "features")
    _, rows = predict()
    assert rows == []
    assert contents(tmp_path / "run" / "features") == before
    assert "10 of 10 images (10 from before); complete." in capsys.readouterr().out


def test_an_interrupted_prediction_goes_on_behind_its_finished_shards(predict, tmp_path, monkeypatch):
    features = tmp_path / "run" / "features"
    embed, calls = BagCE.embed, []

    def breaks(self, images):
        calls.append(len(images))
        if len(calls) > 7:  # noise for the engine, four batches of queries, two of the gallery
            raise RuntimeError("the power went")
        return embed(self, images)

    with monkeypatch.context() as patch:
        patch.setattr(BagCE, "embed", breaks)
        # as a kill would leave it: what had been collected for the next shard is lost
        patch.setattr("wsreid.cli.predict_shards.PredictShards.on_exception", lambda *_: None)
        with pytest.raises(RuntimeError, match="power"):
            predict()
    finished = contents(features)
    held = [row for side in SIDES for file in shard_files(features / side) for row in np.load(file)["row"]]
    assert len(held) == 8 + 3  # one image of the gallery was waiting for a full shard
    cli, rows = predict()
    query, gallery = cli.datamodule.test_rows
    assert sorted(rows + held) == [*query, *gallery]
    assert finished.items() <= contents(features).items()
    whole = np.concatenate([np.asarray(read_features(features / side).features) for side in SIDES])
    with torch.inference_mode():
        images = [batch.images for loader in cli.datamodule.test_dataloader() for batch in loader]
        expected = cli.model.eval().embed(torch.cat(images)).numpy()
    assert np.allclose(whole, expected, atol=1e-5)


def test_an_error_keeps_what_has_been_computed(predict, tmp_path, monkeypatch):
    embed, calls = BagCE.embed, []

    def breaks(self, images):
        calls.append(len(images))
        if len(calls) > 3:  # the first is noise, for the engine
            raise RuntimeError("the power went")
        return embed(self, images)

    with monkeypatch.context() as patch:
        patch.setattr(BagCE, "embed", breaks)
        with pytest.raises(RuntimeError, match="power"):
            predict()
    _, rows = predict()
    assert len(rows) == 18 - 4


def test_features_of_another_network_data_or_type_are_not_mixed(predict, tmp_path):
    predict()
    before = contents(tmp_path / "run" / "features")
    changes = [
        "--features.dtype",
        "float16",
        "--features.engine",
        "eager",
        "--model.flip_test",
        "true",
        "--data.width",
        "24",
    ]
    for args, named in (
        (["--seed_everything", "1"], ["weights"]),  # another untrained network
        (
            changes,
            [
                "dtype float32 (now float16)",
                "engine folded (now eager)",
                "flip_test false (now true)",
                "image 32x16 (now 32x24)",
            ],
        ),
    ):
        with pytest.raises(ConfigError, match=r"shards of another prediction.*--run NEW") as error:
            predict(*args)
        assert all(name in str(error.value) for name in named)
    assert contents(tmp_path / "run" / "features") == before
    _, rows = predict("--model.lr", "0.5")  # no feature depends on it
    assert rows == []


def test_a_damaged_shard_is_not_kept(predict, tmp_path):
    predict()
    shard = shard_files(tmp_path / "run" / "features" / "gallery")[0]
    whole = bytearray(shard.read_bytes())
    whole[whole.index(np.load(shard)["features"].tobytes())] ^= 1
    shard.write_bytes(whole)
    with pytest.raises(FeatureError, match=rf"{shard.name} is damaged.*Remove that file and run the same predict"):
        predict()
    shard.unlink()
    _, rows = predict()
    assert rows == np.load(shard)["row"].tolist()
    assert len(read_features(shard.parent).pid) == 10


def test_a_limited_prediction_is_no_whole_one_and_can_go_on(predict, tmp_path, capsys):
    predict("--trainer.limit_predict_batches", "2")
    assert "4 of 8 images (0 from before); ONLY A PART" in capsys.readouterr().out
    with pytest.raises(FeatureError, match="holds 4 of 8 images: predict was interrupted or limited"):
        read_features(tmp_path / "run" / "features" / "query")
    _, rows = predict()
    assert len(rows) == 18 - 8
    assert len(read_features(tmp_path / "run" / "features" / "query").pid) == 8


def test_a_full_disk_is_one_message(predict, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(FeatureError, match="no space is left on the disk"):
            predict()
    predict()
    assert len(read_features(tmp_path / "run" / "features" / "gallery").pid) == 10


@pytest.mark.slow  # two processes, each with its own imports
@pytest.mark.parametrize("limit", [[], ["--trainer.limit_predict_batches", "2"]])
def test_two_processes_write_their_own_images(market_root, tmp_path, predict, limit):
    if limit:
        predict(*limit)  # one process begins, two go on
    command = ["predict", "--model", "BagCE", "--model.backbone", "osnet_x0_25", "--data.root", market_root]
    command += ["--data.height", 32, "--data.width", 16, "--data.val_fraction", 0.34, "--data.bags_per_batch", 2]
    command += ["--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false", "--run", tmp_path / "run"]
    command += ["--trainer.devices", 2, "--trainer.strategy", "ddp", *SMALL]
    done = subprocess.run(
        [sys.executable, "-m", "wsreid", *map(str, command)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Score them") == 1
    cli, rows = predict()
    assert rows == []
    found = [read_features(tmp_path / "run" / "features" / side) for side in SIDES]
    assert [side.row.tolist() for side in found] == [rows.tolist() for rows in cli.datamodule.test_rows]
    with torch.inference_mode():
        images = [batch.images for loader in cli.datamodule.test_dataloader() for batch in loader]
        expected = cli.model.eval().embed(torch.cat(images)).numpy()
    whole = np.concatenate([np.asarray(side.features) for side in found])
    assert np.allclose(whole, expected, atol=1e-5)
