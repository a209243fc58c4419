"""One image: background, people from far to near, what stands in the way, and the camera over it all."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from wsreid.data.rendered.brush import SUPERSAMPLING, Brush, Pixels, enlarge, shrink
from wsreid.data.rendered.camera import Camera
from wsreid.data.rendered.look import Look
from wsreid.data.rendered.pedestrian import Place, draw_pedestrian
from wsreid.data.rendered.scene import HEIGHT, MARGIN, SCENE_WIDTH, WIDTH, draw_occluder
from wsreid.data.rendered.world import Sighting

BODY = 111.0  # rows of a body in an unzoomed box
GROUND = 120.0  # row of the ground in an unshifted box
DEPTH_ROWS = 22.0  # rows between the ground of lane 0 and lane 1
CLEAR = 32.0  # columns, at least, between the middle of a box's owner and of someone nearer


@dataclasses.dataclass(frozen=True)
class Crop:
    """How a box was cut.

    Attributes:
        zoom: Factor on the size of the body.
        right: Columns by which the body is off to the right.
        down: Rows by which it is off downwards.
    """

    zoom: float = 1.0
    right: float = 0.0
    down: float = 0.0


def jittered(rng: np.random.Generator) -> Crop:
    """A box as a good detector cuts it."""
    return Crop(_between(rng, 0.93, 1.07), _between(rng, -4, 4), _between(rng, -4, 4))


def spoiled(rng: np.random.Generator) -> Crop:
    """A box as a bad detector cuts it: a part of a body."""
    zoom = _between(rng, 1.4, 2.2)
    return Crop(zoom, _between(rng, -22, 22), _between(rng, 0, (zoom - 1) * HEIGHT))


def photograph(
    camera: Camera, looks: Sequence[Look], sighting: Sighting, crop: Crop, rng: np.random.Generator
) -> Pixels:
    """Takes the image of a sighting.

    Args:
        camera: The camera.
        looks: Looks of all people, by index.
        sighting: Who is where.
        crop: How the box is cut.
        rng: The image's stream.

    Returns:
        (HEIGHT, WIDTH, 3) uint8 RGB.
    """
    owner, tick = sighting.walk, sighting.tick
    column = owner.column(tick)
    brush = Brush(enlarge(_backdrop(camera, column - crop.right, crop.down)))
    things: list[tuple[float, int, float]] = [(owner.lane, -1, 0.0)]
    for index, other in enumerate(sighting.others):
        aside = other.column(tick) - column
        if other.lane > owner.lane and abs(aside) < CLEAR:
            aside = CLEAR if aside >= 0 else -CLEAR
        if abs(aside) < WIDTH:
            things.append((other.lane, index, aside))
    for index, occluder in enumerate(camera.occluders):
        if abs(occluder.x - column) < WIDTH:
            things.append((occluder.lane, len(sighting.others) + index, occluder.x - column))
    for lane, index, aside in sorted(things):
        x = SUPERSAMPLING * (WIDTH / 2 + crop.right + crop.zoom * aside)
        nearer = lane - owner.lane
        ground = SUPERSAMPLING * (GROUND + crop.down + crop.zoom * DEPTH_ROWS * nearer)
        size = SUPERSAMPLING * crop.zoom * (1 + 0.2 * nearer)
        if index >= len(sighting.others):
            draw_occluder(brush, camera.occluders[index - len(sighting.others)], x, ground, size)
        else:
            walk = owner if index < 0 else sighting.others[index]
            draw_pedestrian(brush, looks[walk.person], walk.pose(tick), Place(x, ground, BODY * size))
    return camera.record(shrink(brush.canvas), rng)


def photograph_background(camera: Camera, rng: np.random.Generator) -> Pixels:
    """Takes an image in which nobody stands: a false detection.

    Args:
        camera: The camera.
        rng: The image's stream.

    Returns:
        (HEIGHT, WIDTH, 3) uint8 RGB.
    """
    column = _between(rng, WIDTH, SCENE_WIDTH - WIDTH)
    brush = Brush(enlarge(_backdrop(camera, column, 0.0)))
    for occluder in camera.occluders:
        x = SUPERSAMPLING * (WIDTH / 2 + occluder.x - column)
        draw_occluder(brush, occluder, x, SUPERSAMPLING * GROUND, SUPERSAMPLING)
    return camera.record(shrink(brush.canvas), rng)


def _backdrop(camera: Camera, column: float, down: float) -> Pixels:
    left = min(SCENE_WIDTH - WIDTH, max(0, round(column) - WIDTH // 2))
    top = min(2 * MARGIN, max(0, MARGIN - round(down)))
    return camera.scene[top : top + HEIGHT, left : left + WIDTH]


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    return low + (high - low) * float(rng.random())
