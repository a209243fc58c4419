import errno
import os

import pytest

from wsreid.errors import WsreidError
from wsreid.whole_file import whole_file


def test_the_file_is_there_at_the_end_alone(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with whole_file(path) as file:
        file.write("one\r\n")
        assert not path.exists()
    assert path.read_bytes() == b"one\r\n"
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


@pytest.mark.parametrize(("number", "reason"), [(errno.ENOSPC, "no space is left"), (errno.EROFS, "Read-only file")])
def test_what_cannot_be_written_is_named_and_stays_as_it_was(number, reason, tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def fails(_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(WsreidError, match=rf"a\.bin cannot be written: {reason}"), whole_file(path, "wb") as file:
        file.write(b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]


def test_an_error_in_between_leaves_nothing(tmp_path):
    with pytest.raises(KeyError), whole_file(tmp_path / "a.txt") as file:
        file.write({}["half"])
    assert list(tmp_path.iterdir()) == []
