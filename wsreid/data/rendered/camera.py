"""A camera: its scene and how it records colours."""

import dataclasses
import math

import cv2
import numpy as np
import numpy.typing as npt

from wsreid.data.rendered.brush import Pixels
from wsreid.data.rendered.scene import SCENE_WIDTH, Occluder, Thing, draw_scene
from wsreid.data.rendered.streams import Stream, stream

CAST = 0.11  # largest relative change of a channel by the white balance
GAMMA = (0.82, 1.25)
EXPOSURE = (0.86, 1.14)
BLUR = (0.3, 0.8)  # standard deviation in pixels
NOISE = (1.0, 5.0)  # standard deviation in grey levels
SATURATION = (0.85, 1.05)
FLICKER = 0.05  # relative change of exposure from image to image
OCCLUDERS = 2
WALLS = ((148, 142, 134), (128, 114, 106), (160, 162, 166), (116, 124, 130), (166, 156, 138), (124, 130, 116))
GROUND = ((124, 122, 120), (142, 136, 126), (106, 108, 112), (122, 126, 112), (150, 146, 142), (132, 120, 112))


@dataclasses.dataclass(frozen=True, eq=False)
class Camera:
    """What one camera does to every image it takes.

    Attributes:
        number: 1-based number.
        scene: (rows, SCENE_WIDTH, 3) uint8, what stands behind the people.
        occluders: What stands before them.
        response: (256, 3) uint8: recorded level of each scene level, per channel.
        exposure: 256 = unchanged.
        saturation: 256 = unchanged.
        blur: Standard deviation of its blur in pixels.
        noise: Standard deviation of its noise in grey levels.
    """

    number: int
    scene: Pixels
    occluders: tuple[Occluder, ...]
    response: Pixels
    exposure: int
    saturation: int
    blur: float
    noise: float

    def record(self, image: Pixels, rng: np.random.Generator) -> Pixels:
        """Takes an image: exposure, white balance and gamma, saturation, blur, noise.

        Args:
            image: (H, W, 3) uint8 RGB, what is there.
            rng: The image's stream.

        Returns:
            (H, W, 3) uint8 RGB, what is recorded.
        """
        flicker = int(256 * FLICKER)
        gain = self.exposure * (256 + int(rng.integers(-flicker, flicker + 1))) >> 8
        levels = np.minimum(np.arange(256) * gain >> 8, 255)  # (256,)
        table = np.ascontiguousarray(self.response[levels])  # (256, 3)
        seen = cv2.LUT(image, table[None]).astype(np.int32)  # (H, W, 3)
        grey = (seen @ np.array([77, 150, 29], dtype=np.int32) >> 8)[..., None]  # (H, W, 1)
        faded = np.clip(grey + ((seen - grey) * self.saturation >> 8), 0, 255).astype(np.uint8)  # (H, W, 3)
        soft = cv2.GaussianBlur(faded, (7, 7), self.blur)
        noisy: Pixels = np.clip(soft + _noise(rng, image.shape, self.noise), 0, 255).astype(np.uint8)
        return noisy


def make_cameras(seed: int, count: int) -> tuple[Camera, ...]:
    """Draws the cameras of a set; each trait is spread evenly over them, so that seeds are equally hard.

    Args:
        seed: Seed of the set.
        count: Number of cameras.

    Returns:
        Cameras 1..count.
    """
    rng = stream(seed, Stream.CAMERA, 0)
    turn = float(rng.random())
    ranks = {trait: rng.permutation(count) for trait in ("gamma", "exposure", "blur", "noise", "saturation", "place")}

    def spread(trait: str, index: int, bounds: tuple[float, float]) -> float:
        low, high = bounds
        return low + (high - low) * (float(ranks[trait][index]) + 0.5) / count

    cameras = []
    for index in range(count):
        own = stream(seed, Stream.CAMERA, index + 1)
        hue = 2 * math.pi * (index / count + turn)
        gains = [1 + CAST * math.cos(hue - 2 * math.pi * channel / 3) for channel in range(3)]
        place = int(ranks["place"][index])
        scene = draw_scene(own, WALLS[place % len(WALLS)], GROUND[(place * 5 + 1) % len(GROUND)])
        cameras.append(
            Camera(
                number=index + 1,
                scene=scene,
                occluders=_occluders(own),
                response=_response(gains, spread("gamma", index, GAMMA)),
                exposure=round(256 * spread("exposure", index, EXPOSURE)),
                saturation=round(256 * spread("saturation", index, SATURATION)),
                blur=spread("blur", index, BLUR),
                noise=spread("noise", index, NOISE),
            )
        )
    return tuple(cameras)


def _occluders(rng: np.random.Generator) -> tuple[Occluder, ...]:
    kinds = {
        Thing.POLE: (3.0, 5.0),
        Thing.BIN: (9.0, 14.0),
        Thing.BUSH: (16.0, 26.0),
        Thing.RAILING: (24.0, 40.0),
    }
    found = []
    for index in range(OCCLUDERS):
        thing = Thing(int(rng.integers(len(Thing))))
        low, high = kinds[thing]
        base = (50, 96, 48) if thing is Thing.BUSH else (96, 98, 104)
        red, green, blue = (channel + int(rng.integers(-35, 36)) for channel in base)
        x = SCENE_WIDTH * (index + float(rng.random())) / OCCLUDERS
        lane, size = 0.3 + 0.5 * float(rng.random()), low + (high - low) * float(rng.random())
        found.append(Occluder(thing, x, lane, size, (red, green, blue)))
    return tuple(found)


def _response(gains: list[float], gamma: float) -> Pixels:
    table = [[round(255 * min(1.0, gain * level / 255) ** gamma) for gain in gains] for level in range(256)]
    return np.array(table, dtype=np.uint8)  # (256, 3)


def _noise(rng: np.random.Generator, shape: tuple[int, ...], deviation: float) -> npt.NDArray[np.int32]:
    summed = rng.integers(0, 256, size=(4, *shape), dtype=np.uint8).astype(np.int32).sum(axis=0)  # (H, W, 3)
    # The sum of four uniform bytes: mean 510, deviation 147.8, near normal, and the same on every machine.
    noise: npt.NDArray[np.int32] = (summed - 510) * round(deviation * 65536 / 147.8) >> 16
    return noise
