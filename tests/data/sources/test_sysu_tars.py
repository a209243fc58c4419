"""SYSU-30k from tars: the same images as unpacked, whatever is mixed, missing or odd."""

import tarfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.sources.conftest import JPEG
from tests.data.tars.making import member, write_tar
from wsreid.data.images import read_image
from wsreid.data.manifest import Manifest, Split, write_manifest
from wsreid.data.sources import SYSU30k
from wsreid.data.tars.index import make_index

TRAIN = {f"sysu_train_set_all/{folder:010d}/{name}.jpg": JPEG for folder in (1, 2, 5, 12) for name in "ab"}
QUERY = {f"sysu_test_set_all/query/{pid:09d}/{pid:09d}_c2_2.jpg": JPEG for pid in (28311, 28312)}
GALLERY = {f"sysu_test_set_all/gallery/{pid:09d}/{pid:09d}_c1_1.jpg": JPEG for pid in (28311, 28312)}
OTHERS = {f"sysu_test_set_all/gallery/0000others/{name}.jpg": JPEG for name in ("0000others_c1_1", "000077")}
TEST = QUERY | GALLERY | OTHERS
NUMBERS = ("size", "camera", "sequence", "frame", "split", "pid", "identities")


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("WSREID_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def root(tmp_path):
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def unpacked(root, files):
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)


def part(root, number, files, tar_format=tarfile.GNU_FORMAT):
    return write_tar(root / f"sysu_train_set_all_part{number}.tar", files, tar_format)


def only(*folders):
    return {name: data for name, data in TRAIN.items() if int(name.split("/")[1]) in folders}


def same(records, reference):
    for name in NUMBERS:
        np.testing.assert_array_equal(getattr(records, name), getattr(reference, name), err_msg=name)


def reference(tmp_path, files=TRAIN | TEST):
    unpacked(tmp_path / "reference", files)
    return SYSU30k().index(tmp_path / "reference")


@pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tars_give_the_rows_that_unpacking_gives(root, tmp_path, tar_format):
    part(root, 10, only(12), tar_format)
    part(root, 2, dict(reversed(only(5, 2).items())), tar_format)
    part(root, 1, only(1), tar_format)
    write_tar(root / "sysu_test_set_all.tar", TEST, tar_format)
    records = SYSU30k().index(root)
    same(records, reference(tmp_path))
    assert records.problems == ()
    assert records.notes == reference(tmp_path).notes
    assert list(records.file) == ["sysu_test_set_all.tar", *(f"sysu_train_set_all_part{n}.tar" for n in (1, 2, 10))]
    write_manifest(tmp_path / "m.arrow", records, source="sysu30k", root=root)
    manifest = Manifest.open(tmp_path / "m.arrow")
    manifest.check()
    for row in range(len(manifest)):
        assert read_image(manifest.location(row)).shape == (8, 4, 3)
    assert sorted(p.name for p in root.iterdir()) == sorted(records.file), "nothing is unpacked"


@settings(deadline=None, max_examples=8)
@given(where=st.lists(st.integers(0, 5), min_size=len(TRAIN) + len(TEST), max_size=len(TRAIN) + len(TEST)))
def test_any_mixture_of_tars_and_folders_gives_the_same_rows(tmp_path_factory, where):
    root = tmp_path_factory.mktemp("mixed")
    places = [{} for _ in range(4)]
    for (name, data), place in zip((TRAIN | TEST).items(), where, strict=True):
        for at in {4: (0, 1), 5: (1, 3)}.get(place, (place,)):  # some lie in two places
            places[at][name] = data
    unpacked(root, places[3])
    for number, files in enumerate(places[:3], 1):
        part(root, number, files)
    records = SYSU30k().index(root)
    same(records, reference(tmp_path_factory.mktemp("all")))
    for row in range(len(records)):
        name = records.file[row if records.file_index is None else records.file_index[row]]
        assert (records.offset[row] < 0) == (not name.endswith(".tar"))
        start = max(int(records.offset[row]), 0)
        assert (root / name).read_bytes()[start : start + int(records.size[row])] == JPEG


