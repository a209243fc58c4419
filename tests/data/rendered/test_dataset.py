import filecmp
from collections import defaultdict

import cv2
import numpy as np
import pytest

from wsreid.data.rendered.dataset import GALLERY, QUERY, STAMP, TRAIN, content_hash, is_intact, write_rendered
from wsreid.data.rendered.names import ImageName
from wsreid.data.rendered.settings import RenderSettings

SMALL_HASH = "d54b2d5a04a989113790bdd0150a1fbf999bc80884416e3d29fa8b4efa90eb09"
DEFAULT_HASH = "3962ca57066ef2affdb88559be1f7b2629a3be3fdd8e2e5f28cb9892d9d8e27d"


def names(root, *folders):
    return [ImageName.parse(path.name) for folder in folders for path in sorted((root / folder).iterdir())]


def test_the_small_set_is_frozen(small_set):
    assert content_hash(small_set) == SMALL_HASH


@pytest.mark.slow
def test_the_default_set_is_frozen(tmp_path):
    assert write_rendered(tmp_path, RenderSettings(seed=1)) == DEFAULT_HASH


def test_the_same_settings_give_the_same_bytes(small, small_set, tmp_path):
    write_rendered(tmp_path, small)
    for folder in (TRAIN, QUERY, GALLERY):
        written = sorted(path.name for path in (tmp_path / folder).iterdir())
        assert written == sorted(path.name for path in (small_set / folder).iterdir())
        assert filecmp.cmpfiles(small_set / folder, tmp_path / folder, written, shallow=False)[1:] == ([], [])
    assert content_hash(tmp_path) == content_hash(small_set)


def test_images_are_market_sized_jpegs(small_set):
    paths = list(small_set.glob("*/*.jpg"))
    assert len(paths) > 80
    for path in paths:
        assert path.read_bytes()[:2] == b"\xff\xd8"
        image = cv2.imread(str(path))
        assert image.shape == (128, 64, 3)
        assert image.std() > 3


def test_splits_are_as_in_market(small, small_set):
    train = {name.pid for name in names(small_set, TRAIN)}
    query = names(small_set, QUERY)
    gallery = names(small_set, GALLERY)
    assert len(train) == small.train_ids
    assert len({name.pid for name in query}) == small.test_ids
    assert not train & {name.pid for name in query + gallery}
    assert len({(name.pid, name.camera) for name in query}) == len(query)
    assert sum(name.pid == 0 for name in gallery) == small.distractors
    assert sum(name.pid == -1 for name in gallery) == small.junk
    known = defaultdict(set)
    for name in gallery:
        known[name.pid].add(name.camera)
    # Every query has a match that the junk rule leaves.
    assert all(known[name.pid] - {name.camera} for name in query)


def test_no_identity_stands_twice_in_a_frame_and_no_box_has_two_images(small_set):
    everyone = names(small_set, TRAIN, QUERY, GALLERY)
    known = [(n.camera, n.sequence, n.frame, n.pid) for n in everyone if n.pid > 0]
    assert len(set(known)) == len(known)
    assert len({n[:4] for n in everyone}) == len(everyone)


def test_an_identity_keeps_its_colours_better_than_its_background(small_set):
    shirts, corners = defaultdict(list), defaultdict(list)
    for path in (small_set / TRAIN).iterdir():
        name = ImageName.parse(path.name)
        image = cv2.imread(str(path)).astype(float)
        shirts[name.pid].append(image[30:55, 26:38].mean(axis=(0, 1)))  # (3,)
        corners[name.pid].append(image[30:55, :6].mean(axis=(0, 1)))  # (3,)

    def told_apart(groups):
        within = np.mean([np.var(values, axis=0).mean() for values in groups.values()])
        between = np.var([np.mean(values, axis=0) for values in groups.values()], axis=0).mean()
        return between / within

    assert told_apart(shirts) > 2 * told_apart(corners)


@pytest.mark.parametrize("damage", ["byte", "missing", "renamed", "unsealed"])
def test_damage_is_noticed(small, tmp_path, damage):
    write_rendered(tmp_path, small)
    assert is_intact(tmp_path)
    victim = sorted((tmp_path / TRAIN).iterdir())[3]
    if damage == "byte":
        content = bytearray(victim.read_bytes())
        content[-9] ^= 1
        victim.write_bytes(bytes(content))
    elif damage == "missing":
        victim.unlink()
    elif damage == "renamed":
        victim.rename(victim.with_name("9999_c1s1_000012_01.jpg"))
    else:
        (tmp_path / STAMP).unlink()
    assert not is_intact(tmp_path)
