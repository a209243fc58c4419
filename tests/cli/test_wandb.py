"""What a fit leaves in W&B, read back from the `.wandb` file of an offline run."""

import errno
import json
import re

import cv2
import numpy as np
import pytest
import wandb
import yaml
from wandb.sdk.wandb_run import Run

from tests.teachers import teacher_arguments
from tests.tracking.wandb_runs import logged_run
from wsreid import methods
from wsreid.cli import main
from wsreid.methods import BagCE, FolderCE, Method
from wsreid.methods.diagnostics_callback import LOGGED
from wsreid.report import wandb_report
from wsreid.retrieval import RetrievalResult
from wsreid.tracking.provenance import git_commit, versions
from wsreid.tracking.query_table import COLUMNS
from wsreid.tracking.wandb_file import records

EVERYTHING = [
    *("--wandb.embeddings", 10, "--wandb.activation_maps", 3, "--wandb.artifacts", "true"),
    *("--pictures.queries", 2, "--wandb.table_rows", 5, "--wandb.tags", "[mine]", "--wandb.project", "p"),
]


SHORT = ["--trainer.max_epochs", 1, "--pictures.queries", 0]


def fit(root, run, model, *args):
    fixed = ["--model", model, "--model.backbone", "osnet_x0_25", "--data.root", root, "--run", run]
    fixed += ["--data.height", 32, "--data.width", 16, "--data.val_fraction", 0.34, "--data.bags_per_batch", 2]
    fixed += ["--trainer.accelerator", "cpu", "--trainer.enable_model_summary", "false"]
    fixed += ["--trainer.enable_progress_bar", "false", "--wandb.mode", "offline"]
    return main(["fit", *map(str, fixed), *map(str, args)])


@pytest.fixture(scope="module")
def finished(tmp_path_factory, market_root):
    """A run of two epochs that gave W&B everything."""
    run = tmp_path_factory.mktemp("wandb") / "run"
    cli = fit(market_root, run, "BagCE", "--trainer.max_epochs", 2, *EVERYTHING)
    return run, cli, logged_run(run)


def test_group_job_type_and_tags(finished):
    run, _, found = finished
    assert (found.run.run_group, found.run.job_type, found.run.project) == ("BagCE", "fit", "p")
    assert found.run.display_name == f"bagce-{run.name}"
    assert sorted(found.run.tags) == ["market1501", "mine"]


def test_the_configuration_is_the_resolved_one_with_what_a_repetition_needs(finished):
    run, cli, found = finished
    written = yaml.safe_load((run / "config.yaml").read_text())
    assert found.config["config"] == written
    assert found.config["config"]["model"]["init_args"]["lr"] == cli.model.lr  # a default, which nobody typed
    assert found.config["hashes"] == cli.datamodule.hashes
    assert set(found.config["hashes"]) == {"data", "bags"}
    assert found.config["versions"] == versions()
    commit = found.config["git_commit"]
    assert git_commit() is None or re.fullmatch("[0-9a-f]{40}(-dirty)?", commit)
    assert found.config["num_ids"] == 6


def test_figures_are_those_of_the_run(finished):
    run, cli, found = finished
    tested = RetrievalResult.load(run / "retrieval.npz")
    assert found.summary["test/mAP_step"] == pytest.approx(tested.map_step)
    assert found.summary["untrained/mAP_step"] == pytest.approx(cli.results[1].retrieval.map_step)
    val = [row["val/mAP_step"] for row in found.history if "val/mAP_step" in row]
    assert len(val) == 2
    assert found.summary["best/mAP_step"] == pytest.approx(max(val))  # plain, so that runs can be sorted by it
    assert found.summary["val/mAP_step"] == {"max": pytest.approx(max(val))}
    assert {"train/loss", *LOGGED.values()} <= found.keys
    assert all("trainer/global_step" in row for row in found.history)


def test_ranked_lists_are_labelled(finished):
    _, _, found = finished
    for kind, word in (("worst", "worst"), ("random", "random"), ("best", "best")):
        ((picture, caption),) = found.pictures(f"test/ranked_{kind}")
        assert word in caption
        assert cv2.imread(str(picture)) is not None


def test_bags_are_pictured_after_the_first_and_the_last_epoch(finished):
    _, _, found = finished
    pictures = found.pictures("train/bags")
    assert [caption for _, caption in pictures] == ["epoch 1", "epoch 2"]
    assert all(cv2.imread(str(picture)) is not None for picture, _ in pictures)
    at = [row["trainer/global_step"] for row in found.history if "train/bags/captions" in row]
    assert at == [row["trainer/global_step"] for row in found.history if "train/loss" in row]