def test_the_last_of_several_counts(root):
    first, second, third = (JPEG + bytes(n) for n in (1, 2, 3))
    name, other, gallery = *list(TRAIN)[:2], next(iter(GALLERY))
    with tarfile.open(root / "part1.tar", "w"):
        pass
    data = b"".join(member(n.encode(), d) for n, d in [(name, first), (other, first), (gallery, first), (name, second)])
    (root / "part1.tar").write_bytes(data + member(gallery.encode(), second) + bytes(1024))
    write_tar(root / "part2.tar", {other: second})
    records = SYSU30k().index(root)
    assert records.size.tolist() == [len(second)] * 3
    assert records.file_index.tolist() == [0, 1, 0]
    duplicates = "3 x comes again later, and the later one counts (first: gallery/000028311/000028311_c1_1.jpg)"
    assert f"part1.tar: {duplicates}" in records.notes
    assert records.problems == ()
    unpacked(root, {other: third})
    records = SYSU30k().index(root)
    assert records.size.tolist() == [len(second), len(third), len(second)]
    assert [records.file[i] for i in records.file_index] == ["part1.tar", other, "part1.tar"]


def test_an_image_replaced_by_nothing_is_gone(root):
    name = next(iter(TRAIN)).encode()
    (root / "part1.tar").write_bytes(member(name) + member(name, b"") + member(list(TRAIN)[1].encode()) + bytes(1024))
    records = SYSU30k().index(root)
    assert len(records) == 1
    assert [str(p) for p in records.problems] == ["part1.tar: 0000000001/a.jpg is empty (0 bytes)"]


def test_every_oddity_is_counted_and_named(root):
    odd = {"elsewhere/a.jpg": JPEG, "sysu_train_set_all/0000000000/a.jpg": JPEG}
    odd |= {"sysu_train_set_all/0000000001/bad.jpg": b"text", "sysu_test_set_all/gallery/odd.jpg": JPEG}
    odd |= {"sysu_test_set_all/gallery/000028311/000028312_c1_2.jpg": JPEG, "../../up.jpg": JPEG}
    odd |= {"sysu_test_set_all/query/000028313/000028313_c2_2.jpg": b""}
    path = part(root, 1, TRAIN | TEST | odd)
    with tarfile.open(path, "a") as tar:
        for name, kind in (("sysu_train_set_all/0000000001/link.jpg", tarfile.SYMTYPE), ("dev.jpg", tarfile.CHRTYPE)):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, "/etc/passwd"
            tar.addfile(entry)
    path.write_bytes(path.read_bytes()[:-200])
    records = SYSU30k().index(root)
    assert len(records) == len(TRAIN | TEST)
    tar = path.name
    assert sorted(str(problem) for problem in records.problems) == sorted(
        [
            f"{tar}: ../../up.jpg has a name with '..'",
            f"{tar}: sysu_train_set_all/0000000001/link.jpg is a link: links are not followed",
            f"{tar}: dev.jpg is a device or a pipe",
            f"{tar}: 0000000001/bad.jpg is no JPEG, PNG or BMP image: its first bytes are those of something else",
            f"{tar}: elsewhere/ lies in no folder of the data set",
            f"{tar}: sysu_train_set_all/0000000000/ lies in no folder of the data set",
            f"{tar}: query/000028313/000028313_c2_2.jpg is empty (0 bytes)",
            *(
                f"{tar}: gallery/{name} has a name that does not parse: expected one like 000028311_c2_2.jpg, in its "
                "identity's folder or none"
                for name in ("000028311/000028312_c1_2.jpg", "odd.jpg")
            ),
        ]
    )
    assert f"{tar}: 2 x lies in no folder of the data set (first: elsewhere/)" in records.notes


