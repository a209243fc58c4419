import dataclasses

import numpy as np
import pytest

from wsreid.data.rendered.camera import make_cameras
from wsreid.data.rendered.look import draw_looks
from wsreid.data.rendered.photo import Crop, jittered, photograph, photograph_background, spoiled
from wsreid.data.rendered.streams import Stream, stream
from wsreid.data.rendered.world import Sighting, Walk

WHOLE = Crop()


@pytest.fixture(scope="module")
def camera():
    return dataclasses.replace(make_cameras(1, 2)[0], occluders=())


@pytest.fixture(scope="module")
def looks():
    return draw_looks(1, 3)


def walk(person, x, lane):
    return Walk(person, 1, 1, start=0, ticks=3, heading=0.0, x=x, lane=lane, phase=0.4, cadence=2.0)


def shot(camera, looks, *others, crop=WHOLE):
    return photograph(camera, looks, Sighting(walk(0, 300.0, 0.5), 1, 1, others), crop, stream(1, Stream.IMAGE, 0))


def test_neighbours_show_beside_the_owner_who_stays_visible(camera, looks):
    alone = shot(camera, looks).astype(int)
    together = shot(camera, looks, walk(1, 305.0, 0.9)).astype(int)
    changed = np.abs(alone - together).max(axis=2) > 40  # (128, 64)
    assert changed[:, 40:].mean() > 0.2
    assert changed[20:50, 22:36].mean() < 0.5


def test_people_who_are_not_near_are_not_in_the_box(camera, looks):
    assert np.array_equal(shot(camera, looks), shot(camera, looks, walk(1, 500.0, 0.9)))


def test_an_occluder_hides_those_behind_it_only(looks):
    camera = make_cameras(1, 2)[0]
    one = dataclasses.replace(camera.occluders[0], x=300.0, size=12.0)
    plain, behind, before = (
        shot(dataclasses.replace(camera, occluders=there), looks).astype(int)
        for there in ((), (dataclasses.replace(one, lane=0.9),), (dataclasses.replace(one, lane=0.1),))
    )
    assert np.abs(plain - behind).sum() > 1.5 * np.abs(plain - before).sum()


def test_crops_move_and_scale_the_body(camera, looks):
    base = shot(camera, looks)
    for crop in (Crop(right=8.0), Crop(down=8.0), Crop(zoom=1.3)):
        assert (shot(camera, looks, crop=crop) != base).mean() > 0.3


def test_spoiled_boxes_zoom_in_and_jittered_ones_hardly():
    rngs = [stream(1, Stream.CLUTTER, index) for index in range(50)]
    assert all(0.9 < jittered(rng).zoom < 1.1 for rng in rngs)
    assert all(spoiled(rng).zoom >= 1.4 for rng in rngs)


def test_a_background_has_nobody(camera):
    image = photograph_background(camera, stream(1, Stream.CLUTTER, 1))
    assert image.shape == (128, 64, 3)
    assert image.dtype == np.uint8
