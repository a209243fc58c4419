import os
import pickle

import numpy as np
import pytest

from wsreid.data.manifest import Manifest, Split, write_manifest
from wsreid.data.sources import Market1501
from wsreid.errors import DataError

TRAIN = ["0007_c2s1_000300_02.jpg", "0002_c1s1_000451_03.jpg", "0007_c1s2_000001_01.jpg", "0002_c1s1_000099_01.jpg"]
QUERY = ["0001_c1s1_001051_00.jpg", "0010_c3s1_000200_00.png"]
GALLERY = [
    "0001_c2s1_000301_00.jpg.jpg",
    "0000_c1s1_000151_01.jpg",
    "-1_c1s1_000401_03.jpg",
    "0010_c4s6_015641_02.JPEG",
]


@pytest.fixture
def root(tmp_path, put):
    put(*(f"bounding_box_train/{name}" for name in TRAIN))
    put(*(f"query/{name}" for name in QUERY))
    put(*(f"bounding_box_test/{name}" for name in GALLERY))
    put("bounding_box_train/Thumbs.db", "query/.DS_Store", "bounding_box_test/._0001_c2s1_000301_00.jpg", data=b"x")
    put("readme.txt", "gt_query/0001_c1s1_001051_00_good.mat", data=b"x")
    return tmp_path


def rows(records, split):
    return [
        (records.file[i], *(int(c[i]) for c in (records.pid, records.camera, records.sequence, records.frame)))
        for i in np.flatnonzero(records.split == split)
    ]


def test_reads_names_in_the_order_of_windows(root):
    records = Market1501().index(root)
    assert rows(records, Split.TRAIN) == [
        ("bounding_box_train/0002_c1s1_000099_01.jpg", 2, 1, 1, 99),
        ("bounding_box_train/0002_c1s1_000451_03.jpg", 2, 1, 1, 451),
        ("bounding_box_train/0007_c1s2_000001_01.jpg", 7, 1, 2, 1),
        ("bounding_box_train/0007_c2s1_000300_02.jpg", 7, 2, 1, 300),
    ]
    assert [row[1:3] for row in rows(records, Split.QUERY)] == [(1, 1), (10, 3)]
    assert [row[1:3] for row in rows(records, Split.GALLERY)] == [(0, 1), (1, 2), (10, 4)]
    assert records.identities.tolist() == [2, 7]
    assert records.problems == ()
    assert records.notes == ("1 junk images (-1) dropped from the gallery",)
    assert set(records.offset.tolist()) == {-1}
    assert set(records.size.tolist()) == {(root / "query" / QUERY[0]).stat().st_size}


def test_goes_through_a_manifest(root, tmp_path):
    write_manifest(tmp_path / "m.arrow", Market1501().index(root), source="market1501", root=root)
    manifest = Manifest.open(tmp_path / "m.arrow")
    manifest.check()
    assert manifest.location(0).path.is_file()
    assert manifest.class_index(manifest.pid).tolist() == [0, 0, 1, 1, -1, -1, -1, -1, -1]


@pytest.mark.parametrize("folder", ["bounding_box_train", "query", "bounding_box_test"])
def test_a_missing_folder_is_named(root, folder):
    (root / folder).rename(root / "elsewhere")
    for call in (Market1501().index, Market1501().fingerprint):
        with pytest.raises(DataError, match=rf"no folder '{folder}'.*Market-1501"):
            call(root)


def test_the_folder_one_level_deeper_is_suggested(tmp_path, put):
    put(f"Market-1501-v15.09.15/bounding_box_train/{TRAIN[0]}")
    with pytest.raises(DataError, match=r"Did you mean .*Market-1501-v15\.09\.15\?"):
        Market1501().index(tmp_path)


def test_a_missing_root_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone does not exist\. It must"):
        Market1501().index(tmp_path / "gone")


def test_an_empty_split_is_an_error_that_names_the_first_refused_file(root, put):
    for path in (root / "query").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"no query image in .*query\. It holds no image file"):
        Market1501().index(root)
    put("query/holiday.jpg")
    with pytest.raises(DataError, match=r"1 files there were refused, first: query/holiday\.jpg has a name"):
        Market1501().index(root)


@pytest.mark.parametrize(
    ("file", "data", "reason"),
    [
        ("query/0001_c1s1_001052_00.jpg", b"", "empty"),
        ("query/0001_c1s1_001052_00.jpg", b"<html></html>", "first bytes"),
        ("query/notes.txt", b"hello", "no image by its name"),
        ("query/0001.jpg", None, "does not parse"),
        ("query/0001_c1s1_001052_00_x.jpg", None, "does not parse"),
        ("query/-1_c1s1_001052_00.jpg", None, "names no identity"),
        ("bounding_box_train/0000_c1s1_001052_00.jpg", None, "names no identity"),
        ("bounding_box_train/99999999999_c1s1_001052_00.jpg", None, "does not parse"),
        ("bounding_box_train/more/0001_c1s1_001052_00.jpg", None, "a folder among images"),
    ],
)
def test_a_bad_file_is_left_out_and_named(root, put, file, data, reason):
    put(file) if data is None else put(file, data=data)
    records = Market1501().index(root)
    (problem,) = records.problems
    assert file.startswith(problem.file)
    assert reason in str(problem)
    assert len(records) == 9


def test_links_and_pipes(root):
    os.mkfifo(root / "query" / "0001_c1s1_001052_00.jpg")
    (root / "query" / "0001_c1s1_001053_00.jpg").symlink_to(root / "gone.jpg")
    (root / "query" / "0001_c1s1_001054_00.jpg").symlink_to(root / "query" / QUERY[0])
    records = Market1501().index(root)
    assert [p.file[-13:] for p in records.problems] == ["001052_00.jpg", "001053_00.jpg"]
    assert "query/0001_c1s1_001054_00.jpg" in records.file


def test_a_name_that_is_not_utf8_is_reported(root):
    os.close(os.open(os.fsencode(root / "query") + b"/\xff.jpg", os.O_CREAT))
    (problem,) = Market1501().index(root).problems
    assert "not UTF-8" in problem.reason
    problem.file.encode()


def test_query_identities_among_the_training_ones_are_noted(root, put):
    put("query/0002_c1s1_000452_00.jpg")
    assert "1 query identities are also training identities" in Market1501().index(root).notes


def test_fingerprint_notices_new_files_and_nothing_else(root, put):
    before = Market1501().fingerprint(root)
    put("unrelated/new.jpg")
    assert Market1501().fingerprint(root) == before
    put("query/0001_c1s1_001099_00.jpg")
    assert Market1501().fingerprint(root) != before


def test_sources_are_values_that_can_be_pickled():
    assert pickle.loads(pickle.dumps(Market1501())) == Market1501()
    assert repr(Market1501()) == "Market1501()"
