import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import filelock
import pytest

from wsreid.errors import ConfigError
from wsreid.tracking.run_folder import RunFolder, run_of_checkpoint


def test_the_owner_is_named_while_the_folder_is_claimed(tmp_path):
    run = RunFolder(tmp_path / "r")
    with run.claimed(new=True):
        assert json.loads((run.path / "owner.json").read_text())["pid"] == os.getpid()
        with pytest.raises(ConfigError, match=f"pid {os.getpid()} on "), RunFolder(run.path).claimed(new=True):
            pass
        assert (run.path / "owner.json").exists()
        (run.path / "config.yaml").touch()
    assert not (run.path / "owner.json").exists()


def test_another_processs_folder_is_refused_and_its_owner_named(tmp_path):
    code = "import sys, filelock\nwith filelock.FileLock(sys.argv[1]):\n    print(flush=True)\n    input()"
    (tmp_path / "owner.json").write_text('{"pid": 12, "host": "elsewhere", "start": "today"}')
    command = [sys.executable, "-c", code, tmp_path / ".lock"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        for new in (True, False):
            owner = r"pid 12 on elsewhere, started today.*--run NEW"
            with pytest.raises(ConfigError, match=owner), RunFolder(tmp_path).claimed(new=new):
                pass
        other.communicate(b"\n")
    with RunFolder(tmp_path).claimed(new=True):
        pass


def test_a_folder_with_a_run_is_refused_unless_it_is_resumed(tmp_path):
    (tmp_path / "metrics.csv").write_text("epoch,step\n")
    last = RunFolder(tmp_path).last_checkpoint
    last.parent.mkdir()
    last.touch()
    with pytest.raises(ConfigError, match=r"--run NEW.*--ckpt_path last"), RunFolder(tmp_path).claimed(new=True):
        pass
    with RunFolder(tmp_path).claimed(new=False):
        pass
    assert (tmp_path / "metrics.csv").exists()


@pytest.mark.parametrize(("command", "told"), [("fit", "--ckpt_path last"), ("test", "holds a test already")])
def test_a_folder_without_a_checkpoint_tells_what_it_holds(tmp_path, command, told):
    (tmp_path / "config.yaml").touch()
    (tmp_path / "provenance.json").write_text(f'{{"command": "{command}"}}')
    with pytest.raises(ConfigError, match=told) as refused, RunFolder(tmp_path).claimed(new=True):
        pass
    assert ("--ckpt_path" in str(refused.value)) == (command == "fit")


def test_a_run_that_came_to_nothing_leaves_no_folder_behind(tmp_path):
    with RunFolder(tmp_path / "r").claimed(new=True):
        pass
    assert not (tmp_path / "r").exists()


def test_what_a_killed_process_left_does_not_block_the_next(tmp_path):
    (tmp_path / ".lock").touch()
    (tmp_path / "owner.json").write_text('{"pid": 1, "host": "gone", "start": "long ago"}')
    with RunFolder(tmp_path).claimed(new=True):
        assert "gone" not in (tmp_path / "owner.json").read_text()


def test_a_file_is_no_run_folder(tmp_path):
    (tmp_path / "f").touch()
    with pytest.raises(ConfigError, match="is a file"), RunFolder(tmp_path / "f").claimed(new=True):
        pass


def test_the_run_of_a_checkpoint(tmp_path):
    found = run_of_checkpoint(tmp_path / "checkpoints" / "last.ckpt")
    assert found is not None
    assert found.path == tmp_path
    assert run_of_checkpoint(tmp_path / "last.ckpt") is None


@pytest.mark.parametrize("refuses", ["mkdir", "acquire"])
def test_a_read_only_folder_is_refused_by_name(refuses, tmp_path, monkeypatch):
    def read_only(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path if refuses == "mkdir" else filelock.FileLock, refuses, read_only)
    refusal = r"run folder .*/r cannot be written \(Read-only file system\).*--run NEW"
    with pytest.raises(ConfigError, match=refusal), RunFolder(tmp_path / "r").claimed(new=True):
        pass


def test_what_a_run_that_was_killed_early_leaves_can_begin_anew(tmp_path):
    run = RunFolder(tmp_path)
    assert not run.broken_off()
    (tmp_path / "owner.json").touch()
    assert run.broken_off()
    (tmp_path / "owner.json").unlink()
    (tmp_path / "config.yaml").touch()
    assert run.broken_off()


def test_a_clock_that_is_moved_back_frees_no_folder(tmp_path, monkeypatch):
    run = RunFolder(tmp_path / "r")
    with run.claimed(new=True):
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now - 1e6)
        os.utime(run.path / ".lock", (0, 0))
        with pytest.raises(ConfigError, match=f"pid {os.getpid()}"), RunFolder(run.path).claimed(new=True):
            pass
