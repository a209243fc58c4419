import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

import wsreid
from tests.conftest import write_image
from wsreid.cli import main, search
from wsreid.cli.search_gallery import Gallery
from wsreid.data.images import ImageLocation, read_image
from wsreid.errors import ConfigError, DataError, FeatureError
from wsreid.retrieval.faiss_topk import topk
from wsreid.retrieval.feature_files import read_features
from wsreid.retrieval.feature_shards import shard_files
from wsreid.retrieval.index import SearchIndex


@pytest.fixture(scope="module")
def own_root(market_root, tmp_path_factory):
    """The data set at a place that tests may change."""
    return Path(shutil.copytree(market_root, tmp_path_factory.mktemp("search") / "root"))


@pytest.fixture(scope="module")
def predicted(own_root, tmp_path_factory):
    """A run of one epoch with its gallery features."""
    run = tmp_path_factory.mktemp("search") / "run"
    config = run.parent / "my.yaml"
    settings = {
        "model": {"class_path": "BagCE", "init_args": {"backbone": "test_resnet"}},
        "data": {"root": str(own_root), "height": 32, "width": 16, "val_fraction": 0.34, "bags_per_batch": 2},
        "trainer": {"max_epochs": 1, "accelerator": "cpu", "enable_progress_bar": False, "enable_model_summary": False},
        "pictures": {"queries": 0},
    }
    config.write_text(yaml.safe_dump(settings))
    main(["fit", "--config", str(config), "--run", str(run)])
    main(["predict", "--config", str(run / "config.yaml"), "--run", str(run), "--ckpt_path", "last"])
    return run


@pytest.fixture
def run(predicted, tmp_path):
    return Path(shutil.copytree(predicted, tmp_path / "run"))


@pytest.fixture
def image(market_root):
    return market_root / "query" / "0102_c1s1_000001_00.jpg"


@pytest.fixture
def find(run, image):
    def call(*args, of=image):
        return search.run([str(word) for word in ("--run", run, "--image", of, *args)])

    return call


def gallery_of(run):
    return run / "predict-last" / "features" / "gallery"


def test_it_lists_what_the_features_rank_first(find, run, image, own_root, capsys):
    finished = find("--top", "4", "--json", run / "found.json")
    gallery = read_features(gallery_of(run))
    loaded = wsreid.load_run(run)
    scores, lists = topk(loaded.embed([image]), np.asarray(gallery.features), 4)
    hits = finished.results[0].hits
    assert [hit.rank for hit in hits] == [1, 2, 3, 4]
    assert [hit.row for hit in hits] == gallery.row[lists[0]].tolist()
    assert [hit.score for hit in hits] == pytest.approx(scores[0].tolist())
    assert [hit.camera for hit in hits] == gallery.camera[lists[0]].tolist()
    assert [hit.identity for hit in hits] == [str(pid) for pid in gallery.pid[lists[0]]]
    for hit in hits:
        assert hit.path == str(loaded.data.manifest.location(hit.row))
        assert Path(hit.path).is_relative_to(own_root)
    out = capsys.readouterr().out
    for part in (
        f"{image} in {gallery_of(run)}\n",
        "rank cosine row identity camera path",
        f"{hits[0].score:.4f}",
        f"bounding_box_test/{Path(hits[3].path).name}",
        "10 gallery images, cosine, exact search.",
        "Seconds: loading ",
        "embedding ",
        "searching ",
        f"Written: {run / 'search' / '0102_c1s1_000001_00.png'}",
    ):
        assert part in out, part
    content = json.loads((run / "found.json").read_text())
    assert content["format"] == "wsreid search 1"
    assert content["index"] == {"kind": "exact", "file": None, "made": None, "recall": None}
    assert [hit["path"] for hit in content["images"][0]["hits"]] == [hit.path for hit in hits]
    assert set(content["seconds"]) == {"network", "gallery", "embedding", "index", "search"}
    assert content["images"][0]["recall"] is None


