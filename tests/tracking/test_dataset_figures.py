from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_hex

from wsreid.data.bag_draft import draft_from_images
from wsreid.data.bag_settings import BagSettings
from wsreid.data.bags import Bags
from wsreid.data.dataset_statistics import published_statistics
from wsreid.data.published import SplitCount
from wsreid.tracking.dataset_figures import (
    TEST,
    WHOLE,
    BagSizes,
    bags_figure,
    bin_edges,
    counts_figure,
    label_groups,
)

PUBLISHED = published_statistics()
OWN = replace(PUBLISHED[0], title="my $set$ $", measured=True, images=77, identities=5, test=SplitCount(13, 2))
SIZES = st.lists(st.integers(0, 20_000), min_size=1, max_size=50).map(np.array)


def bars(figure, colour):
    return [bar for bar in figure.axes[0].patches if to_hex(bar.get_facecolor()).upper() == colour]


@pytest.mark.parametrize("what", ["images", "identities"])
def test_each_bar_is_as_long_as_its_figure_and_starts_at_its_set(what):
    lines = [*PUBLISHED, OWN]
    figure = counts_figure(lines, what)
    axis = figure.axes[0]
    assert axis.get_xscale() == "log"
    assert [label.get_text().splitlines()[0] for label in axis.get_yticklabels()] == [line.title for line in lines]
    assert axis.yaxis_inverted()
    whole = {round(bar.get_y() + bar.get_height() / 2 + 0.2): bar.get_width() for bar in bars(figure, WHOLE)}
    assert whole == {place: getattr(line, what) for place, line in enumerate(lines)}
    test = {round(bar.get_y() + bar.get_height() / 2 - 0.2): bar.get_width() for bar in bars(figure, TEST)}
    assert test == {place: getattr(line.test, what) for place, line in enumerate(lines) if line.test}
    assert len(test) < len(lines)
    said = [text.get_text() for text in axis.texts]
    assert said.count("no fixed test split") == sum(line.test is None for line in lines)
    low, high = axis.get_xlim()
    assert low < min(*whole.values(), *test.values())
    assert high > max(whole.values())


def test_measured_sets_are_hatched_and_named_so():
    figure = counts_figure([PUBLISHED[0], OWN], "images")
    for colour in (WHOLE, TEST):
        assert [bool(bar.get_hatch()) for bar in bars(figure, colour)] == [False, True]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["CUHK03", "my $set$ $\n(measured)"]
    assert len(figure.legends[0].get_texts()) == 3
    assert len(counts_figure(PUBLISHED, "images").legends[0].get_texts()) == 2
    figure.canvas.draw()  # a name with dollars is no formula


def test_a_figure_that_is_not_known_has_no_bar():
    figure = counts_figure([replace(OWN, test=SplitCount(13, None))], "identities")
    assert not bars(figure, TEST)
    assert "n/a" in [text.get_text() for text in figure.axes[0].texts]


@given(SIZES, st.integers(1, 40))
def test_bins_are_few_round_and_hold_every_size(sizes, most):
    edges = bin_edges(sizes, most)
    counts, _ = np.histogram(sizes, edges)
    assert counts.sum() == len(sizes)
    assert counts[0] > 0
    assert counts[-1] > 0
    widths = np.unique(np.diff(edges))
    assert len(widths) == 1
    assert str(int(widths[0])).rstrip("0") in ("1", "2", "5")
    assert len(edges) - 1 <= most or (len(edges) - 1 <= 2)
    assert np.all(edges % 1 == 0.5)


@given(st.lists(st.integers(1, 12), min_size=1, max_size=40).map(np.array))
def test_each_bag_is_in_one_group_and_groups_are_few(candidates):
    groups = label_groups(candidates)
    assert len(groups) <= 5
    assert np.sum([chosen for _, chosen in groups], axis=0).tolist() == [1] * len(candidates)
    for name, chosen in groups:
        least = int(name.removesuffix(" or more"))
        assert candidates[chosen].min() == least
        assert ("or more" in name) or candidates[chosen].max() == least


def test_stacked_bars_count_the_bags():
    images = np.array([3, 3, 4, 9, 9, 9, 9])
    figure = bags_figure([BagSizes("a $ title", images, np.array([1, 2, 2, 3, 3, 1, 1]))] * 2)
    assert len(figure.axes) == 2
    axis = figure.axes[1]
    heights = np.zeros(20)
    for bar in axis.patches:
        heights[round(bar.get_x() + 0.5)] += bar.get_height()
    assert {size: count for size, count in enumerate(heights) if count} == {3: 2, 4: 1, 9: 4}
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["1", "2", "3"]
    assert axis.get_title(loc="left") == "a $ title: 7 bags of 3 to 9 images, median 9"
    figure.canvas.draw()


def test_bags_are_counted_from_a_file():
    owner, rows = np.array([0, 0, 0, 1, 1]), np.array([0, 1, 5, 2, 3])
    bags = Bags.from_draft(draft_from_images(owner, rows, rows % 3), BagSettings(), "m")
    sizes = BagSizes.of(bags, "t")
    assert sizes.images.tolist() == [3, 2]
    assert sizes.candidates.tolist() == [3, 2]


def test_nothing_to_draw_is_refused():
    with pytest.raises(ValueError, match="at least one data set"):
        counts_figure([], "images")
    with pytest.raises(ValueError, match="at least one bag file"):
        bags_figure([])
