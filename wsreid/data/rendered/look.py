"""What makes an identity: clothes, colours, patterns, hair, hat, bag and body."""

import dataclasses
from enum import IntEnum

import numpy as np

from wsreid.data.rendered.streams import Stream, stream

Colour = tuple[int, int, int]  # RGB, 0..255


class Pattern(IntEnum):
    """How cloth is woven or printed from its two colours."""

    PLAIN = 0
    HOOPS = 1
    PINSTRIPES = 2
    CHECKS = 3
    DOTS = 4
    HALVES = 5
    BAND = 6


class Bottom(IntEnum):
    """What covers the legs."""

    TROUSERS = 0
    SHORTS = 1
    SKIRT = 2


class Hair(IntEnum):
    """How hair is worn."""

    SHORT = 0
    LONG = 1
    BALD = 2
    BUN = 3


class Hat(IntEnum):
    """What is on the head."""

    NONE = 0
    CAP = 1
    BEANIE = 2
    BRIM = 3


class Bag(IntEnum):
    """What is carried."""

    NONE = 0
    BACKPACK = 1
    SHOULDER = 2
    HAND = 3


CLOTH: tuple[Colour, ...] = (
    (34, 33, 38),  # black
    (228, 228, 224),  # white
    (128, 130, 134),  # grey
    (32, 44, 98),  # navy
    (48, 104, 204),  # blue
    (198, 36, 42),  # red
    (234, 126, 36),  # orange
    (236, 208, 62),  # yellow
    (42, 138, 66),  # green
    (28, 144, 148),  # teal
    (116, 62, 156),  # purple
    (236, 146, 178),  # pink
    (116, 72, 44),  # brown
    (212, 188, 146),  # beige
)
LEGWEAR: tuple[Colour, ...] = (
    (36, 35, 40),  # black
    (74, 98, 148),  # denim
    (30, 40, 84),  # navy
    (140, 140, 142),  # grey
    (206, 182, 140),  # beige
    (108, 70, 46),  # brown
    (94, 108, 56),  # olive
    (222, 222, 218),  # white
    (134, 30, 46),  # maroon
    (60, 134, 128),  # teal
)
HAIR: tuple[Colour, ...] = ((26, 22, 20), (74, 48, 30), (148, 104, 56), (206, 172, 108), (150, 148, 146), (140, 58, 30))
SKIN: tuple[Colour, ...] = ((238, 204, 178), (222, 176, 142), (186, 132, 98), (132, 88, 62), (88, 58, 42))

ATTRIBUTES: dict[str, tuple[float, ...]] = {  # name -> odds of its values
    "top": (1,) * len(CLOTH),
    "bottom": (2, 2, 1, 1, 1, 1, 1, 1, 1, 1),
    "pattern": (6, 2, 2, 2, 2, 3, 2),
    "second": (1,) * len(CLOTH),
    "bottom_kind": (5, 2, 2),
    "sleeves": (1, 1),
    "hem": (3, 2),
    "hair": (4, 4, 1, 2),
    "hair_colour": (4, 4, 2, 2, 1, 1),
    "hat": (6, 2, 2, 2),
    "hat_colour": (1,) * len(CLOTH),
    "bag": (2, 2, 2, 2),
    "bag_colour": (1,) * len(CLOTH),
    "bag_side": (1, 1),
    "shoes": (1,) * len(CLOTH),
    "skin": (3, 3, 2, 2, 1),
}
STRONG = ("top", "bottom", "pattern", "second", "bottom_kind", "hat", "bag", "hair")
MIN_DIFFERENCES = 5  # strong attributes, of eight, in which two identities differ at least
ATTEMPTS = 100


