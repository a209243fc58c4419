"""What the labels did while the runs trained, by groups of bags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import plotly.graph_objects as go

from wsreid.report.chart import Chart, Choice, NamedRun, figure, over_epochs

FIGURES: Final = {
    "raw": "images whose label is right, %",
    "bag_matched": "right after the best renaming in each bag, %",
    "set_matched": "right after one best renaming over the set, %",
    "presence": "candidates that some image of the bag has as label, %",
    "entropy": "entropy of the labels, nats",
    "entropy_normalised": "entropy, % of knowing nothing",
    "flip_rate": "labels that changed since the epoch before, %",
    "confusion": "wrong labels that name another person of the bag, %",
}
_NATS: Final = ("entropy",)
_ALL: Final = "all"


def diagnostic_curves(runs: Sequence[NamedRun]) -> Chart:
    """A figure for each diagnostic and group of bags that at least one run has.

    Args:
        runs: The runs.

    Returns:
        The chart.

    Raises:
        DataError: A file is damaged.
    """
    groups: dict[str, None] = {_ALL: None}
    for named in runs:
        if len(named.run.diagnostics):
            groups |= dict.fromkeys(str(group) for group in named.run.diagnostics["group"].unique())
    choices = [
        Choice(f"{group}: {what}", drawn, section="all bags" if group == _ALL else group)
        for group in groups
        for name, what in FIGURES.items()
        if (drawn := _figure(name, what, group, runs)) is not None
    ]
    note = (
        "Labels of the training pass; dotted: what chance gives. What each figure tells: docs/diagnostics.md of wsreid."
    )
    if not choices:
        note = "n/a: no run has a figure in a diagnostics.csv (diagnostics.every_n_epochs 0, or batches not by bag)."
    return Chart("diagnostics", "Labels over the epochs", note, tuple(choices))


def _figure(name: str, what: str, group: str, runs: Sequence[NamedRun]) -> go.Figure | None:
    factor = 1 if name in _NATS else 100
    traces = []
    for named in runs:
        table = named.run.diagnostics
        if name not in table:
            continue
        here = table[table["group"] == group]
        for column in (name, f"{name}_random"):
            known = here[here[column].notna()] if column in here else here[:0]
            if not len(known):
                continue
            chance = column != name
            y = known[column].to_numpy() * factor
            trace = over_epochs(named, known["epoch"], y)
            if chance:
                style = {**trace["line"], "dash": "dot", "width": 1}
                trace |= {"name": "", "mode": "lines", "opacity": 0.7, "line": style}
            traces.append(trace)
    return figure("epoch", what, traces, whole=True) if traces else None
