from itertools import combinations

import pytest

from wsreid.data.rendered.look import Bag, Bottom, Hair, Hat, Pattern, draw_looks


@pytest.fixture(scope="module")
def looks():
    return draw_looks(1, 100)


def test_a_look_does_not_depend_on_how_many_are_drawn(looks):
    assert draw_looks(1, 10) == looks[:10]
    assert draw_looks(2, 10) != looks[:10]


def test_every_kind_is_worn_and_no_cue_is_unique(looks):
    for name, kinds in (("pattern", Pattern), ("bottom_kind", Bottom), ("hair", Hair), ("hat", Hat), ("bag", Bag)):
        values = [getattr(look, name) for look in looks]
        assert all(values.count(kind) > 1 for kind in kinds)


def test_two_identities_differ_in_kind_or_clearly_in_colour(looks):
    for a, b in combinations(looks, 2):
        kinds = sum(getattr(a, n) != getattr(b, n) for n in ("pattern", "bottom_kind", "hair", "hat", "bag"))
        colours = sum(
            max(abs(x - y) for x, y in zip(getattr(a, n), getattr(b, n), strict=True)) > 10
            for n in ("top", "second", "bottom")
        )
        assert kinds + colours >= 3
