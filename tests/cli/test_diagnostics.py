"""Diagnostics of a run from the command line: on unless turned off, for every method under the same names."""

import pytest
import torch

from wsreid.cli import main
from wsreid.methods.base import Method
from wsreid.methods.diagnostics_callback import LOGGED
from wsreid.methods.diagnostics_file import COLUMNS, read_diagnostics
from wsreid.tracking.csv_logger import read_metrics

TRAIN = ["--test_after_fit", "false", "--data.val_fraction", 0, "--data.bags_per_batch", 1, "--data.images_per_bag", 3]


def test_a_fit_logs_and_writes_them(run_cli, tmp_path):
    run_cli("fit", "--run", tmp_path / "run", *TRAIN, "--trainer.max_epochs", 2)
    columns, rows = read_metrics(tmp_path / "run" / "metrics.csv")
    assert set(columns) >= set(LOGGED.values())
    assert rows[0]["train/labels/flip_rate"] == ""
    written = read_diagnostics(tmp_path / "run" / "diagnostics.csv")
    assert tuple(written[0]) == COLUMNS
    of_all = [row for row in written if row["group"] == "all"]
    assert [row["epoch"] for row in of_all] == ["0", "1"]
    assert {row["group"].split()[0] for row in written} == {"all", "bag", "cameras"}
    for logged, row in zip(rows, of_all, strict=True):
        for field, name in LOGGED.items():
            assert (logged[name] == "") == (row[field] == "")
            if logged[name]:
                assert float(logged[name]) == pytest.approx(float(row[field]), abs=1e-5)


def test_they_are_not_known_of_an_oracle_that_draws_by_identity(run_cli, tmp_path):
    limits = ["--data.ids_per_batch", 2, "--trainer.max_epochs", 1]
    run_cli("fit", "--run", tmp_path / "run", *TRAIN, *limits, model="Oracle")
    assert not set(read_metrics(tmp_path / "run" / "metrics.csv")[0]) & set(LOGGED.values())
    (row,) = read_diagnostics(tmp_path / "run" / "diagnostics.csv")
    assert (row["group"], row["n_images"], row["raw"], row["entropy"]) == ("all", "0", "", "")


def test_off(run_cli, tmp_path):
    run_cli("fit", "--run", tmp_path / "run", *TRAIN, "--trainer.max_epochs", 1, "--diagnostics.every_n_epochs", 0)
    assert not set(read_metrics(tmp_path / "run" / "metrics.csv")[0]) & set(LOGGED.values())
    assert not (tmp_path / "run" / "diagnostics.csv").exists()


def test_a_resume_in_mid_epoch_goes_on_exactly(run_cli, tmp_path, monkeypatch):
    settings = [*TRAIN, "--trainer.max_epochs", 3]
    run_cli("fit", "--run", tmp_path / "whole", *settings)
    step, path = Method.on_train_batch_end, tmp_path / "broken" / "checkpoints" / "mid.ckpt"

    def breaks(self, outputs, batch, batch_idx):
        step(self, outputs, batch, batch_idx)
        if (self.current_epoch, batch_idx) == (1, 1):
            self.trainer.save_checkpoint(path)
        if self.current_epoch == 2:
            raise RuntimeError("the power went")

    with monkeypatch.context() as patch:
        patch.setattr(Method, "on_train_batch_end", breaks)
        with pytest.raises(RuntimeError, match="power"):
            run_cli("fit", "--run", tmp_path / "broken", *settings)
    part = torch.load(path, weights_only=True)["callbacks"]["DiagnosticsCallback"]["part"]
    assert 0 < len(part["member"]) < 24
    run_cli("fit", "--run", tmp_path / "broken", "--ckpt_path", path, *settings)
    whole, broken = (tmp_path / name / "diagnostics.csv" for name in ("whole", "broken"))
    assert broken.read_text() == whole.read_text()


def test_help_lists_the_options(capsys):
    with pytest.raises(SystemExit):
        main(["fit", "--help"])
    shown = capsys.readouterr().out
    for option in ("every_n_epochs", "max_members", "repeats", "seed"):
        assert f"--diagnostics.{option}" in shown
    assert "Epochs from one diagnosis to the next; 0 = off." in " ".join(shown.split())
