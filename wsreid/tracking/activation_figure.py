"""A picture of images, each beside where the network looks in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from numpy.typing import NDArray

from wsreid.tracking.bag_figure import Image
from wsreid.tracking.figure_files import WIDTH, new_figure

_IN_LINE: Final = 6
_TEXT: Final = 9
_SHARE: Final = 0.5  # of the colours, beside the image's own
_COLOURS: Final = "inferno"


def overlay(image: Image, activation: NDArray[np.float32]) -> Image:
    """An image with the colours of its activation map over it: dark = nothing, bright = strong.

    Args:
        image: RGB, `(H, W, 3)` uint8.
        activation: In [0, 1], `(H, W)`.

    Returns:
        `(H, W, 3)` uint8.
    """
    colours = colormaps[_COLOURS](activation)[..., :3]  # (H, W) -> (H, W, 4) -> (H, W, 3)
    mixed = (1 - _SHARE) * image + _SHARE * 255 * colours
    return np.asarray(mixed.round(), np.uint8)


def activation_figure(
    images: Sequence[Image], activations: Sequence[NDArray[np.float32]], names: Sequence[str], title: str
) -> Figure:
    """Draws each image beside its overlay.

    Args:
        images: RGB, `(H, W, 3)` uint8 each; at least one.
        activations: In [0, 1], `(H, W)` each.
        names: What stands above each.
        title: What stands above all.

    Returns:
        The figure.

    Raises:
        ValueError: There is no image.
    """
    if not images:
        raise ValueError("activation_figure needs at least one image")
    across = min(len(images), _IN_LINE)
    down = -(-len(images) // across)
    tall = min(max(image.shape[0] / image.shape[1] for image in images), 3.0)
    width = WIDTH / 100 / (2 * _IN_LINE)
    figure = new_figure(0.6 + down * (0.4 + width * tall))
    figure.suptitle(f"{title}\nbright = the last map is strong here", fontsize=_TEXT + 1)
    axes = figure.subplots(down, 2 * _IN_LINE, squeeze=False)
    for axis in axes.ravel():
        axis.set_axis_off()
    for i, (image, activation, name) in enumerate(zip(images, activations, names, strict=True)):
        line, place = divmod(i, across)
        left, right = axes[line, 2 * place], axes[line, 2 * place + 1]
        left.imshow(image, aspect="equal", interpolation="antialiased")
        right.imshow(overlay(image, activation), aspect="equal", interpolation="antialiased")
        left.set_title(name, fontsize=_TEXT - 1, parse_math=False)
    return figure
