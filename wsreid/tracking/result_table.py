"""The closing table of a run, and the same as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from wsreid.retrieval.bootstrap import Interval, drawn_identities
from wsreid.retrieval.result import RetrievalResult
from wsreid.retrieval.summary import summary
from wsreid.whole_file import whole_file

RESULTS_FILE = "results.json"
RETRIEVAL_FIGURES = ("R1", "R5", "R10", "mAP_step", "mAP_trapezoid", "mINP")
SHOWN_TERMS = ("protocol", "metric", "ap", "junk", "ties", "rerank", "expand")
HEADS = {"raw": "raw", "per_bag": "bag", "over_set": "set"}
REFINE_KINDS = tuple(HEADS)
DRAWS, LEVEL, SEED = 1000, 0.95, 0  # of the intervals in tables and files
_REFINE = (
    "refine = label-refine accuracy on the training bags: raw, matched per bag, matched once over the set; "
    "in brackets the mean of random in-bag assignments."
)


@dataclass(frozen=True)
class Accuracy:
    """A label-refine accuracy with its baseline.

    Attributes:
        value: Share of the images whose pseudo label is right, in 0..1.
        random: Mean share over random in-bag assignments, in 0..1.
    """

    value: float
    random: float


@dataclass(frozen=True)
class ResultRow:
    """One line of the closing table.

    Attributes:
        name: Which network, such as `DGL, last checkpoint`.
        retrieval: Its figures on the test split; None = not evaluated.
        refine: Label-refine accuracy by kind (`REFINE_KINDS`); None = the data set has no image-level truth.
        seconds: Time of the fit; None where there was none.
    """

    name: str
    retrieval: RetrievalResult | None
    refine: Mapping[str, Accuracy] | None = None
    seconds: float | None = None

    def intervals(self) -> dict[str, Interval]:
        """Where each retrieval figure may lie with other query identities; empty where the result cannot tell."""
        if self.retrieval is None or self.retrieval.query_pid is None:
            return {}
        found = self.retrieval.intervals(draws=DRAWS, level=LEVEL, seed=SEED)
        return {name: interval for name, interval in found.items() if not math.isnan(interval.low)}

    def figures(self) -> dict[str, float | None]:
        """Figure by name: shares in 0..1, seconds in seconds, None = not known."""
        found: dict[str, float | None] = dict.fromkeys(RETRIEVAL_FIGURES)
        if self.retrieval is not None:
            found |= summary(self.retrieval)
        for kind in REFINE_KINDS:
            accuracy = None if self.refine is None else self.refine.get(kind)
            found[f"refine_{kind}"] = None if accuracy is None else accuracy.value
            found[f"refine_{kind}_random"] = None if accuracy is None else accuracy.random
        found["seconds"] = self.seconds
        return found


def result_table(rows: Sequence[ResultRow], title: str) -> Table:
    """The rows as a table for the terminal, at most 80 columns wide, in percent.

    Under a row stand the ends of its 95 % intervals, by bootstrap over query identities. Columns that no row fills are
    left out.

    Args:
        rows: The lines.
        title: What stands above.

    Returns:
        A rich table.
    """
    table = Table(
        title=title, box=None, padding=(0, 1, 0, 0), pad_edge=False, title_justify="left", header_style="bold"
    )
    figures = [row.figures() for row in rows]
    refined = [kind for kind in REFINE_KINDS if any(f[f"refine_{kind}"] is not None for f in figures)]
    timed = any(row.seconds is not None for row in rows)
    table.add_column("%", min_width=15, max_width=20)
    heads = ["R1", "R5", "R10", "mAP\nstep", "mAP\ntrap.", "mINP", *(f"refine\n{HEADS[kind]}" for kind in refined)]
    for head in heads + ["seconds"] * timed:
        table.add_column(head, justify="right", no_wrap=True)
    for row, f in zip(rows, figures, strict=True):
        cells = [percent(f[name]) for name in RETRIEVAL_FIGURES]
        for kind in refined:
            value, random = percent(f[f"refine_{kind}"]), percent(f[f"refine_{kind}_random"])
            cells.append(value if value == random == "n/a" else f"{value}\n({random})")
        if timed:
            cells.append("n/a" if row.seconds is None else f"{row.seconds:.0f}")
        table.add_row(row.name, *cells)
        intervals = row.intervals()
        if intervals:
            ends = [intervals[name] for name in RETRIEVAL_FIGURES]
            shown = [f"{percent(interval.low)}\n{percent(interval.high)}" for interval in ends]
            table.add_row(f"  {100 * LEVEL:.0f} % from\n       to", *shown, style="dim")
    return table


def definition_line(
    result: RetrievalResult, *, truth: bool, labelled_val_ids: int, refined: bool = True, notes: Sequence[str] = ()
) -> str:
    """What the figures mean, in one sentence or two.

    Args:
        result: The figures.
        truth: The method reads image-level identities.
        labelled_val_ids: Labelled identities held out for validation; 0 = no validation.
        refined: The table shows label-refine accuracy.
        notes: What makes the figures other than they look, such as a part of the test split.

    Returns:
        Text to print under the table.
    """
    terms = "; ".join(f"{key}: {result.definition[key]}" for key in SHOWN_TERMS if key in result.definition)
    others = "the others count as misses" if result.counts_all else "the others are left out"
    parts = [
        f"{result.n_valid} of {result.n_query} queries have a match, {others}; {result.n_tied} matches are tied.",
        f"{terms}.",
        *_interval_line(result),
        *([_REFINE] if refined else []),
        f"Labelled validation identities used: {labelled_val_ids}.",
    ]
    if truth:
        parts.append("Used truth: this method reads the image-level identities.")
    return " ".join([*parts, *notes])


def _interval_line(result: RetrievalResult) -> list[str]:
    if result.query_pid is None:
        return []
    number = drawn_identities(result)
    if number < 2:
        return []
    return [
        f"Intervals ({100 * LEVEL:.0f} %): bootstrap over {number} query identities, {DRAWS} draws, seed {SEED}; "
        "they do not tell how another training run would differ."
    ]


def write_results(
    path: Path, rows: Sequence[ResultRow], *, about: Mapping[str, object], definition: Mapping[str, object]
) -> None:
    """Writes the rows as JSON; the file appears whole or not at all.

    Args:
        path: The file.
        rows: The lines of the table.
        about: What else is to be known: method, data hashes, versions, whether truth was used.
        definition: What the figures mean.
    """
    content = {
        "rows": [_json_row(row) for row in rows],
        "intervals": {"draws": DRAWS, "level": LEVEL, "seed": SEED, "over": "query identities"},
        "definition": dict(definition),
        **about,
    }
    with whole_file(path) as file:
        json.dump(content, file, indent=1, default=str)


def percent(share: float | None) -> str:
    """A share in percent with one decimal, or n/a."""
    return "n/a" if share is None or math.isnan(share) else f"{100 * share:.1f}"


def _json_row(row: ResultRow) -> dict[str, object]:
    return {
        "name": row.name,
        **{name: _json_number(value) for name, value in row.figures().items()},
        "intervals": {name: [interval.low, interval.high] for name, interval in row.intervals().items()},
    }


def _json_number(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value
