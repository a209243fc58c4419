import shutil

import pytest

from tests.data.sources.cuhk03_files import write_lists, write_mat
from wsreid.cli.prepare import run
from wsreid.data.cache import cache_dir
from wsreid.data.images import read_image
from wsreid.data.manifest import Manifest
from wsreid.data.published import SplitCount
from wsreid.errors import ConfigError, DataError


def prepare(name, root, out, *options):
    return run([name, "--root", str(root), "--out", str(out), *options])


def test_writes_the_manifest_and_shows_published_counts_beside(market_root, tmp_path, capsys):
    out = tmp_path / "new" / "market.arrow"
    prepared = prepare("market1501", market_root, out)
    manifest = Manifest.open(out)
    manifest.check()
    assert manifest.source == "market1501"
    train = prepared.results[0]
    assert (train.split, train.found, train.published) == ("train", SplitCount(24, 6), SplitCount(12_936, 751))
    text = capsys.readouterr().out
    assert "Market-1501" in text
    assert "Note: train: 24 images, published are 12,936" in text
    assert text.count("published are 12,936") == 1
    assert f"Written: {out}" in text


def test_groups_problems_by_kind(market_root, tmp_path, capsys):
    root = tmp_path / "root"
    shutil.copytree(market_root, root)
    for name in ("a.jpg", "b.jpg", "[bold]c.jpg"):
        (root / "query" / name).write_bytes((root / "query" / "0101_c1s1_000001_00.jpg").read_bytes())
    (root / "query" / "notes.txt").write_text("x")
    prepared = prepare("market1501", root, tmp_path / "m.arrow")
    assert len(prepared.problems) == 4
    text = capsys.readouterr().out
    assert "4 files cannot be used and are left out" in text
    assert "query/[bold]c.jpg" in text
    assert text.count("has a name that does not parse") == 1


def test_takes_the_options_of_the_source(tmp_path, capsys):
    write_mat(tmp_path / "root" / "cuhk-03.mat")
    write_lists(tmp_path / "root", "detected")
    options = ("--source.boxes", "detected")
    prepared = prepare("cuhk03", tmp_path / "root", tmp_path / "m.arrow", *options)
    assert prepared.splits[0].published == SplitCount(7_365, 767)
    assert prepared.notes.count("train: 14 images, published are 7,365") == 1
    manifest = Manifest.open(tmp_path / "m.arrow")
    assert manifest.root.is_relative_to(cache_dir())
    assert read_image(manifest.location(0)).shape == (7, 4, 3)
    with pytest.raises(DataError, match="config_labeled"):
        prepare("cuhk03", tmp_path / "root", tmp_path / "m.arrow")


def test_takes_columns_of_a_table(market_root, tmp_path, capsys):
    lines = [f"{path.relative_to(market_root)},{path.name[:4]}" for path in sorted(market_root.rglob("*.jpg"))]
    root = tmp_path / "root"
    root.mkdir()
    for folder in ("bounding_box_train", "query", "bounding_box_test"):
        (root / folder).symlink_to(market_root / folder)
    split = {"bounding_box_train": "train", "query": "query", "bounding_box_test": "gallery"}
    (root / "images.csv").write_text(
        "file,who,split\n" + "".join(f"{line},{split[line.partition('/')[0]]}\n" for line in lines)
    )
    prepared = prepare("table", root, tmp_path / "m.arrow", "--source.columns", "{pid: who}")
    assert prepared.splits[0].found == SplitCount(24, 6)
    assert prepared.splits[0].published is None


@pytest.mark.parametrize("where", ["m.arrow", "query/m.arrow", "../market_link/m.arrow"])
def test_never_writes_inside_the_root(market_root, tmp_path, where):
    before = sorted(market_root.rglob("*"))
    (market_root.parent / "market_link").unlink(missing_ok=True)
    (market_root.parent / "market_link").symlink_to(market_root)
    with pytest.raises(ConfigError, match="inside the data set"):
        prepare("market1501", market_root, market_root / where)
    assert sorted(market_root.rglob("*")) == before


def test_replaces_a_manifest_and_nothing_else(market_root, tmp_path, capsys):
    for _ in range(2):
        prepare("market1501", market_root, tmp_path / "m.arrow")
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(ConfigError, match="is no manifest"):
        prepare("market1501", market_root, tmp_path / "thesis.tex")
    with pytest.raises(ConfigError, match="this is a folder"):
        prepare("market1501", market_root, tmp_path)
    with pytest.raises(ConfigError, match="no folder that can be written"):
        prepare("market1501", market_root, tmp_path / "thesis.tex" / "m.arrow")
    assert (tmp_path / "thesis.tex").read_text() == "x"


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ([], "Name the data set first"),
        (["--root", "r"], "Name the data set first"),
        (["market"], "There is no data set 'market'; did you mean 'market1501'"),
        (["market1501"], "Missing: --root, --out"),
        (["market1501", "--rot", "r"], "--rot: there is no such option; did you mean --root"),
        (["cuhk03", "--root", "r", "--out", "m", "--source.box", "x"], "did you mean --source.boxes"),
        (["cuhk03", "--root", "r", "--out", "m", "--source.boxes", "labeled"], "expected labelled or detected"),
        (["market1501", "--root", "nowhere", "--out", "m"], r"nowhere does not exist.*zheng-lab"),
    ],
)
def test_mistakes_on_the_command_line(args, error, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ConfigError, DataError), match=error):
        run(args)


@pytest.mark.parametrize(("args", "word"), [(["--help"], "caviar4reid"), (["cuhk03", "--help"], "--source.boxes")])
def test_help(args, word, capsys):
    with pytest.raises(SystemExit) as ended:
        run(args)
    assert ended.value.code == 0
    assert word in capsys.readouterr().out
