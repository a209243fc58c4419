"""The recall of a saved index, measured once and kept in a JSON file beside it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from wsreid.errors import FeatureError
from wsreid.retrieval.index import SearchIndex
from wsreid.retrieval.index_file import IndexFacts, read_facts
from wsreid.retrieval.sampled_recall import sampled_recall
from wsreid.retrieval.search_settings import EF
from wsreid.retrieval.watching import Watch, unwatched

_FORMAT: Final = "wsreid recalls 1"
K: Final = 10


@dataclass(frozen=True)
class Recall:
    """How much of the exact lists an index finds when it looks so far.

    Attributes:
        nprobe: Cells that it looks into; None = it has none.
        ef: Candidates that it looks at; None = it walks no graph.
        refine: How many times as many images it proposes as are asked for.
        k: Length of the lists.
        images: Gallery images that were searched for, themselves left out.
        recall: Share of the exact lists that it found, 1 = all.
    """

    nprobe: int | None
    ef: int | None
    refine: int
    k: int
    images: int
    recall: float


def recall_path(index: Path) -> Path:
    """Where the recalls of an index are kept: `gallery.ivf-cosine.json` beside `gallery.ivf-cosine.index`."""
    return index.with_suffix(".json")


def saved_recall(index: SearchIndex, path: Path, *, memory_mb: int = 512, watch: Watch = unwatched) -> Recall:
    """Reads what is known of an index's recall@10, or measures and saves it.

    Args:
        index: An approximate index with its gallery at hand.
        path: Its file. Recalls of another build, and a damaged file of them, count as not known.
        memory_mb: Working memory.
        watch: Is told how far the measurement is.

    Returns:
        The recall at the index's `nprobe`, `ef` and `refine`.

    Raises:
        FeatureError: The file cannot be written.
    """
    _, build = read_facts(path)
    place = recall_path(path)
    known = _read(place, build)
    nprobe, ef = _effort(index.facts)
    refine = index.facts.settings.refine
    for one in known:
        if (one.nprobe, one.ef, one.refine, one.k) == (nprobe, ef, refine, K):
            return one
    share, images = sampled_recall(index, K, memory_mb=memory_mb, watch=watch)
    found = Recall(nprobe, ef, refine, K, images, share)
    _write(place, build, [*known, found])
    return found


def _effort(facts: IndexFacts) -> tuple[int | None, int | None]:
    settings = facts.settings
    return (None, settings.ef or EF) if settings.kind == "hnsw" else (settings.probes(facts.rows), None)


def _read(path: Path, build: str) -> list[Recall]:
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != _FORMAT or content["index"] != build:
            return []
        return [Recall(**one) for one in content["recalls"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _write(path: Path, build: str, recalls: list[Recall]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    content = {"format": _FORMAT, "index": build, "recalls": [asdict(one) for one in recalls]}
    try:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise FeatureError(f"{path}: the recall cannot be written ({error.strerror or error}).") from error
    finally:
        temporary.unlink(missing_ok=True)
