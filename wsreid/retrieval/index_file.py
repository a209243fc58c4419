"""An index in one file: FAISS' bytes, then what they were made from. The file appears whole or not at all.

FAISS' bytes come first because FAISS maps files from their first byte on, and passes over what stands behind.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from wsreid.errors import ConfigError, FeatureError
from wsreid.retrieval.faiss_library import load_faiss
from wsreid.retrieval.features import Metric
from wsreid.retrieval.search_settings import SearchSettings
from wsreid.retrieval.watching import Watch, unwatched

MAGIC = b"wsreid-index-2\n"
_MEND = "Build the index again to make it."


@dataclass(frozen=True)
class IndexFacts:
    """What an index was made from.

    Attributes:
        features: `feature_hash` of the gallery.
        rows: Its size G.
        width: Its dimension D.
        metric: The similarity.
        settings: How it was made.
        seed: Draws the images that its cells and codes are learnt from.
        scale: What the features were divided by; None = each by its own norm.
        faiss: FAISS' version; empty for an exact one.
    """

    features: str
    rows: int
    width: int
    metric: Metric
    settings: SearchSettings
    seed: int
    scale: float | None
    faiss: str


def write_index(path: Path, facts: IndexFacts, index: Any | None, watch: Watch = unwatched) -> None:  # noqa: ANN401
    """Writes an index; see the module.

    Args:
        path: The file; replaced if it exists.
        facts: What the index was made from.
        index: An index of FAISS on the CPU; None = exact search, which has none.
        watch: Is told that it is being written.

    Raises:
        FeatureError: The file cannot be written, for instance because the disk is full.
    """
    digest = hashlib.blake2b(digest_size=20)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    watch("writing the index", 0, 0)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            if index is not None:
                faiss = load_faiss()

                def write(block: bytes) -> int:
                    digest.update(block)
                    return file.write(block)

                faiss.write_index(index, faiss.BufferedIOWriter(faiss.PyCallbackIOWriter(write), 2**20))
            facts_and_digest = {**asdict(facts), "digest": digest.hexdigest()}
            footer = json.dumps(facts_and_digest).encode()
            file.write(footer + len(footer).to_bytes(8, "little") + MAGIC)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise FeatureError(
            f"{path}: the index cannot be written ({error.strerror or error}). What stood there is unchanged."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def read_index(path: Path, watch: Watch = unwatched) -> tuple[IndexFacts, Any | None]:
    """Reads what `write_index` wrote, once its checksum has been found right.

    Args:
        path: The file. It is mapped, not loaded, so it must stay as it is while the index is in use; `write_index`
            puts another file in its place.
        watch: Is told how much of it has been read for the checksum.

    Returns:
        What it was made from, and the index on the CPU.

    Raises:
        FeatureError: There is no such file, it is damaged, or not an index.
        ConfigError: FAISS is not installed.
    """
    with _opened(path) as file:
        facts, digest, size = _read_footer(path, file)
        if size == 0:
            return facts, None
        file.seek(0)
        if _digest(file, size, watch) != digest:
            raise FeatureError(f"{path}: the index is damaged, its checksum is wrong. {_MEND}")
        faiss = load_faiss()
        return facts, faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)


def read_facts(path: Path) -> tuple[IndexFacts, str]:
    """Reads what an index was made from, and nothing else of it.

    Args:
        path: The file.

    Returns:
        The facts, and the checksum of FAISS' bytes as it was written, which names this one build.

    Raises:
        FeatureError: There is no such file, or it is not an index.
    """
    with _opened(path) as file:
        return _read_footer(path, file)[:2]


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as file:
            yield file
    except FileNotFoundError as error:
        raise FeatureError(f"{path}: no such index.") from error
    except (OSError, RuntimeError) as error:
        raise FeatureError(f"{path}: the index cannot be read ({error}). {_MEND}") from error


def _read_footer(path: Path, file: BinaryIO) -> tuple[IndexFacts, str, int]:
    """The facts, the checksum of FAISS' bytes, and their number."""
    tail = 8 + len(MAGIC)
    end = file.seek(0, os.SEEK_END)
    file.seek(max(0, end - tail))
    last = file.read(tail)
    if last[-len(MAGIC) :] != MAGIC:
        raise FeatureError(f"{path}: not an index that this version of wsreid wrote, or one that ends early. {_MEND}")
    length = int.from_bytes(last[:8], "little")
    if length > end - tail:
        raise FeatureError(f"{path}: the index ends too early, after {end} bytes. {_MEND}")
    file.seek(end - tail - length)
    try:
        data = json.loads(file.read(length))
        digest = str(data.pop("digest"))
        facts = IndexFacts(**{**data, "settings": SearchSettings(**data["settings"])})
    except (ValueError, KeyError, TypeError, ConfigError) as error:
        raise FeatureError(f"{path}: what the index was made from cannot be read ({error}). {_MEND}") from error
    return facts, digest, end - tail - length


def _digest(file: BinaryIO, size: int, watch: Watch) -> str:
    digest = hashlib.blake2b(digest_size=20)
    done = 0
    while done < size and (block := file.read(min(size - done, 2**22))):
        digest.update(block)
        done += len(block)
        watch("checking the index", done, size)
    return digest.hexdigest()
