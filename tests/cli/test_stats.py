import csv
import io
import json

import cv2
import pytest

from wsreid.cli import stats
from wsreid.data.bag_settings import BagSettings
from wsreid.data.make_bags import make_bags
from wsreid.data.manifest import Manifest, Split, write_manifest
from wsreid.data.sources.market1501 import Market1501
from wsreid.errors import ConfigError, DataError

FIGURES = ["stats_bags", "stats_identities", "stats_images"]


@pytest.fixture
def files(market_root, tmp_path, monkeypatch):
    """The current folder, with m.arrow and bags.arrow in it."""
    monkeypatch.chdir(tmp_path)
    write_manifest(tmp_path / "m.arrow", Market1501().index(market_root), source="market1501", root=market_root)
    manifest = Manifest.open(tmp_path / "m.arrow")
    make_bags(manifest, BagSettings(), manifest.rows(Split.TRAIN)).write(tmp_path / "bags.arrow")
    return tmp_path


def test_without_manifests_the_nine_published_sets_are_shown(capsys):
    found = stats.run([])
    assert len(found.results) == 9
    assert found.files == ()
    out, err = capsys.readouterr()
    assert "29,606,918" in out
    assert "measured" not in "\n".join(out.splitlines()[:10])
    assert "--out FOLDER" in err


def test_a_manifest_is_measured_beside_the_published_figures(files, capsys):
    found = stats.run(["m.arrow", "m.arrow", "--format", "csv"])
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) == len(found.lines) == 10
    market = [(row["figures"], row["categories"], row["images"]) for row in rows if row["data_set"] == "Market-1501"]
    assert market == [("published", "1501", "32668"), ("measured", "10", "42")]


@pytest.mark.parametrize(("kind", "mark"), [("json", "["), ("md", "| data set |")])
def test_other_formats_are_all_that_is_printed(kind, mark, capsys):
    stats.run(["--format", kind])
    out = capsys.readouterr().out
    assert out.startswith(mark)
    assert kind != "json" or len(json.loads(out)) == 9


def test_out_holds_table_and_figures(files, capsys):
    found = stats.run(["m.arrow", "--bags", "bags.arrow", "--out", "new/figures"])
    there = sorted(path.name for path in (files / "new/figures").iterdir())
    assert there == sorted(
        [f"stats.{e}" for e in ("csv", "json", "md")] + [f"{n}.{e}" for n in FIGURES for e in ("png", "svg")]
    )
    assert sorted(path.name for path in found.files) == there
    for name in FIGURES:
        assert cv2.imread(f"new/figures/{name}.png").shape[1] == 1000
    assert str(capsys.readouterr().err).count("Written: ") == len(there)


def test_without_bags_the_missing_figure_is_named(files, capsys):
    found = stats.run(["--out", "figures"])
    assert not any("stats_bags" in path.name for path in found.files)
    assert "No figure of bags by images per bag" in capsys.readouterr().err


def test_bags_of_another_set_are_named_after_their_file(files, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "wsreid.tracking.dataset_figures.bags_figure", lambda bags: seen.append([b.title for b in bags]) or None
    )
    monkeypatch.setattr("wsreid.tracking.figure_files.save_figure", lambda figure, folder, name: ())
    stats.run(["--bags", "bags.arrow", "--out", "figures"])
    stats.run(["m.arrow", "--bags", "bags.arrow", "bags.arrow", "--out", "figures"])
    assert seen == [["bags.arrow, random"], ["Market-1501, random"] * 2]


def test_mistakes_are_told_in_one_line(files, market_root):
    with pytest.raises(ConfigError, match="did you mean --format"):
        stats.run(["--formt", "md"])
    with pytest.raises(ConfigError, match=r"--format: expected terminal, md, csv or json"):
        stats.run(["--format", "mdx"])
    with pytest.raises(DataError, match=r"other\.arrow does not exist"):
        stats.run(["other.arrow"])
    with pytest.raises(DataError, match="no wsreid manifest"):
        stats.run(["bags.arrow"])
    with pytest.raises(DataError, match="no readable bag file"):
        stats.run(["--bags", "m.arrow"])
    with pytest.raises(ConfigError, match="never written to"):
        stats.run(["m.arrow", "--out", str(market_root / "figures")])
    assert not (market_root / "figures").exists()
