from dataclasses import replace

import cv2
import pytest

from wsreid.cli import show_bags
from wsreid.data.bag_settings import BagSettings
from wsreid.data.make_bags import make_bags
from wsreid.data.manifest import Manifest, Split, write_manifest
from wsreid.data.sources.market1501 import Market1501
from wsreid.errors import ConfigError, DataError


@pytest.fixture
def files(market_root, tmp_path, monkeypatch):
    """The current folder, with m.arrow and its bags.arrow in it."""
    monkeypatch.chdir(tmp_path)
    records = Market1501().index(market_root)
    write_manifest(tmp_path / "m.arrow", records, source="market1501", root=market_root)
    manifest = Manifest.open(tmp_path / "m.arrow")
    make_bags(manifest, BagSettings(images_per_id=2), manifest.rows(Split.TRAIN)).write(tmp_path / "bags.arrow")
    return tmp_path


def test_bags_and_pairs_are_drawn(files, capsys):
    found = show_bags.run(["m.arrow", "bags.arrow", "--out", "new/pictures", "--bags", "2", "--images", "3"])
    names = ["bags.png", "bags.svg", "pairs.png", "pairs.svg"]
    assert sorted(path.name for path in (files / "new/pictures").iterdir()) == names
    assert sorted(path.name for path in found.results) == names
    assert [len(bag.images) for bag in found.bags] == [3, 3]
    for name in ("bags.png", "pairs.png"):
        assert cv2.imread(f"new/pictures/{name}").shape[1] == 1000
    assert capsys.readouterr().out.count("Written: ") == 4


def test_the_seed_chooses(files, monkeypatch):
    saved = []
    monkeypatch.setattr(
        "wsreid.tracking.figure_files.save_figure", lambda figure, folder, name, colours: saved.append(name) or ()
    )

    def ids(seed):
        found = show_bags.run(["m.arrow", "bags.arrow", "--out", "p", "--bags", "2", "--pairs", "0", "--seed", seed])
        return [bag.bag_id for bag in found.bags]

    assert ids("1") == ids("1")
    assert len({tuple(ids(str(seed))) for seed in range(6)}) > 1
    assert set(saved) == {"bags"}


def test_without_matches_there_is_no_picture_of_pairs_and_it_says_so(files, monkeypatch, capsys):
    monkeypatch.setattr("wsreid.tracking.shown_data.draw_pairs", lambda manifest, count, seed: [])
    found = show_bags.run(["m.arrow", "bags.arrow", "--out", "p"])
    assert [path.name for path in found.files] == ["bags.png", "bags.svg"]
    assert "No picture of pairs" in capsys.readouterr().out


def test_mistakes_are_told_in_one_line(files, market_root):
    with pytest.raises(ConfigError, match="Missing: --out"):
        show_bags.run(["m.arrow", "bags.arrow"])
    with pytest.raises(ConfigError, match="did you mean --images"):
        show_bags.run(["m.arrow", "bags.arrow", "--out", "p", "--image", "3"])
    with pytest.raises(ConfigError, match="--images 0: expected at least 1"):
        show_bags.run(["m.arrow", "bags.arrow", "--out", "p", "--images", "0"])
    with pytest.raises(ConfigError, match="--colours 1: expected 2 to 256"):
        show_bags.run(["m.arrow", "bags.arrow", "--out", "p", "--colours", "1"])
    with pytest.raises(DataError, match="no readable bag file"):
        show_bags.run(["m.arrow", "m.arrow", "--out", "p"])
    with pytest.raises(ConfigError, match="never written to"):
        show_bags.run(["m.arrow", "bags.arrow", "--out", str(market_root)])
    records = Market1501().index(market_root)
    other = replace(records, camera=records.camera + 1)
    write_manifest(files / "other.arrow", other, source="market1501", root=market_root)
    with pytest.raises(DataError, match="belong to the manifest"):
        show_bags.run(["other.arrow", "bags.arrow", "--out", "p"])
    assert not (files / "p").exists()
