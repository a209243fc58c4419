"""A folder of shards: read as one table, written so that a kill or a full disk costs no finished shard."""

import errno
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsreid.errors import ConfigError, FeatureError
from wsreid.retrieval.feature_files import read_features
from wsreid.retrieval.feature_shards import FeatureShards, Shard, shard_files
from wsreid.retrieval.shard_folder import ShardFolder, begin_folders
from wsreid.retrieval.shard_index import ShardIndex
from wsreid.retrieval.shard_writer import ShardSettings, ShardWriter

ORIGIN = {"weights": "w" * 64, "dtype": "float16"}
SMALL = ShardSettings(dtype="float32", shard_images=4)


def features_of(rows):
    """Features that say which row they are of, `(n, 3)`."""
    rows = np.asarray(rows)
    return np.stack([rows, -rows, rows % 7], axis=1).astype(np.float32)


def folder_at(path, rows, origin=ORIGIN):
    folder = ShardFolder(path, np.asarray(rows, dtype=np.int64), origin)
    folder.done()
    begin_folders([folder])
    return folder


def add(writer, rows):
    rows = np.asarray(rows, dtype=np.int64)
    writer.add(features_of(rows), rows % 5, rows % 2, rows)


def fill(folder, *shards, shard_settings=SMALL):
    for rows in shards:
        writer = ShardWriter(folder, shard_settings)
        add(writer, rows)
        writer.flush()


def table_of(path, *shards):
    folder = folder_at(path, np.unique(np.concatenate(shards)))
    fill(folder, *shards, shard_settings=ShardSettings(dtype="float32"))
    return FeatureShards([Shard.open(file) for file in shard_files(path)])


def test_a_finished_folder_reads_as_one_table(tmp_path):
    rows = np.arange(100, 123)
    folder = folder_at(tmp_path / "query", rows)
    writer = ShardWriter(folder, ShardSettings(shard_images=4))
    for start in (0, 1, 7, 20):  # batches larger and smaller than a shard
        add(writer, rows[start : {0: 1, 1: 7, 7: 20, 20: 23}[start]])
    writer.flush()
    folder.finish(unreadable=0)
    assert [len(Shard.open(file).row) for file in shard_files(folder.path)] == [4, 4, 4, 4, 4, 3]
    found = read_features(folder.path)
    assert found.features.shape == (23, 3)
    assert found.features.dtype == np.float16
    assert np.array_equal(np.asarray(found.features), features_of(rows).astype(np.float16))
    assert np.array_equal(found.row, rows)
    assert np.array_equal(found.pid, rows % 5)
    assert np.array_equal(found.camera, rows % 2)
    assert found.sources[0].name == "index.json"
    assert len(found.sources) == 7


def test_shards_that_interleave_and_repeat_rows_are_ordered_by_row(tmp_path):
    table = table_of(tmp_path, [0, 1, 8, 9, 12], [2, 3, 4, 9, 10], [5, 6, 7, 11])
    rows = np.arange(13)
    assert np.array_equal(table.row, rows)
    assert np.array_equal(table.pid, rows % 5)
    assert np.array_equal(np.asarray(table, dtype=np.float64), features_of(rows))
    again = pickle.loads(pickle.dumps(table))  # what a process that is sent the table gets
    assert np.array_equal(again.slice(3, 9), features_of(rows[3:9]))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_slices_and_picks_are_those_of_the_array(tmp_path_factory, data):
    size = data.draw(st.integers(1, 25))
    owner = np.array(data.draw(st.lists(st.integers(0, 3), min_size=size, max_size=size)))
    shards = [np.flatnonzero(owner == i) for i in range(4)]
    table = table_of(tmp_path_factory.mktemp("shards"), *(rows for rows in shards if len(rows)))
    expected = features_of(np.arange(size))
    a, b = data.draw(st.tuples(st.integers(0, size), st.integers(0, size + 2)))
    assert np.array_equal(table.slice(a, b), expected[a:b])
    index = np.array(data.draw(st.lists(st.integers(0, size - 1), max_size=30)), dtype=np.int64)
    assert np.array_equal(table.pick(index), expected[index])


def test_rows_outside_the_table_cannot_be_picked(tmp_path):
    table = table_of(tmp_path, [0, 1, 2])
    for bad in ([3], [-1]):
        with pytest.raises(IndexError):
            table.pick(np.array(bad))
    assert table.slice(2, 1).shape == (0, 3)


def test_a_shard_is_written_when_it_is_full_or_old(tmp_path):
    now = [0.0]
    writer = ShardWriter(
        folder_at(tmp_path, range(9)), ShardSettings(shard_images=3, shard_seconds=10), clock=lambda: now[0]
    )
    now[0] = 100.0  # time before the first image counts for nothing
    add(writer, [0, 1])
    now[0] = 109.0
    assert not shard_files(tmp_path)
    add(writer, [2, 3])
    assert [file.name for file in shard_files(tmp_path)] == ["shard-00000000-00000002.npz"]
    now[0] = 119.5  # row 3 has waited for 10.5 seconds
    add(writer, [4])
    assert [file.name for file in shard_files(tmp_path)][1:] == ["shard-00000003-00000004.npz"]


