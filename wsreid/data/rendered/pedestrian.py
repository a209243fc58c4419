"""A walking pedestrian: a small 3-D skeleton, turned, projected and painted from back to front."""

import dataclasses
import math

from wsreid.data.rendered.brush import Brush, Point
from wsreid.data.rendered.look import Bag, Bottom, Colour, Hair, Hat, Look

_PITCH = 0.18  # sine of the angle at which the camera looks down
_THREAD = 0.03  # width of a stripe in body heights
_SHOULDER = 0.815  # height of the shoulders in body heights
_HEAD = 0.915


@dataclasses.dataclass(frozen=True)
class Pose:
    """How a pedestrian is caught.

    Attributes:
        heading: Walking direction in radians: 0 towards the camera, pi / 2 to the right, pi away.
        phase: Phase of the gait in radians.
    """

    heading: float
    phase: float


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a pedestrian stands on the canvas.

    Attributes:
        x: Column of the body's middle in canvas pixels.
        ground: Row of the ground under it.
        height: Length of one body height in canvas pixels.
    """

    x: float
    ground: float
    height: float


class _Figure:
    def __init__(self, brush: Brush, look: Look, pose: Pose, place: Place) -> None:
        self.brush = brush
        self.look = look
        self.pose = pose
        self.place = place
        self.unit = place.height * look.stature
        self.sin = math.sin(pose.heading)
        self.cos = math.cos(pose.heading)

    def at(self, right: float, up: float, ahead: float) -> Point:
        nearer = self.nearer(right, ahead)
        x = self.place.x + self.unit * (ahead * self.sin - right * self.cos)
        return x, self.place.ground - self.unit * (up - _PITCH * nearer)

    def nearer(self, right: float, ahead: float) -> float:
        return ahead * self.cos + right * self.sin

    def half_width(self, wide: float, deep: float) -> float:
        return math.hypot(wide * self.cos, deep * self.sin)

    def row(self, up: float, half: float) -> tuple[Point, Point]:
        x, y = self.at(0.0, up, 0.0)
        return (x - half * self.unit, y), (x + half * self.unit, y)

    def legs(self) -> None:
        look = self.look
        swing = look.stride * math.sin(self.pose.phase)
        for side in sorted((-1, 1), key=lambda side: self.nearer(side * look.hips, 0.0)):
            angle = side * swing
            bend = 0.15 + 0.6 * max(0.0, -side * math.cos(self.pose.phase)) * look.stride
            thigh, shin = 0.52 * look.legs, 0.44 * look.legs
            hip = (side * look.hips * 0.55, look.legs, 0.0)
            knee = (hip[0], hip[1] - thigh * math.cos(angle), thigh * math.sin(angle))
            ankle = (hip[0], knee[1] - shin * math.cos(angle - bend), knee[2] + shin * math.sin(angle - bend))
            toe = (hip[0], ankle[1] - 0.012, ankle[2] + 0.055)
            upper, lower = 0.056 * look.limbs * self.unit, 0.042 * look.limbs * self.unit
            thin = 0.032 * look.limbs * self.unit
            bare = look.bottom_kind is not Bottom.TROUSERS
            shade = _darker(look.bottom, 8 if side < 0 else 0)
            self.brush.limb(self.at(*ankle), self.at(*toe), 0.028 * self.unit, 0.024 * self.unit, look.shoes)
            self.brush.limb(self.at(*knee), self.at(*ankle), lower * 0.9, thin, look.skin if bare else shade)
            if bare:
                self.brush.limb(self.at(*hip), self.at(*knee), upper, lower, look.skin)
            else:
                self.brush.limb(self.at(*knee), self.at(*ankle), lower, thin * 1.15, shade)
            if look.bottom_kind is not Bottom.SKIRT:
                self.brush.limb(self.at(*hip), self.at(*knee), upper * 1.08, lower * 1.15, shade)

    def skirt(self) -> None:
        look = self.look
        if look.bottom_kind is not Bottom.SKIRT:
            return
        waist = self.half_width(look.hips, look.depth * 1.1)
        flare = self.half_width(look.hips + 0.045, look.depth + 0.06)
        left, right = self.row(look.legs + 0.08, waist)
        low_left, low_right = self.row(0.29, flare)
        self.brush.polygon([left, right, low_right, low_left], look.bottom)

    def torso(self) -> None:
        look = self.look
        neck_left, neck_right = self.row(_SHOULDER + 0.035, self.half_width(0.05, 0.04))
        left, right = self.row(_SHOULDER, self.half_width(look.shoulders, look.depth))
        waist_left, waist_right = self.row(0.62, self.half_width((look.shoulders + look.hips) * 0.46, look.depth))
        hem_left, hem_right = self.row(look.hem, self.half_width(look.hips * 1.12, look.depth * 1.15))
        outline = [neck_left, neck_right, right, waist_right, hem_right, hem_left, waist_left, left]
        self.brush.cloth(outline, look.pattern, look.top, look.second, _THREAD * self.unit)

    def arm(self, side: int) -> None:
        look = self.look
        angle = -side * 0.9 * look.stride * math.sin(self.pose.phase)
        shoulder = (side * (look.shoulders - 0.012), _SHOULDER - 0.018, 0.0)
        elbow = (
            side * (look.shoulders + 0.02),
            shoulder[1] - 0.17 * math.cos(angle),
            0.17 * math.sin(angle),
        )
        bend = angle + 0.35
        wrist = (elbow[0], elbow[1] - 0.15 * math.cos(bend), elbow[2] + 0.15 * math.sin(bend))
        wide, middle, thin = (r * look.limbs * self.unit for r in (0.038, 0.032, 0.024))
        start, joint, end = self.at(*shoulder), self.at(*elbow), self.at(*wrist)
        sleeve = _darker(look.top, 10)
        self.brush.limb(joint, end, middle * 0.85, thin, look.skin)
        self.brush.disc(end, thin * 1.15, thin * 1.15, look.skin)
        if look.long_sleeves:
            cuff = (joint[0] + 0.8 * (end[0] - joint[0]), joint[1] + 0.8 * (end[1] - joint[1]))
            self.brush.limb(joint, cuff, middle, thin * 1.1, sleeve)
            self.brush.limb(start, joint, wide, middle, sleeve)
        else:
            half = ((start[0] + joint[0]) / 2, (start[1] + joint[1]) / 2)
            self.brush.limb(half, joint, middle * 0.9, middle * 0.85, look.skin)
            self.brush.limb(start, half, wide, middle * 1.15, sleeve)
        if look.bag is Bag.HAND and side == look.bag_side:
            x, y = self.at(wrist[0], wrist[1] - 0.03, wrist[2])
            half_width, drop = 0.055 * self.unit, 0.12 * self.unit
            self.brush.polygon(
                [
                    (x - half_width * 0.75, y),
                    (x + half_width * 0.75, y),
                    (x + half_width, y + drop),
                    (x - half_width, y + drop),
                ],
                look.bag_colour,
            )

    def head(self) -> None:
        look = self.look
        x, y = self.at(0.0, _HEAD, 0.012)
        wide, tall = 0.056 * self.unit, 0.072 * self.unit
        facing = self.cos > -0.5
        crown = look.skin if look.hair is Hair.BALD else look.hair_colour
        self.brush.limb(
            self.at(0.0, _SHOULDER + 0.01, 0.0), (x, y), 0.032 * self.unit, 0.032 * self.unit, _darker(look.skin, 14)
        )
        if look.hair is Hair.LONG and facing:
            self._mane(x - 0.02 * self.sin * self.unit, y)
        self.brush.disc((x, y), wide, tall, crown)
        if facing:
            turn = self.sin * 0.42 * wide
            self.brush.disc((x + turn, y + 0.18 * tall), wide * (0.86 - 0.26 * abs(self.sin)), tall * 0.78, look.skin)
            if self.cos > 0.3:
                eye = 0.009 * self.unit
                for side in (-1, 1):
                    self.brush.disc((x + turn + side * 0.36 * wide, y + 0.1 * tall), eye, eye, (40, 32, 30))
        elif look.hair is Hair.LONG:
            self._mane(x, y)
        if look.hair is Hair.BUN:
            bun_x, bun_y = self.at(0.0, _HEAD + 0.055, -0.045)
            self.brush.disc((bun_x, bun_y), wide * 0.55, wide * 0.55, look.hair_colour)
        self._hat(x, y, wide, tall)

    def _mane(self, x: float, y: float) -> None:
        half = 0.066 * self.unit
        self.brush.polygon(
            [
                (x - half * 0.8, y - 0.03 * self.unit),
                (x + half * 0.8, y - 0.03 * self.unit),
                (x + half * 1.1, y + 0.17 * self.unit),
                (x - half * 1.1, y + 0.17 * self.unit),
            ],
            self.look.hair_colour,
        )

    def _hat(self, x: float, y: float, wide: float, tall: float) -> None:
        look = self.look
        if look.hat is Hat.NONE:
            return
        brow = y - 0.15 * tall
        self.brush.disc((x, brow), wide * 1.14, tall * 0.98, look.hat_colour, angles=(180, 360))
        if look.hat is Hat.CAP:
            peak = x + self.sin * wide * 1.2
            self.brush.disc(
                (peak, brow + 0.06 * tall * self.cos), wide * 0.9, tall * 0.16, _darker(look.hat_colour, 20)
            )
        elif look.hat is Hat.BRIM:
            self.brush.disc((x, brow), wide * 1.9, tall * 0.24, _darker(look.hat_colour, 12))
        else:
            self.brush.disc((x, brow - 0.95 * tall), wide * 0.36, wide * 0.36, _darker(look.hat_colour, -30))

    def backpack(self) -> None:
        look = self.look
        x, y = self.at(0.0, 0.665, -look.depth - 0.045)
        half, tall = self.half_width(0.098, 0.062) * self.unit, 0.125 * self.unit
        self.brush.polygon(
            [
                (x - half * 0.8, y - tall),
                (x + half * 0.8, y - tall),
                (x + half, y - tall * 0.5),
                (x + half, y + tall),
                (x - half, y + tall),
                (x - half, y - tall * 0.5),
            ],
            look.bag_colour,
        )
        self.brush.polygon(
            [
                (x - half * 0.7, y + tall * 0.2),
                (x + half * 0.7, y + tall * 0.2),
                (x + half * 0.7, y + tall * 0.85),
                (x - half * 0.7, y + tall * 0.85),
            ],
            _darker(look.bag_colour, 22),
        )

    def backpack_straps(self) -> None:
        look = self.look
        if self.cos < -0.3:
            return
        for side in (-1, 1):
            shift = side * look.shoulders * 0.52
            start, end = self.at(shift, _SHOULDER + 0.015, look.depth * 0.6), self.at(shift, 0.62, look.depth * 0.8)
            self.brush.limb(start, end, 0.016 * self.unit, 0.016 * self.unit, look.bag_colour)

    def shoulder_bag(self) -> None:
        look = self.look
        x, y = self.at(look.bag_side * (look.hips + 0.05), 0.5, -0.02)
        half, tall = self.half_width(0.05, 0.085) * self.unit, 0.065 * self.unit
        self.brush.polygon(
            [(x - half, y - tall), (x + half, y - tall), (x + half * 0.9, y + tall), (x - half * 0.9, y + tall)],
            look.bag_colour,
        )
        self.brush.limb(
            (x - half * 0.9, y - tall * 0.3), (x + half * 0.9, y - tall * 0.3), 2.0, 2.0, _darker(look.bag_colour, 25)
        )

    def shoulder_strap(self) -> None:
        look = self.look
        ahead = look.depth * (0.8 if self.cos >= 0 else -0.8)
        start = self.at(-look.bag_side * look.shoulders * 0.5, _SHOULDER + 0.02, ahead * 0.4)
        end = self.at(look.bag_side * look.hips, 0.55, ahead)
        self.brush.limb(start, end, 0.013 * self.unit, 0.013 * self.unit, look.bag_colour)


def draw_pedestrian(brush: Brush, look: Look, pose: Pose, place: Place) -> None:
    """Paints a pedestrian and its shadow over what is on the canvas.

    Args:
        brush: The canvas.
        look: Who it is.
        pose: Direction and gait.
        place: Where on the canvas.
    """
    figure = _Figure(brush, look, pose, place)
    brush.shadow(
        (place.x + 0.06 * figure.unit, place.ground + 0.01 * figure.unit), 0.2 * figure.unit, 0.04 * figure.unit
    )
    far, near = sorted((-1, 1), key=lambda side: figure.nearer(side * look.shoulders, 0.0))
    sideways = abs(figure.sin) > 0.35
    carried_behind = figure.cos > -0.3
    bag_is_near = figure.nearer(look.bag_side * 1.0, 0.0) > -0.35
    if look.bag is Bag.BACKPACK and carried_behind:
        figure.backpack()
    if look.bag is Bag.SHOULDER and not bag_is_near:
        figure.shoulder_bag()
    figure.arm(far)
    if not sideways:
        figure.arm(near)
    figure.legs()
    figure.skirt()
    figure.torso()
    if look.bag is Bag.BACKPACK:
        figure.backpack_straps()
    if look.bag is Bag.SHOULDER:
        figure.shoulder_strap()
    if sideways:
        figure.arm(near)
    if look.bag is Bag.SHOULDER and bag_is_near:
        figure.shoulder_bag()
    figure.head()
    if look.bag is Bag.BACKPACK and not carried_behind:
        figure.backpack()


def _darker(colour: Colour, amount: int) -> Colour:
    red, green, blue = (min(255, max(0, channel - amount)) for channel in colour)
    return red, green, blue
