import logging
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from tests.data.tars.making import JPEG, write_tar
from wsreid.data.tars import index, parallel
from wsreid.data.tars.parallel import Refused, index_tars
from wsreid.errors import DataError


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("WSREID_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def tars(tmp_path):
    return [
        write_tar(tmp_path / f"part{i}.tar", {f"{i:010d}/{k}.jpg": JPEG * 50 for k in range(3 * i)}) for i in (1, 2, 3)
    ]


def content(found):
    return [[batch.to_pydict() for batch in each.batches()] for each in found]


@pytest.mark.parametrize("workers", [1, 2])
def test_gives_the_indexes_in_the_order_of_the_tars(tars, tmp_path, workers, monkeypatch):
    bad = tmp_path / "bad.tar"
    bad.write_bytes(b"<html>")
    found = index_tars([tars[2], bad, tars[0]], workers)
    assert [each.tar for each in found] == [tars[2], bad, tars[0]]
    assert [each.rows for each in found if not isinstance(each, Refused)] == [9, 3]
    assert isinstance(found[1], Refused)
    assert "bad.tar is a web page" in found[1].reason
    monkeypatch.setenv("WSREID_CACHE_DIR", str(tmp_path / "other"))
    alone = [index.make_index(tar) for tar in (tars[2], tars[0])]
    assert content(alone) == content([found[0], found[2]])


def test_indexes_that_are_there_are_not_made_again(tars, monkeypatch, caplog):
    index_tars(tars[:2], 1)
    read = []
    monkeypatch.setattr(parallel, "make_index", lambda tar, passed: read.append(tar) or index.make_index(tar, passed))
    with caplog.at_level(logging.INFO):
        assert [each.rows for each in index_tars(tars, 1)] == [3, 6, 9]
    assert read == [tars[2]]
    assert "2 of 3 tars are indexed already" in caplog.text


def _index_slowly(tars, slow):
    real = index.regular_members

    def members(descriptor, *rest):
        for each in real(descriptor, *rest):
            yield each
            if Path(f"/proc/self/fd/{descriptor}").readlink() == slow:
                time.sleep(60)

    index.regular_members = members
    index_tars(tars, 2)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
def test_a_killed_run_resumes_without_the_tars_it_was_at(tars, tmp_path):
    killed = multiprocessing.get_context("fork").Process(target=_index_slowly, args=(tars, tars[1]))
    killed.start()
    kept = tmp_path / "cache" / "tars"
    deadline = time.monotonic() + 20
    while len(list(kept.glob("part*.arrow"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(killed.pid, signal.SIGKILL)
    killed.join()
    for child in _children_of_nobody(kept):
        os.kill(child, signal.SIGKILL)
    done = {path: path.stat().st_mtime_ns for path in kept.glob("part*.arrow")}
    assert sorted(path.name[:5] for path in done) == ["part1", "part3"]
    assert [each.rows for each in index_tars(tars, 2)] == [3, 6, 9]
    assert {path: path.stat().st_mtime_ns for path in done} == done
    assert len(list(kept.glob("part*.arrow"))) == 3
    assert not [path for path in kept.iterdir() if "partial" in path.name], "half an index is cleared away"


def _children_of_nobody(folder):
    """The process that still writes into a folder, its parent being killed; it would end by itself when it goes on."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            files = [link.readlink() for link in (process / "fd").iterdir()]
        except OSError:
            continue
        if any(file.is_relative_to(folder) for file in files):
            yield int(process.name)


def _die(tar, passed):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_is_killed_is_an_error_that_says_how_to_go_on(tars, monkeypatch):
    monkeypatch.setattr(parallel, "make_index", _die)
    with pytest.raises(DataError, match=r"ended with status -9 before it was done .* Run the command again"):
        index_tars(tars, 2)


def test_a_cache_folder_that_cannot_be_written_to_is_no_fault_of_the_tar(tars, tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("WSREID_CACHE_DIR", str(tmp_path / "file"))
    for workers in (1, 2):
        with pytest.raises(DataError, match="cannot write to the folder"):
            index_tars(tars, workers)


def test_a_worker_whose_starter_is_gone_gives_up(tars, monkeypatch):
    class Gone:
        def is_alive(self):
            return False

    monkeypatch.setattr(parallel, "parent_process", Gone)
    with pytest.raises(SystemExit):
        parallel._work(tars[0], multiprocessing.sharedctypes.RawValue("q", 0), None)
    assert not list((tars[0].parent / "cache" / "tars").glob("part*.arrow"))


def test_nothing_to_do():
    assert index_tars([]) == []
