import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsreid.tracking.bag_figure import ShownBag, ShownPair, bag_figure, label_text, pair_figure


def image(value, height=32, width=16):
    return np.full((height, width, 3), value, np.uint8)


def pictures(figure):
    figure.canvas.draw()
    return [[int(shown.get_array().flat[0]) for shown in axis.images] for axis in figure.axes]


def test_each_bag_shows_its_label_and_its_images():
    bags = [
        ShownBag(7, 30, ("1", "x_$1$_$"), (image(1), image(2), image(3))),
        ShownBag(9, 1, ("5",), (image(4, 60, 20),)),
    ]
    figure = bag_figure(bags)
    assert pictures(figure) == [[], [1], [2], [3], [], [4], [], []]
    texts = [text.get_text() for axis in figure.axes for text in axis.texts]
    assert texts == [
        "bag 7\n30 images, 3 shown\nlabel: 2 identities\n1, x_$1$_$",
        "bag 9\n1 image, 1 shown\nlabel: 1 identity\n5",
    ]


@given(st.lists(st.text(min_size=1, max_size=60), min_size=1, max_size=400).map(tuple))
def test_a_label_of_any_length_stays_beside_its_bag_and_counts_what_it_leaves_out(names):
    lines = label_text(ShownBag(1, 10, names, (image(0),))).split("\n")
    assert len(lines) <= 9
    assert all(len(line) <= 25 for line in lines[3:])
    assert lines[2] == f"label: {len(names)} {'identity' if len(names) == 1 else 'identities'}"


def test_what_is_left_out_of_a_label_is_counted():
    names = tuple(str(number) for number in range(1000, 2000))
    told = " ".join(label_text(ShownBag(1, 10, names, (image(0),))).split("\n")[3:])
    listed, _, more = told.partition(" and ")
    assert listed.split(", ") == list(names[: len(listed.split(", "))])
    assert more == f"{1000 - len(listed.split(', '))} more"


def test_pairs_show_query_and_match_with_their_cameras():
    pairs = [ShownPair(str(i), image(2 * i), image(2 * i + 1), 1, 3 if i else -1) for i in range(5)]
    figure = pair_figure(pairs)
    assert pictures(figure) == [[shown] for shown in range(10)]
    titles = [axis.get_title() for axis in figure.axes]
    assert titles[:4] == ["query\ncamera 1", "match", "query\ncamera 1", "match\ncamera 3"]
    assert [group.get_suptitle() for group in figure.subfigs][:5] == [f"identity {i}" for i in range(5)]


def test_nothing_to_draw_is_refused():
    with pytest.raises(ValueError, match="at least one bag"):
        bag_figure([])
    with pytest.raises(ValueError, match="an image of each"):
        bag_figure([ShownBag(1, 3, ("1",), ())])
    with pytest.raises(ValueError, match="at least one pair"):
        pair_figure([])
