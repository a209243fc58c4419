"""A published folder holds a model that loads back, what its figures mean, and nothing of the machine or its images."""

import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from huggingface_hub import ModelCard

from tests.cli.network_guard import connections
from wsreid import load_run
from wsreid.cli import main
from wsreid.data.manifest import Split
from wsreid.errors import ConfigError, WsreidError
from wsreid.export import of_run, publish
from wsreid.export.format_names import FORMATS
from wsreid.export.reading import ExportedModel

USER = "mariecurie"


@pytest.fixture(scope="module")
def machine(tmp_path_factory, exportable):
    """A machine that has much to tell: a user with a name, and a home with the run, the data and the weights."""
    home = tmp_path_factory.mktemp("home") / USER
    home.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("HOME", str(home)), ("LOGNAME", USER), ("USER", USER)):
            patch.setenv(name, value)
        patch.chdir(home)
        yield home


@pytest.fixture(scope="module")
def run(machine, exportable):
    run = Path(shutil.copytree(exportable, machine / "runs" / "mine"))
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["data"]["init_args"] |= {"root": f"{machine}/data/market", "bag_file": "bags/mariecurie.arrow"}
    config["model"]["init_args"]["weights"] = f"{machine}/weights/osnet_msmt17.pth"
    config["wandb"] |= {"entity": USER, "project": "secret-project"}
    config["trainer"]["callbacks"] = [{"class_path": "X", "init_args": {"dirpath": "/mnt/scratch/checkpoints"}}]
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    results = json.loads((run / "results.json").read_text())
    results["notes"] = [f"made by {USER} with {run}/checkpoints/last.ckpt", "ONLY A PART of the test split"]
    (run / "results.json").write_text(json.dumps(results))
    return run


@pytest.fixture(scope="module")
def images(exportable, machine):
    """Images of the data set in a folder, as the run's own data is gone."""
    manifest = load_run(exportable).data.manifest
    folder = machine / "some images"
    folder.mkdir()
    for row in manifest.rows(Split.QUERY)[:3]:
        shutil.copy(manifest.location(int(row)).path, folder)
    return folder


def published(run, out, images, *more):
    return main(["publish", str(run), "--out", str(out), "--images", str(images), *more])


@pytest.fixture(scope="module")
def folder(run, images, machine):
    """The folder, of safetensors alone; published without a connection."""
    named = shutil.copy(run / "checkpoints" / "last.ckpt", machine / f"{USER}-best.ckpt")
    with connections() as heard:
        published(run, machine / "hub", images, "--checkpoint", str(named))
    assert heard == []
    return machine / "hub"


def told(folder):
    """Everything that is in the files, those inside archives too."""
    for file in folder.iterdir():
        yield file.name, file.read_bytes()
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                yield from ((f"{file.name}/{name}", archive.read(name)) for name in archive.namelist())


def assert_nothing_is_told(folder, run, images, machine):
    pictures = [file.read_bytes() for file in images.iterdir()]
    for name, content in told(folder):
        for word in (str(machine), str(run), USER, "/mnt/scratch", "secret-project", str(torch.__path__[0])):
            assert word.encode() not in content, (name, word)
        assert str(Path(publish.__file__).parents[1]).encode() not in content, name
        assert not any(picture[:200] in content for picture in pictures), name


def test_nothing_of_the_machine_and_no_image_is_in_it(folder, run, images, machine):
    assert_nothing_is_told(folder, run, images, machine)
    assert {file.name for file in folder.iterdir()} == {
        *("model.safetensors", "README.md", "config.yaml", "preprocessing.json", "results.json", "LICENSE.md"),
        *(".gitattributes", "SHA256SUMS"),
    }


@pytest.mark.slow  # ONNX takes a quarter of a minute to write
def test_nothing_of_the_machine_is_in_graphs_either(run, images, machine, tmp_path):
    done = published(run, tmp_path / "hub", images, "--format", "onnx", "pt2")
    assert_nothing_is_told(tmp_path / "hub", run, images, machine)
    assert [each.kind for each in done.published.exported] == ["safetensors", "pt2", "onnx"]
    for kind in FORMATS:
        assert ExportedModel(tmp_path / "hub" / f"model.{kind}").recipe.feature_dim > 0


def test_what_is_published_embeds_as_the_run_does(folder, run, images):
    files = sorted(images.iterdir())
    model, loaded = ExportedModel(str(folder / "model.safetensors")), load_run(run)
    pixels = [np.full((32, 16, 3), 40 * k, np.uint8) for k in range(3)]
    batch = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2)  # (N, H, W, 3) -> (N, 3, H, W)
    assert np.allclose(model.embed(batch).numpy(), loaded.embed(pixels), atol=1e-4)
    gallery = folder.parent / "g.npz"
    np.savez(gallery, features=loaded.embed(files), pid=np.arange(3))
    words = ["--image", str(files[1]), "--gallery", str(gallery), "--top", "1"]
    hit = main(["search", "--model", str(folder / "model.safetensors"), *words]).results[0].hits[0]
    assert (hit.row, hit.score) == (1, pytest.approx(1, abs=1e-5))


