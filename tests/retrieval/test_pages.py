import mmap
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from wsreid.retrieval.pages import is_mapped, release


def resident(array):
    """Bytes of the array's mapping that are in memory, from the operating system."""
    address = array.__array_interface__["data"][0]
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        header = re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line)
        if header:
            inside = int(header[1], 16) <= address < int(header[2], 16)
        elif inside and line.startswith("Rss:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no such mapping")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/smaps")
def test_pages_that_were_read_are_given_back(tmp_path):
    content = np.arange(2**21, dtype=np.float64)
    np.save(tmp_path / "a.npy", content)
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    assert mapped.sum() == content.sum()
    assert resident(mapped) > 0.9 * content.nbytes
    release(mapped[: 2**20])
    assert resident(mapped) < 0.6 * content.nbytes
    release(mapped)
    assert resident(mapped) <= 2 * mmap.PAGESIZE
    assert np.array_equal(mapped, content)


def test_only_what_a_file_holds_is_released(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(5000.0))
    changed = np.load(tmp_path / "a.npy", mmap_mode="c")
    changed[0] = 7
    assert not is_mapped(changed)
    release(changed)
    assert changed[0] == 7
    assert not is_mapped(np.ones(3))
    release(np.ones(3))
    assert is_mapped(np.load(tmp_path / "a.npy", mmap_mode="r")[3:])
