import numpy as np
import pytest

from wsreid.data.rendered.camera import make_cameras
from wsreid.data.rendered.streams import Stream, stream


@pytest.fixture(scope="module")
def cameras():
    return make_cameras(1, 6)


def test_cameras_differ_in_colour_and_scene(cameras):
    grey = np.full((128, 64, 3), 128, dtype=np.uint8)
    recorded = [camera.record(grey, stream(1, Stream.IMAGE, 0)).mean(axis=(0, 1)) for camera in cameras]  # (3,) each
    for first in range(6):
        for second in range(first):
            assert np.abs(recorded[first] - recorded[second]).max() > 4
            assert (cameras[first].scene != cameras[second].scene).mean() > 0.5


def test_a_camera_blurs_and_adds_noise(cameras):
    half = np.zeros((128, 64, 3), dtype=np.uint8)  # (128, 64, 3)
    half[:, 32:] = 128
    for camera in cameras:
        image = camera.record(half, stream(1, Stream.IMAGE, 0)).astype(float)
        assert image[:, 40:].std(axis=(0, 1)).max() > 0.5
    softest = max(cameras, key=lambda camera: camera.blur).record(half, stream(1, Stream.IMAGE, 0)).astype(float)
    edge = softest[:, 31].mean()
    assert softest[:, 20].mean() + 3 < edge < softest[:, 44].mean() - 3


def test_an_image_depends_on_its_stream_alone(cameras):
    image = np.full((128, 64, 3), 90, dtype=np.uint8)
    one, same, other = (cameras[2].record(image, stream(1, Stream.IMAGE, key)) for key in (5, 5, 6))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