def test_a_download_that_broke_off_is_no_problem_but_a_note(root):
    path = part(root, 1, TRAIN)
    with tarfile.open(path) as tar:
        last = tar.getmembers()[-1]
    path.write_bytes(path.read_bytes()[: last.offset_data + 5])
    records = SYSU30k().index(root)
    assert len(records) == len(TRAIN) - 1
    assert records.problems == ()
    assert f"{path.name}: 1 x is cut off by the end of the tar (first: {last.name})" in records.notes
    assert "query: 0 images, published are 1,000" in records.notes
    assert not (records.split != Split.TRAIN).any()


def test_a_tar_that_is_none_is_a_problem(root):
    part(root, 1, TRAIN)
    (root / "sysu_test_set_all.tar").write_bytes(b"\x1f\x8b" + bytes(600))
    records = SYSU30k().index(root)
    assert len(records) == len(TRAIN)
    (problem,) = records.problems
    assert str(problem).startswith("sysu_test_set_all.tar cannot be used: ")
    assert "is compressed" in str(problem)


def test_lists_choose_among_members_too(root, tmp_path):
    part(root, 1, only(1, 2) | {next(iter(TRAIN)): JPEG + b"x"})
    unpacked(root, only(2, 5))
    write_tar(root / "test.tar", TEST)
    listed = [name.split("/", 1)[1] for name in list(TRAIN)[:5:2]]
    (root / "train.txt").write_text("\n".join([*listed, "0000000001/gone.jpg"]))
    (root / "query.txt").write_text("000028312/000028312_c2_2.jpg\n")
    records = SYSU30k().index(root)
    assert records.sequence[records.split == Split.TRAIN].tolist() == [1, 2, 5]
    assert records.pid[records.split == Split.QUERY].tolist() == [28312]
    assert "train.txt: 1 listed files are not there, 3 files are not listed and left out" in records.notes
    assert len(records.file) == 4, "files that no row uses are not named"


def test_the_fingerprint_changes_with_a_tar(root):
    path = part(root, 1, TRAIN)
    before = SYSU30k().fingerprint(root)
    assert SYSU30k().fingerprint(root) == before
    part(root, 1, only(1))
    assert SYSU30k().fingerprint(root) != before
    assert make_index(path).rows == 2


def test_tars_in_folders_are_found_and_folders_of_images_not_searched(root):
    part(root / "SYSU-30k-released" / "train", 1, only(1))
    part(root / "SYSU-30k-released" / "sysu_train_set_all", 2, only(2))
    part(root / "sysu_train_set_all" / "0000000005", 3, only(12))
    records = SYSU30k().index(root)
    assert records.identities.tolist() == [1, 2]


def test_all_problems_are_counted_though_the_first_are_named(root):
    bad = {f"sysu_train_set_all/0000000001/bad{number}.jpg": b"text" for number in range(250)}
    part(root, 1, TRAIN | bad | {f"elsewhere/{number}.jpg": JPEG for number in range(3)})
    records = SYSU30k().index(root)
    assert len(records.problems) == 101
    assert records.problem_count == 253


def test_a_tar_that_links_lead_to_counts_once(root):
    tar = part(root / "parts", 1, only(1))
    (root / "loop").symlink_to(root)
    (root / "parts" / "loop").symlink_to("..")
    (root / "again").symlink_to("parts")
    (root / "another.tar").symlink_to(tar)
    (root / "deep" / "deeper").mkdir(parents=True)
    (root / "deep" / "deeper" / "hard.tar").hardlink_to(part(root / "second", 2, only(2)))
    records = SYSU30k().index(root)
    assert len(records.file) == 2
    assert not any("comes again later" in note for note in records.notes)
    assert len(records) == 4


def test_a_tar_is_named_by_its_own_place_rather_than_by_a_link(root):
    part(root / "parts", 1, only(1))
    (root / "a").symlink_to("parts")
    (root / "a.tar").symlink_to("parts/sysu_train_set_all_part1.tar")
    assert list(SYSU30k().index(root).file) == ["parts/sysu_train_set_all_part1.tar"]
