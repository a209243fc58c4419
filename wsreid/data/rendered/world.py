"""Simulated time: who walks where, when, and with whom."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from wsreid.data.rendered.pedestrian import Pose
from wsreid.data.rendered.scene import SCENE_WIDTH
from wsreid.data.rendered.settings import RenderSettings
from wsreid.data.rendered.streams import Stream, stream

FRAMES_PER_TICK = 12  # boxes are taken every 12 frames: about two a second
IMAGES_PER_VISIT = 3.5
COMPANY = (0.5, 0.35, 0.15)  # odds that one, two or three walk together
IN_VIEW = (2, 3)  # below this number, drawn anew each tick, the next group walks in
STEP = 46.0  # columns of the scene walked in a tick across the view
APART = 38.0  # least distance in columns between two who walk together
DIRECTIONS = 8


@dataclasses.dataclass(frozen=True)
class Walk:
    """One identity's walk through one camera's sequence.

    Attributes:
        person: Index of the identity.
        camera: 1-based camera.
        sequence: 1-based sequence.
        start: First tick in view.
        ticks: Number of ticks in view.
        heading: Direction in radians, as in Pose.
        x: Column of the scene in the middle of the walk.
        lane: How near to the camera, 0 far .. 1 near.
        phase: Phase of the gait at the start.
        cadence: Change of the phase in a tick.
    """

    person: int
    camera: int
    sequence: int
    start: int
    ticks: int
    heading: float
    x: float
    lane: float
    phase: float
    cadence: float

    def column(self, tick: int) -> float:
        """Column of the scene at a tick."""
        return self.x + STEP * math.sin(self.heading) * (tick - self.start - (self.ticks - 1) / 2)

    def pose(self, tick: int) -> Pose:
        """Direction and gait at a tick."""
        return Pose(self.heading, self.phase + self.cadence * (tick - self.start))


@dataclasses.dataclass(frozen=True)
class Sighting:
    """One box of one identity in one frame.

    Attributes:
        walk: Whose box it is.
        tick: When.
        box: 1-based number of the box within the frame.
        others: The other walks in view.
    """

    walk: Walk
    tick: int
    box: int
    others: tuple[Walk, ...]

    @property
    def frame(self) -> int:
        """Frame number within the sequence."""
        return FRAMES_PER_TICK * (self.tick + 1)


def simulate(settings: RenderSettings, people: Sequence[int], first_sequence: int) -> list[Sighting]:
    """Lets people walk through all cameras' sequences.

    Args:
        settings: Settings of the set.
        people: Indices of the identities.
        first_sequence: Number of the first of the `settings.sequences` sequences used.

    Returns:
        The sightings in order of camera, sequence, tick and box. Each identity is seen by two cameras or more, and at
        most once in a frame.
    """
    visits: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for person in people:
        for camera, ticks in _visits(settings, person):
            rng = stream(settings.seed, Stream.VISITS, person, camera)
            sequence = first_sequence + int(rng.integers(settings.sequences))
            visits.setdefault((camera, sequence), []).append((person, ticks))
    sightings = []
    for (camera, sequence), guests in sorted(visits.items()):
        sightings += _sightings(_walks(settings.seed, camera, sequence, guests))
    return sightings


def _visits(settings: RenderSettings, person: int) -> list[tuple[int, int]]:
    """Cameras that see a person, each once, and for how many ticks."""
    rng = stream(settings.seed, Stream.VISITS, person)
    total = settings.images_per_id + int(rng.integers(-2, 3))
    wanted = round(total / IMAGES_PER_VISIT + float(rng.random()) - 0.5)
    count = min(settings.cameras, max(2, wanted))
    ticks = [total // count + (index < total % count) for index in range(count)]
    return [(int(camera) + 1, length) for camera, length in zip(rng.permutation(settings.cameras), ticks, strict=False)]


def _walks(seed: int, camera: int, sequence: int, guests: list[tuple[int, int]]) -> list[Walk]:
    """Lets guests in, group by group, whenever few are in view."""
    rng = stream(seed, Stream.WALKS, camera, sequence)
    waiting = [guests[index] for index in rng.permutation(len(guests))]
    walks: list[Walk] = []
    tick = 0
    while waiting:
        wanted = IN_VIEW[int(rng.integers(len(IN_VIEW)))]
        while waiting and sum(walk.start + walk.ticks > tick for walk in walks) < wanted:
            size = 1 + int(np.searchsorted(np.cumsum(COMPANY), float(rng.random()), side="right"))
            group, waiting = waiting[:size], waiting[size:]
            walks += _group(rng, camera, sequence, tick, group)
        tick += 1
    return walks


def _group(rng: np.random.Generator, camera: int, sequence: int, tick: int, group: list[tuple[int, int]]) -> list[Walk]:
    turn = 2 * math.pi / DIRECTIONS
    heading = turn * (int(rng.integers(DIRECTIONS)) + 0.4 * (float(rng.random()) - 0.5))
    middle = SCENE_WIDTH * (0.2 + 0.6 * float(rng.random()))
    lane = 0.2 + 0.6 * float(rng.random())
    walks = []
    for place, (person, ticks) in enumerate(group):
        walks.append(
            Walk(
                person=person,
                camera=camera,
                sequence=sequence,
                start=tick,
                ticks=ticks,
                heading=heading + 0.3 * (float(rng.random()) - 0.5),
                x=middle + (place - (len(group) - 1) / 2) * APART * (1 + 0.7 * float(rng.random())),
                lane=lane + 0.3 * (float(rng.random()) - 0.5),
                phase=2 * math.pi * float(rng.random()),
                cadence=1.6 + 1.2 * float(rng.random()),
            )
        )
    return walks


def _sightings(walks: list[Walk]) -> list[Sighting]:
    found = []
    for tick in range(max(walk.start + walk.ticks for walk in walks)):
        there = [walk for walk in walks if walk.start <= tick < walk.start + walk.ticks]
        for box, walk in enumerate(there, start=1):
            found.append(Sighting(walk, tick, box, tuple(other for other in there if other is not walk)))
    return found
