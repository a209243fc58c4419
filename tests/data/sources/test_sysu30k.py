import shutil

import pytest

from wsreid.data.manifest import Manifest, Split, write_manifest
from wsreid.data.sources import Market1501, SYSU30k, sysu_report
from wsreid.errors import DataError

TRAIN = [f"{folder:010d}/{name}.jpg" for folder in (1, 2, 5) for name in ("000001", "000002")]
QUERY = ["000028311/000028311_c2_2.jpg", "000028312/000028312_c2_2.jpg"]
GALLERY = ["000028311/000028311_c1_1.jpg", "000028312/000028312_c1_1.jpg"]
PUBLISHED = (
    "train: 3 identities, published are 28,310",
    "query: 2 images, published are 1,000",
    "query: 2 identities, published are 1,000",
    "gallery: 4 images, published are 479,730",
    "gallery: 2 identities, published are 1,000",
    "whole set: 12 images, published are 29,606,918",
)
OTHERS = ["0000others/0000others_c1_1.jpg", "0000others/000077.jpg"]


@pytest.fixture
def fill(put):
    def write(train="sysu_train_set_all", test="sysu_test_set_all"):
        put(*(f"{train}/{file}" for file in TRAIN))
        put(*(f"{test}/query/{file}" for file in QUERY))
        put(*(f"{test}/gallery/{file}" for file in GALLERY + OTHERS))

    return write


def test_released_folders(tmp_path, fill):
    fill()
    records = SYSU30k().index(tmp_path)
    assert records.file[:6] == [f"sysu_train_set_all/{file}" for file in TRAIN]
    assert records.sequence[:6].tolist() == [1, 1, 2, 2, 5, 5]
    assert set(records.pid[:6].tolist()) == {-1}, "a training image's identity is not known"
    assert set(records.camera[:6].tolist()) == {-1}
    assert records.identities.tolist() == [1, 2, 5]
    assert records.split.tolist() == [0] * 6 + [1] * 2 + [2] * 4
    assert records.pid[6:8].tolist() == [28311, 28312]
    assert set(records.camera[6:8].tolist()) == {2}
    assert sorted(zip(records.pid[8:].tolist(), records.camera[8:].tolist(), strict=True)) == [
        (0, -1),
        (0, 1),
        (28311, 1),
        (28312, 1),
    ]
    assert records.problems == ()
    assert records.notes == PUBLISHED


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train/sysu_train_set_all", "test/sysu_test_set_all"),
        ("imagenet/sysu_train_set_all", "imagenet/sysu_test_set_all"),
        ("SYSU-30k-released/train", "SYSU-30k-released/test"),
        (".", "."),
    ],
)
def test_other_arrangements(tmp_path, fill, train, test):
    fill(train, test)
    records = SYSU30k().index(tmp_path)
    assert len(records) == 12
    write_manifest(tmp_path / "m.arrow", records, source="sysu30k", root=tmp_path)
    assert Manifest.open(tmp_path / "m.arrow").location(0).path.is_file()
    assert SYSU30k().fingerprint(tmp_path)


def test_a_flat_query_folder(sysu_root):
    records = SYSU30k().index(sysu_root)
    assert records.pid[records.split == Split.QUERY].tolist() == [28311, 28312, 28313]
    assert (records.pid == 0).sum() == 4


def test_lists_choose_the_members_and_differences_are_noted(tmp_path, fill, put):
    fill()
    listed = [*TRAIN[:5], "0000000005/gone.jpg", "0000000009/gone.jpg", "../../../etc/passwd.jpg"]
    put("meta/train.txt", data="\n".join(f"{file} 7" for file in listed).encode())
    put("meta/query.txt", data="\r\n".join(f"query/{file}" for file in QUERY).encode())
    put("gallery.txt", data="".join(f"{file.split('/')[1]}\n" for file in GALLERY + OTHERS[:1]).encode())
    records = SYSU30k().index(tmp_path)
    assert records.file[:5] == [f"sysu_train_set_all/{file}" for file in TRAIN[:5]]
    assert records.split.tolist() == [0] * 5 + [1] * 2 + [2] * 3
    assert records.notes[:2] == (
        "train.txt: 3 listed files are not there, 1 files are not listed and left out",
        "gallery.txt: 0 listed files are not there, 1 files are not listed and left out",
    )


