import multiprocessing
import os
import time
from pathlib import Path

import pytest

from wsreid.data.cache import build_once, cache_dir, write_atomically
from wsreid.errors import DataError


def test_cache_dir_follows_the_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("WSREID_CACHE_DIR", str(tmp_path / "here"))
    assert cache_dir() == tmp_path / "here"
    assert not (tmp_path / "here").exists()
    monkeypatch.delenv("WSREID_CACHE_DIR")
    assert cache_dir().name == "wsreid"


def test_build_once_builds_files_and_folders_once(tmp_path):
    calls = []

    def build_folder(partial: Path) -> None:
        calls.append(partial)
        partial.mkdir()
        (partial / "a").write_text("x")

    for _ in range(2):
        assert build_once(tmp_path / "deep" / "set", build_folder) == tmp_path / "deep" / "set"
    assert (tmp_path / "deep" / "set" / "a").read_text() == "x"
    assert len(calls) == 1
    build_once(tmp_path / "file", lambda partial: partial.write_text("y"))
    assert (tmp_path / "file").read_text() == "y"


def test_a_failed_build_leaves_nothing_and_can_be_repeated(tmp_path):
    def fail(partial: Path) -> None:
        partial.mkdir()
        (partial / "half").write_text("x")
        raise RuntimeError("broken off")

    with pytest.raises(RuntimeError, match="broken off"):
        build_once(tmp_path / "set", fail)
    assert [p.name for p in tmp_path.iterdir() if "partial" in p.name or p.name == "set"] == []
    build_once(tmp_path / "set", lambda partial: partial.mkdir())
    assert (tmp_path / "set").is_dir()


def test_what_a_killed_process_left_is_removed(tmp_path):
    stale = tmp_path / ".set.partial-99999999"
    stale.mkdir()
    (stale / "half").write_text("x")
    build_once(tmp_path / "set", lambda partial: partial.mkdir())
    assert not stale.exists()


def _count_builds(folder: Path) -> None:
    def build(partial: Path) -> None:
        (folder / f"built-by-{os.getpid()}").touch()
        time.sleep(0.2)
        partial.write_text("whole")

    build_once(folder / "shared", build)
    assert (folder / "shared").read_text() == "whole"


def test_of_two_processes_one_builds(tmp_path):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_count_builds, args=(tmp_path,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
    assert [process.exitcode for process in processes] == [0, 0]
    assert len(list(tmp_path.glob("built-by-*"))) == 1


def test_write_atomically_keeps_the_old_file_when_it_fails(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, lambda partial: partial.write_text("old"))

    def fail(partial: Path) -> None:
        partial.write_text("ne")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, fail)
    assert path.read_text() == "old"
    write_atomically(path, lambda partial: partial.write_text("new"))
    assert path.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("WSREID_CACHE_DIR", str(tmp_path))
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="WSREID_CACHE_DIR"):
        build_once(tmp_path / "file" / "sub" / "set", lambda partial: partial.mkdir())


def test_a_place_outside_of_the_cache_is_not_said_to_be_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("WSREID_CACHE_DIR", str(tmp_path / "cache"))

    def refused(partial):
        raise FileNotFoundError(2, "No such file or directory", str(partial))

    with pytest.raises(DataError, match=r"cannot write to the folder .*name another") as caught:
        write_atomically(tmp_path / "out" / "m.arrow", refused)
    assert "WSREID_CACHE_DIR" not in str(caught.value)
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "m.arrow", lambda partial: (tmp_path / "missing").read_bytes())