def test_the_picture_shows_the_images_that_the_table_names(find, run, monkeypatch):
    shown = []
    real = Gallery.image
    monkeypatch.setattr(Gallery, "image", lambda self, hit: (shown.append(hit), real(self, hit))[1])
    finished = find("--picture", run / "new" / "p.png", "--top", "3")
    assert tuple(shown) == finished.results[0].hits
    for hit in shown:
        assert np.array_equal(real(finished.found.gallery, hit), read_image(ImageLocation(Path(hit.path))))
    assert [file.name for file in (run / "new").iterdir()] == ["p.png"]
    assert cv2.imread(str(run / "new" / "p.png")).shape[1] > 300


@pytest.mark.parametrize("kind", ["ivf", "hnsw", "pq"])
def test_an_index_is_made_once_and_its_recall_stands_beside_the_answer(kind, find, run, capsys, monkeypatch):
    first = find("--index", kind, "--json", run / "a.json")
    out = capsys.readouterr().out
    assert f"index {kind}: recall@10 100.0 % against exact search, on 10 gallery images (" in out
    file = gallery_of(run).with_name(f"gallery.{kind}-cosine.index")
    assert f"Index {file}: made, since there was none." in out
    assert [hit.row for hit in first.results[0].hits] == [hit.row for hit in find().results[0].hits]
    monkeypatch.setattr(SearchIndex, "build", None)
    again = find("--index", kind, "--json", run / "b.json")
    assert again.results == first.results
    assert f"Index {file}: loaded." in capsys.readouterr().out
    a, b = (json.loads((run / name).read_text())["index"] for name in ("a.json", "b.json"))
    assert (a["made"], b["made"]) == ("there was none", None)
    assert a["recall"] == b["recall"]
    assert (a["recall"]["k"], a["recall"]["images"], a["recall"]["recall"]) == (10, 10, 1.0)


def test_other_features_make_another_index(find, run, capsys):
    find("--index", "ivf")
    shard = shard_files(gallery_of(run))[0]
    with np.load(shard) as file:
        content = dict(file)
    np.savez(shard, **{**content, "features": content["features"] * 2})
    capsys.readouterr()
    find("--index", "ivf")
    assert "made, since the features are not those that it was made from" in capsys.readouterr().out


def test_exact_shows_what_the_index_missed(find, run, tmp_path, capsys, predicted):
    rng = np.random.default_rng(0)
    width = wsreid.load_run(predicted).method.network.feature_dim
    np.savez(tmp_path / "g.npz", features=rng.standard_normal((400, width), np.float32), pid=np.arange(400))
    few = ("--gallery", tmp_path / "g.npz", "--index", "ivf", "--nprobe", "2", "--top", "12")
    answer = find(*few, "--exact").results[0]
    exact = find("--gallery", tmp_path / "g.npz", "--top", "12", "--index", "exact").results[0]
    wanted = [hit.row for hit in exact.hits]
    assert {hit.row: hit.exact_rank for hit in answer.hits if hit.exact_rank is not None} == {
        row: rank for rank, row in enumerate(wanted, 1) if row in {hit.row for hit in answer.hits}
    }
    assert answer.recall == sum(hit.row in wanted[:10] for hit in answer.hits[:10]) / 10
    assert 0 < answer.recall < 1
    assert list(answer.missed) == [row for row in wanted if row not in {hit.row for hit in answer.hits}]
    out = capsys.readouterr().out
    assert "exact rank" in out
    assert f"recall@10 of this image {100 * answer.recall:.0f} % against exact search; not found: rows" in out
    assert ", exact search 0." in out
    assert find(*few, "--exact", "--metric", "euclidean").results[0].recall < 1
    assert find(*few[:4], "--nprobe", "16", "--exact", "--metric", "euclidean").results[0].recall == 1


