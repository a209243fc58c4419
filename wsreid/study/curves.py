"""How methods fare as the bags change: a figure over the bag settings of a study."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from wsreid.study.comparison import Comparison, Line
from wsreid.study.study_file import Study
from wsreid.tracking.figure_files import new_figure

Point = tuple[float, Line]
_MARKERS = "osD^vP*X<>"


def curves_figure(study: Study, comparisons: Sequence[Comparison]) -> Figure | None:
    """Draws mAP over the bag setting, a panel for each axis that at least two settings stand on.

    Args:
        study: The study.
        comparisons: Its tables.

    Returns:
        The figure; None where there is nothing to draw a curve of.
    """
    panels = {axis: curves for axis in _axes(study) if (curves := _curves(study, comparisons, axis))}
    if not panels:
        return None
    figure = new_figure(4.5)
    figure.suptitle(f"{study.name}: mAP with 95 % intervals over query identities, seeds pooled", fontsize=11)
    for panel, (axis, curves) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        _draw(panel, axis, curves)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False)
    return figure


def _axes(study: Study) -> list[str]:
    names = dict.fromkeys(axis for setting in study.settings for axis in setting.x)
    return [axis for axis in names if sum(axis in setting.x for setting in study.settings) > 1]


def _curves(study: Study, comparisons: Sequence[Comparison], axis: str) -> dict[str, list[Point]]:
    curves: dict[str, list[Point]] = {}
    at = {setting.name: setting.x[axis] for setting in study.settings if axis in setting.x}
    for comparison in comparisons:
        for line in comparison.lines if comparison.setting in at else ():
            curves.setdefault(line.label, []).append((at[comparison.setting], line))
    ordered = [entry.label for entry in study.methods if entry.label in curves]
    return {label: sorted(curves[label], key=lambda point: point[0]) for label in ordered}


def _draw(panel: Axes, axis: str, curves: dict[str, list[Point]]) -> None:
    for number, (label, points) in enumerate(curves.items()):
        x = [at for at, _ in points]
        y = [line.map_interval.value for _, line in points]
        below = [line.map_interval.value - line.map_interval.low for _, line in points]
        above = [line.map_interval.high - line.map_interval.value for _, line in points]
        style = "--" if any(line.truth for _, line in points) else "-"
        marker = _MARKERS[number % len(_MARKERS)]
        panel.errorbar(x, y, yerr=[below, above], label=label, linestyle=style, marker=marker, capsize=3, markersize=5)
    panel.set_xlabel(axis)
    panel.set_ylabel("mAP (step), %")
    panel.set_xticks(sorted({at for points in curves.values() for at, _ in points}))
    panel.grid(alpha=0.3)
