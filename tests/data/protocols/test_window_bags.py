import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from wsreid.data.bag_settings import BagSettings
from wsreid.data.bags import Bags
from wsreid.data.protocols import window_bags

image = st.tuples(st.integers(1, 2), st.integers(-1, 1), st.integers(0, 30), st.integers(0, 4))


def bags_of(images, window=12, window_frames=None):
    camera, sequence, frame, classes = np.array(images).T
    rows = np.arange(len(images)) + 5
    draft = window_bags(rows, classes, camera, sequence, frame, window=window, window_frames=window_frames)
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
