import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
import yaml

from wsreid.cli import main
from wsreid.errors import ConfigError, DataError, WsreidError
from wsreid.methods import PRODEN, BagCE
from wsreid.retrieval import RetrievalResult, evaluate
from wsreid.retrieval.feature_files import read_features
from wsreid.tracking.csv_logger import read_metrics


@pytest.fixture(scope="module")
def finished(tmp_path_factory, market_root):
    """A finished run of two epochs; the folder."""
    run = tmp_path_factory.mktemp("finished") / "run"
    config = run.parent / "my.yaml"
    settings = {
        "model": {"class_path": "BagCE", "init_args": {"backbone": "osnet_x0_25"}},
        "data": {"root": str(market_root), "height": 32, "width": 16, "val_fraction": 0.34, "bags_per_batch": 2},
        "trainer": {"max_epochs": 2, "accelerator": "cpu", "enable_progress_bar": False, "enable_model_summary": False},
    }
    config.write_text(yaml.safe_dump(settings))
    cli = main(["fit", "--config", str(config), "--run", str(run)])
    return run, cli


def test_a_fit_fills_the_run_folder(finished):
    run, cli = finished
    assert cli.run_folder.path == run
    for name in ("config.yaml", "metrics.csv", "retrieval.npz", "results.json", "checkpoints/last.ckpt"):
        assert (run / name).is_file(), name
    assert (run / "checkpoints" / "best.ckpt").is_file()
    assert (run / "pictures" / "ranked_worst.png").is_file()
    assert not (run / "owner.json").exists()


def test_the_table_has_the_last_checkpoint_and_the_untrained_network(finished):
    run, cli = finished
    trained, untrained = cli.results
    assert (trained.name, untrained.name) == ("BagCE, last checkpoint", "untrained network")
    assert trained.seconds > 0
    assert untrained.seconds is None
    saved = RetrievalResult.load(run / "retrieval.npz")
    assert saved.map_step == trained.retrieval.map_step
    assert RetrievalResult.load(run / "untrained" / "retrieval.npz").map_step == untrained.retrieval.map_step
    content = json.loads((run / "results.json").read_text())
    assert [row["name"] for row in content["rows"]] == ["BagCE, last checkpoint", "untrained network"]
    assert content["rows"][0]["mAP_step"] == trained.retrieval.map_step
    assert content["labelled_val_ids"] == 2
    assert set(content["hashes"]) == {"data", "bags"}


def test_the_tested_weights_are_those_of_the_last_checkpoint(finished):
    run, cli = finished
    saved = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    for name, value in cli.model.state_dict().items():
        assert torch.equal(value, saved[name]), name
    assert any(not torch.equal(saved[name], value) for name, value in cli.untrained.items())


def test_the_saved_config_runs_again_but_not_into_the_same_folder(finished, tmp_path):
    run, _ = finished
    with pytest.raises(ConfigError, match=r"--run NEW.*--ckpt_path last"):
        main(["fit", "--config", str(run / "config.yaml"), "--run", str(run)])
    again = main(["fit", "--config", str(run / "config.yaml"), "--run", str(tmp_path / "again")])
    first = read_metrics(run / "metrics.csv")[1]
    second = read_metrics(tmp_path / "again" / "metrics.csv")[1]
    assert [row["train/loss"] for row in first] == [row["train/loss"] for row in second]
    assert again.results[0].retrieval.map_step == RetrievalResult.load(run / "retrieval.npz").map_step


def test_scoring_a_checkpoint_repeats_the_table_and_leaves_the_fits_own_figures(finished):
    run, cli = finished
    kept = {name: (run / name).read_bytes() for name in ("config.yaml", "results.json", "retrieval.npz", "metrics.csv")}
    last = run / "checkpoints" / "last.ckpt"
    tested = main(["test", "--config", str(run / "config.yaml"), "--ckpt_path", str(last)])
    assert tested.results[0].name == "BagCE, last checkpoint"
    assert tested.results[0].retrieval.map_step == cli.results[0].retrieval.map_step
    assert tested.run_folder.path == run / "test-last"
    main(["test", "--config", str(run / "config.yaml"), "--run", str(run), "--ckpt_path", "best"])
    assert (run / "test-best" / "retrieval.npz").is_file()
    assert {name: (run / name).read_bytes() for name in kept} == kept


def test_a_copied_run_is_scored_in_its_own_folder(finished, tmp_path):
    run, _ = finished
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    last = copy / "checkpoints" / "last.ckpt"
    tested = main(["test", "--config", str(copy / "config.yaml"), "--ckpt_path", str(last)])
    assert tested.run_folder.path == copy / "test-last"


