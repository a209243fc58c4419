import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from tests.data.conftest import make_market
from wsreid.data.bag_settings import BagSettings
from wsreid.data.dataset import BagDataset, EvalDataset
from wsreid.data.make_bags import make_bags
from wsreid.data.manifest import Manifest, Split, write_manifest
from wsreid.data.samplers import BagSampler, EvalSampler, IdentitySampler
from wsreid.data.sources import Market1501
from wsreid.data.transforms import AugmentSettings, EvalTransform, TrainTransform
from wsreid.errors import DataError

H, W = 16, 8


def bag_sampler(manifest, **settings):
    bags = make_bags(manifest, BagSettings(**settings), manifest.rows(Split.TRAIN))
    return BagSampler(bags, bags_per_batch=3, images_per_bag=4, seed=0)


def bag_dataset(manifest, **options):
    return BagDataset(manifest, TrainTransform(H, W, AugmentSettings(pad=2)), **options)


def tensors(batch):
    return {k: v for k, v in {**vars(batch), **vars(batch.truth)}.items() if isinstance(v, torch.Tensor)}


def test_batch(market):
    plan = next(iter(bag_sampler(market, missing=0.3)))
    batch = bag_dataset(market, views=2)[plan]
    assert batch.images.shape == (2, 12, 3, H, W)
    assert batch.images.dtype == torch.uint8
    assert not torch.equal(batch.images[0], batch.images[1])
    assert batch.bag.tolist() == plan.bag.tolist()
    assert batch.candidates.tolist() == plan.candidates.tolist()
    assert (batch.candidates == -1).any()  # ragged
    assert batch.bag_size.tolist() == [12] * 3
    assert batch.truth.ids.tolist() == market.class_index(market.pid[plan.row]).tolist()
    assert batch.camera.tolist() == market.camera[plan.row].tolist()
    assert batch.sequence.tolist() == market.sequence[plan.row].tolist()
    assert batch.frame.tolist() == market.frame[plan.row].tolist()
    assert batch.member.tolist() == plan.member.tolist()
    assert batch.skipped.tolist() == []
    assert all(t.dtype == torch.long for name, t in tensors(batch).items() if name != "images")


def test_views_and_copies_differ(market):
    rows = market.rows(Split.TRAIN)[:1]
    sampler = IdentitySampler(rows, np.zeros(1, np.int32), ids_per_batch=1, images_per_id=3, images_per_epoch=3, seed=0)
    batch = bag_dataset(market, views=2)[next(iter(sampler))]
    looks = {image.numpy().tobytes() for view in batch.images for image in view}
    assert len(looks) == 6


def test_epoch_and_seed_change_the_images_alone(market):
    sampler = bag_sampler(market)
    plan = next(iter(sampler))
    one = bag_dataset(market)[plan]
    other = bag_dataset(market, seed=1)[plan]
    assert not torch.equal(one.images, other.images)
    assert torch.equal(one.row, other.row)


def test_a_worker_puts_its_batch_into_shared_memory_itself(market, monkeypatch):
    dataset, plan = bag_dataset(market), next(iter(bag_sampler(market)))
    assert not dataset[plan].images.is_shared()
    monkeypatch.setattr("wsreid.data.dataset.get_worker_info", object)
    batch = dataset[plan]
    assert all(value.is_shared() for value in tensors(batch).values())

    def full(_):
        raise RuntimeError(
            "unable to allocate shared memory(shm) for file </torch_7_1_0>: No space left on device (28)"
        )

    monkeypatch.setattr(torch.Tensor, "share_memory_", full)
    with pytest.raises(RuntimeError, match="shared memory"):  # and not: the batch never arrives
        dataset[plan]


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_give_the_same(market, start):
    def loader(workers):
        return DataLoader(
            bag_dataset(market),
            sampler=bag_sampler(market),
            batch_size=None,
            num_workers=workers,
            multiprocessing_context=start if workers else None,
        )

    alone, shared = list(loader(0)), list(loader(2 if start == "fork" else 1))
    assert len(alone) == len(shared) == 2
    for a, b in zip(alone, shared, strict=True):
        assert all(torch.equal(x, tensors(b)[name]) for name, x in tensors(a).items())


def test_eval_batch(market):
    rows = market.rows(Split.GALLERY)
    dataset = EvalDataset(market, EvalTransform(H, W))
    batches = list(DataLoader(dataset, sampler=EvalSampler(rows, 4), batch_size=None))
    assert torch.cat([b.row for b in batches]).tolist() == rows.tolist()
    assert torch.cat([b.pid for b in batches]).tolist() == market.pid[rows].tolist()
    assert torch.cat([b.camera for b in batches]).tolist() == market.camera[rows].tolist()
    assert [tuple(b.images.shape) for b in batches] == [(4, 3, H, W), (4, 3, H, W), (3, 3, H, W)]
    assert batches[0].images.dtype == torch.uint8


@pytest.fixture
def own(tmp_path):
    root = tmp_path / "market"
    make_market(root)
    write_manifest(tmp_path / "m", Market1501().index(root), source="market1501", root=root)
    return Manifest.open(tmp_path / "m")


def damage(manifest, rows):
    for row in rows:
        manifest.location(int(row)).path.write_bytes(b"\xff\xd8\xff no more")


def test_unreadable_images_are_left_out(own):
    plan = next(iter(bag_sampler(own)))
    lost = plan.row[[1, 5]]
    whole = bag_dataset(own)[plan]
    damage(own, lost)
    batch = bag_dataset(own)[plan]
    assert sorted(batch.skipped.tolist()) == sorted(lost.tolist())
    kept = ~np.isin(plan.row, lost)
    assert batch.row.tolist() == plan.row[kept].tolist()
    assert batch.bag.tolist() == plan.bag[kept].tolist()
    assert batch.images.shape[1] == len(batch) == kept.sum()
    assert torch.equal(batch.images, whole.images[:, torch.from_numpy(kept)])  # each image still beside its row


def test_a_bag_without_images_is_left_out(own):
    plan = next(iter(bag_sampler(own)))
    damage(own, plan.row[plan.bag == 1])
    batch = bag_dataset(own)[plan]
    assert batch.bag_id.tolist() == plan.bag_id[[0, 2]].tolist()
    assert batch.candidates.tolist() == plan.candidates[[0, 2]].tolist()
    assert batch.bag_size.tolist() == plan.bag_size[[0, 2]].tolist()
    assert sorted(set(batch.bag.tolist())) == [0, 1]


def test_a_batch_without_images_is_an_error(own):
    plan = next(iter(bag_sampler(own)))
    damage(own, plan.row)
    with pytest.raises(DataError, match="none of the 12 images") as caught:
        bag_dataset(own)[plan]
    assert own.file(int(plan.row[0])) in str(caught.value)


def test_eval_leaves_out_what_cannot_be_read(own):
    rows = own.rows(Split.QUERY)
    whole = EvalDataset(own, EvalTransform(H, W))[rows]
    damage(own, rows[:1])
    own.location(int(rows[1])).path.unlink()
    batch = EvalDataset(own, EvalTransform(H, W))[rows]
    assert batch.skipped.tolist() == rows[:2].tolist()
    assert batch.row.tolist() == rows[2:].tolist()
    assert torch.equal(batch.images, whole.images[2:])
