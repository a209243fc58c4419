import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.sources.test_market1501 import rows
from wsreid.data import published
from wsreid.data.manifest import Manifest, write_manifest
from wsreid.data.published import Published, SplitCount
from wsreid.data.records import Split
from wsreid.data.sources.msmt17 import MSMT17
from wsreid.data.sources.msmt17_lists import read_list
from wsreid.errors import ConfigError, DataError

TRAIN = ["0000/0000_045_12_0303morning_0006_2.jpg", "0000/0000_046_12_0303morning_0006_2_ex.jpg"]
TRAIN += ["0001/0001_000_01_0113noon_0017_2.jpg", "1040/1040_178_04_0302morning_0225_0.jpg"]
VAL = ["0000/0000_010_07_0303morning_0008_2.jpg"]
QUERY = ["0000/0000_011_04_0303morning_0036_0_ex.jpg", "2760/2760_028_02_0114noon_1018_0.jpg"]
GALLERY = ["0000/0000_000_01_0303morning_0015_0.jpg", "2760/2760_001_09_0114noon_0999_1.jpg"]
LISTS = {"train": TRAIN, "val": VAL, "query": QUERY, "gallery": GALLERY}


def listed(files):
    return "".join(f"{file} {int(file[:4])}\n" for file in files).encode()


def make(put, base="", folders=("train", "test")):
    for name, files in LISTS.items():
        put(*(f"{base}{folders[name in ('query', 'gallery')]}/{file}" for file in files))
        put(f"{base}list_{name}.txt", data=listed(files))
    put(f"{base}{folders[0]}/0000/Thumbs.db", f"{base}{folders[1]}/0000/._{GALLERY[0][5:]}", data=b"x")


def test_persons_of_train_and_test_are_different_ones(tmp_path, put):
    make(put)
    records = MSMT17().index(tmp_path)
    assert records.pid_names == ("train 0000", "train 0001", "train 1040", "test 0000", "test 2760")
    assert records.identities.tolist() == [1, 2, 3]
    # sessions: 1 = 0113noon, 2 = 0114noon, 3 = 0302morning, 4 = 0303morning
    assert rows(records, Split.TRAIN) == [
        (f"train/{TRAIN[2]}", 2, 1, 1, 17),
        (f"train/{TRAIN[3]}", 3, 4, 3, 225),
        (f"train/{VAL[0]}", 1, 7, 4, 8),
        (f"train/{TRAIN[0]}", 1, 12, 4, 6),
        (f"train/{TRAIN[1]}", 1, 12, 4, 6),
    ]
    assert [row[1:3] for row in rows(records, Split.QUERY)] == [(5, 2), (4, 4)]
    assert [row[1:3] for row in rows(records, Split.GALLERY)] == [(4, 1), (5, 9)]
    assert records.problems == ()
    assert records.notes == (
        "sequences are sessions, numbered from 1: 0113noon, 0114noon, 0302morning, 0303morning",
        "train: 5 images, published are 32,621",
        "train: 3 identities, published are 1,041",
        "query: 2 images, published are 11,659",
        "query: 2 identities, published are 3,060",
        "gallery: 2 images, published are 82,161",
        "gallery: 2 identities, published are 3,060",
    )
    write_manifest(tmp_path / "m.arrow", records, source="msmt17", root=tmp_path)
    Manifest.open(tmp_path / "m.arrow").check()


@pytest.mark.parametrize(
    ("base", "folders"),
    [
        ("", ("train", "test")),
        ("MSMT17_V1/", ("train", "test")),
        ("MSMT17_V2/", ("mask_train_v2", "mask_test_v2")),
        ("MSMT17_V2/MSMT17_V2/", ("mask_train_v2", "mask_test_v2")),
    ],
)
def test_both_versions_in_the_root_or_inside(tmp_path, put, base, folders):
    make(put, base, folders)
    records = MSMT17().index(tmp_path)
    assert sorted(records.file) == sorted(
        f"{base}{folders[name in ('query', 'gallery')]}/{file}" for name, files in LISTS.items() for file in files
    )


def test_val_may_be_left_out_and_its_list_missing_then(tmp_path, put, monkeypatch):
    make(put)
    records = MSMT17(val="leave out").index(tmp_path)
    assert f"train/{VAL[0]}" not in records.file
    assert records.notes[0] == "list_val.txt: its 1 images are left out"
    assert "train: 4 images, published are 30,248" in records.notes
    (tmp_path / "list_val.txt").unlink()
    records = MSMT17(val="leave out").index(tmp_path)
    assert records.notes[0] == f"1 image files are in no list and left out, first: train/{VAL[0]}"
    with pytest.raises(DataError, match=r"no list_val\.txt\. It must.*pkuvmc"):
        MSMT17().index(tmp_path)