@pytest.mark.parametrize("bad", [{"shard_images": 0}, {"shard_seconds": 0.0}, {"shard_seconds": float("nan")}])
def test_sizes_that_are_not_positive_are_refused(bad):
    with pytest.raises(ConfigError, match=f"features.{next(iter(bad))} must be"):
        ShardSettings(**bad)


def test_values_that_float16_cannot_hold_are_refused_and_nan_is_left_to_the_ranking(tmp_path):
    writer = ShardWriter(folder_at(tmp_path, range(4)), ShardSettings())
    large = np.array([[1.0], [7e4]], dtype=np.float32)
    with pytest.raises(FeatureError, match=r"row 6 .* float16, which ends at 65504\. Use --features.dtype float32"):
        writer.add(large, np.zeros(2, int), np.zeros(2, int), np.array([5, 6]))
    writer.add(np.array([[np.nan], [np.inf]], np.float32), np.zeros(2, int), np.zeros(2, int), np.array([5, 6]))
    with pytest.raises(FeatureError, match="row of each image"):
        writer.add(large, np.zeros(2, int), np.zeros(2, int), np.array([-1, 6]))


def test_another_go_finds_the_finished_rows_and_the_folder_is_complete_at_last(tmp_path):
    folder = folder_at(tmp_path / "q", range(10))
    fill(folder, [0, 1, 2], [6, 7])
    assert folder_at(tmp_path / "q", range(10)).done().tolist() == [0, 1, 2, 6, 7]
    with pytest.raises(FeatureError, match=r"holds 5 of 10 images: predict was interrupted.*computes what is missing"):
        read_features(folder.path)
    with pytest.raises(FeatureError, match="5 of 10 images are missing, such as row 3"):
        folder.finish(unreadable=4)
    fill(folder, [3, 4, 5, 8])
    index = folder.finish(unreadable=1)
    assert index.missing == (9,)
    assert read_features(folder.path).row.tolist() == list(range(9))
    shard_files(folder.path)[0].unlink()
    with pytest.raises(FeatureError, match=r"holds 6 of 10 images: files are gone"):
        read_features(folder.path)


def test_shards_of_another_prediction_are_refused_with_both_ways_out(tmp_path):
    folder = folder_at(tmp_path / "q", range(4))
    fill(folder, [0, 1])
    before = sorted((file.name, file.read_bytes()) for file in folder.path.iterdir())
    other = ShardFolder(folder.path, folder.rows, {"weights": "v" * 64, "dtype": "float16", "neck": "none"})
    with pytest.raises(ConfigError) as error:
        other.done()
    for part in ("1 shards of another prediction", "weights wwwwwwwwwwwwwwww (now vvvvvvvvvvvvvvvv)"):
        assert part in str(error.value)
    for part in ("neck unknown (now none)", "--run NEW", f"remove {folder.path}"):
        assert part in str(error.value)
    assert "dtype" not in str(error.value)
    assert before == sorted((file.name, file.read_bytes()) for file in folder.path.iterdir())


def test_a_folder_without_an_index_is_not_taken_over(tmp_path):
    fill(folder_at(tmp_path, range(4)), [0, 1])
    (tmp_path / "index.json").unlink()
    with pytest.raises(ConfigError, match=r"holds no index\.json.*--run NEW"):
        ShardFolder(tmp_path, np.arange(4), ORIGIN).done()


@pytest.mark.parametrize("content", ["{", json.dumps({"format": 1}), json.dumps({"format": 99}), "[]"])
def test_a_damaged_index_is_said_to_be_one(tmp_path, content):
    (tmp_path / "index.json").write_text(content)
    with pytest.raises(FeatureError, match=r"index\.json"):
        read_features(tmp_path)


def test_a_damaged_shard_is_named(tmp_path):
    folder = folder_at(tmp_path, range(4))
    fill(folder, [0, 1], [2, 3])
    folder.finish(unreadable=0)
    last = shard_files(tmp_path)[1]
    last.write_bytes(last.read_bytes()[:-30])
    for ask in (folder.done, lambda: read_features(tmp_path)):
        with pytest.raises(FeatureError, match=rf"{last.name}.*Remove that file and run the same predict"):
            ask()
    last.unlink()
    assert folder.done().tolist() == [0, 1]


