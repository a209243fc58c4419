import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from wsreid.data.bag_settings import BagSettings
from wsreid.data.bags import Bags
from wsreid.data.protocols import window_bags

image = st.tuples(st.integers(1, 2), st.integers(-1, 1), st.integers(0, 30), st.integers(0, 4))


def bags_of(images, window=12, window_frames=None, overlap=0.0):
    camera, sequence, frame, classes = np.array(images).T
    rows = np.arange(len(images)) + 5
    draft = window_bags(
        rows, classes, camera, sequence, frame, window=window, window_frames=window_frames, overlap=overlap
    )
    return Bags.from_draft(draft, BagSettings(protocol="windows"), "")


@given(st.lists(image, min_size=1, max_size=40), st.integers(1, 7), st.one_of(st.none(), st.integers(1, 9)))
def test_agrees_with_a_plain_loop(images, window, window_frames):
    bags = bags_of(images, window, window_frames)
    expected = []
    for place in sorted({(c, s) for c, s, _, _ in images}):
        inside = sorted((f, row, pid) for row, (c, s, f, pid) in enumerate(images, 5) if (c, s) == place)
        if window_frames is None:
            cuts = [inside[i : i + window] for i in range(0, len(inside), window)]
        else:
            spans = sorted({(f - inside[0][0]) // window_frames for f, _, _ in inside})
            cuts = [[x for x in inside if (x[0] - inside[0][0]) // window_frames == s] for s in spans]
        expected += [(sorted(r for _, r, _ in cut), sorted({p for _, _, p in cut})) for cut in cuts]
    found = [(bags.rows(b).tolist(), bags.candidates(b).tolist()) for b in range(len(bags))]
    assert found == expected


@given(
    st.lists(image, min_size=1, max_size=40),
    st.integers(1, 7),
    st.one_of(st.none(), st.integers(1, 9)),
    st.sampled_from([0, 0.1, 0.3, 0.5, 0.8, 0.95]),
)
def test_overlapping_windows_agree_with_a_plain_loop(images, window, window_frames, overlap):
    bags = bags_of(images, window, window_frames, overlap)
    length = window_frames or window
    step = max(length - round(overlap * length), 1)
    expected = []
    for at in sorted({(c, s) for c, s, _, _ in images}):
        inside = sorted((f, row, pid) for row, (c, s, f, pid) in enumerate(images, 5) if (c, s) == at)
        places = [f - inside[0][0] for f, _, _ in inside] if window_frames else list(range(len(inside)))
        start, before = 0, []
        while True:
            held = [x for x, p in zip(inside, places, strict=True) if start <= p < start + length]
            if held and held != before:
                expected.append((sorted(r for _, r, _ in held), sorted({p for _, _, p in held})))
                before = held
            if start + length > places[-1]:
                break
            start += step
    found = [(bags.rows(b).tolist(), bags.candidates(b).tolist()) for b in range(len(bags))]
    assert found == expected


def test_half_overlapping_windows():
    one_camera = [(1, 0, f, f % 3) for f in range(20)]
    bags = bags_of(one_camera, window=8, overlap=0.5)
    assert [(int(bags.rows(b)[0]) - 5, int(bags.sizes[b])) for b in range(len(bags))] == [
        (0, 8),
        (4, 8),
        (8, 8),
        (12, 8),
    ]


def test_a_pause_of_years_costs_nothing():
    bags = bags_of([(1, 0, 0, 1), (1, 0, 10**12, 2)], window_frames=10, overlap=0.9)
    assert [bags.rows(b).tolist() for b in range(len(bags))] == [[5], [6]]


def test_windows_with_the_same_images_are_one_bag():
    bags = bags_of([(1, 0, 0, 1), (1, 0, 10, 2), (1, 0, 30, 3)], window_frames=9, overlap=0.9)
    assert [bags.rows(b).tolist() for b in range(len(bags))] == [[5], [6], [7]]
