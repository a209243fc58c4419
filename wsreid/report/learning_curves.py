"""How losses and validation figures move over the epochs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import plotly.graph_objects as go

from wsreid.report.chart import Chart, Choice, NamedRun, figure, over_epochs
from wsreid.tracking.csv_logger import METRICS_FILE

FIRST: Final = ("val/mAP_step", "val/R1", "val/R5", "val/R10", "val/mAP_trapezoid", "val/mINP", "train/loss")
_PERCENT: Final = ("R1", "R5", "R10", "mAP_step", "mAP_trapezoid", "mINP")
_ELSEWHERE: Final = ("train/label_refine/", "train/labels/")  # in the diagnostics, by groups of bags too
_COUNTS: Final = ("val/n_",)


def learning_curves(runs: Sequence[NamedRun]) -> Chart:
    """A figure for each metric that at least one run logged in training.

    Args:
        runs: The runs.

    Returns:
        The chart.

    Raises:
        DataError: A file is damaged.
    """
    names = {name for named in runs for name in named.run.metrics.columns if _is_shown(name)}
    ordered = [name for name in FIRST if name in names] + sorted(names - set(FIRST))
    choices = [Choice(name, drawn) for name in ordered if (drawn := _figure(name, runs)) is not None]
    note = "The last value of each epoch. Runs of one experiment have one colour."
    if not choices:
        note = f"n/a: no run has logged a value in its {METRICS_FILE}."
    elif bare := [named.name for named in runs if not any(len(named.run.curve(name)) for name in names)]:
        note += f" Without a curve, as {METRICS_FILE} is missing or holds no value: {', '.join(bare)}."
    return Chart("curves", "Learning curves", note, tuple(choices))


def _is_shown(name: str) -> bool:
    return name.startswith(("val/", "train/")) and not name.startswith((*_ELSEWHERE, *_COUNTS))


def _figure(name: str, runs: Sequence[NamedRun]) -> go.Figure | None:
    percent = name.removeprefix("val/") in _PERCENT
    traces = []
    for named in runs:
        curve = named.run.curve(name)
        if len(curve):
            y = curve["value"].to_numpy() * (100 if percent else 1)
            traces.append(over_epochs(named, curve["epoch"], y))
    return figure("epoch", f"{name}, %" if percent else name, traces, whole=True) if traces else None
