import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsreid.data.manifest import ImageRecords, Manifest, Problem, Split, write_manifest
from wsreid.data.manifest_format import HEADER_KEY, SCHEMA
from wsreid.data.records import COLUMNS
from wsreid.errors import DataError


def make_records(**changes) -> ImageRecords:
    columns = {
        "file": ["a/1.jpg", "a/2.jpg", "q/ü.jpg", "g/1.jpg", "g/2.jpg"],
        "offset": [-1] * 5,
        "size": [10, 20, 30, 40, 50],
        "camera": [1, 2, 1, 2, -1],
        "sequence": [1, 1, -1, -1, -1],
        "frame": [5, 6, -1, -1, 2**40],
        "split": [0, 0, 1, 2, 2],
        "pid": [7, 3, 9, 9, 0],
        "identities": [3, 7],
        "notes": ("a note",),
        "problems": (Problem("a/0.jpg", "is empty (0 bytes)"),),
    }
    return ImageRecords(**(columns | changes))


@pytest.fixture
def path(tmp_path) -> Path:
    write_manifest(tmp_path / "m.arrow", make_records(), source="folder", root=tmp_path / "images")
    return tmp_path / "m.arrow"


def test_what_is_written_is_read(path, tmp_path):
    manifest, records = Manifest.open(path), make_records()
    for name in (*COLUMNS, "identities"):
        stored, given_ = getattr(manifest, name), getattr(records, name)
        assert stored.dtype == given_.dtype, name
        np.testing.assert_array_equal(stored, given_)
    assert [manifest.file(row) for row in range(5)] == records.file
    assert len(manifest) == 5
    assert (manifest.source, manifest.root) == ("folder", tmp_path / "images")
    assert (manifest.notes, manifest.problems) == (records.notes, records.problems)
    assert manifest.location(2).path == tmp_path / "images" / "q" / "ü.jpg"
    assert manifest.location(np.int64(3)).size == 40
    manifest.check()


def test_splits_are_ranges(path):
    manifest = Manifest.open(path)
    assert [manifest.row_range(split) for split in Split] == [range(0, 2), range(2, 3), range(3, 5)]
    for split in Split:
        np.testing.assert_array_equal(manifest.rows(split), np.flatnonzero(manifest.split == split))


@given(st.lists(st.integers(0, 50), unique=True, max_size=12), st.lists(st.integers(-1, 60), max_size=20))
def test_class_index_is_the_position_among_the_identities(tmp_path_factory, identities, pids):
    path = tmp_path_factory.mktemp("m") / "m.arrow"
    records = make_records(identities=sorted({3, 7, *identities}))
    write_manifest(path, records, source="s", root=path.parent)
    ordered = records.identities.tolist()
    expected = [ordered.index(pid) if pid in ordered else -1 for pid in pids]
    found = Manifest.open(path).class_index(np.array(pids, np.int32))
    assert found.tolist() == expected
    assert found.dtype == np.int32


@given(st.lists(st.integers(0, 4), max_size=9), st.sampled_from(sorted(COLUMNS)))
def test_take_gives_what_indexing_gives(tmp_path_factory, rows, column):
    path = tmp_path_factory.mktemp("m") / "m.arrow"
    write_manifest(path, make_records(), source="s", root=path.parent)
    manifest, index = Manifest.open(path), np.array(rows, int)
    found, expected = manifest.take(column, index), getattr(manifest, column)[index]
    assert found.dtype == expected.dtype
    assert found.tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("pid", "truth"), [([7, 3, 9, 9, 0], True), ([-1, 3, 9, 9, 0], True), ([-1, -1, 9, 9, 0], False)]
)
def test_has_truth(tmp_path, pid, truth):
    path = tmp_path / "m.arrow"
    write_manifest(path, make_records(pid=pid), source="s", root=tmp_path)
    assert Manifest.open(path).has_truth is truth
    change_header(path, lambda header: header.pop("known"))  # as before the header counted them
    manifest = Manifest.open(path)
    assert manifest.has_truth is truth
    manifest.check()
    change_header(path, lambda header: header.update(known=7))
    with pytest.raises(DataError, match="counts 7 training rows of known identity"):
        Manifest.open(path).check()