def test_a_folder_gives_a_line_for_each_image(find, run, market_root, tmp_path, capsys):
    folder = Path(shutil.copytree(market_root / "query", tmp_path / "people"))
    files = sorted(folder.glob("01*.jpg"))
    (folder / "notes.txt").write_text("not asked for")
    (folder / "broken.jpg").write_bytes(files[0].read_bytes()[:400])
    (folder / "text.png").write_text("no image")
    finished = find("--top", "11", "--json", run / "f.json", "--exact", "--index", "ivf", of=folder)
    assert [answer.image for answer in finished.results] == files
    assert len(files) == 8
    for answer in (finished.results[2], finished.results[7]):
        alone = find("--top", "11", of=answer.image).results[0]
        assert [(hit.row, hit.score) for hit in answer.hits] == [
            (hit.row, pytest.approx(hit.score, abs=1e-6)) for hit in alone.hits
        ]
    out = capsys.readouterr().out
    assert "image                   cosine row identity camera recall@10 path" in out
    assert all(file.name in out for file in files)
    assert f"Left out: {folder / 'broken.jpg'} is a JPEG that is cut off." in out
    assert f"Left out: {folder / 'text.png'} is no JPEG, PNG or BMP image" in out
    assert "notes.txt" not in out
    assert "data.max_corrupt" not in out
    assert "The gallery holds 10 images: all are listed." in out
    assert f"8 images of {folder} in {gallery_of(run)}" in out
    content = json.loads((run / "f.json").read_text())
    assert [Path(each["image"]).name for each in content["left_out"]] == ["text.png", "broken.jpg"]
    assert [len(each["hits"]) for each in content["images"]] == [10] * 8
    assert (run / "search" / "people.png").is_file()


def test_images_that_are_gone_leave_the_table(find, run, predicted, own_root, capsys, tmp_path):
    before = find().results[0].hits
    capsys.readouterr()
    gone = Path(before[1].path)
    manifest = wsreid.load_run(run).data.manifest.path
    changed = gone.parent.stat().st_mtime_ns
    gone.rename(gone.with_suffix(".away"))
    try:
        assert find("--manifest", manifest).results[0].hits == before
    finally:
        gone.with_suffix(".away").rename(gone)
        os.utime(gone.parent, ns=(changed, changed))
    assert (
        f"1 gallery image(s) cannot be read, such as {gone}: the picture has no image there" in capsys.readouterr().out
    )
    moved = own_root.rename(own_root.with_name("moved"))
    try:
        answer = find().results[0]
        out = capsys.readouterr().out
        assert "Paths and images are not shown: " in out
        assert str(own_root) in out
        assert [hit.row for hit in answer.hits] == [hit.row for hit in before]
        assert {hit.path for hit in answer.hits} == {None}
        assert all(hit.identity.startswith("number ") for hit in answer.hits)  # no name, nor to be taken for one
        again = find("--root", moved).results[0].hits
        assert [hit.path for hit in again] == [hit.path.replace(str(own_root), str(moved)) for hit in before]
    finally:
        moved.rename(own_root)


def test_features_of_any_file_are_searched_and_a_manifest_names_their_images(find, run, tmp_path, capsys):
    own = read_features(gallery_of(run))
    order = np.arange(10)[::-1]
    columns = {"pid": own.pid[order], "camera": own.camera[order]}
    np.savez(tmp_path / "g.npz", features=np.asarray(own.features)[order], **columns)
    before = find().results[0].hits
    capsys.readouterr()
    hits = find("--gallery", tmp_path / "g.npz").results[0].hits
    assert [(hit.identity, hit.camera, hit.score, hit.path) for hit in hits] == [
        (hit.identity, hit.camera, pytest.approx(hit.score), None) for hit in before
    ]
    assert "name the manifest that the rows are of with --manifest FILE" in capsys.readouterr().out
    manifest = wsreid.load_run(run).data.manifest.path
    with pytest.raises(DataError, match=r"knows other identities than .*g\.npz, such as of row 0"):
        find("--gallery", tmp_path / "g.npz", "--manifest", manifest)
    np.savez(tmp_path / "h.npz", features=np.asarray(own.features)[order], row=own.row[order], **columns)
    hits = find("--gallery", tmp_path / "h.npz", "--manifest", manifest).results[0].hits
    assert [(hit.row, hit.path) for hit in hits] == [(hit.row, hit.path) for hit in before]
    np.savez(tmp_path / "i.npz", features=np.asarray(own.features), row=own.row + 100, pid=own.pid)
    with pytest.raises(DataError, match=r"has 42 rows, and .*i\.npz names rows 132 to 141"):
        find("--gallery", tmp_path / "i.npz", "--manifest", manifest)


