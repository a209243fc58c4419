"""Whether the bytes of an npz file are those that were written."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

from wsreid.errors import FeatureError


def check_npz(path: Path, remedy: str) -> None:
    """Reads an npz file once, for the checksum (CRC-32) of each array; mapped arrays are never checked otherwise.

    Args:
        path: The file.
        remedy: What the user is to do about a damaged file.

    Raises:
        FeatureError: Bytes have changed since it was written, or it cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise FeatureError(f"{path} is damaged ({error}). {remedy}") from error
    except OSError as error:
        raise FeatureError(f"{path} cannot be read: {error.strerror or error}. {remedy}") from error
    if damaged is not None:
        name = damaged.removesuffix(".npy")
        raise FeatureError(f"{path} is damaged: {name} has another checksum than when it was written. {remedy}")
