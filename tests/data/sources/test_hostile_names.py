"""Whatever files are called, a source reads them, leaves them out with a reason, or ends with a `WsreidError`."""

import contextlib
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.data.sources.conftest import JPEG
from wsreid.data.records import Split
from wsreid.data.sources.by_name import SOURCES
from wsreid.data.sources.folder import Folder
from wsreid.data.sources.msmt17_lists import read_list
from wsreid.data.sources.numbering import numbered
from wsreid.data.sources.sysu_names import place_of, read_test_name
from wsreid.data.sources.table_file import read_table
from wsreid.errors import WsreidError

FEW = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
MANY = settings(max_examples=150, deadline=None)
WHOLE = {  # files of each source that reads names, and folders
    "market1501": ["bounding_box_train/0001_c1s1_000001_00.jpg", "query/0002_c1s1_000001_00.jpg",
                   "bounding_box_test/0002_c2s1_000001_00.jpg"],
    "dukemtmc_reid": ["bounding_box_train/0001_c2_f0046302.jpg", "query/0023_c1_f0059420.jpg",
                      "bounding_box_test/0023_c2_f0058080.jpg"],
    "cuhk01": ["campus/0001001.jpg", "campus/0001003.jpg", "campus/0002001.jpg", "campus/0002004.jpg"],
    "viper": ["cam_a/000_0.jpg", "cam_b/000_90.jpg", "cam_a/001_0.jpg", "cam_b/001_90.jpg"],
    "prid2011": [f"single_shot/cam_{c}/person_000{p}.jpg" for c in "ab" for p in (1, 2)],
    "caviar4reid": ["CAVIARa/0001004.jpg", "CAVIARa/0001012.jpg", "CAVIARa/0002004.jpg"],
    "pku": ["001/01_1.jpg", "001/02_1.jpg", "002/01_1.jpg", "002/02_1.jpg"],
    "sysu30k": ["sysu_train_set_all/0000000001/000001.jpg", "sysu_test_set_all/query/000028311_c2_2.jpg",
                "sysu_test_set_all/gallery/000028311_c1_1.jpg"],
}  # fmt: skip
LETTERS = st.sampled_from("0123456789__--ccsf.. ½٣²é\n\udcff") | st.characters(exclude_characters="/\0", codec="utf-8")


@st.composite
def changed(draw, file):
    """A file's path with characters of its parts changed; of use on a disk."""
    parts = file.split("/")
    at = draw(st.sampled_from([len(parts) - 1, len(parts) - 1, draw(st.integers(0, len(parts) - 1))]))
    text = list(parts[at])
    for _ in range(draw(st.integers(1, 4))):
        where = draw(st.integers(0, len(text)))
        text[where : where + draw(st.integers(0, 1))] = draw(st.text(LETTERS, max_size=20))
    parts[at] = "".join(text).encode("utf-8", "surrogateescape")[:120].decode("utf-8", "surrogateescape")
    return "/".join(part if part not in ("", ".", "..") else "x" for part in parts)


@pytest.mark.parametrize("name", WHOLE)
@FEW
@given(st.data())
def test_names_in_folders(tmp_path, name, data):
    root = tmp_path / "root"
    shutil.rmtree(root, ignore_errors=True)
    for file in WHOLE[name] + [data.draw(changed(file)) for file in WHOLE[name]]:
        with contextlib.suppress(NotADirectoryError, IsADirectoryError, FileExistsError):
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            (root / file).write_bytes(JPEG)
    with contextlib.suppress(WsreidError):
        records = SOURCES[name]().index(root)
        assert all((root / file).is_file() for file in records.file)


@MANY
@given(st.sampled_from(list(Split)), st.text(max_size=12), st.text(LETTERS, max_size=30), st.integers(0, 5000))
def test_names_in_tars_of_any_length(split, inside, name, digits):
    for folder in (inside, "9" * digits, "0" * digits + "28311"):
        read_test_name(split, f"{folder}/", name)
        found = read_test_name(split, f"{folder}/", "000028311_c1_1.jpg")
        assert found is None or found.pid in (0, 28311)
        place_of(f"{folder}/{name}")
        place_of(f"0000000001/{folder}")


def test_a_folder_named_by_more_digits_than_python_reads():
    assert read_test_name(Split.GALLERY, "9" * 5000 + "/", "000028311_c1_1.jpg") is None
    assert read_test_name(Split.GALLERY, "0" * 5000 + "28311/", "000028311_c1_1.jpg").pid == 28311


@MANY
@given(st.sets(st.text(LETTERS, max_size=25), max_size=5))
def test_identities_of_any_name(names):
    numbers, _ = numbered(names)
    assert len(set(numbers.values())) == len(numbers) == len(names)


@FEW
@given(st.binary(max_size=300) | st.text(st.sampled_from("0/_.jpg \\\n,;a")).map(str.encode))
def test_lists_and_tables(tmp_path, content):
    for suffix in (".txt", ".csv", ".tsv", ".parquet"):
        path = tmp_path / f"list{suffix}"
        path.write_bytes(content)
        with contextlib.suppress(WsreidError):
            if suffix == ".txt":
                read_list(path, {})
            else:
                list(read_table(path, {"file": "file", "pid": "pid"}, frozenset({"file"})))


@FEW
@given(st.text(st.sampled_from("(?P<pidcamera>)[]\\d+*{}|.^$/"), max_size=30))
def test_patterns_of_ones_own(pattern):
    with contextlib.suppress(WsreidError):
        Folder(pattern)
