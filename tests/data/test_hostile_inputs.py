"""Whatever stands in a manifest, a bag file or a label file: a value or a `WsreidError`, never another exception."""

import contextlib
import dataclasses
import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.byte_changes import each_byte_changed
from tests.data.test_manifest import make_records
from wsreid.data import bag_format, manifest_format
from wsreid.data.bag_draft import draft_from_images
from wsreid.data.bag_settings import BagSettings
from wsreid.data.bags import Bags
from wsreid.data.manifest import Manifest, write_manifest
from wsreid.data.protocols.sysu_labels import read_bag_labels
from wsreid.errors import DataError, WsreidError

FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.integers(-1, 9) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
BAG_KEYS = st.sampled_from(["BagLabel", "BagID", "BagImages", "other"])
BAGS = st.lists(
    st.dictionaries(BAG_KEYS, JSON | st.just("bag0000000001") | st.just(["0000000002/*"]) | st.just([2, 3])), max_size=3
)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A manifest and a bag file."""
    folder = tmp_path_factory.mktemp("whole")
    write_manifest(folder / "m.arrow", make_records(), source="folder", root=folder)
    draft = draft_from_images(np.array([0, 0, 0, 1, 1]), np.array([3, 4, 6, 7, 8]), np.arange(5) % 2)
    Bags.from_draft(draft, BagSettings(), "m" * 64).write(folder / "b.arrow")
    return {"manifest": (folder / "m.arrow").read_bytes(), "bags": (folder / "b.arrow").read_bytes()}


@st.composite
def mutated(draw, whole):
    """A file with some of its bytes changed, cut out, or said twice."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        kind = draw(st.sampled_from(["byte", "cut", "insert", "word", "end"]))
        if kind == "byte" and data:
            data[at] = draw(st.integers(0, 255))
        elif kind == "word":  # what lengths and offsets are written in
            data[at : at + 8] = draw(st.integers(-(2**63), 2**63 - 1)).to_bytes(8, "little", signed=True)
        elif kind == "cut":
            del data[at : at + draw(st.integers(1, 64))]
        elif kind == "insert":
            data[at:at] = draw(st.binary(max_size=32))
        else:
            del data[at:]
    return bytes(data)


def use_manifest(path):
    """What a command does with a manifest."""
    manifest = Manifest.open(path)
    for row in range(min(len(manifest), 8)):
        manifest.location(row)
        manifest.pid_name(int(manifest.pid[row]))
    manifest.class_index(manifest.pid)
    _ = manifest.has_truth, repr(manifest)
    manifest.check()


def use_bags(path):
    """What a command does with a bag file."""
    bags = Bags.open(path)
    bags.check()
    for bag in range(min(len(bags), 8)):
        bags.candidates(bag)
        bags.rows(bag)
    repr(bags)


@FEW
@given(st.data())
def test_a_changed_manifest(files, tmp_path, data):
    path = tmp_path / "m.arrow"
    path.unlink(missing_ok=True)  # a new file: the old one may still be mapped
    path.write_bytes(data.draw(mutated(files["manifest"])))
    with contextlib.suppress(WsreidError):
        use_manifest(path)


@FEW
@given(st.data())
def test_a_changed_bag_file(files, tmp_path, data):
    path = tmp_path / "b.arrow"
    path.unlink(missing_ok=True)
    path.write_bytes(data.draw(mutated(files["bags"])))
    with contextlib.suppress(WsreidError):
        use_bags(path)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "use"), [("manifest", use_manifest), ("bags", use_bags)])
def test_each_byte_changed(files, tmp_path, name, use):
    for path in each_byte_changed(files[name], tmp_path / "x.arrow"):
        with contextlib.suppress(WsreidError):
            use(path)


def with_header(path, whole, key, header):
    """Writes an Arrow file again with another header."""
    table = pa.ipc.open_file(pa.BufferReader(whole)).read_all()
    schema = table.schema.with_metadata({key: header})
    path.unlink(missing_ok=True)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        writer.write_batch(table.cast(schema).to_batches()[0])


def headers(of):
    """Values for one key of a header, and whole headers."""
    names = [field.name for field in dataclasses.fields(of)] + ["version"]
    odd = st.just([float("inf"), 0, 0]) | st.just([2**70]) | st.just([])
    return st.tuples(st.sampled_from(names), JSON | odd) | st.binary(max_size=40) | st.just(b"[" * 100_000)


