import multiprocessing
import os
import pickle
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsreid.data.mapped_file import Lookup, MappedFile, Names
from wsreid.errors import DataError


def mapped(path, values):
    path.write_bytes(b"head" + values.tobytes())
    file = MappedFile(path)
    return file, np.frombuffer(file.buffer, values.dtype, offset=4)


@given(
    st.sampled_from([np.int8, np.int32, np.int64]),
    st.lists(st.integers(-128, 127), min_size=1, max_size=20),
    st.data(),
)
def test_lookup_gives_what_indexing_gives(tmp_path_factory, dtype, values, data):
    file, array = mapped(tmp_path_factory.mktemp("x") / "x", np.array(values, dtype))
    lookup = Lookup(file, array[1:])
    for index in range(len(values) - 1):
        assert lookup[index] == values[index + 1]
    some = np.array(
        data.draw(st.lists(st.integers(0, len(values) - 2), max_size=9) if values[1:] else st.just([])), int
    )
    found = lookup.take(some)
    assert found.dtype == dtype
    assert found.tolist() == array[1:][some].tolist()


@given(st.lists(st.text(max_size=4)), st.data())
def test_names_give_what_indexing_gives(tmp_path_factory, values, data):
    path = tmp_path_factory.mktemp("x") / "x"
    batch = pa.record_batch([pa.array(values, pa.large_string())], ["name"])
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
    file = MappedFile(path)
    stored = pa.ipc.open_file(pa.BufferReader(file.buffer)).get_batch(0).column(0)
    start = data.draw(st.integers(0, len(values)))
    names = Names(file, stored.slice(start))
    assert [names[index] for index in range(len(names))] == values[start:]
    with pytest.raises(IndexError):
        names[len(names)]


@pytest.mark.parametrize("index", [-1, 3])
def test_lookup_outside(tmp_path, index):
    lookup = Lookup(*mapped(tmp_path / "x", np.arange(3)))
    with pytest.raises(IndexError):
        lookup[index]
    with pytest.raises(IndexError):
        lookup.take(np.array([0, index]))


def test_a_file_cut_off_later(tmp_path):
    lookup = Lookup(*mapped(tmp_path / "x", np.arange(3)))
    os.truncate(tmp_path / "x", 20)
    assert lookup[0] == 0
    with pytest.raises(DataError, match="x has become shorter"):
        lookup[2]


def test_an_array_that_is_not_in_the_file(tmp_path):
    file, _ = mapped(tmp_path / "x", np.arange(3))
    with pytest.raises(DataError, match="x does not hold its arrays as they are"):
        Lookup(file, np.arange(3))


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        MappedFile(tmp_path / "x")
    (tmp_path / "x").touch()
    with pytest.raises(ValueError, match="empty"):
        MappedFile(tmp_path / "x")


def test_nothing_stays_open(tmp_path):
    path = tmp_path / "x"

    def held():
        descriptors = [d.readlink() for d in Path("/proc/self/fd").iterdir() if d.is_symlink()]
        return descriptors.count(path), str(path) in Path("/proc/self/maps").read_text()

    file, array = mapped(path, np.arange(3))
    assert held()[0] >= 1
    assert held()[1]
    del file
    assert array.tolist() == [0, 1, 2]  # the array keeps the mapping
    del array
    assert held() == (0, False)


def _rss():
    return psutil.Process().memory_info().rss / 2**20


def test_lookups_take_no_memory_and_pages_are_given_back(tmp_path):
    values = np.arange(4 << 20)  # 32 MiB
    file, array = mapped(tmp_path / "x", values)
    del values
    lookup, some = Lookup(file, array), np.arange(0, len(array), 4096)
    start = _rss()
    assert lookup.take(some).tolist() == some.tolist()
    assert _rss() - start < 8
    assert array[some].tolist() == some.tolist()
    assert _rss() - start > 20, "indexing maps the file, or this test shows nothing"
    file.release()
    assert _rss() - start < 8
    assert array[-1] == len(array) - 1, "the array stays valid"


def test_forked_processes_read_at_the_same_time(tmp_path):
    lookup = Lookup(*mapped(tmp_path / "x", np.arange(20_000)))

    def read(start, results):
        results.put(all(lookup[i] == i for i in range(start, 20_000, 3)))

    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    readers = [context.Process(target=read, args=(start, results)) for start in range(3)]
    for reader in readers:
        reader.start()
    assert [results.get() for _ in readers] == [True] * 3
    for reader in readers:
        reader.join()


def test_cannot_be_sent(tmp_path):
    file, _ = mapped(tmp_path / "x", np.arange(3))
    with pytest.raises(TypeError):
        pickle.dumps(file)