def test_without_features_the_command_that_makes_them_is_told(find, run, monkeypatch):
    shutil.rmtree(run / "predict-last")
    command = f"python -m wsreid predict --config {run / 'config.yaml'} --run {run} --ckpt_path last"
    with pytest.raises(ConfigError, match="there are no gallery features yet") as error:
        find()
    assert command in str(error.value)
    main([*command.split()[3:], "--trainer.enable_progress_bar", "false"])
    assert len(find().results[0].hits) == 10


def test_another_checkpoint_has_its_own_features(find, run, tmp_path):
    shutil.copy(run / "checkpoints" / "last.ckpt", run / "checkpoints" / "epoch=09.ckpt")
    file = run / "checkpoints" / "epoch=09.ckpt"
    with pytest.raises(ConfigError, match=r"predict-epoch=09/features/gallery: .*--ckpt_path .*epoch=09\.ckpt"):
        find("--checkpoint", file)
    (run / "predict-last").rename(run / "predict-epoch=09")
    assert len(find("--checkpoint", "epoch=09").results[0].hits) == 10
    elsewhere = shutil.copy(file, tmp_path / "elsewhere.ckpt")
    (run / "predict-epoch=09" / "features").rename(run / "features")
    assert len(find("--checkpoint", elsewhere).results[0].hits) == 10


def test_features_of_another_network_are_refused(find, run):
    index = gallery_of(run) / "index.json"
    content = json.loads(index.read_text())
    for change, named in (
        ({"weights": "0" * 64}, "weights 000000000000"),
        ({"flip_test": "true"}, "flip_test true (now false)"),
        ({"image": "64x32"}, "image 64x32 (now 32x16)"),
    ):
        index.write_text(json.dumps({**content, "origin": {**content["origin"], **change}}))
        with pytest.raises(ConfigError, match="was made by another network") as error:
            find()
        assert named in str(error.value)
        assert f"Remove the folder {gallery_of(run).parent} and make the features anew" in str(error.value)
    index.write_text(json.dumps({**content, "origin": {**content["origin"], "data": "0" * 64}}))
    assert find().results[0].hits[0].path is None


def test_features_of_another_run_are_never_advised_to_be_removed(find, run, tmp_path):
    other = Path(shutil.copytree(run, tmp_path / "other"))
    index = gallery_of(other) / "index.json"
    content = json.loads(index.read_text())
    index.write_text(json.dumps({**content, "origin": {**content["origin"], "weights": "0" * 64}}))
    with pytest.raises(ConfigError, match="was made by another network") as error:
        find("--gallery", gallery_of(other))
    assert f"Leave --gallery out to search {gallery_of(run)}, which `predict` wrote" in str(error.value)
    shutil.rmtree(run / "predict-last")
    with pytest.raises(ConfigError, match="Make this run's features, then leave --gallery out: python") as error:
        find("--gallery", gallery_of(other))
    assert "Remove" not in str(error.value)
    assert f"--run {run} --ckpt_path last" in str(error.value)
    spaced = Path(shutil.copytree(run, tmp_path / "it's a run"))
    with pytest.raises(ConfigError, match="no gallery features yet") as error:
        find("--run", spaced)
    command = shlex.split(str(error.value).split("Make them with: ")[1].splitlines()[0])
    assert command[4:] == ["--config", str(spaced / "config.yaml"), "--run", str(spaced), "--ckpt_path", "last"]