def test_a_set_of_the_published_size_has_no_difference(tmp_path, put, monkeypatch):
    make(put)
    sizes = {"train": SplitCount(5, 3), "query": SplitCount(2, 2), "gallery": SplitCount(2, 2)}
    entry = Published("msmt17", "MSMT17", 5, 9, "15", "outdoor", "strong", sizes)
    monkeypatch.setattr(published, "PUBLISHED", {"msmt17": entry})
    assert len(MSMT17().index(tmp_path).notes) == 1


def test_lists_and_files_that_differ_are_counted(tmp_path, put):
    make(put)
    (tmp_path / "train" / TRAIN[3]).unlink()
    (tmp_path / "train" / TRAIN[2]).rename(tmp_path / "train" / "0001" / "0001_000_01_0113noon_0017_2.JPG")
    put("train/0000/0000_010_07_0303morning_0008_2.png", "test/0003/0003 (1).jpg")
    put("list_gallery.txt", data=f"\ufeff{GALLERY[0]} 0\r\n\r\n{GALLERY[1]} 7\r\n".encode())
    records = MSMT17().index(tmp_path)
    assert f"list_train.txt: 1 of 4 listed files are not there or unusable, first: {TRAIN[3][:-4]}" in records.notes
    assert "list_gallery.txt: 1 files are named after another identity than listed; the list counts" in records.notes
    assert "1 image files are in no list and left out, first: test/0003/0003 (1).jpg" in records.notes
    assert "train/0001/0001_000_01_0113noon_0017_2.JPG" in records.file
    assert "test 0007" in records.pid_names
    assert len(rows(records, Split.GALLERY)) == 2
    assert [p.file for p in records.problems] == ["train/0000/0000_010_07_0303morning_0008_2.png"]


def test_a_listed_name_that_does_not_parse_is_a_problem(tmp_path, put):
    make(put)
    put("train/0000/portrait of a man.jpg")
    put("list_val.txt", data=b"0000/portrait of a man.jpg 0\n")
    (problem,) = MSMT17().index(tmp_path).problems
    assert str(problem).startswith("train/0000/portrait of a man.jpg has a name that does not parse")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("list_train.txt", b"0000/x.jpg zero\n", r"list_train\.txt line 1 does not parse: '0000/x\.jpg zero'"),
        ("list_val.txt", listed(TRAIN[:1]), r"list_val\.txt line 1 lists 0000/.*which list_train\.txt lists already"),
        ("list_query.txt", b"\n", "is empty"),
        ("list_query.txt", b"../../0000/elsewhere.jpg 0\n", "lists none of the 4 files found"),
    ],
)
def test_lists_that_cannot_be_right(tmp_path, put, name, content, message):
    make(put)
    put(name, data=content)
    with pytest.raises(DataError, match=message):
        MSMT17().index(tmp_path)


def test_roots(tmp_path, put):
    make(put, "MSMT17_V1/")
    with pytest.raises(DataError, match=r"Did you mean .*MSMT17_V1\?"):
        MSMT17().index(tmp_path / "MSMT17_V1" / "train")
    make(put, "MSMT17_V2/", ("mask_train_v2", "mask_test_v2"))
    with pytest.raises(DataError, match=r"there are .*MSMT17_V1/train and .*mask_train_v2\. Give"):
        MSMT17().index(tmp_path)
    (tmp_path / "MSMT17_V2" / "mask_test_v2").rename(tmp_path / "MSMT17_V2" / "faces")
    with pytest.raises(DataError, match="no folder 'mask_test_v2'"):
        MSMT17().index(tmp_path / "MSMT17_V2")
    with pytest.raises(ConfigError, match="'train' or 'leave out'"):
        MSMT17(val="validate")


def test_fingerprint_sees_lists_and_deep_folders(tmp_path, put):
    make(put)
    before = MSMT17().fingerprint(tmp_path)
    assert MSMT17().fingerprint(tmp_path) == before != MSMT17("leave out").fingerprint(tmp_path)
    put("train/0001/new.jpg")
    assert MSMT17().fingerprint(tmp_path) != before


@given(st.lists(st.text(max_size=30) | st.from_regex(r"[0-3]/[0-3]\.jpg [0-9]", fullmatch=True)))
def test_any_text_is_read_whole_or_refused(tmp_path_factory, lines):
    path = tmp_path_factory.getbasetemp() / "list_train.txt"
    path.write_text("\n".join(lines), encoding="utf-8", errors="replace")
    filled = sum(bool(line.strip()) for line in path.open(encoding="utf-8-sig"))
    known = {}
    with contextlib.suppress(DataError):
        assert len(read_list(path, known)) == filled
    assert len(known) <= filled
