"""Pictures of ranked lists: a query, the gallery images closest to it, and which of them are right."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from wsreid.retrieval import RetrievalResult
from wsreid.whole_file import whole_file

Image = np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]
RIGHT, WRONG, QUERY = "#1a9850", "#d73027", "#404040"


def draw_ranked(
    result: RetrievalResult,
    queries: list[int],
    image: Callable[[int], Image],
    pid: Callable[[int], int],
    path: Path,
    *,
    title: str,
    length: int = 10,
) -> None:
    """Draws one line of images per query: the query left, then its ranked list.

    Args:
        result: An evaluation that kept top-k lists.
        queries: Indices of the queries to draw, top first.
        image: RGB image of a row, `(H, W, 3)` uint8.
        pid: Identity of a row; a gallery image is right if its identity is the query's.
        path: PNG file to write.
        title: What stands above, such as the order of the queries.
        length: Gallery images per query.

    Raises:
        ValueError: The result has no top-k lists, or there is no query to draw.
    """
    if result.topk is None or not queries:
        raise ValueError("draw_ranked needs top-k lists and at least one query")
    length = min(length, result.topk.shape[1])
    height = 2.25 * len(queries) + 0.35
    figure = Figure(figsize=(1.0 * (length + 1) + 0.2, height), dpi=100)
    FigureCanvasAgg(figure)
    figure.suptitle(f"{title}; green = right, red = wrong", fontsize=10, y=1 - 0.08 / height, va="top")
    axes = figure.subplots(len(queries), length + 1, squeeze=False)
    # a layout engine would find the same places, and two thirds of the whole time more
    figure.subplots_adjust(0.02, 0.05 / height, 0.98, 1 - 0.75 / height, wspace=0.12, hspace=0.26)
    for line, query in zip(axes, queries, strict=True):
        row = int(result.query_row[query])
        first = float(result.ranks[query][0]) + 1 if len(result.ranks[query]) else None
        label = "no match" if first is None else f"first match\nat rank {first:g}"
        _show(line[0], image(row), f"query\n{label}", QUERY)
        for place, axis in enumerate(line[1:]):
            hit = int(result.topk[query, place])
            if hit < 0:
                axis.set_axis_off()
                continue
            right = pid(hit) == pid(row)
            _show(axis, image(hit), f"{place + 1} {'right' if right else 'wrong'}", RIGHT if right else WRONG)
    with whole_file(path, "wb") as file:
        figure.savefig(file, format="png")


def _show(axis: Axes, image: Image, label: str, colour: str) -> None:
    axis.imshow(image, aspect="equal")
    axis.set_title("\n".join(textwrap.wrap(label, 14) if "\n" not in label else [label]), fontsize=7, color=colour)
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set(edgecolor=colour, linewidth=3)
