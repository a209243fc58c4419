import numpy as np
import pytest

from wsreid.data.bag_settings import BagSettings
from wsreid.data.make_bags import make_bags
from wsreid.data.manifest import Manifest, Split, write_manifest
from wsreid.data.sources import PKUReID, SYSU30k
from wsreid.errors import DataError


def open_set(source, root, tmp_path):
    write_manifest(tmp_path / "m", source.index(root), source=source.name, root=root)
    return Manifest.open(tmp_path / "m")


def test_random(market):
    rows = market.rows(Split.TRAIN)
    bags = make_bags(market, BagSettings(ids_per_bag=3, images_per_id=2), rows)
    bags.check_against(market)
    assert bags.n_members == len(rows) == 72
    assert len(bags) == 12
    for b in range(len(bags)):
        truth = market.class_index(market.pid[bags.rows(b)])
        assert sorted(set(truth.tolist())) == bags.candidates(b).tolist()


def test_seed_and_epoch_draw_other_bags(market):
    rows = market.rows(Split.TRAIN)
    hashes = [make_bags(market, BagSettings(seed=s), rows, epoch=e).hash for s, e in ((0, 0), (0, 0), (1, 0), (0, 1))]
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 3


def test_noise_leaves_the_members(market):
    rows = market.rows(Split.TRAIN)
    clean = make_bags(market, BagSettings(), rows)
    noisy = make_bags(market, BagSettings(missing=0.5, extra=0.5), rows)
    assert [clean.rows(b).tolist() for b in range(len(clean))] == [noisy.rows(b).tolist() for b in range(len(noisy))]
    assert [clean.candidates(b).tolist() for b in range(len(clean))] != [
        noisy.candidates(b).tolist() for b in range(len(noisy))
    ]


def test_extra_keeps_to_the_training_rows(market):
    rows = market.rows(Split.TRAIN)
    held = np.isin(market.pid[rows], [3, 7])
    bags = make_bags(market, BagSettings(extra=1.0, images_per_id=1), rows[~held])
    named = {int(c) for b in range(len(bags)) for c in bags.candidates(b)}
    assert named == set(range(12)) - {2, 6}


def test_windows(market):
    bags = make_bags(market, BagSettings(protocol="windows", window=5), market.rows(Split.TRAIN))
    for b in range(len(bags)):
        rows = bags.rows(b)
        assert len(set(market.camera[rows].tolist())) == 1
        assert len(rows) <= 5
    assert len(bags) == 2 * 8  # 36 images of each camera


def test_windows_need_cameras_and_frames(pku_root, tmp_path):
    manifest = open_set(PKUReID(), pku_root, tmp_path)
    manifest.frame = np.full(len(manifest), -1)
    with pytest.raises(DataError, match=r"windows needs the frame of each training image, but 001/01_1.png"):
        make_bags(manifest, BagSettings(protocol="windows"), manifest.rows(Split.TRAIN))


def test_sysu(sysu_root, tmp_path):
    manifest = open_set(SYSU30k(), sysu_root, tmp_path)
    rows = manifest.rows(Split.TRAIN)
    labels = SYSU30k().bag_label_file(sysu_root)
    by_file = make_bags(manifest, BagSettings(protocol="sysu"), rows, label_file=labels)
    by_window = make_bags(manifest, BagSettings(protocol="sysu"), rows)
    by_file.check_against(manifest)
    assert len(by_file) == 18
    assert by_file.hash == by_window.hash  # the file's bags are the sliding windows, its duplicates at the ends too


@pytest.mark.parametrize("protocol", ["random", "windows"])
def test_needs_truth(sysu_root, tmp_path, protocol):
    manifest = open_set(SYSU30k(), sysu_root, tmp_path)
    with pytest.raises(DataError, match="protocol sysu"):
        make_bags(manifest, BagSettings(protocol=protocol), manifest.rows(Split.TRAIN))


def test_sysu_needs_folders(market):
    with pytest.raises(DataError, match="training folders named after"):
        make_bags(market, BagSettings(protocol="sysu"), market.rows(Split.TRAIN))


def test_no_image(market):
    with pytest.raises(DataError, match="no training image"):
        make_bags(market, BagSettings(), np.empty(0, np.int64))


def test_overlap_and_unbalanced_reach_the_protocols(market):
    rows = market.rows(Split.TRAIN)
    even = make_bags(market, BagSettings(images_per_id=3), rows)
    uneven = make_bags(market, BagSettings(images_per_id=3, unbalanced=1), rows)
    assert even.hash != uneven.hash
    assert [even.candidates(b).tolist() for b in range(len(even))] == [
        uneven.candidates(b).tolist() for b in range(len(uneven))
    ]
    assert make_bags(market, BagSettings(overlap=1), rows).n_members == 2 * len(rows)
    windows = make_bags(market, BagSettings(protocol="windows", window=4, overlap=0.5), rows)
    assert windows.n_members > 1.5 * len(rows)