def test_each_evaluation_has_a_table_of_the_same_queries(finished):
    run, cli, found = finished
    tested = RetrievalResult.load(run / "retrieval.npz")
    (table,) = found.tables("test/queries")
    assert len(table) == 5
    assert tuple(table[0]) == COLUMNS
    for row in table:
        (query,) = np.flatnonzero(tested.query_row == row["row"])
        assert row["query"] == cli.datamodule.describe_row(row["row"])
        assert row["first_match"] == tested.ranks[query][0] + 1
        assert row["AP_step"] == pytest.approx(tested.per_query().ap_step[query])
        assert row["identity"] == tested.query_pid[query]
    first, second = found.tables("val/queries")
    assert [row["row"] for row in first] == [row["row"] for row in second]


def test_embeddings_for_the_projector(finished):
    _, cli, found = finished
    (table,) = found.tables("test/embeddings")
    assert len(table) == 10
    components = [name for name in table[0] if name.startswith("PC")]
    assert components == [f"PC{k}" for k in range(1, 11)]
    assert list(table[0])[:4] == ["image", "file", "identity", "camera"]
    assert {row["image"]["_type"] for row in table} == {"image-file"}
    assert 0 < found.summary["test/embeddings_variance"] <= 1 + 1e-6
    files = {row["file"] for row in table}
    assert len(files) == 10
    assert files <= {cli.datamodule.describe_row(row) for rows in cli.datamodule.test_rows for row in rows}
    assert len({tuple(row[name] for name in components) for row in table}) == 10


def test_activation_maps(finished):
    _, _, found = finished
    ((picture, caption),) = found.pictures("test/activation_maps")
    assert "3 queries" in caption
    assert cv2.imread(str(picture)) is not None


def test_artifacts_are_the_checkpoints_and_the_bags(finished):
    run, cli, found = finished
    artifacts = {artifact.type: artifact for artifact in found.artifacts if artifact.type in ("model", "bags")}
    contents = {entry.path: entry for entry in artifacts["model"].manifest.contents}
    assert set(contents) == {"last.ckpt", "best.ckpt"}
    assert contents["last.ckpt"].local_path == str(run / "checkpoints" / "last.ckpt")
    assert contents["last.ckpt"].size == (run / "checkpoints" / "last.ckpt").stat().st_size
    assert json.loads(artifacts["model"].metadata)["bags"] == cli.datamodule.hashes["bags"]
    (bags,) = artifacts["bags"].manifest.contents
    assert bags.local_path == str(cli.datamodule.bags.path)
    assert artifacts["bags"].name == f"bags-{cli.datamodule.bags.hash[:12]}"


def test_each_panel_of_a_wandb_report_shows_what_a_run_logs(finished):
    _, _, found = finished
    assert {wandb_report.STEP, *wandb_report.TEST, *wandb_report.CURVES, *wandb_report.LABELS} <= found.numbers()
    assert all(found.pictures(key) for key in (*wandb_report.RANKED, *wandb_report.PICTURES))
    assert all(found.tables(key) for key in wandb_report.TABLES)
    for name in wandb_report.OPTIONS:
        value = found.config
        for part in name.split("."):
            value = value[part]


def names(found):
    """Names of numbers, but for the terms of the method's own loss."""
    terms = {name for name in found.numbers() if name.startswith("train/") and name.count("/") == 1}
    return found.numbers() - terms | {"train/loss"} & terms


@pytest.fixture(scope="module")
def other(tmp_path_factory, market_root):
    """A run of another kind of method, on the same data."""
    run = tmp_path_factory.mktemp("other") / "run"
    fit(market_root, run, "DGL", "--trainer.max_epochs", 2, *EVERYTHING)
    return logged_run(run)


def test_another_method_has_the_same_names_queries_and_rows(finished, other):
    _, _, found = finished
    assert names(found) == names(other)
    assert found.keys - found.numbers() == other.keys - other.numbers()
    for key in ("val/queries", "test/queries"):
        rows = [[row["row"] for row in table] for table in found.tables(key)]
        assert rows == [[row["row"] for row in table] for table in other.tables(key)]
    files = [[row["file"] for row in run.tables("test/embeddings")[0]] for run in (found, other)]
    assert files[0] == files[1]


WEAK = sorted(
    name
    for name in methods.__all__
    if isinstance(kind := getattr(methods, name), type)
    and issubclass(kind, Method)
    and kind not in (Method, FolderCE)
    and kind.trains
    and not kind.needs.truth
)


