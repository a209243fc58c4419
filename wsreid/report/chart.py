"""What all charts of a report have in common: their values, colours and layout."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from wsreid.tracking.recorded_run import RecordedRun

TEXT, GRID, PAPER = "#1f2328", "#d0d7de", "#ffffff"
PALETTE: Final = (
    "#0b5cad",
    "#b3440a",
    "#0a7a50",
    "#8e3b8e",
    "#7a6200",
    "#b01e4f",
    "#3f4a57",
    "#3d3db8",
    "#00707f",
    "#7b4a2d",
)
"""Line colours; each stands out from white by 3 : 1 at least."""
MOST_EPOCHS: Final = 150
_LETTERS: Final = 24
_STEPS: Final = (1, 2, 5)
_TICKS: Final = 8
_DASHES: Final = ("solid", "dash", "dot")
_MARKERS: Final = ("circle", "square", "diamond")
_AXIS: Final = {"gridcolor": GRID, "zerolinecolor": GRID, "linecolor": TEXT, "automargin": True}


@dataclass(frozen=True)
class NamedRun:
    """A run with its names in a report.

    Attributes:
        run: The run.
        name: Its own name; no two runs have the same.
        group: Name of its experiment, which it shares with other seeds.
        number: Number of the experiment.
    """

    run: RecordedRun
    name: str
    group: str
    number: int


@dataclass(frozen=True, eq=False)
class Choice:
    """One of the figures that a chart can show.

    Attributes:
        label: What it is called where it is chosen.
        figure: The figure.
        section: Head under which it stands there; empty = none.
    """

    label: str
    figure: go.Figure
    section: str = ""


@dataclass(frozen=True, eq=False)
class Chart:
    """A place of a report that shows one of several figures.

    Attributes:
        key: Its name in the page's addresses.
        title: Its head.
        note: What a reader must know; where there is no figure, why not.
        choices: Its figures; none = there is nothing to draw.
    """

    key: str
    title: str
    note: str
    choices: tuple[Choice, ...] = field(default=())


def figure(x: str, y: str, traces: Sequence[dict[str, Any]], *, whole: bool = False, **layout: object) -> go.Figure:
    """A figure in the report's style.

    Args:
        x: Title of the horizontal axis.
        y: Title of the vertical axis.
        traces: From `line` and the like.
        whole: There are whole numbers along the horizontal axis, and no tick is to stand between two of them.
        **layout: More of plotly's layout.
    """
    across = {**_AXIS, "title": {"text": x}}
    if whole:
        largest = max(int(max(trace["x"])) for trace in traces)
        steps = (step * 10**power for power in range(10) for step in _STEPS)
        across |= {"tickformat": "d", "dtick": next(step for step in steps if largest <= step * _TICKS)}
    base = {
        "template": "none",
        "font": {"color": TEXT, "size": 13},
        "paper_bgcolor": PAPER,
        "plot_bgcolor": PAPER,
        "margin": {"l": 50, "r": 12, "t": 12, "b": 45},
        "showlegend": False,  # the page has one of its own, that wraps, and that a keyboard reaches
        "hoverlabel": {"bgcolor": PAPER, "font": {"color": TEXT}, "namelength": -1},
        "hovermode": "closest",
        "xaxis": across,
        "yaxis": {**_AXIS, "title": {"text": y, "standoff": 8}},
    }
    return go.Figure(data=list(traces), layout={**base, **layout})


def look(number: int) -> tuple[str, str]:
    """Colour and dashes of an experiment's lines.

    Args:
        number: Number of the experiment.
    """
    return PALETTE[number % len(PALETTE)], _DASHES[number // len(PALETTE) % len(_DASHES)]


def over_epochs(named: NamedRun, epochs: ArrayLike, values: ArrayLike, **more: object) -> dict[str, Any]:
    """A run's line over its epochs; of many epochs some, evenly spread, with the first and the last.

    Args:
        named: The run.
        epochs: `(n,)`.
        values: `(n,)`.
        **more: More of plotly's trace.
    """
    x, y = np.asarray(epochs), np.asarray(values)
    kept = np.linspace(0, len(x) - 1, min(len(x), MOST_EPOCHS)).round().astype(np.int64)
    return line(named, whole_numbers(x[kept]), y[kept], mode="lines+markers", **more)


def line(named: NamedRun, x: ArrayLike, y: ArrayLike, **more: object) -> dict[str, Any]:
    """A run's line; runs of one experiment look alike.

    Args:
        named: The run.
        x: `(n,)`.
        y: `(n,)`.
        **more: More of plotly's trace.
    """
    colour, dash = look(named.number)
    return {
        "type": "scatter",
        "mode": "lines",
        "x": np.asarray(x),
        "y": np.asarray(y, np.float32),  # as base64 half as long as of 8 bytes, and no eye sees more digits
        "name": named.group,  # for the page's own legend
        "line": {"color": colour, "width": 2, "dash": dash},
        "marker": {"size": 6, "color": colour, "symbol": _MARKERS[_DASHES.index(dash)]},
        "hovertemplate": f"{plain(named.name)}<br>%{{x}}: %{{y:.4g}}<extra></extra>",
        "meta": named.number,
        **more,
    }


def plain(text: str) -> str:
    """A name as plotly shows it letter by letter: it would read tags and templates in it."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped.replace("%{", "%&#123;").replace("\n", " ")


def lines(text: str) -> str:
    """The same in lines short enough to stand beside a chart on a telephone."""
    return "<br>".join(plain(part) for part in textwrap.wrap(" ".join(text.split()), _LETTERS, max_lines=3)) or " "


def whole_numbers(values: ArrayLike) -> ArrayLike:
    """Epochs and ranks in as few bytes as hold them, `(n,)`."""
    numbers = np.asarray(values)
    return numbers.astype(np.int16 if numbers.max(initial=0) < 2**15 else np.int32)


def as_json(chart: Chart) -> list[dict[str, Any]]:
    """The figures of a chart as the page's script takes them.

    Args:
        chart: The chart.
    """
    return [
        {"label": choice.label, "section": choice.section, "figure": json.loads(choice.figure.to_json())}
        for choice in chart.choices
    ]
