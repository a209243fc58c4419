import cv2
import numpy as np
import pytest

from wsreid.data.bag_draft import draft_from_images
from wsreid.data.bag_settings import BagSettings
from wsreid.data.bags import Bags
from wsreid.data.images import UnreadableImage
from wsreid.data.manifest import ImageRecords, Manifest, write_manifest
from wsreid.tracking.shown_data import draw_bags, draw_pairs

NAMES = ("ann", "bob", "cy", "dee")
# split, camera, pid: eight training images of ann and bob, then queries and gallery
ROWS = [(0, 1, 1 + row // 4) for row in range(8)]
ROWS += [(1, 1, 3), (1, 1, 4), (1, 2, 4)]
ROWS += [(2, 1, 3), (2, 2, 3), (2, 1, 4), (2, 1, 4), (2, 2, -1)]


@pytest.fixture
def manifest_of(tmp_path):
    """A manifest in which the grey level of an image is its row."""

    def make(rows, cameras=True):
        split, camera, pid = np.array(rows).T
        none = np.full(len(rows), -1)
        for row in range(len(rows)):
            cv2.imwrite(str(tmp_path / f"{row}.png"), np.full((16, 8, 3), row, np.uint8))
        records = ImageRecords(
            file=[f"{row}.png" for row in range(len(rows))],
            offset=none,
            size=none,
            camera=camera if cameras else none,
            sequence=none,
            frame=none,
            split=split,
            pid=pid,
            identities=np.array([1, 2]),
            pid_names=NAMES,
        )
        write_manifest(tmp_path / "m.arrow", records, source="own", root=tmp_path)
        return Manifest.open(tmp_path / "m.arrow")

    return make


@pytest.fixture
def bags():
    owner = np.array([0, 0, 0, 1, 1, 2, 2, 2])
    return Bags.from_draft(draft_from_images(owner, np.arange(8), np.arange(8) // 4), BagSettings(), "m")


def rows_of(images):
    return [int(image.flat[0]) for image in images]


def test_images_and_names_are_the_bags_own(manifest_of, bags):
    shown = draw_bags(manifest_of(ROWS), bags, count=9, images=9, seed=0)
    assert [rows_of(bag.images) for bag in shown] == [[0, 1, 2], [3, 4], [5, 6, 7]]
    assert [bag.label for bag in shown] == [("ann",), ("ann", "bob"), ("bob",)]
    assert [(bag.bag_id, bag.size) for bag in shown] == [(0, 3), (1, 2), (2, 3)]


def test_the_draw_follows_the_seed_and_never_repeats_an_image(manifest_of, bags):
    manifest = manifest_of(ROWS)
    draws = set()
    for seed in range(12):
        shown = draw_bags(manifest, bags, count=2, images=2, seed=seed)
        assert len({bag.bag_id for bag in shown}) == 2
        assert all(len(set(rows_of(bag.images))) == 2 for bag in shown)
        again = draw_bags(manifest, bags, count=2, images=2, seed=seed)
        assert [rows_of(bag.images) for bag in again] == [rows_of(bag.images) for bag in shown]
        draws.add(tuple(bag.bag_id for bag in shown))
    assert draws == {(0, 1), (0, 2), (1, 2)}


def test_a_match_is_seen_by_another_camera(manifest_of):
    manifest = manifest_of(ROWS)
    seen = set()
    for seed in range(8):
        pairs = draw_pairs(manifest, count=9, seed=seed)
        # query 9 has its own camera alone, so it has no match
        assert [(pair.identity, pair.query_camera, pair.match_camera) for pair in pairs] == [
            ("cy", 1, 2),
            ("dee", 2, 1),
        ]
        assert rows_of([pairs[0].query, pairs[0].match, pairs[1].query]) == [8, 12, 10]
        seen |= set(rows_of([pairs[1].match]))
    assert seen == {13, 14}


def test_without_cameras_the_identity_is_enough(manifest_of):
    pairs = draw_pairs(manifest_of(ROWS, cameras=False), count=9, seed=0)
    assert [pair.identity for pair in pairs] == ["cy", "dee", "dee"]
    assert all(pair.match_camera == pair.query_camera == -1 for pair in pairs)
    assert set(rows_of([pairs[0].match])) <= {11, 12}


@pytest.mark.parametrize("rows", [ROWS[:8], ROWS[:11], ROWS[:8] + ROWS[11:]])
def test_without_queries_or_gallery_there_is_no_pair(manifest_of, rows):
    assert draw_pairs(manifest_of(rows), count=3, seed=0) == []


def test_a_missing_image_is_named(manifest_of, bags, tmp_path):
    manifest = manifest_of(ROWS)
    (tmp_path / "4.png").unlink()
    with pytest.raises(UnreadableImage, match=r"4\.png"):
        draw_bags(manifest, bags, count=9, images=9, seed=0)