@pytest.mark.slow  # each method once
@pytest.mark.parametrize("model", WEAK)
def test_every_method_has_the_same_names(tmp_path, market_root, finished, model):
    _, _, found = finished
    teacher = teacher_arguments(model.lower(), tmp_path)
    fit(market_root, tmp_path / "run", model, "--trainer.max_epochs", 2, *teacher, *EVERYTHING)
    missing = names(found) - names(logged_run(tmp_path / "run"))
    of_labels = {f"train/labels/{name}" for name in ("confusion", "confusion_random", "flip_rate")}
    assert missing == (of_labels if model == "Distill" else set())  # it gives no image a label
    assert names(logged_run(tmp_path / "run")) <= names(found)


@pytest.mark.slow  # one more fit
def test_an_oracle_lacks_the_figures_of_labels_alone(tmp_path, market_root, finished):
    fit(market_root, tmp_path / "run", "Oracle", "--trainer.max_epochs", 2, "--data.ids_per_batch", 2, *EVERYTHING)
    _, _, expected = finished
    found = logged_run(tmp_path / "run")
    assert names(expected) - names(found) <= set(LOGGED.values())
    assert names(found) <= names(expected)
    assert not found.pictures("train/bags")  # its batches are not drawn by bag
    assert len(found.pictures("test/ranked_worst")) == 1


@pytest.mark.slow  # one more fit
def test_all_of_it_can_be_left_out(tmp_path, market_root):
    nothing = ["--wandb.table_rows", 0, "--wandb.bags", 0]
    fit(market_root, tmp_path / "run", "BagCE", *SHORT, *nothing)
    found = logged_run(tmp_path / "run")
    assert not found.keys - found.numbers()
    assert not found.artifacts
    assert "test/mAP_step" in found.summary


def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    "what",
    [
        pytest.param((Run, "log"), id="log"),
        pytest.param((wandb, "init"), id="init", marks=pytest.mark.slow),  # as the logger's own tests show
        pytest.param((Run, "finish"), id="finish", marks=pytest.mark.slow),
    ],
)
def test_a_full_disk_in_wandb_does_not_stop_a_fit(tmp_path, market_root, monkeypatch, caplog, what):
    with monkeypatch.context() as patch:
        patch.setattr(*what, full)
        fit(market_root, tmp_path / "run", "BagCE", *SHORT)
    assert (tmp_path / "run" / "results.json").is_file()
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").is_file()
    assert caplog.text.count("W&B failed and is off") == 1


@pytest.mark.slow  # one more fit
def test_a_picture_that_cannot_be_drawn_does_not_stop_a_fit(tmp_path, market_root, monkeypatch, caplog):
    monkeypatch.setattr("wsreid.tracking.wandb_callback.labelled_bag_figure", full)
    fit(market_root, tmp_path / "run", "BagCE", *SHORT)
    assert caplog.text.count("W&B gets no picture of bags") == 1
    assert len(logged_run(tmp_path / "run").tables("val/queries")) == 1


def exit_code(run):
    (file,) = run.glob("wandb/offline-run-*/run-*.wandb")
    return [record.exit.exit_code for record in records(file) if record.WhichOneof("record_type") == "exit"]


def test_a_command_that_broke_off_is_marked_as_failed(tmp_path, market_root, monkeypatch, finished):
    def breaks(*_):
        raise RuntimeError("the power went")

    monkeypatch.setattr(BagCE, "losses", breaks)
    with pytest.raises(RuntimeError, match="power"):
        fit(market_root, tmp_path / "run", "BagCE")
    assert exit_code(tmp_path / "run") == [1]
    assert exit_code(finished[0]) == [0]


def test_scoring_a_checkpoint_is_a_run_of_its_own(finished):
    run, _, fitted = finished
    main(["test", "--config", str(run / "config.yaml"), "--ckpt_path", str(run / "checkpoints" / "last.ckpt")])
    found = logged_run(run / "test-last")
    assert (found.run.job_type, found.run.run_group) == ("test", "BagCE")
    assert found.summary["test/mAP_step"] == fitted.summary["test/mAP_step"]
    assert found.tables("test/queries") == fitted.tables("test/queries")
    assert found.tables("test/embeddings")[0][0]["file"] == fitted.tables("test/embeddings")[0][0]["file"]


def test_disabled_leaves_nothing(tmp_path, market_root, finished):
    alone = fit(market_root, tmp_path / "run", "BagCE", "--trainer.max_epochs", 2, "--wandb.mode", "disabled")
    assert not (tmp_path / "run" / "wandb").exists()
    assert [path.name for path in (tmp_path / "run" / "pictures").iterdir()] == ["ranked_worst.png"]
    _, cli, _ = finished  # what W&B gets is none of the training's business: the weights are the same, bit for bit
    for name, value in cli.model.state_dict().items():
        assert np.array_equal(value.numpy(), alone.model.state_dict()[name].numpy()), name
