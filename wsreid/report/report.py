"""Gathers what a report shows of some runs, and renders it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from plotly.offline import get_plotlyjs

import wsreid
from wsreid.errors import WsreidError
from wsreid.report.bag_size_curves import bag_size_curves
from wsreid.report.chart import NamedRun, look
from wsreid.report.comparison import report_comparison
from wsreid.report.config_differences import config_differences
from wsreid.report.diagnostic_curves import diagnostic_curves
from wsreid.report.image_pool import ImagePool
from wsreid.report.labelled_bags import LabelledBag, labelled_bags
from wsreid.report.learning_curves import learning_curves
from wsreid.report.named_runs import named_runs
from wsreid.report.page_data import page_data
from wsreid.report.page_file import page, script_json
from wsreid.report.ranked_lists import QuerySet, ScoredQueries, query_sets
from wsreid.report.readable_runs import readable_runs
from wsreid.report.retrieval_curves import ap_distribution, cmc_curves
from wsreid.report.run_data import DataOfRuns
from wsreid.report.thumbnails import Thumbnails, thumbnails
from wsreid.tracking.compared_runs import compare_runs

MOST_CHARACTERS: Final = 14_500_000
"""Of a page: where images would take it beyond, they get smaller, then fewer."""
_TABLES: Final = 300_000  # characters kept for the page's tables and the scripts of its own


@dataclass(frozen=True)
class ReportSettings:
    """What a report shows.

    Attributes:
        queries: Queries of each test at most.
        bags: Bags of each run; 0 = none, and then no checkpoint is loaded.
        baseline: Experiment that the others are tested against; None = none.
    """

    queries: int = 200
    bags: int = 3
    baseline: str | None = None


@dataclass(frozen=True)
class Report:
    """A rendered report.

    Attributes:
        html: The page.
        runs: Runs in it.
        remarks: What could not be shown, a sentence each.
        images: Images in it.
    """

    html: str
    runs: int
    remarks: tuple[str, ...]
    images: int


Progress = Callable[[str, int], Callable[[], None]]
"""Is told what begins and of how many steps it is; returns what is called after each step."""


def make_report(paths: Sequence[Path], settings: ReportSettings, progress: Progress) -> Report:
    """Makes a report.

    Args:
        paths: Run folders, at least one.
        settings: What it shows.
        progress: Is told how far it is.

    Returns:
        The report.

    Raises:
        WsreidError: None of the runs can be read, or there is no such baseline.
    """
    runs, left_out = readable_runs(paths)
    named = named_runs(runs)
    compared = report_comparison(compare_runs(runs, settings.baseline), named)
    charts = [
        compared.chart,
        learning_curves(named),
        diagnostic_curves(named),
        bag_size_curves(named),
        cmc_curves(named),
        ap_distribution(named),
    ]
    pool, opened = ImagePool(), DataOfRuns()
    sets, list_notes = _lists(named, settings.queries, pool, opened)
    bags = _bags(named, settings.bags, pool, opened, progress)
    step = progress("images", len(pool.images))
    data = page_data(named, charts, sets, bags)
    budget = MOST_CHARACTERS - len(get_plotlyjs()) - _TABLES - len(script_json(data))
    found = thumbnails([each.read for each in pool.images], [each.place for each in pool.images], budget, step)
    list_notes += _image_notes(found, len(pool.images))
    groups = {each.number: each.group for each in named}
    fields = {
        "title": f"wsreid: {len(runs)} {'run' if len(runs) == 1 else 'runs'}",
        "version": wsreid.__version__,
        "runs": named,
        "notes": left_out,
        "comparison": compared,
        "charts": charts,
        "groups": [{"number": number, "name": name, "look": look(number)} for number, name in groups.items()],
        "list_notes": [_LIST_NOTE, *list_notes] if sets else list_notes,
        "has_lists": bool(sets),
        "bag_note": _BAG_NOTE if settings.bags else "n/a: asked for without bags (--bags 0).",
        "has_bags": settings.bags > 0,
        "differences": config_differences([each.run.config for each in named]),
    }
    html = page(fields, {**data, "images": found.texts})
    return Report(
        html,
        len(runs),
        (*left_out, *list_notes, *(note for note, _ in bags if note)),
        len(found.texts) - found.texts.count(None),
    )


_BAG_NOTE: Final = (
    "Some bags of the training data, the same ones for all runs on them, labelled by each run's last checkpoint on "
    "undistorted images. In a bag the label is of the bag; which image shows whom is what a method deduces."
)
_LIST_NOTE: Final = (
    "Test split, last checkpoint, the best gallery images. Right: the query's identity. Junk, images of the query's "
    "own identity and camera, is taken out before ranking, so lists hold none unless a protocol keeps it."
)


def _lists(
    named: Sequence[NamedRun], most: int, pool: ImagePool, opened: DataOfRuns
) -> tuple[list[QuerySet], list[str]]:
    tested: list[ScoredQueries | None] = []
    notes = []
    for each in named:
        result = each.run.retrieval
        if result is None:
            tested.append(None)
            notes.append(f"{each.name}: no ranked lists, as it has not ended with a test that was kept.")
            continue
        data = opened.of(each.run)
        tested.append(ScoredQueries(result, data.module))
        if data.module is None:
            notes.append(f"{each.name}: no images: {data.reason}.")
    sets = query_sets(tested, most, pool)
    notes += dict.fromkeys(  # sets of as many queries are told of once
        f"{len(found.queries)} of {found.total} queries are shown (--queries): the half of them on which the runs have "
        "the lowest mean AP, and others at even steps from there to the best."
        for found in sets
        if found.total > len(found.queries)
    )
    return sets, notes


def _bags(
    named: Sequence[NamedRun], count: int, pool: ImagePool, opened: DataOfRuns, progress: Progress
) -> list[tuple[str, list[LabelledBag]]]:
    found: list[tuple[str, list[LabelledBag]]] = []
    step = progress("bags", len(named) if count else 0)
    for each in named if count else ():
        data = opened.of(each.run)
        if data.module is None:
            found.append((f"{each.name}: no bags: {data.reason}.", []))
        else:
            try:
                found.append(("", labelled_bags(each.run, data.module, count, pool)))
            except WsreidError as error:
                found.append((f"{each.name}: no bags: {' '.join(str(error).split()).rstrip('.')}.", []))
        step()
    return found


def _image_notes(found: Thumbnails, number: int) -> list[str]:
    notes = []
    if found.unreadable:
        notes.append(f"{found.unreadable} of {number} images cannot be read any more: their places are empty.")
    if found.left_out:
        notes.append(f"{found.left_out} of {number} images, of the lowest ranks, are left out to keep the file small.")
    return notes