def test_the_card_is_one_that_a_hub_reads(folder, run):
    text = (folder / "README.md").read_text()
    data = ModelCard(text, ignore_metadata_errors=False).data
    assert (data.license, data.license_name, data.license_link) == ("other", "not-stated", "LICENSE.md")
    assert (data.library_name, data.pipeline_tag) == ("wsreid", "image-feature-extraction")
    assert {"person-re-identification", "weakly-supervised", "safetensors"} <= set(data.tags)
    found = {each.metric_type: each for each in data.eval_results}
    row = load_run(run).recorded.results["rows"][0]
    assert found["mAP_step"].metric_value == pytest.approx(100 * row["mAP_step"], abs=0.01)
    assert "(i+1)/(r_i+1)" in found["mAP_step"].metric_args["meaning"]
    assert found["R1"].dataset_args["hash"] == load_run(run).recorded.hashes["data"]
    assert found["R1"].dataset_args["junk"] == "same identity and same camera, or identity -1"
    assert ExportedModel(folder / "model.safetensors").recipe.run["checkpoint"] == "REMOVED-best"
    for part in ("## Licence of the data", "rendered by wsreid", "ONLY A PART of the test split", "- mINP: mean over"):
        assert part in text, part


def test_the_other_files_say_how_the_network_was_made_and_is_used(folder, run):
    loaded = load_run(run)
    config = yaml.safe_load((folder / "config.yaml").read_text())
    init = config["data"]["init_args"]
    assert (init["root"], init["bag_file"], init["height"]) == ("REMOVED", "REMOVED", 32)
    assert config["model"]["init_args"]["weights"] == "REMOVED/osnet_msmt17.pth"
    assert config["model"]["init_args"]["optimizer"] == loaded.config["model"]["init_args"]["optimizer"]
    assert config["seed_everything"] == 0
    assert "wandb" not in config
    way = json.loads((folder / "preprocessing.json").read_text())
    assert (way["height"], way["width"], way["flip_test"], way["channels"]) == (32, 16, True, "RGB")
    assert way["mean"] == [0.485, 0.456, 0.406]
    results = json.loads((folder / "results.json").read_text())
    assert results["rows"] == loaded.recorded.results["rows"]
    assert results["definition"] == loaded.recorded.definition
    assert set(results["rows"][0]) - {"name"} <= {*results["meaning"], *(f"{n}_random" for n in results["meaning"])}
    assert results["hashes"] == loaded.recorded.hashes
    assert results["notes"][0] == "made by REMOVED with REMOVED"
    assert "*.safetensors filter=lfs diff=lfs merge=lfs -text" in (folder / ".gitattributes").read_text()
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=folder, check=True)


def test_a_folder_is_replaced_only_where_it_is_as_it_was_published(run, images, machine, folder, capsys):
    out = Path(shutil.copytree(folder, machine / "again"))
    capsys.readouterr()
    done = published(run, out, images, "--license", "apache-2.0")
    text = (out / "README.md").read_text()
    assert text.startswith("---\nlicense: apache-2.0\n")
    assert "license_name" not in text
    assert not (out / "LICENSE.md").exists()
    assert sorted(done.results) == sorted(out.iterdir())
    shown = capsys.readouterr().out
    assert f"Nothing was uploaded. To upload it: hf upload ORG/NAME {out}\n" in shown
    assert "model.safetensors (1.5 MB); largest difference from the run's features over 3 images: " in shown
    assert "No licence is stated" not in shown
    (out / "README.md").write_text(f"{text}\nMy own words.\n")
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    with pytest.raises(ConfigError, match=r"README\.md in it was changed since `publish` wrote it"):
        published(run, out, images)
    assert {file.name: file.read_bytes() for file in out.iterdir()} == before


@pytest.mark.parametrize("fails", ["check", "path"])
def test_a_publish_that_fails_leaves_nothing(fails, run, images, tmp_path, monkeypatch):
    if fails == "check":
        monkeypatch.setattr(of_run, "largest_difference", lambda *_: float("nan"))
    else:
        monkeypatch.setattr(publish, "model_card", lambda *_: f"see {Path.home()}/notes")
    with pytest.raises(WsreidError, match="differ from the run's" if fails == "check" else "would hold the path"):
        published(run, tmp_path / "hub", images)
    assert not list(tmp_path.iterdir())


def test_a_run_without_a_test_has_a_card_without_figures(run, images, tmp_path, capsys):
    begun = Path(shutil.copytree(run, tmp_path / "begun"))
    (begun / "results.json").unlink()
    published(begun, tmp_path / "hub", images)
    assert "The run has not ended with a test: the card has no figures." in capsys.readouterr().out
    assert "model-index" not in (tmp_path / "hub" / "README.md").read_text()
    assert json.loads((tmp_path / "hub" / "results.json").read_text())["rows"] == []