def test_a_changed_byte_of_a_shard_is_found_when_it_is_to_be_kept_or_scored(tmp_path):
    folder = folder_at(tmp_path, range(4))
    fill(folder, [0, 1], [2, 3])
    folder.finish(unreadable=0)
    last = shard_files(tmp_path)[1]
    assert folder.done(verify=True).tolist() == [0, 1, 2, 3]
    whole = bytearray(last.read_bytes())
    whole[whole.index(features_of([2, 3]).tobytes())] ^= 1
    last.write_bytes(whole)
    for ask in (lambda: folder.done(verify=True), lambda: read_features(tmp_path).check()):
        with pytest.raises(
            FeatureError, match=rf"{last.name} is damaged: features .*Remove that file and run the same"
        ):
            ask()


def test_a_side_with_all_its_images_is_whole_though_the_other_is_not(tmp_path):
    query, gallery = (folder_at(tmp_path / side, range(3)) for side in ("query", "gallery"))
    fill(query, [0, 1, 2])
    fill(gallery, [0])
    assert len(read_features(query.path).pid) == 3
    with pytest.raises(FeatureError, match=r"gallery holds 1 of 3 images: predict was interrupted"):
        read_features(gallery.path)


def test_shards_of_two_widths_are_no_table(tmp_path):
    folder = folder_at(tmp_path, range(4))
    fill(folder, [0, 1])
    writer = ShardWriter(folder, SMALL)
    writer.add(np.ones((2, 5), np.float32), np.zeros(2, int), np.zeros(2, int), np.array([2, 3]))
    writer.flush()
    with pytest.raises(FeatureError, match="different width or type"):
        read_features(tmp_path)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_full_disk_costs_the_shard_at_hand_alone(tmp_path, monkeypatch, number):
    folder = folder_at(tmp_path, range(8))
    fill(folder, [0, 1, 2])
    with monkeypatch.context() as patch:

        def full(_):
            raise OSError(number, os.strerror(number))

        patch.setattr(os, "fsync", full)
        writer = ShardWriter(folder, SMALL)
        with pytest.raises(FeatureError, match="cannot be written") as error:
            add(writer, [3, 4, 5, 6])
        assert ("no space is left" in str(error.value)) == (number == errno.ENOSPC)
        assert "finished shards stay usable" in str(error.value)
        writer.flush()  # what could not be written is not tried again
        with pytest.raises(FeatureError, match="cannot be written"):
            folder.finish(unreadable=5)
        with pytest.raises(FeatureError, match="cannot be written"):
            begin_folders([ShardFolder(tmp_path / "new", folder.rows, ORIGIN)])
    assert sorted(file.name for file in tmp_path.iterdir()) == ["index.json", "new", "shard-00000000-00000002.npz"]
    assert folder.done().tolist() == [0, 1, 2]
    fill(folder, [3, 4, 5, 6, 7])
    folder.finish(unreadable=0)
    assert np.array_equal(np.asarray(read_features(tmp_path).features), features_of(range(8)))


def test_a_new_go_removes_what_a_killed_process_left(tmp_path):
    folder = folder_at(tmp_path, range(4))
    (tmp_path / ".shard-00000000-00000003.npz.123.part").write_bytes(b"half")
    assert folder.done().tolist() == []
    begin_folders([folder])
    assert [file.name for file in tmp_path.iterdir()] == ["index.json"]
    assert ShardIndex.read(tmp_path) == ShardIndex(4, ORIGIN)


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {here!r})
from tests.retrieval.test_feature_shards import add, folder_at
from wsreid.retrieval import npz_file
from wsreid.retrieval.shard_writer import ShardSettings, ShardWriter
savez, calls = npz_file.np.savez, []
def dies(file, **arrays):
    calls.append(file)
    if len(calls) == 3:
        file.write(b"half of a shard")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    savez(file, **arrays)
npz_file.np.savez = dies
add(ShardWriter(folder_at(Path({path!r}), range(20)), ShardSettings(shard_images=4)), range(20))
"""


def test_a_process_killed_while_it_writes_leaves_whole_shards(tmp_path):
    here = os.fspath(Path(__file__).parents[2])
    path = tmp_path / "q"
    code = KILLED.format(here=here, path=os.fspath(path))
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == -9, done.stderr
    assert len(list(path.glob(".*.part"))) == 1
    folder = folder_at(path, range(20))
    assert folder.done().tolist() == list(range(8))
    assert not list(path.glob(".*.part"))


def test_an_image_without_a_row_is_refused(tmp_path):
    writer = ShardWriter(folder_at(tmp_path / "q", [3, 4]), SMALL)
    with pytest.raises(FeatureError, match="the batch says -1"):
        add(writer, [-1, 3])


def test_an_array_of_shards_is_a_copy(tmp_path):
    folder = folder_at(tmp_path / "q", [3, 4])
    fill(folder, [3, 4])
    features = read_features(folder.path).features
    assert np.array_equal(np.asarray(features), features_of([3, 4]))
    with pytest.raises(ValueError, match="is a copy"):
        np.asarray(features, copy=False)
