"""What is fuzzed: bytes go in, and a value or a `WsreidError` comes out."""

import contextlib
import os
import tempfile
from pathlib import Path

from wsreid.data.images import ImageLocation, read_image
from wsreid.data.tars import index
from wsreid.data.tars.findings import Findings
from wsreid.data.tars.walk import NotATar, regular_members
from wsreid.errors import WsreidError

_FOLDER = Path(os.environ.get("WSREID_FUZZ_DIR", tempfile.gettempdir()))
MAX_PIXELS = 1 << 16  # decoding larger ones takes time that the fuzzer can use better


def tar_index(data: bytes) -> int:
    """Indexes a tar; gives the number of rows. Each lies inside the file, behind the one before, under the root."""
    path = _FOLDER / f"fuzz-{os.getpid()}.tar"
    path.write_bytes(data)
    findings, found, ends = Findings(), 0, 0
    with path.open("rb") as file, contextlib.suppress(NotATar):
        for batch in index._batches(regular_members(file.fileno(), len(data), findings), findings):
            for row in batch.to_pylist():
                assert row["offset"] - 512 >= ends
                ends = row["offset"] + abs(row["size"])
                assert ends <= len(data)
                assert "/" not in row["name"]
                assert ".." not in f"{row['folder']}/{row['name']}".split("/")
                assert not row["folder"].startswith("/")
                found += 1
    return found


def image(data: bytes) -> tuple[int, ...] | None:
    """Reads an image; gives its shape, or None where it is refused."""
    path = _FOLDER / f"fuzz-{os.getpid()}.img"
    path.write_bytes(data)
    try:
        found = read_image(ImageLocation(path), max_pixels=MAX_PIXELS)
    except WsreidError:
        return None
    assert found.ndim == 3
    assert found.shape[2] == 3
    assert found.shape[0] * found.shape[1] <= MAX_PIXELS
    return found.shape


TARGETS = {"tar_index": tar_index, "image": image}
