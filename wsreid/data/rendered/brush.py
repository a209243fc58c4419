"""Filled shapes on a supersampled canvas, in whole-number arithmetic."""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from wsreid.data.rendered.look import Colour, Pattern

Pixels = npt.NDArray[np.uint8]
Point = tuple[float, float]

SUPERSAMPLING = 3  # canvas pixels per image pixel, each way
_SHIFT = 4  # OpenCV's fractional bits


class Brush:
    """Draws on a canvas without anti-aliasing; averaging the supersampled canvas smooths the edges.

    Args:
        canvas: (H, W, 3) uint8 RGB, changed in place.
    """

    def __init__(self, canvas: Pixels) -> None:
        self.canvas = canvas

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        """Fills a polygon.

        Args:
            points: Corners (x, y) in canvas pixels.
            colour: Its colour.
        """
        cv2.fillPoly(self.canvas, [_fixed(points)], colour, cv2.LINE_8, _SHIFT)

    def disc(self, centre: Point, radius_x: float, radius_y: float, colour: Colour, angles: Point = (0, 360)) -> None:
        """Fills an ellipse, or a part of one.

        Args:
            centre: (x, y) in canvas pixels.
            radius_x: Half its width.
            radius_y: Half its height.
            colour: Its colour.
            angles: First and last angle in degrees, clockwise from the right.
        """
        (x, y), (rx, ry) = _fixed([centre, (max(0.0, radius_x), max(0.0, radius_y))]).tolist()
        first, last = angles
        cv2.ellipse(self.canvas, (x, y), (rx, ry), 0, first, last, colour, cv2.FILLED, cv2.LINE_8, _SHIFT)

    def limb(self, start: Point, end: Point, start_radius: float, end_radius: float, colour: Colour) -> None:
        """Fills a tapered stroke with round ends.

        Args:
            start: Centre of the first end in canvas pixels.
            end: Centre of the last end.
            start_radius: Its half width at the start.
            end_radius: Its half width at the end.
            colour: Its colour.
        """
        along_x, along_y = end[0] - start[0], end[1] - start[1]
        length = max(1e-6, (along_x * along_x + along_y * along_y) ** 0.5)
        across_x, across_y = -along_y / length, along_x / length
        self.polygon(
            [
                (start[0] + across_x * start_radius, start[1] + across_y * start_radius),
                (end[0] + across_x * end_radius, end[1] + across_y * end_radius),
                (end[0] - across_x * end_radius, end[1] - across_y * end_radius),
                (start[0] - across_x * start_radius, start[1] - across_y * start_radius),
            ],
            colour,
        )
        self.disc(start, start_radius, start_radius, colour)
        self.disc(end, end_radius, end_radius, colour)

    def cloth(self, points: Sequence[Point], pattern: Pattern, first: Colour, second: Colour, thread: float) -> None:
        """Fills a polygon with patterned cloth that hangs from its topmost middle.

        Args:
            points: Corners (x, y) in canvas pixels.
            pattern: How the two colours are woven.
            first: The main colour.
            second: The other one.
            thread: Width of a stripe in canvas pixels.
        """
        if pattern is Pattern.PLAIN:
            self.polygon(points, first)
            return
        corners = _fixed(points)
        left, top = (corners.min(axis=0) >> _SHIFT).tolist()
        right, bottom = ((corners.max(axis=0) >> _SHIFT) + 1).tolist()
        middle = (left + right) // 2
        height, width = self.canvas.shape[:2]
        y = np.arange(max(0, top), min(height, bottom + 1))  # (h,)
        x = np.arange(max(0, left), min(width, right + 1))  # (w,)
        if not len(y) or not len(x):
            return
        stencil = np.zeros(self.canvas.shape[:2], dtype=np.uint8)  # (H, W)
        cv2.fillPoly(stencil, [corners], 255, cv2.LINE_8, _SHIFT)
        box = (slice(y[0], y[-1] + 1), slice(x[0], x[-1] + 1))
        inside = stencil[box] > 0  # (h, w)
        marked = woven(pattern, y - top, x - middle, bottom - top, max(1, round(thread)))  # (h, w)
        self.canvas[box][inside & ~marked] = first
        self.canvas[box][inside & marked] = second

    def shadow(self, centre: Point, radius_x: float, radius_y: float) -> None:
        """Darkens an ellipse of the ground by a quarter.

        Args:
            centre: (x, y) in canvas pixels.
            radius_x: Half its width.
            radius_y: Half its height.
        """
        x, y = centre
        height, width = self.canvas.shape[:2]
        top, bottom = max(0, int(y - radius_y) - 2), min(height, int(y + radius_y) + 3)
        left, right = max(0, int(x - radius_x) - 2), min(width, int(x + radius_x) + 3)
        if top >= bottom or left >= right:
            return
        stencil = np.zeros((bottom - top, right - left), dtype=np.uint8)  # (h, w)
        Brush(stencil).disc((x - left, y - top), radius_x, radius_y, (255, 255, 255))
        dark = self.canvas[top:bottom, left:right]  # (h, w, 3)
        dark -= (dark >> 2) * (stencil > 0)[..., None]