def change_header(path, change):
    with pa.ipc.open_file(str(path)) as reader:
        batch = reader.get_batch(0)
    header = json.loads(batch.schema.metadata[HEADER_KEY])
    change(header)
    schema = SCHEMA.with_metadata({HEADER_KEY: json.dumps(header).encode()})
    path.unlink()
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))


def test_columns_are_views_of_the_mapped_file(tmp_path):
    rows = 200_000
    one = np.full(rows, -1)
    records = make_records(
        file=["a.tar", "b.tar"],
        file_index=np.arange(rows) % 2,
        pid=one,
        split=np.zeros(rows, np.int64),
        **dict.fromkeys(("offset", "size", "camera", "sequence", "frame"), np.arange(rows)),
    )
    write_manifest(tmp_path / "m.arrow", records, source="s", root=tmp_path)
    before = pa.total_allocated_bytes()
    manifest = Manifest.open(tmp_path / "m.arrow")
    assert pa.total_allocated_bytes() - before < 50_000, "opening a manifest of 7 MB must not copy it"
    for name in COLUMNS:
        column = getattr(manifest, name)
        assert not column.flags.writeable
        assert not column.flags.owndata
    mapped = [
        [int(bound, 16) for bound in line.split()[0].split("-")]
        for line in Path("/proc/self/maps").read_text().splitlines()
        if line.endswith("m.arrow")
    ]
    for name in COLUMNS:
        address = getattr(manifest, name).ctypes.data
        assert any(low <= address < high for low, high in mapped), f"{name} is not in the mapped file"
    assert [manifest.file(row) for row in (0, 1, 2)] == ["a.tar", "b.tar", "a.tar"]


def test_pickling_carries_the_path_alone(path, tmp_path):
    manifest = Manifest.open(path, root=tmp_path / "elsewhere")
    sent = pickle.dumps(manifest)
    assert len(sent) < 500
    again = pickle.loads(sent)
    assert again.root == tmp_path / "elsewhere"
    np.testing.assert_array_equal(again.pid, manifest.pid)


def test_hash_is_of_the_content_and_not_of_the_place(path, tmp_path):
    expected = Manifest.open(path).hash

    def hash_of(records: ImageRecords) -> str:
        write_manifest(tmp_path / "other.arrow", records, source="x", root=tmp_path / "there")
        return Manifest.open(tmp_path / "other.arrow").hash

    assert hash_of(make_records(notes=("another",))) == expected
    changes = {
        "file": ["a/1.jpg", "a/2.jpg", "q/ü.jpg", "g/1.jpg", "g/3.jpg"],
        "offset": [-1, -1, -1, -1, 0],
        "size": [10, 20, 30, 40, 51],
        "camera": [1, 2, 1, 2, 1],
        "sequence": [1, 1, -1, -1, 1],
        "frame": [5, 6, -1, -1, 7],
        "split": [0, 0, 1, 1, 2],
        "pid": [3, 7, 9, 9, 0],
        "identities": [3, 7, 8],
        "pid_names": ("x",),
    }
    hashes = [hash_of(make_records(**{name: value})) for name, value in changes.items()]
    assert len({expected, *hashes}) == len(changes) + 1


def test_check_finds_changed_bytes(path):
    data = bytearray(path.read_bytes())
    at = data.index(np.array([10, 20, 30, 40, 50], np.int64).tobytes())
    data[at] = 11
    path.write_bytes(data)
    manifest = Manifest.open(path)
    with pytest.raises(DataError, match="content hash"):
        manifest.check()


