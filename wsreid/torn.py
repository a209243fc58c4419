"""What is wrong with the bytes of a file of `torch.save`, by their lengths and checksums."""

from __future__ import annotations

import zipfile
from pathlib import Path


def torn(path: Path) -> str:
    """What is wrong with a file's bytes; empty = nothing. `torch.load` looks at no checksum.

    Args:
        path: The file, which exists: a zip, as `torch.save` has written since torch 1.6.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            part = archive.testzip()
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        size = path.stat().st_size
        return "it is empty" if size == 0 else f"it is cut short or damaged ({error}; {size} bytes)"
    return "" if part is None else f"the checksum of its part {part} is wrong"
