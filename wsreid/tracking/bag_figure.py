"""Pictures of the training data: images by bag beside the bag's label, and queries beside a match."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from wsreid.tracking.figure_files import WIDTH, new_figure

Image = NDArray[np.uint8]
_TEXT: Final = 11
_LABEL_SHARE: Final = 2.3  # width of a label, in widths of an image
_LINES: Final = 6  # of names in a label
_COLUMNS: Final = 22  # letters in a line of a label
_PAIRS_IN_LINE: Final = 4


@dataclass(frozen=True, eq=False)
class ShownBag:
    """A bag to draw.

    Attributes:
        bag_id: Its id.
        size: Images in the bag, those not shown among them.
        label: Names of the identities that its label names.
        images: RGB images, `(H, W, 3)` uint8 each.
    """

    bag_id: int
    size: int
    label: tuple[str, ...]
    images: tuple[Image, ...]


@dataclass(frozen=True, eq=False)
class ShownPair:
    """A query and one of its matches, to draw.

    Attributes:
        identity: Name of the identity that both show.
        query: RGB image, `(H, W, 3)` uint8.
        match: The same.
        query_camera: Camera of the query; -1 = unknown.
        match_camera: The same of the match.
    """

    identity: str
    query: Image
    match: Image
    query_camera: int
    match_camera: int


def bag_figure(bags: Sequence[ShownBag]) -> Figure:
    """Draws a line for each bag: its label left, its images right.

    Args:
        bags: At least one, each with at least one image.

    Returns:
        The figure.

    Raises:
        ValueError: There is nothing to draw.
    """
    if not bags or not all(bag.images for bag in bags):
        raise ValueError("bag_figure needs at least one bag, and an image of each")
    columns = max(len(bag.images) for bag in bags)
    ratios = [_LABEL_SHARE, *[1.0] * columns]
    width = WIDTH / 100 / sum(ratios)
    tall = [_tallest(bag.images) for bag in bags]
    heights = [max(0.1 + width * min(ratio, 3.0), 0.2 * (_LINES + 3)) for ratio in tall]
    figure = new_figure(0.4 + sum(heights))
    figure.suptitle("Training images by bag; the label says who is in the bag, not in which image", fontsize=_TEXT + 1)
    axes = figure.subplots(
        len(bags), columns + 1, squeeze=False, gridspec_kw={"width_ratios": ratios, "height_ratios": heights}
    )
    for line, bag in zip(axes, bags, strict=True):
        for axis in line:
            axis.set_axis_off()
        line[0].text(0, 1, label_text(bag), va="top", fontsize=_TEXT, parse_math=False, transform=line[0].transAxes)
        for axis, image in zip(line[1:], bag.images, strict=False):
            _show(axis, image)
    return figure


def label_text(bag: ShownBag) -> str:
    """What stands beside a bag: its id, its size, its label.

    Args:
        bag: The bag.

    Returns:
        Several lines; of a long label the first names, and how many more there are.
    """
    count = len(bag.label)
    head = [f"bag {bag.bag_id}", f"{bag.size:,} {'image' if bag.size == 1 else 'images'}, {len(bag.images)} shown"]
    head.append(f"label: {count:,} {'identity' if count == 1 else 'identities'}")
    shown = min(count, _LINES * _COLUMNS // 3)  # a name takes a letter, a comma and a space at least
    while len(lines := _wrapped(bag.label, shown)) > _LINES and shown > 1:
        shown -= 1
    return "\n".join([*head, *lines])


def pair_figure(pairs: Sequence[ShownPair]) -> Figure:
    """Draws queries, each beside one of its matches.

    Args:
        pairs: At least one.

    Returns:
        The figure.

    Raises:
        ValueError: There is no pair.
    """
    if not pairs:
        raise ValueError("pair_figure needs at least one pair")
    across = min(len(pairs), _PAIRS_IN_LINE)
    down = -(-len(pairs) // across)
    width = WIDTH / 100 / (2 * _PAIRS_IN_LINE)
    tall = min(_tallest([image for pair in pairs for image in (pair.query, pair.match)]), 3.0)
    figure = new_figure(0.4 + down * (0.6 + width * tall))
    figure.suptitle("Queries, each beside a match in the gallery", fontsize=_TEXT + 1)
    groups = figure.subfigures(down, across, squeeze=False).ravel()
    for group, pair in zip(groups, pairs, strict=False):
        group.suptitle(f"identity {_shortened(pair.identity)}", fontsize=_TEXT, parse_math=False)
        left, right = group.subplots(1, 2)
        for axis, image, what, camera in (
            (left, pair.query, "query", pair.query_camera),
            (right, pair.match, "match", pair.match_camera),
        ):
            _show(axis, image)
            axis.set_axis_off()
            axis.set_title(what if camera < 0 else f"{what}\ncamera {camera}", fontsize=_TEXT - 1)
    return figure


def _show(axis: Axes, image: Image) -> None:
    axis.imshow(image, aspect="equal", interpolation="antialiased")
    axis.set_anchor("N")  # pictures of all heights start at one line


def _tallest(images: Sequence[Image]) -> float:
    return max(float(image.shape[0] / image.shape[1]) for image in images)


def _wrapped(names: tuple[str, ...], shown: int) -> list[str]:
    text = ", ".join(_shortened(name) for name in names[:shown])
    more = len(names) - shown
    return textwrap.wrap(f"{text} and {more:,} more" if more else text, _COLUMNS)


def _shortened(name: str) -> str:
    name = " ".join(name.split())
    return name if len(name) <= _COLUMNS else f"{name[: _COLUMNS - 1]}…"
