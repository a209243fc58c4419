"""A picture of training bags with the label that a method gave each image, beside the true one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from wsreid.data.seeding import scrambled
from wsreid.methods.epoch_labels import EpochLabels
from wsreid.tracking.bag_figure import Image, ShownBag, label_text
from wsreid.tracking.figure_files import WIDTH, new_figure

RIGHT, WRONG, UNKNOWN = "#1a9850", "#d73027", "#404040"
MOST_IMAGES: Final = 8
_TEXT: Final = 9
_LABEL_SHARE: Final = 1.8  # width of a bag's label, in widths of an image
_LETTERS: Final = 11  # of a name above an image


@dataclass(frozen=True, eq=False)
class LabelledImage:
    """An image of a bag.

    Attributes:
        image: RGB, `(H, W, 3)` uint8.
        label: Name of the identity that the method gave it; None = none.
        confidence: Probability of the label; NaN = not known.
        truth: Name of the true identity; None = not known.
    """

    image: Image
    label: str | None
    confidence: float
    truth: str | None


@dataclass(frozen=True, eq=False)
class LabelledBag:
    """A bag.

    Attributes:
        bag: What stands beside it.
        images: Its images.
    """

    bag: ShownBag
    images: tuple[LabelledImage, ...]


def shown_bags(
    labels: EpochLabels,
    count: int,
    name: Callable[[int], str],
    image: Callable[[int], Image],
) -> list[LabelledBag]:
    """Bags of an epoch, chosen by a hash of their id: the same ones in each epoch and for every method.

    Args:
        labels: The labels of the epoch.
        count: How many bags; all where there are fewer.
        name: Name of the identity of a class.
        image: RGB image of a manifest row.

    Returns:
        The bags by id, each with its first `MOST_IMAGES` images by member.
    """
    bags = np.sort(np.argsort(scrambled(labels.bag_id), kind="stable")[:count])
    return [_bag(labels, int(bag), name, image) for bag in bags]


def _bag(labels: EpochLabels, bag: int, name: Callable[[int], str], image: Callable[[int], Image]) -> LabelledBag:
    def named(index: np.int64) -> str | None:
        return name(int(index)) if index >= 0 else None

    inside: NDArray[np.int64] = np.flatnonzero(labels.bag == bag)
    inside = inside[np.argsort(labels.member[inside], kind="stable")][:MOST_IMAGES]
    candidates = [name(index) for index in labels.candidates[bag].tolist() if index >= 0]
    images = tuple(
        LabelledImage(
            image=image(int(labels.row[i])),
            label=named(labels.pseudo[i]),
            confidence=float(labels.confidence[i]),
            truth=named(labels.truth[i]),
        )
        for i in inside
    )
    size, bag_id = int(labels.bag_size[bag]), int(labels.bag_id[bag])
    return LabelledBag(ShownBag(bag_id, size, tuple(candidates), tuple(one.image for one in images)), images)


def labelled_bag_figure(bags: Sequence[LabelledBag], title: str) -> Figure:
    """Draws a line for each bag: its label left, its images right, each with its label, confidence and truth.

    Args:
        bags: At least one, each with at least one image.
        title: What stands above; what the colours mean is added.

    Returns:
        The figure.

    Raises:
        ValueError: There is nothing to draw.
    """
    if not bags or not all(bag.images for bag in bags):
        raise ValueError("labelled_bag_figure needs at least one bag, and an image of each")
    columns = max(len(bag.images) for bag in bags)
    ratios = [_LABEL_SHARE, *[1.0] * columns]
    width = WIDTH / 100 / (_LABEL_SHARE + MOST_IMAGES)  # of an image, however many there are
    tall = [max(min(one.image.shape[0] / one.image.shape[1], 3.0) for one in bag.images) for bag in bags]
    heights = [max(0.75 + width * ratio, 1.5) for ratio in tall]
    figure = new_figure(0.5 + sum(heights))
    figure.set_figwidth(width * (_LABEL_SHARE + columns))
    figure.suptitle(f"{title}\ngreen = right, red = wrong, grey = truth not known", fontsize=_TEXT + 1)
    axes = figure.subplots(
        len(bags), columns + 1, squeeze=False, gridspec_kw={"width_ratios": ratios, "height_ratios": heights}
    )
    for line, bag in zip(axes, bags, strict=True):
        for axis in line:
            axis.set_axis_off()
        text = label_text(bag.bag)
        line[0].text(0, 1, text, va="top", fontsize=_TEXT, parse_math=False, transform=line[0].transAxes)
        for axis, one in zip(line[1:], bag.images, strict=False):
            axis.imshow(one.image, aspect="equal", interpolation="antialiased")
            axis.set_anchor("N")
            axis.set_title(caption(one), fontsize=_TEXT - 1, color=colour(one), parse_math=False)
    return figure


def caption(one: LabelledImage) -> str:
    """What stands above an image: its label and how sure it is, and the truth."""
    label = "no label" if one.label is None else _short(one.label)
    sure = "" if math.isnan(one.confidence) else f"\n{100 * one.confidence:.0f} % sure"
    return f"{label}{sure}\nis {'unknown' if one.truth is None else _short(one.truth)}"


def colour(one: LabelledImage) -> str:
    """Green where the label is the truth, red where it is not, grey where the truth is not known."""
    if one.truth is None:
        return UNKNOWN
    return RIGHT if one.label == one.truth else WRONG


def _short(name: str) -> str:
    return name if len(name) <= _LETTERS else f"{name[: _LETTERS - 1]}…"
