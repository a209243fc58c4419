"""Every shipped YAML runs, from the command line's entry to the closing table, on tiny data and a tiny network."""

from __future__ import annotations

import logging
import math
from pathlib import Path

import pytest
import torch

from tests.teachers import teacher_arguments
from wsreid import methods
from wsreid.cli import main
from wsreid.cli.suite import SuiteCLI
from wsreid.data.rendered import RenderSettings, rendered_root
from wsreid.methods import FolderCE, Method
from wsreid.models.osnet import OSNet

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
CONFIGS = sorted(
    path.relative_to(EXPERIMENTS).as_posix()
    for path in EXPERIMENTS.rglob("*.yaml")
    if not {"studies", "results", "sweeps"} & set(path.parts)
)
TESTED = [config for config in CONFIGS if config.endswith("/transfer.yaml")]  # never trained
TRAINED = [config for config in CONFIGS if config not in TESTED]
TINY_SET = RenderSettings(train_ids=12, test_ids=8, cameras=3)
TINY_RUN = [
    *("--data.height", "32", "--data.width", "16", "--data.augment.pad", "2"),
    *("--data.bags_per_batch", "2", "--data.images_per_bag", "4", "--data.num_workers", "0"),
    *("--data.ids_per_batch", "4", "--data.images_per_id", "2"),
    *("--trainer.max_epochs", "1", "--trainer.limit_train_batches", "2", "--trainer.check_val_every_n_epoch", "1"),
    *("--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false", "--wandb.mode", "disabled"),
]
EXPECTED = (  # of tiny runs, and of bags that share no identity, as PKU-Reid's
    "The number of training batches (2) is smaller than the logging interval",
    "no two bags share an identity",
)


def is_quick(config: str) -> bool:
    """Whether the fast suite runs it: each method once, and the graph model on each data set."""
    return config.startswith(("synthetic/", "quickstart")) or config.endswith("/dgl.yaml")


@pytest.fixture
def data_args(request: pytest.FixtureRequest) -> list[str]:
    """The data of a config's folder."""
    folder = request.param
    if folder == "market1501":
        return ["--data.root", str(rendered_root(TINY_SET))]
    if folder in ("pku", "sysu30k"):
        return ["--data.root", str(request.getfixturevalue("pku_root" if folder == "pku" else "sysu_root"))]
    return ["--data.rendered.train_ids", "12", "--data.rendered.test_ids", "8", "--data.rendered.cameras", "3"]


def test_each_method_has_a_config_for_each_data_set() -> None:
    own = {"DGLOfficial": "dgl_official"}
    kinds = [kind for name in methods.__all__ if isinstance(kind := getattr(methods, name), type)]
    names = {
        own.get(kind.__name__, kind.__name__.lower()): kind.needs.truth
        for kind in kinds
        if issubclass(kind, Method) and kind not in (Method, FolderCE) and kind.trains
    }
    assert len(names) == 20
    expected = {f"{folder}/{name}.yaml" for folder in ("market1501", "synthetic", "pku") for name in names}
    expected |= {f"sysu30k/{name}.yaml" for name, truth in names.items() if not truth} | {"sysu30k/folderce.yaml"}
    expected |= {f"{folder}/transfer.yaml" for folder in ("market1501", "synthetic", "pku", "sysu30k")}
    assert set(CONFIGS) >= expected | {"quickstart.yaml"}


def run_tiny(config: str, run: Path, args: list[str]) -> SuiteCLI:
    tiny = [*TINY_RUN, "--model.pretrained", "false", "--model.weights", "null"]
    return main(["fit", "--config", str(EXPERIMENTS / config), "--run", str(run), *args, *tiny])


@pytest.mark.parametrize(
    ("config", "data_args"),
    [pytest.param(c, c.split("/")[0], marks=() if is_quick(c) else pytest.mark.slow) for c in TRAINED],
    indirect=["data_args"],
)
def test_config_runs(
    config: str,
    data_args: list[str],
    tmp_path: Path,
    recwarn: pytest.WarningsRecorder,
    caplog: pytest.LogCaptureFixture,
) -> None:
    run = tmp_path / "run"
    network = ["--model.backbone", "osnet_x0_25", "--model.last_stride", "1"]
    cli = run_tiny(config, run, [*data_args, *network, *teacher_arguments(Path(config).stem, tmp_path)])

    assert cli.trainer.global_step == 2
    trained, untrained = cli.results
    assert trained.retrieval is not None
    assert untrained.retrieval is not None
    assert 0 <= trained.retrieval.map_trapezoid <= trained.retrieval.map_step <= 1
    assert math.isfinite(float(cli.trainer.logged_metrics["test/R1"]))
    has_truth = not config.startswith("sysu30k")
    assert (trained.refine is not None) == has_truth  # SYSU-30k has no image-level truth: n/a
    for file in ("config.yaml", "metrics.csv", "retrieval.npz", "results.json", "checkpoints/last.ckpt"):
        assert (run / file).is_file(), file
    # What Python shows nobody by default: deprecations in libraries, and folders of other tests' W&B runs, let go now.
    unshown = (DeprecationWarning, ResourceWarning)
    said = [str(warning.message) for warning in recwarn if not issubclass(warning.category, unshown)]
    said += [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert [text for text in said if not any(text.startswith(known) for known in EXPECTED)] == []


@pytest.mark.parametrize(("config", "data_args"), [(c, c.split("/")[0]) for c in TESTED], indirect=["data_args"])
def test_transfer_config_scores_a_file_without_a_checkpoint(
    config: str, data_args: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    network = OSNet("osnet_x0_25", neck="none")
    torch.save({"state_dict": network.state_dict()}, tmp_path / "elsewhere.pth")
    small = ["--data.height", "32", "--data.width", "16", "--data.num_workers", "0", "--trainer.accelerator", "cpu"]
    args = [*data_args, *small, "--trainer.enable_progress_bar", "false", "--wandb.mode", "disabled"]
    named = ["--config", str(EXPERIMENTS / config), "--model.weights", str(tmp_path / "elsewhere.pth")]
    cli = main(["test", *named, "--run", str(tmp_path / "run"), *args])

    (row,) = cli.results
    assert row.name == "elsewhere.pth, trained elsewhere"
    assert row.retrieval is not None
    assert row.refine is None
    assert (tmp_path / "run" / "results.json").is_file()
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(said) == 1
    assert "trained on images of 256x128 pixels and these are resized to 32x16" in said[0]


@pytest.mark.slow  # 68 million weights to make and to save
@pytest.mark.parametrize("data_args", ["market1501"], indirect=True)
def test_the_official_graph_model_runs_with_its_own_network(data_args: list[str], tmp_path: Path) -> None:
    cli = run_tiny("market1501/dgl_official.yaml", tmp_path / "run", data_args)
    assert len(cli.model.classifiers) == 8
    assert cli.results[0].retrieval is not None
