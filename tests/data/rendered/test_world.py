from collections import Counter, defaultdict
from itertools import groupby

import pytest

from wsreid.data.rendered.names import ImageName
from wsreid.data.rendered.settings import RenderSettings
from wsreid.data.rendered.windows import cut_windows, inseparable_share, window_sizes
from wsreid.data.rendered.world import simulate


@pytest.fixture(scope="module", params=[1, 2])
def sightings(request):
    return simulate(RenderSettings(seed=request.param), range(100), 1)


@pytest.fixture(scope="module")
def names(sightings):
    return [ImageName(s.walk.camera, s.walk.sequence, s.frame, s.box, s.walk.person) for s in sightings]


def test_no_identity_stands_twice_in_a_frame_and_boxes_are_unique(names):
    assert len({(n.camera, n.sequence, n.frame, n.pid) for n in names}) == len(names)
    assert len({n[:4] for n in names}) == len(names)


def test_windows_of_twelve_images_hold_three_to_eight_identities(names):
    full = []
    for _, group in groupby(sorted(names), key=lambda name: name[:2]):
        sequence = list(group)
        # The last window of a sequence is cut short and may hold fewer.
        full += sequence[: len(sequence) // 12 * 12]
    sizes = window_sizes(full)
    assert sum(sizes.values()) > 80
    assert min(sizes) >= 3
    assert sum(count for size, count in sizes.items() if size > 8) <= 1
    assert 4.5 <= sum(size * count for size, count in sizes.items()) / sum(sizes.values()) <= 6.5


def test_bags_tell_nearly_all_identities_apart(names):
    assert inseparable_share(cut_windows(names)) < 0.001


def test_identities_have_about_twelve_images_in_two_cameras_or_more(names):
    images = Counter(n.pid for n in names)
    cameras = defaultdict(set)
    for name in names:
        cameras[name.pid].add(name.camera)
    assert len(images) == 100
    assert 11.5 <= len(names) / 100 <= 12.5
    assert min(map(len, cameras.values())) >= 2


def test_company_differs_from_camera_to_camera(sightings):
    met = defaultdict(set)
    for sighting in sightings:
        for other in sighting.others:
            met[sighting.walk.person, other.person].add(sighting.walk.camera)
    often = sum(len(cameras) > 1 for cameras in met.values())
    assert met
    assert often / len(met) < 0.15


def test_several_are_in_view_at_once(sightings):
    assert 2 <= sum(len(s.others) for s in sightings) / len(sightings) <= 4
