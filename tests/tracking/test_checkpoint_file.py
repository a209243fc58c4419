import errno
import os

import pytest
import torch

from wsreid.errors import WsreidError
from wsreid.torn import torn
from wsreid.tracking.checkpoint_file import CheckpointFiles, previous_of, whole_checkpoint


def content(number):
    return {"state_dict": {"weight": torch.full((1000,), float(number))}, "global_step": number}


def step(path):
    return torch.load(path, weights_only=True)["global_step"]


@pytest.fixture
def last(tmp_path):
    """The second checkpoint of a run."""
    path = tmp_path / "checkpoints" / "last.ckpt"
    for number in (1, 2):
        CheckpointFiles().save_checkpoint(content(number), path)
    return path


def test_the_one_before_stays(last):
    assert (step(last), step(previous_of(last))) == (2, 1)
    CheckpointFiles().save_checkpoint(content(3), last)
    assert (step(last), step(previous_of(last))) == (3, 2)
    assert sorted(p.name for p in last.parent.iterdir()) == ["last.ckpt", "last.previous.ckpt"]
    assert whole_checkpoint(last) == last


def test_of_other_checkpoints_the_latest_alone_stays(tmp_path):
    for number in (1, 2):
        CheckpointFiles().save_checkpoint(content(number), tmp_path / "best.ckpt")
    assert [p.name for p in tmp_path.iterdir()] == ["best.ckpt"]


@pytest.mark.parametrize("links", [True, False])
def test_with_and_without_hard_links(links, last, monkeypatch):
    if not links:
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError(errno.EPERM, "no links here")))
    CheckpointFiles().save_checkpoint(content(3), last)
    assert (step(last), step(previous_of(last))) == (3, 2)


def cut(data):
    return data[: len(data) * 2 // 3]


def zeros(data):
    return bytes(len(data))


def flipped(data):
    where = data.index(torch.full((4,), 2.0).numpy().tobytes())
    return data[:where] + b"\x01" + data[where + 1 :]


@pytest.mark.parametrize("harm", [cut, zeros, flipped, lambda data: b"", None])
def test_a_torn_one_is_found_and_the_one_before_taken_with_a_warning(harm, last, caplog):
    if harm is None:
        last.unlink()
    else:
        last.write_bytes(harm(last.read_bytes()))
        assert torn(last)
    assert whole_checkpoint(last) == previous_of(last)
    assert "Going on from the checkpoint before it" in caplog.text
    previous_of(last).write_bytes(b"")
    assert whole_checkpoint(last) == last  # which is refused by name


@pytest.mark.parametrize("fails", ["fsync", "replace"])
def test_a_full_disk_leaves_what_there_was(fails, last, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = {path: path.read_bytes() for path in last.parent.iterdir()}
    if fails == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    else:
        monkeypatch.setattr(type(last), "replace", full)
    with pytest.raises(WsreidError, match=r"last\.ckpt \(\d.* MB\) cannot be written: No space left.*--ckpt_path last"):
        CheckpointFiles().save_checkpoint(content(3), last)
    left = {path: path.read_bytes() for path in last.parent.iterdir() if not path.name.startswith(".")}
    assert left == before
    monkeypatch.undo()
    CheckpointFiles().save_checkpoint(content(3), last)
    assert step(last) == 3
