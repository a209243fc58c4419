"""What a camera looks at: a wide strip of wall and ground, and things that stand in the way."""

import dataclasses
from enum import IntEnum

import numpy as np

from wsreid.data.rendered.brush import Brush, Pixels, enlarge, shrink
from wsreid.data.rendered.look import Colour

HEIGHT, WIDTH = 128, 64  # of an image, in pixels
SCENE_WIDTH = 640  # of the strip, in image pixels
MARGIN = 16  # rows of the strip above and below an unshifted box


class Thing(IntEnum):
    """What stands in the way."""

    POLE = 0
    BIN = 1
    BUSH = 2
    RAILING = 3


@dataclasses.dataclass(frozen=True)
class Occluder:
    """A thing that hides who walks behind it.

    Attributes:
        thing: What it is.
        x: Its middle in columns of the strip.
        lane: How near it stands: people with a smaller lane pass behind it.
        size: Its half width in image pixels.
        colour: Its colour.
    """

    thing: Thing
    x: float
    lane: float
    size: float
    colour: Colour


def draw_scene(rng: np.random.Generator, walls: Colour, ground: Colour) -> Pixels:
    """Draws the strip behind the people.

    Args:
        rng: The camera's stream.
        walls: Colour of the wall.
        ground: Colour of the ground.

    Returns:
        (HEIGHT + 2 * MARGIN, SCENE_WIDTH, 3) uint8 RGB.
    """
    rows = HEIGHT + 2 * MARGIN
    strip: Pixels = np.zeros((rows, SCENE_WIDTH, 3), dtype=np.uint8)  # (rows, SCENE_WIDTH, 3)
    horizon = int(rng.integers(rows // 2, rows * 3 // 4))
    strip[:horizon] = walls
    strip[horizon:] = ground
    canvas = enlarge(strip)  # (3 rows, 3 SCENE_WIDTH, 3)
    brush = Brush(canvas)
    scale = canvas.shape[0] // rows
    _furnish(rng, brush, horizon, scale, walls)
    _pave(rng, brush, horizon, rows, scale, ground)
    strip = shrink(canvas)
    coarse = rng.integers(-5, 6, size=(rows // 4, SCENE_WIDTH // 4, 1))  # (rows/4, SCENE_WIDTH/4, 1)
    grain = coarse.repeat(4, axis=0).repeat(4, axis=1) + rng.integers(-3, 4, size=(rows, SCENE_WIDTH, 1))
    return np.clip(strip + grain, 0, 255).astype(np.uint8)


def _furnish(rng: np.random.Generator, brush: Brush, horizon: int, scale: int, walls: Colour) -> None:
    x = int(rng.integers(-20, 10))
    while x < SCENE_WIDTH:
        wide = int(rng.integers(18, 60))
        top = int(rng.integers(0, horizon // 2))
        low = int(rng.integers(horizon * 2 // 3, horizon + 1))
        if rng.random() < 0.75:
            tint = _tinted(rng, walls, 36)
            _box(brush, x, top, x + wide, low, tint, scale)
            inner = _tinted(rng, tint, 26)
            if rng.random() < 0.6:
                _box(brush, x + 4, top + 5, x + wide - 4, max(top + 8, low - 6), inner, scale)
            if rng.random() < 0.5:
                middle = x + wide // 2
                _box(brush, middle - 1, top, middle + 1, low, _tinted(rng, tint, 32), scale)
        x += wide + int(rng.integers(3, 26))


def _pave(rng: np.random.Generator, brush: Brush, horizon: int, rows: int, scale: int, ground: Colour) -> None:
    seam = _tinted(rng, ground, 18)
    step = int(rng.integers(9, 20))
    for y in range(horizon, rows, step):
        _box(brush, 0, y, SCENE_WIDTH, y + 1, seam, scale)
    slant = int(rng.integers(-20, 21))
    if rng.random() < 0.7:
        for x in range(-40, SCENE_WIDTH + 40, step * 2):
            corners = [(x, horizon), (x + 1, horizon), (x + slant + 1, rows), (x + slant, rows)]
            brush.polygon([(cx * scale, cy * scale) for cx, cy in corners], seam)
    if rng.random() < 0.6:
        y = int(rng.integers(horizon + 4, rows - 6))
        _box(brush, 0, y, SCENE_WIDTH, y + int(rng.integers(2, 6)), _tinted(rng, ground, 40), scale)


def _box(brush: Brush, left: int, top: int, right: int, bottom: int, colour: Colour, scale: int) -> None:
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    brush.polygon([(x * scale, y * scale) for x, y in corners], colour)


def _tinted(rng: np.random.Generator, colour: Colour, amount: int) -> Colour:
    light = int(rng.integers(-amount, amount + 1))
    red, green, blue = (
        min(250, max(5, channel + light + int(rng.integers(-amount // 2, amount // 2 + 1)))) for channel in colour
    )
    return red, green, blue


def draw_occluder(brush: Brush, occluder: Occluder, x: float, ground: float, scale: float) -> None:
    """Paints a thing over what is on the canvas.

    Args:
        brush: The canvas.
        occluder: What stands there.
        x: Column of its middle in canvas pixels.
        ground: Row of the ground under it.
        scale: Canvas pixels per image pixel.
    """
    half = occluder.size * scale
    tall = {Thing.POLE: 200.0, Thing.BIN: 40.0, Thing.BUSH: 38.0, Thing.RAILING: 46.0}[occluder.thing] * scale
    red, green, blue = occluder.colour
    dark = (red * 3 // 4, green * 3 // 4, blue * 3 // 4)
    match occluder.thing:
        case Thing.POLE | Thing.BIN:
            corners = [(x - half, ground - tall), (x + half, ground - tall), (x + half, ground), (x - half, ground)]
            brush.polygon(corners, occluder.colour)
            shaded = [(x, ground - tall), (x + half, ground - tall), (x + half, ground), (x, ground)]
            brush.polygon(shaded, dark)
        case Thing.BUSH:
            for shift, lift, part in ((-0.6, 0.3, 0.6), (0.6, 0.35, 0.55), (0.0, 0.55, 0.7), (0.2, 0.2, 0.6)):
                colour = occluder.colour if lift > 0.3 else dark
                brush.disc((x + shift * half, ground - lift * tall), part * half, 0.45 * tall, colour)
        case Thing.RAILING:
            for lift in (0.95, 0.55, 0.15):
                y = ground - lift * tall
                brush.limb((x - half, y), (x + half, y), 1.4 * scale, 1.4 * scale, occluder.colour)
            for shift in (-1.0, 0.0, 1.0):
                brush.limb((x + shift * half, ground), (x + shift * half, ground - tall), scale, scale, dark)