@dataclasses.dataclass(frozen=True)
class Look:
    """One identity's stable appearance; lengths in body heights.

    Attributes:
        top, second: The two colours of the upper garment.
        pattern: How the two are woven.
        bottom: Colour of the lower garment.
        bottom_kind: Its kind.
        long_sleeves: Sleeves to the wrist, else to above the elbow.
        hem: Height of the upper garment's lower edge above the ground.
        hair, hair_colour, hat, hat_colour, bag, bag_colour: As they are called.
        bag_side: -1 left, +1 right.
        shoes, skin: Colours.
        shoulders, hips, depth: Half widths of the body, and its half thickness.
        legs: Height of the hip.
        limbs: Factor on the thickness of arms and legs.
        stature: Factor on the height of the drawn body.
        stride: Largest angle of the thigh in radians.
    """

    top: Colour
    second: Colour
    pattern: Pattern
    bottom: Colour
    bottom_kind: Bottom
    long_sleeves: bool
    hem: float
    hair: Hair
    hair_colour: Colour
    hat: Hat
    hat_colour: Colour
    bag: Bag
    bag_colour: Colour
    bag_side: int
    shoes: Colour
    skin: Colour
    shoulders: float
    hips: float
    depth: float
    legs: float
    limbs: float
    stature: float
    stride: float


def draw_looks(seed: int, count: int) -> tuple[Look, ...]:
    """Draws identities that share every single cue with others but differ pairwise in several.

    Args:
        seed: Seed of the set.
        count: Number of identities.

    Returns:
        One look per identity; the first k of them do not depend on `count`.
    """
    codes = np.zeros((count, len(STRONG)), dtype=np.int64)  # (count, 8)
    looks = []
    for person in range(count):
        for attempt in range(ATTEMPTS):
            rng = stream(seed, Stream.LOOK, person, attempt)
            values = {name: _pick(rng, odds) for name, odds in ATTRIBUTES.items()}
            if values["second"] == values["top"]:
                values["second"] = (values["top"] + 1) % len(CLOTH)
            code = np.array([values[name] for name in STRONG], dtype=np.int64)  # (8,)
            differences = (codes[:person] != code).sum(axis=1)  # (person,)
            if person == 0 or int(differences.min()) >= MIN_DIFFERENCES:
                break
        codes[person] = code
        looks.append(_dress(rng, values))
    return tuple(looks)


def _dress(rng: np.random.Generator, values: dict[str, int]) -> Look:
    build = _between(rng, -1.0, 1.0)
    pattern = Pattern(values["pattern"])
    return Look(
        top=_shade(rng, CLOTH[values["top"]]),
        second=_shade(rng, CLOTH[values["second"]]),
        pattern=pattern,
        bottom=_shade(rng, LEGWEAR[values["bottom"]]),
        bottom_kind=Bottom(values["bottom_kind"]),
        long_sleeves=values["sleeves"] == 0,
        hem=(0.46, 0.36)[values["hem"]] if values["bottom_kind"] != Bottom.SKIRT else 0.48,
        hair=Hair(values["hair"]),
        hair_colour=HAIR[values["hair_colour"]],
        hat=Hat(values["hat"]),
        hat_colour=_shade(rng, CLOTH[values["hat_colour"]]),
        bag=Bag(values["bag"]),
        bag_colour=_shade(rng, CLOTH[values["bag_colour"]]),
        bag_side=(-1, 1)[values["bag_side"]],
        shoes=_shade(rng, CLOTH[values["shoes"]]),
        skin=SKIN[values["skin"]],
        shoulders=0.128 + 0.016 * build + _between(rng, -0.008, 0.008),
        hips=0.092 + 0.016 * build + _between(rng, -0.008, 0.008),
        depth=0.078 + 0.018 * build,
        legs=0.49 + _between(rng, -0.02, 0.02),
        limbs=1.0 + 0.18 * build,
        stature=1.0 + _between(rng, -0.06, 0.04),
        stride=_between(rng, 0.3, 0.55),
    )


def _pick(rng: np.random.Generator, odds: tuple[float, ...]) -> int:
    return int(np.searchsorted(np.cumsum(odds), rng.random() * sum(odds), side="right"))


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    return low + (high - low) * float(rng.random())


def _shade(rng: np.random.Generator, colour: Colour) -> Colour:
    light = int(rng.integers(-9, 10))
    red, green, blue = (min(255, max(0, channel + light + int(rng.integers(-5, 6)))) for channel in colour)
    return red, green, blue
