import errno
import os
import re
import signal

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from wsreid.cli.user_errors import user_error
from wsreid.errors import DataError, WsreidError


class _Broken(Dataset):
    def __len__(self):
        return 1

    def __getitem__(self, index):
        raise DataError("a/b.jpg is no image.\nReplace it: see data.root")


def test_an_error_from_a_worker_shows_its_own_text_alone():
    with pytest.raises(DataError) as caught:
        list(DataLoader(_Broken(), num_workers=1))
    assert "Traceback" in str(caught.value)
    assert str(user_error(caught.value)) == "a/b.jpg is no image.\nReplace it: see data.root"


def test_the_cause_of_a_wrapped_error_is_found():
    wrapped = ValueError("link failed")
    wrapped.__cause__ = DataError("no such folder")
    assert user_error(wrapped) is wrapped.__cause__


def test_a_bug_is_no_user_error():
    assert user_error(torch.OutOfMemoryError("out of memory")) is None


def test_a_plain_user_error_stays_itself():
    error = WsreidError("Caught a cold")
    assert user_error(error) is error


class _Dies(Dataset):
    def __len__(self):
        return 1

    def __getitem__(self, index):
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_worker_is_one_line_that_says_what_to_do():
    with pytest.raises(RuntimeError) as caught:
        list(DataLoader(_Dies(), num_workers=1))
    message = str(user_error(caught.value))
    # by which signal, torch knows only where nobody has taken its handler of SIGCHLD away, as tests before this one may
    died = r"a process that loads images died \(pid \d+, (signal: Killed|unasked)\)\..*--data\.num_workers"
    assert re.match(died, message)
    assert "--ckpt_path last" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "text",
    [  # as torch words them: at the first page beyond the room, in a worker's batch, of older versions
        "DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that dataloader's workers are out of "
        "shared memory. Please try to raise your shared memory limit.",
        "Caught RuntimeError in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n  ...\n"
        "RuntimeError: unable to allocate shared memory(shm) for file </torch_7_1_0>: No space left on device (28)\n",
        "unable to write to file </torch_7_1_0>: No space left on device (28)",
    ],
)
def test_too_little_shared_memory_is_named_with_ways_out(text):
    message = str(user_error(RuntimeError(text)))
    assert re.match(r"the shared memory /dev/shm is too small.*--data\.num_workers.*--shm-size", message)
    assert "\n" not in message


def test_too_many_open_files_are_named_with_ways_out():
    message = str(user_error(RuntimeError("received 0 items of ancdata")))
    assert re.match(r".*too many files open.*ulimit -n.*file_system", message)


@pytest.mark.parametrize(("number", "reason"), [(errno.ENOSPC, "no space is left"), (errno.EROFS, "Read-only file")])
def test_a_file_that_cannot_be_written_is_named(number, reason):
    error = OSError(number, os.strerror(number), "runs/a/retrieval.npz")
    wrapped = ValueError("somewhere in the middle")
    wrapped.__cause__ = error
    assert str(user_error(wrapped)).startswith(f"runs/a/retrieval.npz cannot be written: {reason}")
    assert user_error(FileNotFoundError(errno.ENOENT, "No such file", "x")) is None
