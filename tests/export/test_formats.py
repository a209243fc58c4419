"""An exported file embeds as the run does, whatever the batch, and says what it is."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from wsreid import load_run
from wsreid.cli import main
from wsreid.errors import ConfigError, WeightsError, WsreidError
from wsreid.export import formats, of_run
from wsreid.export.reading import ExportedModel
from wsreid.export.recipe import Recipe


def test_it_embeds_as_the_run_does_for_batches_of_any_size(exported, exportable):
    path, done = exported
    assert done.difference <= 1e-5
    assert done.images == 5
    model, run = ExportedModel(path), load_run(exportable)
    images = [np.random.default_rng(k).integers(0, 256, (32, 16, 3), dtype=np.uint8) for k in range(7)]
    batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)  # (N, H, W, 3) -> (N, 3, H, W)
    assert run.method.flip_test
    for size in (1, 2, 7):
        found = model.embed(batch[:size]).numpy()
        assert found.shape == (size, model.recipe.feature_dim)
        assert found.dtype == np.float32
        assert np.allclose(found, run.embed(images[:size]), atol=1e-4 * np.abs(found).max())


def test_it_says_how_images_are_prepared_and_where_it_comes_from(exported, exportable):
    recipe, run = ExportedModel(exported[0]).recipe, load_run(exportable)
    assert (recipe.height, recipe.width, recipe.flip_test) == (32, 16, True)
    assert recipe.mean == pytest.approx((0.485, 0.456, 0.406))
    assert (recipe.backbone, recipe.pooling, recipe.method) == ("test_resnet", "gem", "BagCE")
    assert recipe.run["hash of bags"] == run.recorded.hashes["bags"]
    assert Recipe.from_json(recipe.to_json(), "here") == recipe


def test_the_card_has_figures_their_meaning_and_the_hashes(exported, exportable):
    text = (exported[0].parent / "README.md").read_text()
    run = load_run(exportable)
    row = run.recorded.results["rows"][0]
    low, high = row["intervals"]["mAP_step"]
    for part in (
        f"{100 * row['mAP_step']:.1f} ({100 * low:.1f} to {100 * high:.1f})",
        "In brackets 95 % intervals, by bootstrap over query identities (1000 draws, seed 0)",
        "- epochs: `1`",
        "junk: same identity and same camera",
        run.recorded.hashes["data"],
        "32 x 16 pixels",
        "rendered by wsreid",
        f'ExportedModel("{exported[0].name}")',
        "mirror image",
    ):
        assert part in text, part


def test_it_names_no_file_of_this_machine(exported):
    content = exported[0].read_bytes()
    for folder in (Path(formats.__file__).parents[1], Path(torch.__file__).parent, exported[0].parent):
        assert str(folder).encode() not in content, folder


def test_images_of_another_size_are_refused(exported):
    with pytest.raises(WeightsError, match=r"takes \(N, 3, 32, 16\) torch\.uint8"):
        ExportedModel(exported[0]).embed(torch.zeros(1, 3, 64, 32, dtype=torch.uint8))


def test_what_the_card_shows_runs(exported, exportable, tmp_path, monkeypatch):
    text = (exported[0].parent / "README.md").read_text()
    code = text.partition("```python\n")[2].partition("```")[0]
    image = np.random.default_rng(0).integers(0, 256, (48, 20, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "person.jpg"), image)
    shutil.copy(exported[0], tmp_path)
    monkeypatch.chdir(tmp_path)
    found: dict[str, torch.Tensor] = {}
    exec(code, found)
    expected = load_run(exportable).embed([tmp_path / "person.jpg"])
    assert np.allclose(found["features"].numpy(), expected, atol=1e-4 * np.abs(expected).max())


def test_whoever_may_read_new_files_may_read_it(exported, tmp_path):
    (tmp_path / "new").touch()
    assert exported[0].stat().st_mode == (tmp_path / "new").stat().st_mode


def test_a_damaged_file_is_one_line(exported, tmp_path):
    path, _ = exported
    torn = tmp_path / path.name
    torn.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(WeightsError, match="is damaged, or no exported model") as caught:
        ExportedModel(torn)
    assert "\n" not in str(caught.value)
    with pytest.raises(WeightsError, match="there is no such file"):
        ExportedModel(tmp_path / f"other{path.suffix}")


def test_a_file_of_others_is_refused(tmp_path):
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match="was not written by `python -m wsreid export`"):
        ExportedModel(tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match=r"ends in \.onnx, \.pt2, \.safetensors"):
        ExportedModel(tmp_path / "model.pth")


def test_a_file_whose_features_differ_is_not_left_behind(exportable, tmp_path, monkeypatch):
    monkeypatch.setattr(of_run, "largest_difference", lambda *_: float("nan"))
    with pytest.raises(WsreidError, match="differ from the run's"):
        main(["export", str(exportable), "--format", "safetensors", "--out", str(tmp_path / "model.safetensors")])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--format", "onxx"], "onnx"),
        (["--format", "pt2", "--out", "model.onnx"], "ends in .pt2"),
        (["--count", "0"], "expected at least 1"),
        (["--images", "nowhere"], "there is no such folder"),
        (["--images", "."], "no image in it ends in"),
    ],
)
def test_mistakes_are_named_before_anything_is_loaded(options, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=said):
        main(["export", "no-such-run", *options])


def test_onnx_without_its_packages_says_what_to_install(exportable, monkeypatch, tmp_path):
    monkeypatch.setattr(formats.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'wsreid\[onnx\]'"):
        main(["export", str(exportable), "--out", str(tmp_path / "model.onnx")])


def test_a_folder_of_images_checks_it_where_the_data_set_is_gone(exportable, tmp_path, pku_root):
    images = next(f for f in Path(pku_root).rglob("*") if f.suffix in (".jpg", ".png", ".bmp")).parent
    out = tmp_path / "model.safetensors"
    done = main(["export", str(exportable), "--format", "safetensors", "--out", str(out), "--images", str(images)])
    assert done.results[0].images > 0


@pytest.mark.slow  # a graph is traced
def test_the_card_is_of_all_formats_in_the_folder(exportable, tmp_path):
    (tmp_path / "model.onnx").write_text("of another time")
    for kind in ("safetensors", "pt2"):
        main(["export", str(exportable), "--format", kind, "--out", str(tmp_path / f"model.{kind}"), "--count", "2"])
    text = (tmp_path / "README.md").read_text()
    assert "model.pt2" in text
    assert "model.safetensors" in text
    assert "model.onnx" not in text
