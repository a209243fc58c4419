from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from wsreid.data.rendered.names import ImageName
from wsreid.data.rendered.windows import cut_windows, inseparable_share, window_sizes


def test_windows_follow_frames_and_stay_within_a_sequence():
    names = [ImageName(1, 1, frame, 1, pid) for frame, pid in ((30, 3), (10, 1), (20, 2), (40, 4))]
    names += [ImageName(1, 2, 5, 1, 9), ImageName(2, 1, 5, 1, 8)]
    assert cut_windows(names, 3) == [{1, 2, 3}, {4}, {9}, {8}]
    assert window_sizes(names, 3) == {1: 3, 3: 1}


@given(st.lists(st.sets(st.integers(0, 6), min_size=1), max_size=8))
def test_inseparable_share_agrees_with_a_naive_count(bags):
    people = sorted(set().union(*bags))
    pairs = list(combinations(people, 2))
    alike = sum(all((a in bag) == (b in bag) for bag in bags) for a, b in pairs)
    assert inseparable_share(bags) == (alike / len(pairs) if pairs else 0.0)