def test_mistakes_are_told(find, run, image, tmp_path):
    write_image(tmp_path / "ok.png", seed=1)
    (tmp_path / "no.jpg").write_bytes(b"not an image")
    (tmp_path / "empty").mkdir()
    (tmp_path / "mine.json").write_text("{}")
    np.savez(tmp_path / "wide.npz", features=np.ones((5, 7), np.float32), pid=np.arange(5))
    np.savez(tmp_path / "none.npz", features=np.ones((0, 7), np.float32), pid=np.arange(0))
    cases = [
        (("--top", "0"), image, ConfigError, "--top 0: expected at least 1"),
        ((), tmp_path / "gone.jpg", DataError, r"--image .*gone\.jpg: there is no such file"),
        ((), tmp_path / "no.jpg", DataError, r"--image .*no\.jpg is no JPEG, PNG or BMP image[^:]*\.$"),
        ((), tmp_path / "empty", DataError, "there is no image in this folder"),
        (("--gallery", tmp_path / "wide.npz"), image, ConfigError, "have 7 dimensions, those of .*last.ckpt have 96"),
        (("--gallery", tmp_path / "none.npz"), image, FeatureError, "none.npz"),
        (("--gallery", tmp_path / "gone.npz"), image, FeatureError, "there is no such file or folder"),
        (("--checkpoint", "best2"), image, DataError, "best2.ckpt: there is no such checkpoint"),
        (("--nprobe", "4"), image, ConfigError, "--nprobe 4: it goes with --index ivf or pq"),
        (("--ef", "4", "--index", "ivf"), image, ConfigError, "--ef 4: it goes with --index hnsw"),
        (("--index", "exact", "--exact"), image, ConfigError, "searches exactly already"),
        (("--index", "ivff"), image, ConfigError, "expected exact, ivf, hnsw or pq.* did you mean 'ivf'"),
        (("--pictur", "a.png"), image, ConfigError, "did you mean --picture"),
        (("--picture", "a.jpg"), image, ConfigError, "the picture is a PNG file"),
        (("--picture", tmp_path / "ok.png"), tmp_path / "ok.png", ConfigError, "an image that is searched for"),
        (("--json", tmp_path / "mine.json"), image, ConfigError, "it is no search"),
        (("--json", tmp_path), image, ConfigError, "this is a folder"),
    ]
    for args, of, kind, message in cases:
        with pytest.raises(kind, match=message):
            find(*args, of=of)
    with pytest.raises(ConfigError, match="Missing: --image"):
        search.run(["--run", str(run)])
    with pytest.raises(DataError, match="no run folder"):
        search.run(["--run", str(tmp_path), "--image", str(image)])
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(DataError, match=r"last\.ckpt: there is no such checkpoint: the run has not finished an epoch"):
        find()


def test_progress_is_told_and_without_a_terminal_not_shown(find, monkeypatch, capsys):
    told = []
    monkeypatch.setattr("wsreid.retrieval.watching.LogLines.__call__", lambda self, *what: told.append(what[1:]))
    find("--index", "ivf")
    assert (1, 1) in told
    assert (10, 10) in told
    assert capsys.readouterr().err == ""


def test_help_is_quick_and_it_is_a_command(run, image):
    code = "import sys; from wsreid.cli import main\ntry:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
    code += "print(sorted({'torch', 'lightning', 'numpy', 'matplotlib', 'faiss'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code, "search", "--help"], check=True, capture_output=True, text=True)
    assert found.stdout.splitlines()[-1] == "[]"
    assert "--picture" in found.stdout
    assert len(main(["search", "--run", str(run), "--image", str(image), "--top", "2"]).results[0].hits) == 2