def test_validate_and_predict_score_a_checkpoint(finished):
    run, cli = finished
    args = ["--config", str(run / "config.yaml"), "--run", str(run), "--ckpt_path", "last"]
    validated = main(["validate", *args])
    assert "val/mAP_step" in validated.trainer.callback_metrics
    main(["predict", *args, "--features.dtype", "float32"])
    query, gallery = (read_features(run / "predict-last" / "features" / side) for side in ("query", "gallery"))
    found = evaluate(
        np.asarray(query.features),
        np.asarray(gallery.features),
        q_pid=query.pid,
        g_pid=gallery.pid,
        q_cam=query.camera,
        g_cam=gallery.camera,
    )
    assert found.map_step == pytest.approx(cli.results[0].retrieval.map_step)


def test_a_run_that_broke_off_resumes_from_its_last_epoch(run_cli, tmp_path, monkeypatch):
    off = ["--test_after_fit", "false", "--data.val_fraction", 0, "--trainer.max_epochs", 3]
    run_cli("fit", "--run", tmp_path / "whole", *off)
    step = BagCE.training_step

    def breaks(self, batch, batch_idx):
        if self.current_epoch == 2:
            raise RuntimeError("the power went")
        return step(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(BagCE, "training_step", breaks)
        with pytest.raises(RuntimeError, match="power"):
            run_cli("fit", "--run", tmp_path / "broken", *off)
    resumed = run_cli("fit", "--run", tmp_path / "broken", "--ckpt_path", "last", *off)
    assert resumed.trainer.current_epoch == 3
    weights = [
        torch.load(tmp_path / n / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for n in ("whole", "broken")
    ]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_what_a_taken_folder_holds_is_said(run_cli, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    with pytest.raises(ConfigError, match="holds other files"):
        run_cli("fit", "--run", tmp_path / "notes")
    (tmp_path / "early").mkdir()
    (tmp_path / "early" / "config.yaml").write_text("")
    with pytest.raises(ConfigError, match="before its first checkpoint"):
        run_cli("fit", "--run", tmp_path / "early")


def test_a_checkpoint_of_another_network_is_refused(finished):
    run, _ = finished
    args = ["--config", str(run / "config.yaml"), "--run", str(run), "--ckpt_path", "last"]
    with pytest.raises(ConfigError, match=r"--model.backbone \w+.*the configuration says osnet_x0_5"):
        main(["test", *args, "--model.backbone", "osnet_x0_5"])


def test_a_part_of_the_test_split_and_an_untrained_run_are_marked(run_cli, tmp_path, capsys):
    run_cli("fit", "--run", tmp_path / "r", "--trainer.limit_train_batches", 0, "--trainer.limit_test_batches", 1)
    notes = " ".join(json.loads((tmp_path / "r" / "results.json").read_text())["notes"])
    assert "ONLY A PART" in notes
    assert "NO OPTIMISER STEP" in notes
    assert "NO OPTIMISER STEP" in " ".join(capsys.readouterr().out.split())


def test_scoring_a_checkpoint_of_another_method_is_refused(finished, run_cli):
    run, _ = finished
    with pytest.raises(ConfigError, match=r"BagCE.*--model.*DGL"):
        run_cli("test", "--run", run, "--ckpt_path", "last", model="DGL")


def test_a_resumed_run_continues_the_curve_and_equals_an_uninterrupted_one(run_cli, tmp_path):
    off = ["--test_after_fit", "false"]
    run_cli("fit", "--run", tmp_path / "a", "--trainer.max_epochs", 2, *off)
    run_cli("fit", "--run", tmp_path / "b", "--trainer.max_epochs", 1, *off)
    resumed = run_cli("fit", "--run", tmp_path / "b", "--trainer.max_epochs", 2, "--ckpt_path", "last", *off)
    assert resumed.results == []
    assert (tmp_path / "b" / "metrics.csv").read_text() == (tmp_path / "a" / "metrics.csv").read_text()
    assert (tmp_path / "b" / "config-resume.yaml").is_file()
    weights = [torch.load(tmp_path / n / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"] for n in "ab"]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_the_default_run_folder_names_data_method_and_seed(run_cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cli = run_cli("fit", "--trainer.fast_dev_run", "true", "--test_after_fit", "false", "--seed_everything", "7")
    assert cli.run_folder.path.parts[:3] == ("runs", "market1501", "bagce")
    assert cli.run_folder.path.name.startswith("seed7-")


def test_a_fit_without_validation_has_no_best_checkpoint(run_cli, tmp_path):
    cli = run_cli("fit", "--run", tmp_path / "r", "--data.val_fraction", 0, "--trainer.max_epochs", 1)
    assert [p.name for p in (tmp_path / "r" / "checkpoints").iterdir()] == ["last.ckpt"]
    assert json.loads((tmp_path / "r" / "results.json").read_text())["labelled_val_ids"] == 0
    assert len(cli.results) == 2


def test_a_method_in_a_file_of_the_current_folder(run_cli, tmp_path, monkeypatch):
    (tmp_path / "my_own_method.py").write_text(
        "from wsreid.methods import BagCE\n\n\nclass Mine(BagCE):\n    '''Mine.'''\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    cli = run_cli("fit", "--trainer.fast_dev_run", "true", "--test_after_fit", "false", model="my_own_method.Mine")
    assert type(cli.model).__name__ == "Mine"
    assert cli.run_folder.path.parts[2] == "mine"


def test_an_oracle_is_marked(run_cli, tmp_path, capsys):
    limits = ["--trainer.max_epochs", 1, "--trainer.limit_train_batches", 1]
    run_cli("fit", "--run", tmp_path / "r", *limits, "--data.ids_per_batch", 2, model="Oracle")
    assert json.loads((tmp_path / "r" / "results.json").read_text())["used_truth"] is True
    assert "Used truth" in capsys.readouterr().out


def test_a_missing_data_folder_is_a_data_error_and_leaves_no_run_folder(run_cli, tmp_path):
    with pytest.raises(DataError, match="nowhere"):
        run_cli("fit", "--run", tmp_path / "r", "--data.root", tmp_path / "nowhere")
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_image_is_named_without_a_trace(run_cli, market_root, tmp_path, workers):
    import shutil

    root = tmp_path / "market"
    shutil.copytree(market_root, root)
    args = ["--data.root", root, "--trainer.max_epochs", 1, "--data.val_fraction", 0]
    run_cli("fit", "--run", tmp_path / "a", *args, "--trainer.fast_dev_run", "true", "--test_after_fit", "false")
    victim = next((root / "bounding_box_train").iterdir())
    whole = victim.read_bytes()
    victim.write_bytes(whole[:40] + bytes(len(whole) - 40))
    with pytest.raises(WsreidError) as caught:
        run_cli("fit", "--run", tmp_path / "b", *args, "--data.num_workers", workers)
    assert victim.name in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_the_trainers_mistakes_are_one_line(run_cli, tmp_path):
    with pytest.raises(ConfigError, match=r"trainer: .*cpuu"):
        run_cli("fit", "--run", tmp_path / "r", "--trainer.accelerator", "cpuu")


def test_a_torn_checkpoint_is_named(run_cli, tmp_path):
    (tmp_path / "torn.ckpt").write_bytes(b"PK torn")
    with pytest.raises(ConfigError, match=r"torn\.ckpt"):
        run_cli("test", "--run", tmp_path / "r", "--ckpt_path", tmp_path / "torn.ckpt")


def test_there_is_no_checkpoint_to_resume(run_cli, tmp_path):
    with pytest.raises(ConfigError, match=r"--ckpt_path last.*last\.ckpt.*--run"):
        run_cli("fit", "--run", tmp_path / "r", "--ckpt_path", "last")


def test_print_config_can_be_run(capsys, tmp_path, market_root):
    with pytest.raises(SystemExit) as stop:
        main(["fit", "--model", "DGL", "--model.lr", "1e-4", "--data.root", str(market_root), "--print_config"])
    assert stop.value.code == 0
    config = yaml.safe_load(capsys.readouterr().out)
    assert config["model"]["init_args"]["lr"] == 1e-4
    assert config["data"]["init_args"]["root"] == str(market_root)
    (tmp_path / "printed.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(SystemExit) as stop:
        main(["fit", "--config", str(tmp_path / "printed.yaml"), "--print_config"])
    assert stop.value.code == 0
    assert yaml.safe_load(capsys.readouterr().out) == config


def test_the_process_prints_one_line_and_exits_with_2():
    done = subprocess.run(
        [sys.executable, "-m", "wsreid", "fit", "--model", "DLG"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("wsreid: --model: there is no class 'DLG'; did you mean 'DGL'?")


def test_the_untrained_network_is_scored_without_what_training_remembered(run_cli, tmp_path, monkeypatch):
    written = []

    def spied(self, batch, outputs):
        if not self.training:
            written.append(int(self.table.written(batch.member).sum()))
        return pseudo_labels(self, batch, outputs)

    pseudo_labels = PRODEN.pseudo_labels
    monkeypatch.setattr(PRODEN, "pseudo_labels", spied)
    cli = run_cli("fit", "--trainer.max_epochs", "1", "--run", tmp_path / "run", model="PRODEN")
    half = len(written) // 2
    assert all(written[:half])
    assert not any(written[half:])
    assert len(cli.model.table.state_dict()["member"]) > 0
