"""The comparison of the runs as tables and as a chart of intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import plotly.graph_objects as go

from wsreid.report.chart import Chart, Choice, NamedRun, figure, lines, look, plain
from wsreid.report.named_runs import experiment_key
from wsreid.tracking.compared_runs import ComparedGroup, ComparedRuns, ComparedTable
from wsreid.tracking.comparison_table import definition, differences, left_out, terms_line, title
from wsreid.tracking.over_seeds import OverSeeds
from wsreid.tracking.pooled_bootstrap import Difference, Spread

_FIGURES: Final = {
    "mAP_step": "mAP step",
    "mAP_trapezoid": "mAP trap.",
    "mINP": "mINP",
    "R1": "R1",
    "R5": "R5",
    "R10": "R10",
}
_REFINE: Final = {"refine_raw": "refine raw", "refine_per_bag": "refine per bag", "refine_over_set": "refine over set"}
_NONE: Final = "n/a"
_LINE, _LEAST = 44, 110  # pixels of a line of the chart, and of what is around it


@dataclass(frozen=True)
class ReportTable:
    """A table as the page shows it.

    Attributes:
        title: What stands above.
        heads: Heads of the columns.
        rows: Cells; the first names the row.
        notes: What a reader of it must know.
    """

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class ReportComparison:
    """The comparison as the page shows it.

    Attributes:
        tables: One for each set of terms; runs whose figures mean other things are in other tables.
        notes: What a reader must know.
        chart: The intervals.
    """

    tables: tuple[ReportTable, ...]
    notes: tuple[str, ...]
    chart: Chart


def report_comparison(compared: ComparedRuns, runs: Sequence[NamedRun]) -> ReportComparison:
    """Puts a comparison into words.

    Args:
        compared: The comparison.
        runs: The runs, which name the experiments.

    Returns:
        Tables, notes and chart.
    """
    names = {experiment_key(named.run): named for named in runs}
    several = len(compared.tables) > 1
    titles = [f"Table {at}: {title(each)}" if several else title(each) for at, each in enumerate(compared.tables, 1)]
    notes = [*differences(compared), *(f"Left out: {each}" for each in left_out(compared))]
    if compared.tables:
        notes.append(definition(compared))
    else:
        notes.append("n/a: there is no run to compare.")
    tables = tuple(_table(table, name, names) for table, name in zip(compared.tables, titles, strict=True))
    return ReportComparison(tables, tuple(notes), _chart(compared.tables, names))


Names = Mapping[tuple[str, str], NamedRun]


def _table(table: ComparedTable, name: str, names: Names) -> ReportTable:
    refined = {name: head for name, head in _REFINE.items() if any(name in group.numbers for group in table.groups)}
    baseline = next((_name(group, names).group for group in table.groups if group.label == table.baseline), None)
    heads = ["method", "learns from", "seeds", *_FIGURES.values(), "mAP interval", "R1 interval"]
    heads += [] if baseline is None else [f"vs {baseline}", "p"]
    heads += [*refined.values(), "seconds"]
    rows = []
    for group in table.groups:
        seconds = group.numbers.get("seconds")
        cells = [_name(group, names).group, group.learns_from, " ".join(map(str, group.seeds))]
        cells += [_number(group.numbers.get(name)) for name in _FIGURES]
        cells += [_spread(group.map_interval), _spread(group.r1_interval)]
        cells += [] if baseline is None else _test(group.against)
        cells += [_number(group.numbers.get(name)) for name in refined]
        rows.append((*cells, _NONE if seconds is None else f"{seconds.mean:.0f}"))
    return ReportTable(name, tuple(heads), tuple(rows), (*table.notes, terms_line(table)))


def _name(group: ComparedGroup, names: Names) -> NamedRun:
    return names[experiment_key(group.runs[0].run)]


def _number(value: OverSeeds | None) -> str:
    if value is None:
        return _NONE
    return f"{value.mean:.1f}" if value.deviation is None else f"{value.mean:.1f} ± {value.deviation:.1f}"


def _spread(spread: Spread | None) -> str:
    if spread is None or np.isnan(spread.low):
        return _NONE
    return f"[{spread.low:.1f}, {spread.high:.1f}]"


def _test(test: Difference | None) -> list[str]:
    if test is None or np.isnan(test.low):
        return [_NONE, _NONE]
    ends = f"[{test.low:+.1f}, {test.high:+.1f}]{'*' if test.excludes_zero else ''}"
    return [f"{test.value:+.1f} {ends}", f"{test.p:.3f}"]


def _chart(tables: Sequence[ComparedTable], names: Names) -> Chart:
    choices = []
    for what in ("mAP (step), %", "R1, %"):
        for number, table in enumerate(tables, 1):
            spreads = [
                (_name(group, names), spread)
                for group in reversed(table.groups)
                if (spread := group.map_interval if what.startswith("mAP") else group.r1_interval) is not None
            ]
            if spreads:
                choices.append(
                    Choice(f"table {number}: {what}" if len(tables) > 1 else what, _intervals(what, spreads))
                )
    if not choices:
        return Chart("intervals", "Intervals", "n/a: no run has ranks with the identities of its queries.")
    note = "95 % intervals over query identities, the seeds of an experiment pooled."
    return Chart("intervals", "Intervals", note, tuple(choices))


def _intervals(what: str, spreads: Sequence[tuple[NamedRun, Spread]]) -> go.Figure:
    traces = [
        {
            "type": "scatter",
            "mode": "markers",
            "x": [spread.value],
            "y": [lines(named.group)],
            "error_x": {
                "type": "data",
                "array": [float(np.nan_to_num(spread.high - spread.value))],
                "arrayminus": [float(np.nan_to_num(spread.value - spread.low))],
                "symmetric": False,
            },
            "marker": {"size": 9, "color": look(named.number)[0]},
            "meta": named.number,
            "hovertemplate": f"{plain(named.group)}<br>%{{x:.1f}}<extra></extra>",
        }
        for named, spread in spreads
    ]
    return figure(what, "", traces, height=_LEAST + _LINE * len(spreads))
