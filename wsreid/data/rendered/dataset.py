"""A rendered set on disk, in Market-1501 layout."""

import dataclasses
import hashlib
import logging
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from wsreid.data.rendered.brush import Pixels
from wsreid.data.rendered.camera import Camera, make_cameras
from wsreid.data.rendered.look import Look, draw_looks
from wsreid.data.rendered.names import ImageName
from wsreid.data.rendered.photo import jittered, photograph, photograph_background, spoiled
from wsreid.data.rendered.settings import RenderSettings
from wsreid.data.rendered.streams import Stream, stream
from wsreid.data.rendered.windows import cut_windows, inseparable_share, window_sizes
from wsreid.data.rendered.world import Sighting, simulate

TRAIN, QUERY, GALLERY = "bounding_box_train", "query", "bounding_box_test"
STAMP = "rendered.sha256"
JPEG_QUALITY = 92
BACKGROUND_SHARE = 1 / 3  # of the distractors
STRANGERS = 20  # people who are only ever seen in ill-cut boxes

_logger = logging.getLogger(__name__)


def write_rendered(root: Path, settings: RenderSettings) -> str:
    """Renders a set into a folder and seals it with a stamp, written last.

    Args:
        root: An empty folder.
        settings: What to render.

    Returns:
        The set's content hash.
    """
    for folder in (TRAIN, QUERY, GALLERY):
        (root / folder).mkdir(parents=True, exist_ok=True)
    trained = []
    for folder, name, image in _images(settings):
        (root / folder / str(name)).write_bytes(_jpeg(image))
        if folder == TRAIN:
            trained.append(name)
    digest = content_hash(root)
    (root / STAMP).write_text(digest + "\n", encoding="ascii")
    _logger.info(
        "rendered %s: identities per 12-image window (number: windows) %s, inseparable pairs %.3f %%",
        settings.key,
        window_sizes(trained),
        100 * inseparable_share(cut_windows(trained)),
    )
    return digest


def content_hash(root: Path) -> str:
    """Hash over the sorted names and the bytes of a set's images.

    Args:
        root: The set's folder.

    Returns:
        SHA-256 in hexadecimal digits.
    """
    digest = hashlib.sha256()
    for path in sorted(root.glob("*/*"), key=lambda path: (path.parent.name, path.name)):
        content = path.read_bytes()
        digest.update(f"{path.parent.name}/{path.name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def is_intact(root: Path) -> bool:
    """Whether a folder holds a whole set with the bytes it was sealed with."""
    stamp = root / STAMP
    return stamp.is_file() and stamp.read_text(encoding="ascii").strip() == content_hash(root)


def _images(settings: RenderSettings) -> Iterator[tuple[str, ImageName, Pixels]]:
    people = settings.train_ids + settings.test_ids
    looks = draw_looks(settings.seed, people + STRANGERS)
    cameras = make_cameras(settings.seed, settings.cameras)
    pids = stream(settings.seed, Stream.NUMBERS).permutation(people) + 1  # (people,)
    trained = simulate(settings, range(settings.train_ids), 1)
    tested = simulate(settings, range(settings.train_ids, people), settings.sequences + 1)
    asked: set[tuple[int, int]] = set()
    for folder, sightings in ((TRAIN, trained), (GALLERY, tested)):
        for sighting in sightings:
            walk = sighting.walk
            name = ImageName(walk.camera, walk.sequence, sighting.frame, sighting.box, int(pids[walk.person]))
            first = folder == GALLERY and (name.pid, name.camera) not in asked
            if first:
                asked.add((name.pid, name.camera))
            rng = stream(settings.seed, Stream.IMAGE, *name)
            image = photograph(cameras[walk.camera - 1], looks, sighting, jittered(rng), rng)
            yield QUERY if first else folder, name, image
    yield from _clutter(settings, tested, looks, cameras)


def _clutter(
    settings: RenderSettings, tested: list[Sighting], looks: tuple[Look, ...], cameras: tuple[Camera, ...]
) -> Iterator[tuple[str, ImageName, Pixels]]:
    """Junk (ill-cut test identities) and distractors (background, ill-cut strangers), at moments of the test walks."""
    boxes: dict[tuple[int, int, int], int] = {}
    for index in range(settings.junk + settings.distractors):
        rng = stream(settings.seed, Stream.CLUTTER, index)
        sighting = tested[int(rng.integers(len(tested)))]
        walk = sighting.walk
        moment = (walk.camera, walk.sequence, sighting.frame)
        # Boxes of clutter come after those of the people in the same frame.
        boxes[moment] = boxes.get(moment, len(sighting.others) + 1) + 1
        camera = cameras[walk.camera - 1]
        pid = -1 if index < settings.junk else 0
        if pid == 0:
            stranger = len(looks) - 1 - int(rng.integers(STRANGERS))
            sighting = dataclasses.replace(sighting, walk=dataclasses.replace(walk, person=stranger))
        if pid == 0 and rng.random() < BACKGROUND_SHARE:
            image = photograph_background(camera, rng)
        else:
            image = photograph(camera, looks, sighting, spoiled(rng), rng)
        yield GALLERY, ImageName(*moment, boxes[moment], pid), image


def _jpeg(image: Pixels) -> bytes:
    _, encoded = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return encoded.tobytes()
