"""A reader of our output that goes away early."""

import os
import subprocess
import sys

import pytest

CODE = """
import sys
from rich.console import Console
from wsreid.cli.closed_pipe import closed_pipe_ends_quietly
with closed_pipe_ends_quietly():
    sys.stdin.readline()  # until the reader has gone
    WRITE
"""
WRITES = {
    "print": "print('x' * 100000); print('and more')",
    "rich": "[Console().print('x ' * 99) for _ in range(999)]",
    "in the buffer": "print('x')",
    "an end of its own": "print('x'); raise SystemExit(2)",
}


def ended(write, reader_goes):
    child = subprocess.Popen(
        [sys.executable, "-c", CODE.replace("WRITE", write)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    if reader_goes:
        child.stdout.close()
        child.stdout = None
    _, error = child.communicate("\n", timeout=60)
    return child.returncode, error


@pytest.mark.skipif(os.name == "nt", reason="Windows does not tell that a pipe's reader has gone")
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_reader_that_has_gone_ends_it_without_a_word(write):
    code = 1 if write == WRITES["rich"] else 141  # rich ends the program itself
    assert ended(write, reader_goes=True) == (code, "")


def test_with_a_reader_nothing_changes():
    assert ended(WRITES["in the buffer"], reader_goes=False) == (0, "")
    assert ended(WRITES["an end of its own"], reader_goes=False) == (2, "")
    code, error = ended("raise BrokenPipeError('of a worker')", reader_goes=False)
    assert code == 1
    assert "of a worker" in error