@pytest.mark.parametrize(("data", "message"), [(b"img_1.jpg 0\n", "lists none of the 6 files"), (b"\n \n", "is empty")])
def test_a_list_that_does_not_fit_is_an_error(tmp_path, fill, put, data, message):
    fill()
    put("train.txt", data=data)
    with pytest.raises(DataError, match=message):
        SYSU30k().index(tmp_path)


def test_a_listed_file_that_is_no_image_is_a_problem_and_an_unlisted_one_is_not(tmp_path, fill, put):
    fill()
    put("sysu_train_set_all/0000000001/bad.jpg", "sysu_train_set_all/0000000001/ignored.jpg", data=b"")
    put("train.txt", data="\n".join([*TRAIN, "0000000001/bad.jpg"]).encode())
    records = SYSU30k().index(tmp_path)
    assert [p.file for p in records.problems] == ["sysu_train_set_all/0000000001/bad.jpg"]
    assert records.notes[0] == "train.txt: 0 listed files are not there, 1 files are not listed and left out"
    assert len(records) == 12


def test_what_is_missing_is_named(tmp_path, fill, put):
    with pytest.raises(DataError, match=r"0000000001.*sysu_train_set_all/.*query and gallery"):
        SYSU30k().index(tmp_path)
    put("train/sysu_train_set_all_part1.tar", data=b"x")
    with pytest.raises(
        DataError, match=r"no image in .*part1\.tar cannot be used: .* is no tar.*Expected are the tars"
    ):
        SYSU30k().index(tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        SYSU30k().fingerprint(tmp_path / "gone")


def test_bad_files_are_problems(tmp_path, fill, put):
    fill()
    gallery = "sysu_test_set_all/gallery"
    put("sysu_train_set_all/0000000001/x.jpg", data=b"")
    put("sysu_train_set_all/0000000001/y.jpg", data=b"text")
    put("sysu_test_set_all/query/0000others/0000others_c1_1.jpg", f"{gallery}/000028311/000028312_c1_2.jpg")
    records = SYSU30k().index(tmp_path)
    assert [p.file.rpartition("/")[2] for p in records.problems] == [
        "x.jpg",
        "y.jpg",
        "0000others_c1_1.jpg",
        "000028312_c1_2.jpg",
    ]
    assert len(records) == 12
    unopened = SYSU30k(check_files=False).index(tmp_path)
    assert "sysu_train_set_all/0000000001/y.jpg" in unopened.file


def test_empty_folders_are_no_class(tmp_path, fill):
    fill()
    (tmp_path / "sysu_train_set_all" / "0000000007").mkdir()
    (tmp_path / "sysu_train_set_all" / "0000000000").mkdir()
    records = SYSU30k().index(tmp_path)
    assert records.identities.tolist() == [1, 2, 5]
    assert records.notes[0] == "1 training folders have no usable image and are no class"


@pytest.mark.parametrize("gone", ["sysu_train_set_all", "sysu_test_set_all", "sysu_test_set_all/query"])
def test_a_partial_download_is_read(tmp_path, fill, gone):
    fill()
    shutil.rmtree(tmp_path / gone)
    records = SYSU30k().index(tmp_path)
    assert len(records) == {"sysu_train_set_all": 6, "sysu_test_set_all": 6, "sysu_test_set_all/query": 10}[gone]
    assert any("published are" in note for note in records.notes)
    assert SYSU30k().fingerprint(tmp_path)


def test_many_problems_are_counted_and_few_named(tmp_path, fill, put, monkeypatch):
    monkeypatch.setattr(sysu_report, "_MOST", 3)
    fill()
    put(*(f"sysu_train_set_all/0000000001/x{i}.jpg" for i in range(5)), data=b"")
    records = SYSU30k().index(tmp_path)
    assert len(records.problems) == 3
    assert "2 more unpacked files cannot be used" in records.notes


def test_bags_are_counted(tmp_path, fill, put):
    fill()
    put("bag_level_label.json", data=b'[{"BagLabel": [1], "BagID": "bag0", "BagImages": ["0000000001/*"]}]')
    assert "bag_level_label.json: 1 bags, published are 84,930" in SYSU30k().index(tmp_path).notes


def test_bag_label_file(tmp_path, fill, put):
    fill()
    assert SYSU30k().bag_label_file(tmp_path) is None
    before = SYSU30k().fingerprint(tmp_path)
    put("meta/bag_level_label.json", data=b"[]")
    assert SYSU30k().bag_label_file(tmp_path) == tmp_path / "meta" / "bag_level_label.json"
    assert SYSU30k().fingerprint(tmp_path) != before
    assert Market1501().bag_label_file(tmp_path) is None
