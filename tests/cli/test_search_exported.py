"""`predict`, `test` and `search` take an exported file in the place of a run, and nothing of another network."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import EXPORTABLE_DATA
from wsreid import load_run
from wsreid.cli import main
from wsreid.data.manifest import Split
from wsreid.errors import ConfigError, WeightsError
from wsreid.export.format_names import FORMATS
from wsreid.retrieval.feature_files import read_features

KINDS = [pytest.param(kind, marks=() if kind == "safetensors" else pytest.mark.slow) for kind in FORMATS]
DATA = [*EXPORTABLE_DATA, "--features.dtype", "float32"]


def transfer(command, file, out, *more):
    return main([command, "--model", "Transfer", "--model.weights", str(file), *DATA, "--run", str(out), *more])


@pytest.fixture(scope="module")
def run(exportable, tmp_path_factory):
    """The run with its gallery features, which tests may change."""
    run = Path(shutil.copytree(exportable, tmp_path_factory.mktemp("exported") / "run"))
    config = ["--config", str(run / "config.yaml"), "--run", str(run), "--ckpt_path", "last"]
    main(["predict", *config, "--features.dtype", "float32"])
    return run


@pytest.fixture(scope="module")
def query(run):
    manifest = load_run(run).data.manifest
    return manifest.location(int(manifest.rows(Split.QUERY)[0])).path, manifest.path


def find(*words):
    return main(["search", *map(str, words)])


@pytest.mark.parametrize("kind", KINDS)
def test_it_predicts_and_finds_what_the_run_does(kind, run, query, export_as, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    file = export_as(kind)[0]
    transfer("predict", file, tmp_path / "out")
    own = tmp_path / "out" / "features" / "gallery"
    theirs = run / "predict-last" / "features" / "gallery"
    ours, expected = read_features(own), read_features(theirs)
    assert np.array_equal(ours.row, expected.row)
    a, b = (each.features.slice(0, len(ours.row)) for each in (ours, expected))
    assert np.abs(a - b).max() < 1e-4 * np.abs(b).max()

    wanted = find("--run", run, "--image", query[0], "--top", "5").results[0].hits
    capsys.readouterr()
    for gallery in (theirs, own):  # features of the run are those of its file
        found = find("--model", file, "--image", query[0], "--gallery", gallery, "--top", "5", "--json", "found.json")
        hits = found.results[0].hits
        assert [hit.row for hit in hits] == [hit.row for hit in wanted]
        assert [hit.score for hit in hits] == pytest.approx([hit.score for hit in wanted], abs=1e-4)
        assert [hit.path for hit in hits] == [None] * 5
    assert "name the manifest that the rows are of with --manifest FILE" in capsys.readouterr().out
    content = json.loads(Path("found.json").read_text())
    assert (content["run"], content["checkpoint"], content["model"]) == (None, None, str(file))
    assert found.picture == Path("search") / f"{query[0].stem}.png"
    assert found.picture.is_file()
    assert not (file.parent / "search").exists()  # whose folder may be one to publish
    hits = find("--model", file, "--image", query[0], "--gallery", own, "--manifest", query[1]).results[0].hits
    assert all(Path(hit.path).is_file() for hit in hits)
    # and the run takes the features of its file
    again = find("--run", run, "--image", query[0], "--gallery", own, "--top", "5").results[0].hits
    assert [hit.row for hit in again] == [hit.row for hit in wanted]


def test_its_test_is_that_of_the_run(export_as, exportable, tmp_path):
    scored = transfer("test", export_as("safetensors")[0], tmp_path / "out").results[0]
    expected = load_run(exportable).recorded.results["rows"][0]
    assert scored.name == "model.safetensors, BagCE's export"
    assert scored.retrieval.map_step == pytest.approx(expected["mAP_step"], abs=1e-3)


def test_images_of_another_size_are_refused_before_a_folder_of_features_is_begun(export_as, tmp_path):
    wrong = ["--data.height", "64"]
    for command in ("predict", "test"):
        with pytest.raises(ConfigError, match="takes images of 32x16 pixels and these are resized to 64x16"):
            transfer(command, export_as("safetensors")[0], tmp_path / "out", *wrong)
    assert not (tmp_path / "out" / "features").exists()


def test_features_of_another_network_are_refused(run, query, export_as, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    gallery = Path(shutil.copytree(run / "predict-last" / "features" / "gallery", tmp_path / "gallery"))
    file, index = export_as("safetensors")[0], gallery / "index.json"
    content = json.loads(index.read_text())
    for change, told in (
        ({"weights": "0" * 64}, "weights 000000000000 "),
        ({"weights": "0" * 64, "exported_from": "1" * 64}, "weights 000000000000 "),
        ({"image": "64x32"}, 'image 64x32 .now "?32x16'),
        ({"flip_test": "false"}, "flip_test false .now true"),
        ({"mean": "[0.5, 0.5, 0.5]"}, r"mean \[0.5, 0.5, 0.5\] .now \[0.485"),
    ):
        index.write_text(json.dumps({**content, "origin": {**content["origin"], **change}}))
        with pytest.raises(ConfigError, match=f"was made by another network than .*model.safetensors: {told}"):
            find("--model", file, "--image", query[0], "--gallery", gallery)
    np.savez(tmp_path / "wide.npz", features=np.ones((5, 7), np.float32), pid=np.arange(5))
    with pytest.raises(ConfigError, match=r"have 7 dimensions, those of .*model\.safetensors have"):
        find("--model", file, "--image", query[0], "--gallery", tmp_path / "wide.npz")


def test_a_file_of_another_run_with_the_same_name_is_another_network(run, query, export_as, tmp_path, monkeypatch):
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(export_as("safetensors")[0], framework="pt") as file:
        recipe = json.loads(file.metadata()["wsreid"])
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
    name = next(name for name, value in state.items() if value.is_floating_point())
    state[name] = torch.zeros_like(state[name])
    recipe["run"]["hash of weights"] = "2" * 64
    save_file(state, tmp_path / "model.safetensors", metadata={"wsreid": json.dumps(recipe)})
    gallery = run / "predict-last" / "features" / "gallery"
    with pytest.raises(ConfigError, match=r"made by another network .*weights \w{12} \(now 222222222222\)"):
        find("--model", tmp_path / "model.safetensors", "--image", query[0], "--gallery", gallery)


def test_without_a_gallery_the_command_that_makes_it_is_told(query, export_as, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = export_as("safetensors")[0]
    with pytest.raises(ConfigError, match=f"predict --model Transfer --model.weights {file} .*--data.height 32"):
        find("--model", file, "--image", query[0])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "Name the network: either --run RUN, or --model FILE"),
        (["--run", "r", "--model", "m.onnx"], "Name the network: either"),
        (["--model", "m.pth"], r"--model m.pth: an exported file ends in \.onnx, \.pt2, \.safetensors"),
        (["--model", "m.onnx", "--checkpoint", "best"], "--checkpoint best: it goes with --run"),
        (["--model", "m.onnx", "--root", "r"], "--root r: with --model it goes with --manifest"),
    ],
)
def test_mistakes_are_told_before_anything_is_loaded(words, told, monkeypatch):
    monkeypatch.setitem(sys.modules, "wsreid.cli.search_tasks", None)
    with pytest.raises(ConfigError, match=told):
        find(*words, "--image", "x.jpg")


def test_a_file_that_is_missing_is_told(query, tmp_path):
    with pytest.raises(WeightsError, match=r"--model .*m\.onnx: there is no such file"):
        find("--model", tmp_path / "m.onnx", "--image", query[0])
