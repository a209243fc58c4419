import shutil

import numpy as np
import pytest

from tests.data.sources.cuhk03_files import names, write_lists, write_mat
from wsreid.data.cache import cache_dir
from wsreid.data.images import read_image
from wsreid.data.manifest import Manifest, Split, write_manifest
from wsreid.data.sources import cuhk03
from wsreid.data.sources.cuhk03 import CUHK03
from wsreid.errors import ConfigError, DataError


@pytest.fixture
def root(tmp_path, put):
    """Extracted folders, the traps among them, and the lists."""
    put(*(f"images_labeled/{name}" for name in names()), *(f"images_detected/{name}" for name in names()))
    put("images_labeled/Thumbs.db", "images_labeled/.DS_Store", "readme.txt", data=b"x")
    write_lists(tmp_path)
    write_lists(tmp_path, "detected")
    return tmp_path


@pytest.fixture(scope="module")
def mat_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("cuhk03")
    write_mat(root / "cuhk03_release" / "cuhk-03.mat")
    write_lists(root)
    return root


def rows(records, split):
    return [
        (records.file[i], int(records.pid[i]), int(records.camera[i])) for i in np.flatnonzero(records.split == split)
    ]


def test_new_protocol_from_extracted_folders(root):
    records = CUHK03().index(root)
    train = rows(records, Split.TRAIN)
    assert train[0] == ("images_labeled/1_001_1_01.png", 1001, 1)
    assert train[5] == ("images_labeled/1_001_2_06.png", 1001, 2)
    assert train[-1] == ("images_labeled/2_001_2_07.png", 2001, 4)
    assert rows(records, Split.QUERY) == [
        ("images_labeled/1_002_1_01.png", 1002, 1),
        ("images_labeled/1_003_1_01.png", 1003, 1),
        ("images_labeled/1_002_2_06.png", 1002, 2),
        ("images_labeled/2_002_1_01.png", 2002, 3),
        ("images_labeled/2_002_2_06.png", 2002, 4),
    ]
    assert records.identities.tolist() == [1001, 2001]
    assert set(records.frame.tolist()) == {-1}
    assert records.problems == ()
    assert records.notes[0] == "train: 14 images, published are 7,368"
    assert len(records.notes) == 6


def test_detected_boxes_are_another_folder(root):
    shutil.rmtree(root / "images_labeled")
    records = CUHK03(boxes="detected").index(root)
    assert {name.split("/")[0] for name in records.file} == {"images_detected"}
    assert "train: 14 images, published are 7,365" in records.notes


def test_from_the_mat_the_same_rows_extracted_once_and_never_into_the_root(root, mat_root, tmp_path, monkeypatch):
    before = sorted(mat_root.rglob("*"))
    records = CUHK03().index(mat_root)
    for split in Split:
        assert rows(records, split) == rows(CUHK03().index(root), split)
    assert sorted(mat_root.rglob("*")) == before
    place = CUHK03().image_root(mat_root)
    assert place.is_relative_to(cache_dir())
    write_manifest(tmp_path / "m", records, source="cuhk03", root=place)
    assert read_image(Manifest.open(tmp_path / "m").location(0)).shape == (7, 4, 3)
    monkeypatch.setattr(cuhk03, "extract_images", None)
    assert len(CUHK03().index(mat_root)) == len(records)


def test_another_mat_is_extracted_anew(tmp_path):
    write_mat(tmp_path / "cuhk-03.mat")
    first = CUHK03().image_root(tmp_path)
    (tmp_path / "cuhk-03.mat").write_bytes((tmp_path / "cuhk-03.mat").read_bytes() + b" ")
    assert CUHK03().image_root(tmp_path) != first


def test_a_failed_extraction_leaves_nothing(tmp_path):
    (tmp_path / "cuhk-03.mat").write_bytes(b"no mat")
    write_lists(tmp_path)
    with pytest.raises(DataError, match="damaged"):
        CUHK03().index(tmp_path)
    assert not list(CUHK03().image_root(tmp_path).glob("images*"))


@pytest.mark.parametrize(("split", "tested"), [(0, {1001, 2002}), (1, {1002, 1003})])
def test_classic_protocol(mat_root, split, tested):
    records = CUHK03(protocol="classic", split=split).index(mat_root)
    query = rows(records, Split.QUERY)
    assert {pid for _, pid, _ in query} == tested
    assert rows(records, Split.GALLERY) == query
    assert set(records.identities.tolist()) == {1001, 1002, 1003, 2001, 2002} - tested
    assert records.notes[0] == "classic protocol: the test images are queries and gallery both"
    assert "query: 2 identities, published are 100" in records.notes


def test_a_split_that_the_file_does_not_hold(mat_root):
    with pytest.raises(DataError, match="holds 2 test sets, so there is no split 2"):
        CUHK03(protocol="classic", split=2).index(mat_root)


def test_partial_and_odd_sets_are_noted(root, put):
    (root / "images_labeled/1_001_1_02.png").unlink()
    put("images_labeled/1_009_1_01.png", "images_labeled/1_001_1_01.JPG", "images_labeled/copy of 1_001_1_01.png")
    records = CUHK03().index(root)
    assert "train: 1 of 14 listed images are not there (first: 1_001_1_02)" in records.notes
    assert "1 images stand in none of the new protocol's lists and are left out" in records.notes
    assert [problem.file for problem in records.problems] == [
        "images_labeled/1_001_1_01.png",
        "images_labeled/copy of 1_001_1_01.png",
    ]


def test_a_missing_or_wrong_root_says_where_it_is_offered(root, tmp_path):
    with pytest.raises(DataError, match=r"www\.ee\.cuhk\.edu\.hk"):
        CUHK03().index(tmp_path / "nowhere")
    inside = tmp_path / "above" / "cuhk03"
    inside.parent.mkdir()
    write_lists(inside)
    with pytest.raises(DataError, match=rf"Did you mean {inside}\?.*github\.com/zhunzhong07"):
        CUHK03().index(inside.parent)
    with pytest.raises(DataError, match=rf"Did you mean {root}\?"):
        CUHK03().index(root / "images_labeled")
    with pytest.raises(DataError, match=r"has no file 'cuhk-03\.mat'"):
        CUHK03(protocol="classic").index(root)


def test_the_fingerprint_changes_with_options_and_folders(root, put):
    first = CUHK03().fingerprint(root)
    assert CUHK03(boxes="detected").fingerprint(root) != first
    assert CUHK03().fingerprint(root) == first
    put("images_labeled/1_009_1_01.png")
    assert CUHK03().fingerprint(root) != first


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"boxes": "labeled"}, "expected labelled or detected"),
        ({"protocol": "np"}, "expected classic or new"),
        ({"split": 1}, "the new protocol has one split"),
        ({"protocol": "classic", "split": 20}, "expected 0 to 19"),
    ],
)
def test_refuses_options_that_cannot_work(options, error):
    with pytest.raises(ConfigError, match=error):
        CUHK03(**options)