def woven(
    pattern: Pattern, y: npt.NDArray[np.int64], x: npt.NDArray[np.int64], height: int, thread: int
) -> npt.NDArray[np.bool_]:
    """Where the second colour of a cloth shows.

    Args:
        pattern: How the cloth is woven.
        y: (h,) rows below the garment's top.
        x: (w,) columns right of the garment's middle.
        height: Rows of the garment.
        thread: Width of a stripe in pixels.

    Returns:
        (h, w) bool.
    """
    row, column = np.meshgrid(y, x, indexing="ij")  # (h, w) each
    hoop: npt.NDArray[np.bool_] = (row // thread) % 2 == 1
    pin: npt.NDArray[np.bool_] = ((column + thread // 2) // thread) % 2 == 1
    low: npt.NDArray[np.bool_] = row * 2 > height
    belt: npt.NDArray[np.bool_] = (row * 10 > height * 3) & (row * 10 < height * 6)
    both: npt.NDArray[np.bool_] = hoop & pin
    either: npt.NDArray[np.bool_] = hoop ^ pin
    match pattern:
        case Pattern.HOOPS:
            return hoop
        case Pattern.PINSTRIPES:
            return pin
        case Pattern.CHECKS:
            return either
        case Pattern.DOTS:
            return both
        case Pattern.HALVES:
            return low
        case Pattern.BAND:
            return belt
        case Pattern.PLAIN:
            return np.zeros_like(hoop)


def shrink(canvas: Pixels) -> Pixels:
    """Averages each square of supersampled pixels, rounding to nearest.

    Args:
        canvas: (H * s, W * s, 3) uint8 with s = SUPERSAMPLING.

    Returns:
        (H, W, 3) uint8.
    """
    step = SUPERSAMPLING
    total = np.zeros((canvas.shape[0] // step, canvas.shape[1] // step, 3), dtype=np.uint16)  # (H, W, 3)
    for dy in range(step):
        for dx in range(step):
            total += canvas[dy::step, dx::step]
    return ((total + step * step // 2) // (step * step)).astype(np.uint8)


def enlarge(image: Pixels) -> Pixels:
    """Repeats each pixel into a square of supersampled pixels.

    Args:
        image: (H, W, 3) uint8.

    Returns:
        (H * s, W * s, 3) uint8 with s = SUPERSAMPLING.
    """
    return image.repeat(SUPERSAMPLING, axis=0).repeat(SUPERSAMPLING, axis=1)


def _fixed(points: Sequence[Point]) -> npt.NDArray[np.int32]:
    return np.array([[round(x * (1 << _SHIFT)), round(y * (1 << _SHIFT))] for x, y in points], dtype=np.int32)
