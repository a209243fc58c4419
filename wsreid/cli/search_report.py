"""What `python -m wsreid search` prints, and its JSON file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from rich.table import Table

from wsreid.cli.search_gallery import Gallery
from wsreid.cli.search_options import SearchOptions
from wsreid.data.cache import write_atomically
from wsreid.errors import ConfigError
from wsreid.retrieval.features import Metric
from wsreid.retrieval.saved_index import SavedIndex
from wsreid.retrieval.saved_recall import K
from wsreid.terminal import Console
from wsreid.tracking.answer import Answer
from wsreid.tracking.provenance import versions

FORMAT: Final = "wsreid search 1"
_HEADS: Final = {"cosine": "cosine", "dot": "product", "euclidean": "distance"}


@dataclass(frozen=True, eq=False)
class Searched:
    """Everything that a search found.

    Attributes:
        options: What was asked for.
        network: The network's file: a checkpoint, or an exported one.
        gallery: Where was searched.
        saved: The index.
        metric: The similarity.
        answers: One for each image.
        left_out: Files that could not be read: name and reason.
        seconds: What took how long, in seconds.
        remarks: What cannot be shown.
    """

    options: SearchOptions
    network: Path
    gallery: Gallery
    saved: SavedIndex
    metric: Metric
    answers: tuple[Answer, ...]
    left_out: tuple[tuple[Path, str], ...]
    seconds: Mapping[str, float]
    remarks: tuple[str, ...]

    @property
    def kind(self) -> str:
        """The index's kind."""
        return self.saved.index.facts.settings.kind


def check_json(path: Path) -> None:
    """Refuses to replace a file that is no search.

    Args:
        path: Where the JSON file is to go.

    Raises:
        ConfigError: It holds something else.
    """
    if not path.exists():
        return
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        content = None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ConfigError(f"--json {path}: there is such a file, and it is no search. Name another, or remove it.")


def write_json(path: Path, found: Searched) -> None:
    """Writes all that was found; the file appears whole or not at all.

    Args:
        path: The file.
        found: The search.
    """
    facts, saved = found.saved.index.facts, found.saved
    content = {
        "format": FORMAT,
        "run": None if found.options.run is None else str(found.options.run),
        "checkpoint": None if found.options.run is None else str(found.network),
        "model": None if found.options.model is None else str(found.network),
        "metric": found.metric,
        "gallery": {
            "path": str(found.gallery.file.path),
            "images": facts.rows,
            "dimension": facts.width,
            "manifest": None if found.gallery.manifest is None else str(found.gallery.manifest.path),
        },
        "index": {
            "kind": found.kind,
            "file": None if saved.path is None else str(saved.path),
            "made": saved.made,
            "recall": None if saved.recall is None else asdict(saved.recall),
        },
        "seconds": dict(found.seconds),
        "images": [{**asdict(answer), "image": str(answer.image)} for answer in found.answers],
        "left_out": [{"image": str(file), "reason": reason} for file, reason in found.left_out],
        "remarks": list(found.remarks),
        "versions": versions(),
    }
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"

    def write(partial: Path) -> None:
        partial.write_text(text, encoding="utf-8")

    write_atomically(path, write)


def show(found: Searched) -> None:
    """Prints the table and what it means.

    Args:
        found: The search.
    """
    console = Console()
    console = console if console.is_terminal else Console(width=120)
    alone = len(found.answers) == 1
    asked = str(found.answers[0].image) if alone else f"{len(found.answers)} images of {found.options.image}"
    console.print(f"\n{asked} in {found.gallery.file.path}", highlight=False, soft_wrap=True)
    console.print(_table(found))
    for line in _lines(found):
        console.print(line, highlight=False, soft_wrap=True)


def headline(found: Searched) -> str:
    """Where and how was searched, with the recall of the index, in a few words."""
    recall = found.saved.recall
    where = f"{found.saved.index.facts.rows:,} gallery images, {found.metric}"
    if recall is None:
        return f"{where}, exact search"
    return f"{where}, index {found.kind}: recall@{recall.k} {100 * recall.recall:.1f} % against exact search"


def _table(found: Searched) -> Table:
    alone = len(found.answers) == 1
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("rank" if alone else "image", justify="right" if alone else "left", overflow="fold")
    compared = found.options.exact
    heads = [_HEADS[found.metric], "row", "identity", "camera"]
    heads += ([("exact rank" if alone else f"recall@{K}")] if compared else []) + ["path"]
    for head in heads:
        table.add_column(head, justify="left" if head == "path" else "right", overflow="fold")
    for answer in found.answers:
        for hit in answer.hits if alone else answer.hits[:1]:
            extra = [_number(hit.exact_rank) if alone else _share(answer.recall)] if compared else []
            cells = [f"{hit.score:.4f}", str(hit.row), hit.identity or "-", _number(hit.camera)]
            table.add_row(str(hit.rank) if alone else answer.image.name, *cells, *extra, found.gallery.shown(hit))
        if not answer.hits:
            table.add_row("-" if alone else answer.image.name, "nothing found")
    return table


def _lines(found: Searched) -> list[str]:
    recall = found.saved.recall
    how = ""
    if recall is not None:
        looked = f"nprobe {recall.nprobe}" if recall.ef is None else f"ef {recall.ef}"
        how = f", on {recall.images} gallery images ({looked})"
    lines = [f"{headline(found)}{how}."]
    if found.gallery.manifest is not None:
        lines.append(f"Paths are relative to {found.gallery.manifest.root}.")
    if len(found.answers) > 1:
        lines.append(f"The best hit of each image; the first {len(found.answers[0].hits)} of each are in --json FILE.")
    elif found.options.exact and found.answers:
        answer = found.answers[0]
        missed = f"; not found: rows {', '.join(map(str, answer.missed))}" if answer.missed else ""
        lines.append(f"recall@{K} of this image {_share(answer.recall)} against exact search{missed}.")
    if found.saved.path is not None:
        made = "loaded" if found.saved.made is None else f"made, since {found.saved.made}"
        lines.append(f"Index {found.saved.path}: {made}.")
    lines += [f"Left out: {file} {reason}" for file, reason in found.left_out]
    parts = found.seconds
    loading = f"{parts['network'] + parts['gallery'] + parts['index']:.2f}"
    exact = f", exact search {parts['exact']:.3f}" if "exact" in parts else ""
    lines.append(
        f"Seconds: loading {loading} (network {parts['network']:.2f}, gallery {parts['gallery']:.2f}, index "
        f"{parts['index']:.2f}), embedding {parts['embedding']:.3f}, searching {parts['search']:.3f}{exact}."
    )
    return lines + list(found.remarks)


def _number(value: int | None) -> str:
    return "-" if value is None else str(value)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.0f} %"
