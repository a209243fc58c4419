"""An index beside its gallery: made and saved when it is first asked for, loaded afterwards."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from wsreid.errors import FeatureError
from wsreid.retrieval.errors import OtherFeaturesError
from wsreid.retrieval.features import Features, Metric
from wsreid.retrieval.index import SearchIndex
from wsreid.retrieval.index_file import read_facts
from wsreid.retrieval.saved_recall import Recall, saved_recall
from wsreid.retrieval.search_settings import SearchSettings
from wsreid.retrieval.watching import Watch, unwatched


@dataclass(frozen=True, eq=False)
class SavedIndex:
    """An index that is ready, and how it came about.

    Attributes:
        index: The index, its gallery at hand.
        path: Its file; None = exact search, which needs none.
        made: Why it was made; None = it was loaded.
        recall: How much of the exact lists it finds; None = exact search.
    """

    index: SearchIndex
    path: Path | None
    made: str | None
    recall: Recall | None


def index_path(gallery: Path, settings: SearchSettings, metric: Metric) -> Path:
    """Where the index of a gallery is kept.

    Args:
        gallery: The file or folder of its features.
        settings: The kind.
        metric: The similarity.

    Returns:
        A file beside it, such as `gallery.ivf-cosine.index`.
    """
    return gallery.with_name(f"{gallery.name}.{settings.kind}-{metric}.index")


def saved_index(
    gallery: Features,
    path: Path,
    metric: Metric,
    settings: SearchSettings,
    *,
    check: Callable[[], None] = lambda: None,
    memory_mb: int = 512,
    watch: Watch = unwatched,
) -> SavedIndex:
    """Loads an index if there is one of these features, else makes and saves it.

    Args:
        gallery: `(G, D)`.
        path: The index's file; its recall lies beside it. Not looked at for exact search.
        metric: The similarity.
        settings: The kind and size. Other `nprobe`, `ef` and `refine` than those it was saved with need no new index.
        check: Is called before an index is made, to find out whether the features are what was once written: those of
            an index that is loaded are, by their hash.
        memory_mb: Working memory, the index aside.
        watch: Is told how far the work is.

    Returns:
        The index.

    Raises:
        FeatureError: The features cannot be ranked; the file is damaged, or is no index; it cannot be written.
        ConfigError: The settings do not fit, or FAISS is missing.
    """
    if settings.kind == "exact":
        check()
        # all rows, but by name: an index that is not saved needs no hash
        rows = np.arange(gallery.shape[0])
        index = SearchIndex.build(gallery, metric, settings, memory_mb=memory_mb, rows=rows, watch=watch)
        return SavedIndex(index, None, None, None)
    try:
        made = _other(path, gallery.shape, metric, settings)
        if made is None:
            index = SearchIndex.load(path, gallery, memory_mb=memory_mb, effort=settings, watch=watch)
    except OtherFeaturesError:
        made = "the features are not those that it was made from"
    except FeatureError as error:
        raise FeatureError(f"{error} Remove {path}, and it is made anew.") from error
    if made is not None:
        _check_room(path, gallery.shape, settings)
        check()
        index = SearchIndex.build(gallery, metric, settings, memory_mb=memory_mb, watch=watch)
        index.save(path, watch)
    recall = saved_recall(index, path, memory_mb=memory_mb, watch=watch)
    return SavedIndex(index, path, made, recall)


def _other(path: Path, shape: tuple[int, ...], metric: Metric, settings: SearchSettings) -> str | None:
    """Why the file cannot be the index that is asked for, as far as its facts tell; None = it may be."""
    if not path.exists():
        return "there was none"
    facts, _ = read_facts(path)
    if (facts.rows, facts.width) != tuple(shape):
        return f"the features are {shape[0]} x {shape[1]}, those that it was made from {facts.rows} x {facts.width}"
    if facts.metric != metric or _size(facts.settings) != _size(settings):
        return "it was made with other settings"
    return None


def _size(settings: SearchSettings) -> SearchSettings:
    """The settings that only a new index changes."""
    return replace(settings, nprobe=None, ef=None, refine=1, gpu=None, temp_memory_mb=1)


def _check_room(path: Path, shape: tuple[int, ...], settings: SearchSettings) -> None:
    """Finds out before the work, which may take an hour, whether its result can be kept."""
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise FeatureError(
            f"{path}: the index is kept beside the features, and this folder cannot be written to. Copy the features "
            "to another one, or take exact search, which needs no file."
        )
    rows, width = shape
    needed, free = index_bytes(rows, width, settings), shutil.disk_usage(path.parent).free
    if needed > free:
        raise FeatureError(
            f"{path}: the index takes about {needed / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are free. Make room, or "
            "take exact search, which needs no file."
        )


def index_bytes(rows: int, width: int, settings: SearchSettings) -> int:
    """About how large the file of an index becomes.

    Args:
        rows: Size of the gallery.
        width: Dimension of the features.
        settings: Its kind and size; not exact.

    Returns:
        Bytes.
    """
    if settings.kind == "hnsw":
        return rows * (2 * width + 8 * settings.links + 12)
    cells = 4 * width * settings.cells(rows)
    if settings.kind == "ivf":
        return rows * (2 * width + 8) + cells
    return rows * (settings.codes(width) + 8) + cells + 4 * width * (1 << settings.code_bits(rows))
