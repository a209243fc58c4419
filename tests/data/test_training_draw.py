import numpy as np
import pytest

from wsreid.data.bag_settings import BagSettings
from wsreid.data.make_bags import make_bags
from wsreid.data.manifest import Manifest, Split, write_manifest
from wsreid.data.samplers import PairedBagSampler
from wsreid.data.samplers.folder_sampler import FolderSampler
from wsreid.data.sources import SYSU30k
from wsreid.data.training_draw import TrainingDraw
from wsreid.errors import ConfigError

SIZES = {"bags_per_batch": 2, "images_per_bag": 3, "ids_per_batch": 4, "images_per_id": 2}


@pytest.mark.parametrize("name", SIZES)
def test_sizes_are_checked(name):
    with pytest.raises(ConfigError, match=rf"data\.{name} must be at least 1, got 0"):
        TrainingDraw(**SIZES | {name: 0})


def test_only_two_draws():
    with pytest.raises(ConfigError, match=r"data\.draw must be one of bags, folders, got 'ids'"):
        TrainingDraw(**SIZES, draw="ids")


def test_described_names_what_counts():
    draw = TrainingDraw(**SIZES)
    assert draw.described(True) == {"data.draw": "bags", **{f"data.{name}": size for name, size in SIZES.items()}}
    assert draw.described(False).keys() == {"data.draw", "data.bags_per_batch", "data.images_per_bag"}


def test_described_says_that_bags_are_paired():
    draw = TrainingDraw(**SIZES)
    assert draw.described(False, True) == draw.described(False) | {"data.draw": "bags, in pairs that share a label"}


def test_in_pairs(market):
    bags = make_bags(market, BagSettings(), market.rows(Split.TRAIN))
    sampler = TrainingDraw(**SIZES).by_bag(market, bags, 5, 0, 1, paired=True)
    assert isinstance(sampler, PairedBagSampler)
    assert sorted(b for plan in sampler for b in plan.bag_id.tolist()) == sorted(bags.bag_id.tolist())


@pytest.mark.parametrize(
    ("options", "redrawn", "named"),
    [
        ({}, True, r"data\.redraw_bags"),
        ({"draw": "folders"}, False, r"data\.draw folders"),
        ({"bags_per_batch": 1}, False, r"data\.bags_per_batch is 1"),
    ],
)
def test_refuses_pairs(market, options, redrawn, named):
    bags = make_bags(market, BagSettings(), market.rows(Split.TRAIN))
    draw = TrainingDraw(**SIZES | options)
    with pytest.raises(ConfigError, match=named):
        draw.check_pairs(redrawn)
    with pytest.raises(ConfigError, match=named):
        draw.by_bag(market, bags, 5, 0, 1, (lambda _: bags) if redrawn else None, paired=True)


def test_by_folder(sysu_root, tmp_path):
    write_manifest(tmp_path / "m", SYSU30k().index(sysu_root), source="sysu30k", root=sysu_root)
    manifest = Manifest.open(tmp_path / "m")
    bags = make_bags(manifest, BagSettings(protocol="sysu"), manifest.rows(Split.TRAIN))
    sampler = TrainingDraw(**SIZES, draw="folders").by_bag(manifest, bags, 5, 0, 1)
    assert isinstance(sampler, FolderSampler)
    plans = list(sampler)
    assert all(np.bincount(plan.bag).tolist() == [3] * len(plan.bag_id) for plan in plans)


def test_by_folder_needs_bags_of_folders(market):
    bags = make_bags(market, BagSettings(), market.rows(Split.TRAIN))
    draw = TrainingDraw(**SIZES, draw="folders")
    with pytest.raises(ConfigError, match=r"data\.draw folders"):
        draw.by_bag(market, bags, 5, 0, 1)


def test_by_bag(market):
    bags = make_bags(market, BagSettings(), market.rows(Split.TRAIN))
    plans = [list(TrainingDraw(**SIZES).by_bag(market, bags, 5, rank, 2)) for rank in (0, 1)]
    assert sorted(b for rank in plans for plan in rank for b in plan.bag_id.tolist()) == sorted(bags.bag_id.tolist())
    assert {len(plan.bag_id) for rank in plans for plan in rank} <= {1, 2}
    assert max(np.bincount(plan.bag).max() for rank in plans for plan in rank) == 3
    other = TrainingDraw(**SIZES).by_bag(market, bags, 6, 0, 2)
    assert [p.row.tolist() for p in other] != [p.row.tolist() for p in plans[0]]


def test_by_identity(market):
    rows = market.rows(Split.TRAIN)[:48]
    sampler = TrainingDraw(**SIZES).by_identity(market, rows, 32, 5, 0, 1)
    plans = list(sampler)
    assert len(plans) == 4
    assert all(len(plan.row) == 8 and len(set(plan.candidates.ravel().tolist())) == 4 for plan in plans)
    assert {r for plan in plans for r in plan.row.tolist()} <= set(rows.tolist())
