import math

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from wsreid.methods.epoch_labels import EpochLabels
from wsreid.tracking.figure_files import pixels
from wsreid.tracking.labelled_bag_figure import (
    MOST_IMAGES,
    RIGHT,
    UNKNOWN,
    WRONG,
    LabelledImage,
    caption,
    colour,
    labelled_bag_figure,
    shown_bags,
)

BLACK = np.zeros((32, 16, 3), np.uint8)


def epoch(bags=40, per_bag=3, seed=0, pseudo=None):
    """Bag b has the id 3 b and the candidates 2 b and 2 b + 1; its images truly show them in turn."""
    rng = np.random.default_rng(seed)
    n = bags * per_bag
    bag = np.repeat(np.arange(bags), per_bag)
    truth = 2 * bag + np.arange(n) % 2
    order = rng.permutation(n)
    labels = EpochLabels(
        pseudo=truth if pseudo is None else np.full(n, pseudo),
        entropy=np.zeros(n),
        confidence=rng.random(n),
        truth=truth,
        member=np.arange(n),
        row=1000 + np.arange(n),
        camera=np.zeros(n, int),
        bag=bag,
        bag_id=3 * np.arange(bags),
        bag_size=np.full(bags, per_bag + 5),
        candidates=np.stack([2 * np.arange(bags), 2 * np.arange(bags) + 1], 1),
    )
    return labels.images(order)


def picture(row):
    return np.full((32, 16, 3), row % 256, np.uint8)


def test_each_image_has_its_own_label_confidence_and_truth():
    labels = epoch(bags=4)
    shown = shown_bags(labels, 9, name=lambda index: f"id {index}", image=picture)
    assert [bag.bag.bag_id for bag in shown] == [0, 3, 6, 9]
    for bag in shown:
        number = bag.bag.bag_id // 3
        assert bag.bag.label == (f"id {2 * number}", f"id {2 * number + 1}")
        assert bag.bag.size == 8
        members = [3 * number + j for j in range(3)]
        for member, one in zip(members, bag.images, strict=True):
            assert one.image[0, 0, 0] == (1000 + member) % 256
            (at,) = np.flatnonzero(labels.member == member)
            assert one.confidence == labels.confidence[at]
            assert one.label == one.truth == f"id {labels.truth[at]}"


def test_the_same_bags_are_shown_in_each_epoch_and_for_every_method():
    first = [bag.bag.bag_id for bag in shown_bags(epoch(), 4, str, picture)]
    other = [bag.bag.bag_id for bag in shown_bags(epoch(seed=1, pseudo=0), 4, str, picture)]
    assert first == other
    assert len(first) == 4
    assert first != [0, 3, 6, 9]
    part = epoch().images(np.isin(epoch().bag_id[epoch().bag], [*first[:2], 0, 3]))  # an epoch that drew fewer bags
    assert set(first[:2]) <= {bag.bag.bag_id for bag in shown_bags(part, 3, str, picture)}


def test_of_a_large_bag_some_images_are_shown():
    (bag,) = shown_bags(epoch(bags=1, per_bag=50), 1, str, picture)
    assert len(bag.images) == MOST_IMAGES
    assert bag.bag.size == 55


def test_what_stands_above_an_image_and_in_which_colour():
    assert caption(LabelledImage(BLACK, "7", 0.875, "7")) == "7\n88 % sure\nis 7"
    assert caption(LabelledImage(BLACK, None, math.nan, None)) == "no label\nis unknown"
    assert len(caption(LabelledImage(BLACK, "a" * 40, 0.5, "b" * 40)).splitlines()[0]) == 11
    assert colour(LabelledImage(BLACK, "7", 0.5, "7")) == RIGHT
    assert colour(LabelledImage(BLACK, "7", 0.5, "8")) == WRONG
    assert colour(LabelledImage(BLACK, None, math.nan, "8")) == WRONG
    assert colour(LabelledImage(BLACK, "7", 0.5, None)) == UNKNOWN


def has_colour(image, wanted):
    return (np.abs(image.astype(int) - np.round(255 * np.array(to_rgb(wanted)))) < 40).all(2).any()


def test_right_labels_are_green_and_wrong_ones_red():
    right = pixels(labelled_bag_figure(shown_bags(epoch(), 2, str, picture), "t"))
    wrong = pixels(labelled_bag_figure(shown_bags(epoch(pseudo=99), 2, str, picture), "t"))
    assert (has_colour(right, RIGHT), has_colour(right, WRONG)) == (True, False)
    assert (has_colour(wrong, RIGHT), has_colour(wrong, WRONG)) == (False, True)


def test_nothing_to_draw_is_refused():
    with pytest.raises(ValueError, match="at least one bag"):
        labelled_bag_figure([], "t")
