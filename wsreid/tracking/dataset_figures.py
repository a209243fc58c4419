"""The figures of the comparison of data sets: bags by images per bag, images and identities per data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from wsreid.data.bags import Bags
from wsreid.data.dataset_statistics import SetStatistics
from wsreid.tracking.figure_files import new_figure

WHOLE, TEST = "#0072B2", "#E69F00"  # of Okabe and Ito's palette: apart for colour-blind readers, and in grey
_TEXT: Final = 11
_MEASURED: Final = "//"
_MOST_BINS: Final = 120
_MOST_OUTLINED: Final = 60
_MOST_GROUPS: Final = 5


@dataclass(frozen=True, eq=False)
class BagSizes:
    """The bags of one file, as far as the figure needs them.

    Attributes:
        title: What stands above them.
        images: Images in each bag, `(B,)` int64.
        candidates: Identities that each bag's label names, `(B,)` int64.
    """

    title: str
    images: NDArray[np.int64]
    candidates: NDArray[np.int64]

    @classmethod
    def of(cls, bags: Bags, title: str) -> BagSizes:
        """Counts the bags of a file.

        Args:
            bags: The bags, at least one.
            title: What stands above them.

        Returns:
            Their sizes.
        """
        candidates = np.fromiter((len(bags.candidates(bag)) for bag in range(len(bags))), np.int64, len(bags))
        return cls(title, bags.sizes, candidates)


def counts_figure(lines: Sequence[SetStatistics], what: Literal["images", "identities"]) -> Figure:
    """Bars of the images, or of the identities, of each data set, whole and test, on a logarithmic scale.

    Args:
        lines: The data sets, top first; the bars of those measured on a manifest are hatched.
        what: Which figure.

    Returns:
        The figure.

    Raises:
        ValueError: There is no data set.
    """
    if not lines:
        raise ValueError("counts_figure needs at least one data set")
    figure = new_figure(1.3 + 0.52 * len(lines))
    axis = figure.add_subplot()
    whole = [getattr(line, what) for line in lines]
    test = [None if line.test is None else getattr(line.test, what) for line in lines]
    for place, (line, all_of_it, part) in enumerate(zip(lines, whole, test, strict=True)):
        _bar(axis, place - 0.2, all_of_it, WHOLE, line.measured, f"{all_of_it:,}")
        _bar(axis, place + 0.2, part, TEST, line.measured, "no fixed test split" if line.test is None else "n/a")
    axis.set_xscale("log")
    axis.set_xlim(*_decades([count for count in (*whole, *test) if count]))
    axis.xaxis.set_major_locator(LogLocator(numticks=12))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axis.set_yticks(range(len(lines)), [_name(line) for line in lines], fontsize=_TEXT, parse_math=False)
    for name, line in zip(axis.get_yticklabels(), lines, strict=True):
        name.set_fontweight("bold" if line.measured else "normal")
    axis.set_ylim(len(lines) - 0.5, -0.5)
    axis.set_xlabel(f"{what} (logarithmic scale)", fontsize=_TEXT)
    _quiet(axis)
    handles = [Patch(facecolor=WHOLE, label=f"{what}, whole set"), Patch(facecolor=TEST, label=f"{what}, test split")]
    if any(line.measured for line in lines):
        label = "measured on a manifest; the others as published"
        handles.append(Patch(facecolor="0.6", edgecolor="white", hatch=_MEASURED, label=label))
    figure.legend(handles=handles, loc="outside upper left", ncols=len(handles), fontsize=_TEXT, frameon=False)
    return figure


def bags_figure(files: Sequence[BagSizes]) -> Figure:
    """How many bags hold how many images, one panel for each bag file, stacked by the length of the label.

    Args:
        files: The bag files, top first.

    Returns:
        The figure.

    Raises:
        ValueError: There is no bag file.
    """
    if not files:
        raise ValueError("bags_figure needs at least one bag file")
    figure = new_figure(0.3 + 3.2 * len(files))
    for axis, bags in zip(figure.subplots(len(files), squeeze=False)[:, 0], files, strict=True):
        _histogram(axis, bags)
    return figure


def bin_edges(sizes: NDArray[np.int64], most: int = _MOST_BINS) -> NDArray[np.float64]:
    """Edges of bins that hold whole numbers, each a round number wide (1, 2, 5, 10, ...).

    Args:
        sizes: Whole numbers of at least 0, at least one of them, `(B,)`.
        most: Largest number of bins.

    Returns:
        Edges halfway between whole numbers, ascending, `(bins + 1,)`; each size lies in a bin.
    """
    low, high = int(sizes.min()), int(sizes.max())
    width, factors = 1, (2, 2.5, 2)
    step = 0
    while high // width - low // width + 1 > most:
        width = round(width * factors[step % 3])
        step += 1
    first, last = low // width * width, (high // width + 1) * width
    return (np.arange(first, last + width, width) - 0.5).astype(np.float64)


def label_groups(candidates: NDArray[np.int64]) -> list[tuple[str, NDArray[np.bool_]]]:
    """Groups bags by the number of identities that their label names; the longest labels share the last group.

    Args:
        candidates: Identities in each bag's label, `(B,)`.

    Returns:
        Name and bags, `(B,)` bool, of each group that has any; a bag is in one group.
    """
    lengths = np.unique(candidates)
    if len(lengths) <= _MOST_GROUPS:
        return [(f"{length}", candidates == length) for length in lengths]
    groups = [(f"{length}", candidates == length) for length in lengths[: _MOST_GROUPS - 1]]
    rest = lengths[_MOST_GROUPS - 1]
    return [*groups, (f"{rest} or more", candidates >= rest)]


def _histogram(axis: Axes, bags: BagSizes) -> None:
    edges = bin_edges(bags.images)
    groups = label_groups(bags.candidates)
    line = 0.5 if len(edges) <= _MOST_OUTLINED else 0.0
    shades = mpl.colormaps["cividis"](np.linspace(0.05, 0.9, len(groups)))  # (groups, 4): dark to light, in grey too
    below = np.zeros(len(edges) - 1)
    for (name, chosen), shade in zip(groups, shades, strict=True):
        counts, _ = np.histogram(bags.images[chosen], edges)
        axis.bar(edges[:-1], counts, np.diff(edges), below, align="edge", color=shade, ec="0.25", lw=line, label=name)
        below += counts
    figures = (
        f"{len(bags.images):,} bags of {bags.images.min():,} to {bags.images.max():,} images, "
        f"median {np.median(bags.images):,.0f}"
    )
    axis.set_title(f"{bags.title}: {figures}", fontsize=_TEXT, loc="left", parse_math=False)
    axis.set_xlabel("images in the bag", fontsize=_TEXT)
    axis.set_ylabel("bags", fontsize=_TEXT)
    axis.set_xlim(edges[0], edges[-1])
    for scale in (axis.xaxis, axis.yaxis):
        scale.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        scale.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axis.legend(title="identities in the label", fontsize=_TEXT - 1, title_fontsize=_TEXT - 1, frameon=False)
    _quiet(axis)


def _bar(axis: Axes, place: float, count: int | None, colour: str, measured: bool, absent: str) -> None:
    if not count:
        axis.annotate(absent, (0, place), (4, 0), ("axes fraction", "data"), "offset points", va="center", color="0.35")
        return
    axis.barh(place, count, 0.38, color=colour, edgecolor="white", linewidth=0, hatch=_MEASURED if measured else None)
    axis.annotate(f"{count:,}", (count, place), (4, 0), textcoords="offset points", va="center", fontsize=_TEXT - 1)


def _decades(counts: Sequence[int]) -> tuple[float, float]:
    """Ends of the scale: a decade below the least count, and room behind the longest bar for its number."""
    low, high = min(counts, default=1), max(counts, default=10)
    return 10.0 ** np.floor(np.log10(low) - 0.3), high * (max(high / low, 10) ** 0.2)


def _name(line: SetStatistics) -> str:
    return f"{line.title}\n(measured)" if line.measured else line.title


def _quiet(axis: Axes) -> None:
    axis.tick_params(labelsize=_TEXT - 1)
    axis.set_axisbelow(True)
    axis.grid(visible=True, axis="x" if axis.get_xscale() == "log" else "y", color="0.88")
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
