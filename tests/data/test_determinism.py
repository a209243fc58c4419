"""The same images, augmented the same, for the same (seed, epoch, rank, world size, row), whatever loads them."""

import numpy as np
import pytest
import torch

from wsreid.data.bag_settings import BagSettings
from wsreid.data.datamodule import BagDataModule
from wsreid.data.dataset import BagDataset
from wsreid.data.make_bags import make_bags
from wsreid.data.manifest import Split
from wsreid.data.samplers import BagSampler
from wsreid.data.transforms import AugmentSettings, TrainTransform

H, W = 16, 8
EVERYTHING = AugmentSettings(pad=2, jitter=0.5)


def epoch_of(root, workers, *, seed=1, epoch=3, batch=2, options=()):
    """An epoch's batches as the datamodule's own loader gives them."""
    data = BagDataModule(
        root=root,
        height=H,
        width=W,
        augment=EVERYTHING,
        bags_per_batch=batch,
        images_per_bag=5,
        seed=seed,
        val_fraction=0,
        num_workers=workers,
        **dict(options),
    )
    data.prepare_data()
    data.setup("fit")
    loader = data.train_dataloader()
    loader.sampler.set_epoch(epoch)
    return list(loader)


def contents(batches):
    return [
        (*(t.tolist() for t in (b.row, b.member, b.bag, b.candidates)), b.images.numpy().tobytes()) for b in batches
    ]


@pytest.fixture(scope="module")
def alone(market_root):
    return contents(epoch_of(market_root, 0))


@pytest.mark.parametrize("workers", [1, 3])
def test_any_number_of_workers_gives_the_same_batches(market_root, alone, workers):
    assert contents(epoch_of(market_root, workers)) == alone


@pytest.mark.parametrize("change", [{"seed": 2}, {"epoch": 4}])
def test_seed_and_epoch_give_others(market_root, alone, change):
    other = contents(epoch_of(market_root, 0, **change))
    assert [x[0] for x in other] != [x[0] for x in alone]
    assert not {x[-1] for x in other} & {x[-1] for x in alone}


def looks(market, *, world_size=1, bags_per_batch=2, seed=1, epoch=3):
    """What each drawn member looks like, over all ranks."""
    bags = make_bags(market, BagSettings(), market.rows(Split.TRAIN))
    dataset = BagDataset(market, TrainTransform(H, W, EVERYTHING), seed=seed)
    found: dict[int, bytes] = {}
    for rank in range(world_size):
        sampler = BagSampler(
            bags, bags_per_batch=bags_per_batch, images_per_bag=5, seed=seed, rank=rank, world_size=world_size
        )
        sampler.set_epoch(epoch)
        for plan in sampler:
            batch = dataset[plan]
            found |= {int(m): image.numpy().tobytes() for m, image in zip(batch.member, batch.images[0], strict=True)}
    return found


def test_ranks_and_batch_sizes_leave_each_image_as_it_is(market):
    """Only which process loads an image depends on them: not which images an epoch draws, nor what they look like."""
    one = looks(market)
    assert len(one) == 6 * 5  # six bags of twelve images
    assert looks(market, world_size=2) == one
    assert looks(market, world_size=3, bags_per_batch=3) == one


def test_a_row_has_a_look_of_its_own_in_each_epoch(market):
    rows, draws = np.zeros(40, np.int64), range(40)
    transform = TrainTransform(H, W, EVERYTHING)
    image = np.random.default_rng(0).integers(0, 256, (32, 16, 3), np.uint8)

    def look(seed, epoch, row):
        return torch.as_tensor(transform(image, seed=seed, epoch=epoch, row=row, view=0)).numpy().tobytes()

    assert len({look(0, 0, int(row)) for row in rows}) == 1
    for keys in ([(0, 0, i) for i in draws], [(0, i, 0) for i in draws], [(i, 0, 0) for i in draws]):
        assert len({look(*key) for key in keys}) > 35  # a few may fall on the same crop, unturned