def test_damaged_and_foreign_files_are_refused(path, tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        Manifest.open(tmp_path / "gone.arrow")
    whole = path.read_bytes()
    for cut in (0, 5, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(DataError, match=r"m\.arrow is no readable manifest file, or a damaged one.*data\.manifest"):
            Manifest.open(path)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, pa.schema([("a", pa.int8())])):
        pass
    with pytest.raises(DataError, match=r"no wsreid manifest\..*data\.manifest"):
        Manifest.open(path)


def test_no_flipped_byte_passes_unnoticed_or_crashes(path):
    whole, columns = path.read_bytes(), [*COLUMNS, "identities", "hash"]
    original = [np.copy(getattr(Manifest.open(path), name)) for name in columns]
    for at in np.random.default_rng(0).integers(0, len(whole), 300):
        path.unlink()  # a new file: the old one may still be mapped
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :])
        try:
            manifest = Manifest.open(path)
            manifest.check()
        except DataError:
            continue
        for name, before in zip(columns, original, strict=True):
            np.testing.assert_array_equal(getattr(manifest, name), before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 99}, "layout version 99"),
        ({"counts": [1, 1, 1]}, "holds 0 rows"),
        ({"identities": None}, "damaged header"),
    ],
)
def test_header_is_verified_on_open(path, change, message):
    stored = pa.ipc.open_file(pa.memory_map(str(path))).schema.metadata[HEADER_KEY]
    schema = SCHEMA.with_metadata({HEADER_KEY: json.dumps(json.loads(stored) | change).encode()})
    path.unlink()
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays([pa.nulls(0, field.type) for field in schema], schema=schema))
    with pytest.raises(DataError, match=message):
        Manifest.open(path)


@pytest.mark.parametrize("name", ["../x.jpg", "/etc/x.jpg", "a/../../x.jpg", "a/..", ".."])
def test_paths_outside_the_root_are_refused(tmp_path, name):
    records = make_records(file=["a/1.jpg", name, "q/1.jpg", "g/1.jpg", "g/..2.jpg"])
    with pytest.raises(DataError, match="not inside the root"):
        write_manifest(tmp_path / "m.arrow", records, source="s", root=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_path_outside_the_root_in_a_changed_manifest_is_refused(path):
    data = path.read_bytes()
    assert data.count(b"a/1.jpg") == 1
    path.write_bytes(data.replace(b"a/1.jpg", b"../.jpg"))
    manifest = Manifest.open(path)
    with pytest.raises(DataError, match="not inside the root"):
        manifest.location(0)


@pytest.mark.parametrize(
    "changes",
    [
        {"split": [0, 1, 0, 2, 2]},
        {"split": [0, 0, 1, 2, 3]},
        {"identities": [7, 3]},
        {"identities": [3, 3, 7]},
        {"identities": [3]},
        {"pid": [7, 3, 9, 9]},
        {"pid": [7, 3, 9, 9, -2]},
        {"pid": [7, 3, 9, 9, 2**31]},
        {"pid": [7.0, 3, 9, 9, 0]},
        {"file": ["a"]},
        {"file": ["a"], "file_index": [0, 0, 0, 0, 1]},
    ],
)
def test_inconsistent_records_are_refused(changes):
    with pytest.raises((ValueError, TypeError)):
        make_records(**changes)


def test_names_of_identities(tmp_path):
    records = replace(make_records(), pid=[1, 2, 3, 3, 3], identities=[1, 2], pid_names=("ann", "bob", "cy"))
    write_manifest(tmp_path / "m.arrow", records, source="folder", root=tmp_path)
    manifest = Manifest.open(tmp_path / "m.arrow")
    assert [manifest.pid_name(pid) for pid in (1, 3, 0, -1)] == ["ann", "cy", "0", "-1"]


def test_writing_replaces_whole(path, tmp_path):
    old = Manifest.open(path)
    write_manifest(path, make_records(pid=[3, 7, 9, 9, 0]), source="folder", root=tmp_path)
    assert old.pid.tolist() == [7, 3, 9, 9, 0], "a reader keeps the file that it opened"
    assert Manifest.open(path).pid.tolist() == [3, 7, 9, 9, 0]
    assert [p.name for p in tmp_path.iterdir()] == ["m.arrow"]