def changed_header(whole, key, change):
    stored = pa.ipc.open_file(pa.BufferReader(whole)).schema.metadata[key]
    return change if isinstance(change, bytes) else json.dumps(json.loads(stored) | {change[0]: change[1]}).encode()


@FEW
@given(headers(manifest_format.ManifestHeader))
def test_a_manifest_with_another_header(files, tmp_path, change):
    whole, key = files["manifest"], manifest_format.HEADER_KEY
    with_header(tmp_path / "m.arrow", whole, key, changed_header(whole, key, change))
    with contextlib.suppress(WsreidError):
        use_manifest(tmp_path / "m.arrow")


@FEW
@given(headers(bag_format.BagHeader))
def test_a_bag_file_with_another_header(files, tmp_path, change):
    whole, key = files["bags"], bag_format.HEADER_KEY
    with_header(tmp_path / "b.arrow", whole, key, changed_header(whole, key, change))
    with contextlib.suppress(WsreidError):
        use_bags(tmp_path / "b.arrow")


@pytest.mark.parametrize(
    "change", [("counts", [float("inf"), 0, 0]), ("identities", [2**70, 1]), ("known", float("inf")), b"[" * 100_000]
)
def test_headers_that_were_found_to_be_no_user_s_error(files, tmp_path, change):
    whole, key = files["manifest"], manifest_format.HEADER_KEY
    with_header(tmp_path / "m.arrow", whole, key, changed_header(whole, key, change))
    with pytest.raises(DataError, match="damaged header"):
        use_manifest(tmp_path / "m.arrow")


def test_a_row_that_names_no_file(files, tmp_path):
    place = files["manifest"].index(np.arange(5, dtype=np.int32).tobytes())  # each row's file
    for wrong in (5, -1):
        changed = bytearray(files["manifest"])
        changed[place : place + 4] = np.int32(wrong).tobytes()
        (tmp_path / "m.arrow").unlink(missing_ok=True)
        (tmp_path / "m.arrow").write_bytes(changed)
        with pytest.raises(DataError, match=r"m\.arrow is damaged: row 0 names no file"):
            Manifest.open(tmp_path / "m.arrow").location(0)


def test_names_that_lie_outside_of_the_file_or_are_no_text(files, tmp_path):
    whole = files["manifest"]
    names = pa.ipc.open_file(pa.BufferReader(whole)).get_batch(0).column("file").dictionary
    place = whole.index(names.buffers()[1].to_pybytes()[: 8 * (len(names) + 1)])
    text = whole.index(names.buffers()[2].to_pybytes()[: len(names[0].as_py())])
    for at, wrong in ((place + 8, 2**62), (place, -(2**40)), (place + 8, -1), (text, None)):
        changed = bytearray(whole)
        written = b"\xb0" if wrong is None else np.int64(wrong).tobytes()
        changed[at : at + len(written)] = written
        (tmp_path / "m.arrow").unlink(missing_ok=True)
        (tmp_path / "m.arrow").write_bytes(changed)
        with pytest.raises(DataError, match=r"m\.arrow is damaged: the text 0 is|damaged one: .* Negative offsets"):
            Manifest.open(tmp_path / "m.arrow").location(0)
        with pytest.raises(DataError, match=r"m\.arrow is damaged|damaged one: .* Negative offsets"):
            list(Manifest.open(tmp_path / "m.arrow").rows_in("x"))


def test_a_compressed_manifest(files, tmp_path):
    table = pa.ipc.open_file(pa.BufferReader(files["manifest"])).read_all()
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with (
        pa.OSFile(str(tmp_path / "m.arrow"), "wb") as sink,
        pa.ipc.new_file(sink, table.schema, options=options) as writer,
    ):
        writer.write_batch(table.to_batches()[0])
    with pytest.raises(DataError, match="does not hold its arrays as they are"):
        Manifest.open(tmp_path / "m.arrow").location(0)


@FEW
@given(JSON.map(json.dumps) | BAGS.map(json.dumps) | st.text() | st.just("[" * 100_000))
def test_bag_labels(tmp_path, text):
    (tmp_path / "labels.json").write_text(text, encoding="utf-8", errors="surrogatepass")
    with contextlib.suppress(WsreidError):
        for bag in read_bag_labels(tmp_path / "labels.json"):
            bag.absent({2})
