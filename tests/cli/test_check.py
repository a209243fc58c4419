import shutil

import pytest

from wsreid.cli.check import run
from wsreid.data.bag_settings import BagSettings
from wsreid.data.make_bags import make_bags
from wsreid.data.manifest import Manifest, Split, write_manifest
from wsreid.data.sources import Market1501
from wsreid.errors import ConfigError, DataError


@pytest.fixture
def root(market_root, tmp_path):
    shutil.copytree(market_root, tmp_path / "root")
    return tmp_path / "root"


@pytest.fixture
def manifest(root, tmp_path):
    write_manifest(tmp_path / "m.arrow", Market1501().index(root), source="market1501", root=root)
    return Manifest.open(tmp_path / "m.arrow")


def test_reports_a_whole_set(manifest, capsys):
    checked = run([str(manifest.path), "--images", "all"])
    assert [split.images for split in checked.results] == [24, 8, 10]
    assert (checked.images.opened, checked.images.unreadable) == (42, 0)
    text = capsys.readouterr().out
    assert "Images opened: 42 of 42, 0 unreadable." in text
    assert "Height 32 to 32, median 32; width 16 to 16, median 16 pixels." in text
    assert "Each of the 8 queries has a match." in text


def test_opens_a_sample(manifest, capsys):
    assert run([str(manifest.path), "--images", "5"]).images.opened == 5
    assert run([str(manifest.path), "--images", "0"]).images.height is None


def test_unreadable_images_are_named_and_end_in_an_error(manifest, capsys):
    manifest.location(1).path.write_bytes(b"\xff\xd8\xff cut off")
    with pytest.raises(
        DataError, match=r"1 of 42 images opened cannot be read:\n  .*is a JPEG that is cut off"
    ) as error:
        run([str(manifest.path), "--images", "all"])
    assert manifest.file(1) in str(error.value)
    assert "1 unreadable" in capsys.readouterr().out  # the report comes all the same


def test_queries_without_a_match_are_counted_and_said_why(root, tmp_path, capsys):
    (root / "bounding_box_test" / "0101_c2s1_000002_00.jpg").unlink()
    for camera in (1, 2):
        (root / "bounding_box_test" / f"0102_c{camera}s1_000002_00.jpg").unlink()
    write_manifest(tmp_path / "m.arrow", Market1501().index(root), source="market1501", root=root)
    checked = run([str(tmp_path / "m.arrow")])
    assert (checked.queries.own_camera, checked.queries.absent) == (1, 2)
    text = capsys.readouterr().out
    assert "drops: 3 of 8 (identity not in the gallery 2, own camera only 1, no identity 0)" in text
    assert "query/0101_c1s1_000001_00.jpg" in text


def test_a_set_without_any_match_is_broken(root, tmp_path, capsys):
    for path in (root / "bounding_box_test").glob("01*"):
        path.unlink()
    write_manifest(tmp_path / "m.arrow", Market1501().index(root), source="market1501", root=root)
    with pytest.raises(DataError, match="none of the 8 queries has a match"):
        run([str(tmp_path / "m.arrow")])


def test_checks_bags(manifest, tmp_path, capsys):
    bags = make_bags(manifest, BagSettings(ids_per_bag=2, images_per_id=2), manifest.rows(Split.TRAIN))
    bags.write(tmp_path / "bags.arrow")
    run([str(manifest.path), "--bags", str(tmp_path / "bags.arrow")])
    assert "Bags (random): 6 with 24 members; images a bag 4 to 4, median 4; candidates" in capsys.readouterr().out
    other = make_bags(manifest, BagSettings(ids_per_bag=3, images_per_id=2), manifest.rows(Split.TRAIN))
    other._header = type(bags._header)(other.settings, other.manifest_hash, bags.hash)
    other.write(tmp_path / "bags.arrow")
    with pytest.raises(DataError, match=r"the bag file .* is damaged: its content hash.*Make the bags again"):
        run([str(manifest.path), "--bags", str(tmp_path / "bags.arrow")])


def test_bags_of_another_manifest(manifest, root, tmp_path, capsys):
    bags = make_bags(manifest, BagSettings(ids_per_bag=2, images_per_id=2), manifest.rows(Split.TRAIN))
    bags.write(tmp_path / "bags.arrow")
    (root / "query" / "0101_c1s1_000001_00.jpg").unlink()
    write_manifest(tmp_path / "n.arrow", Market1501().index(root), source="market1501", root=root)
    with pytest.raises(DataError, match="belong to the manifest with the hash"):
        run([str(tmp_path / "n.arrow"), "--bags", str(tmp_path / "bags.arrow")])


def test_a_damaged_manifest(manifest, tmp_path):
    data = bytearray(manifest.path.read_bytes())
    place = data.find(manifest.frame.astype("<i8").tobytes())
    data[place] ^= 1
    (tmp_path / "bad.arrow").write_bytes(data)
    with pytest.raises(DataError, match="is damaged: its content hash"):
        run([str(tmp_path / "bad.arrow")])
    with pytest.raises(DataError, match="does not exist"):
        run([str(tmp_path / "none.arrow")])


def test_images_that_moved(manifest, root, tmp_path, capsys):
    root.rename(tmp_path / "moved")
    with pytest.raises(DataError, match="does not exist"):
        run([str(manifest.path)])
    assert run([str(manifest.path), "--root", str(tmp_path / "moved")]).images.unreadable == 0


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ([], "Missing: MANIFEST"),
        (["m", "--image", "3"], "did you mean --images"),
        (["m", "--images", "some"], "--images: "),
        (["m", "--images", "-1"], "--images"),
    ],
)
def test_mistakes_on_the_command_line(args, error):
    with pytest.raises(ConfigError, match=error):
        run(args)
