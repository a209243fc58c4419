"""Cluster contrast: which images are in which cluster, the memory, the bags, what is kept."""

from dataclasses import replace
from types import SimpleNamespace
from typing import ClassVar

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from torch.testing import assert_close

from wsreid.data.bag_draft import draft_from_images
from wsreid.data.bag_settings import BagSettings
from wsreid.data.bags import Bags
from wsreid.errors import ConfigError
from wsreid.inference import candidate_counts
from wsreid.losses import cluster_centroids, cluster_contrast_loss, update_cluster_memory
from wsreid.methods import ClusterContrast
from wsreid.methods.epoch_pass import EmbeddedRows

from .conftest import NUM_IDS, Served, bag_batch, make_trainer

pytestmark = pytest.mark.usefixtures("tiny_network")
OPTIONS = {"k1": 5, "k2": 3, "min_samples": 2, "eps": 0.7}


def batches_of(n=2, width=3):
    """Batches whose rows differ."""
    return [replace(b, row=b.row + 16 * i) for i, b in enumerate(bag_batch(seed, width=width) for seed in range(n))]


def bags_of(batches):
    """The bags that the batches hold."""
    owner = np.concatenate([b.bag.numpy() + 4 * i for i, b in enumerate(batches)])
    rows = np.concatenate([b.row.numpy() for b in batches])
    classes = np.concatenate([b.truth.ids.numpy() for b in batches])
    return Bags.from_draft(draft_from_images(owner, rows, classes), BagSettings(), "0" * 64)


class WithBags(Served):
    def __init__(self, train):
        super().__init__(train)
        self.bags = bags_of(train)


def embedded(seed=0, groups=4, per_group=6, width=11):
    """Groups far apart; row 2 i is the i-th image."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.eye(width)[:groups].repeat_interleave(per_group, 0)
    features = centres + 0.05 * torch.randn(centres.shape, generator=generator)
    return EmbeddedRows(2 * torch.arange(len(features)), torch.nn.functional.normalize(features).half())


def made(datamodule=None, **options):
    torch.manual_seed(0)
    model = ClusterContrast(num_ids=NUM_IDS, **(OPTIONS | options))
    model._trainer = SimpleNamespace(datamodule=datamodule, world_size=1)
    return model


def test_groups_become_clusters_and_centroids():
    model, found = made(), embedded()
    model.epoch_features(found)
    expected = torch.arange(4).repeat_interleave(6)
    assert torch.equal(model.clusters, expected)
    assert_close(model.memory, cluster_centroids(found.features, expected))
    assert model._cluster_of(torch.tensor([0, 1, 46, 99, -1])).tolist() == [0, -1, 3, -1, -1]


def test_the_term_contrasts_images_of_clusters_and_the_memory_moves_after_the_step():
    model = made()
    model.epoch_features(embedded())
    batch = bag_batch()  # rows 0..15: the even ones are known
    outputs = model.outputs(batch)
    labels = torch.where(batch.row % 2 == 0, batch.row // 12, -1)
    before = model.memory.clone()
    terms = model.losses(batch, outputs)
    assert list(terms) == ["contrast"]
    assert_close(terms["contrast"], cluster_contrast_loss(outputs.network.features, before, labels, 0.05))
    terms["contrast"].backward()
    assert torch.equal(model.memory, before)
    assert all(p.grad is None and not p.requires_grad for p in model.classifiers.parameters())
    model._update_memory()
    update_cluster_memory(before, outputs.network.features.detach(), labels, 0.1)
    assert_close(model.memory, before)
    model._update_memory()  # a batch that was skipped
    assert_close(model.memory, before)


def test_the_memory_sees_the_features_of_all_processes(monkeypatch):
    model = made()
    model.epoch_features(embedded())
    batch = bag_batch()
    model.losses(batch, model.outputs(batch))
    model._trainer.world_size = 3
    other = [(torch.randn(2, 11), torch.tensor([1, -1]))]

    def gather(found, mine):
        found[:] = [other, [], mine]

    monkeypatch.setattr(torch.distributed, "all_gather_object", gather)
    expected = model.memory.clone()
    for features, labels in (*other, *model._seen):
        update_cluster_memory(expected, features, labels, 0.1)
    model._update_memory()
    assert_close(model.memory, expected)


def test_an_epoch_without_clusters_has_no_loss_and_one_warning(caplog):
    model = made(min_samples=30)
    for _ in range(2):
        model.epoch_features(embedded())
        batch = bag_batch()
        term = model.losses(batch, model.outputs(batch))["contrast"]
        term.backward()
        assert term.item() == 0
        assert not any(p.grad.any() for p in model.network.parameters() if p.grad is not None)
        model._update_memory()
    assert sum("no cluster" in record.message for record in caplog.records) == 1
    model.epoch_features(EmbeddedRows(torch.empty(0, dtype=torch.long), torch.empty(0, 0)))
    assert model.memory.shape[0] == 0


def test_bag_aware_clusters_share_a_candidate():
    # two bags hold each group: images 0, 1 of it lie in one, the others in another
    owner = np.tile([0, 0, 1, 1, 1, 1], 4) + 2 * np.repeat(np.arange(4), 6)
    rows = 2 * np.arange(24)
    bags = Bags.from_draft(draft_from_images(owner, rows, owner % NUM_IDS), BagSettings(), "0" * 64)
    datamodule = SimpleNamespace(bags=bags)
    plain, aware = (made(datamodule, bag_aware=flag) for flag in (False, True))
    for model in (plain, aware):
        model.epoch_features(embedded())
    assert torch.equal(plain.clusters, torch.arange(4).repeat_interleave(6))
    parts = aware.clusters.view(4, 6)
    assert len(aware.memory) == 8
    assert (parts[:, :2] == parts[:, :1]).all()
    assert (parts[:, 2:] == parts[:, 2:3]).all()
    assert len(set(parts.flatten().tolist())) == 8


def test_bag_aware_needs_bags():
    with pytest.raises(ConfigError, match="no bags"):
        made(bag_aware=True).epoch_features(embedded())


def test_pseudo_labels_are_what_the_members_have_most_often():
    batch = bag_batch(bags=4, per_bag=4, width=3)
    datamodule = WithBags([batch])
    model = made(datamodule)
    model.rows = torch.arange(0, 16)
    model.clusters = torch.tensor([0, 0, -1, 1] * 4)
    image, classes = model._candidates(model.rows.numpy())

    keys, counts = candidate_counts(model.clusters.numpy(), image, classes, NUM_IDS)
    model.counts = torch.from_numpy(keys), torch.from_numpy(counts)
    labels = model.pseudo_labels(batch, model.outputs(batch))
    own = {i: set(classes[image == i].tolist()) for i in range(16)}
    for i in range(16):
        named = batch.image_candidates[i].tolist()
        if model.clusters[i] < 0:
            assert labels.ids[i] == -1
            assert_close(labels.probs[i], torch.full((3,), 1 / 3))
            continue
        members = [j for j in range(16) if model.clusters[j] == model.clusters[i]]
        votes = torch.tensor([sum(c in own[j] for j in members) for c in named]).float()
        assert_close(labels.probs[i], votes / votes.sum())
        assert labels.ids[i] == named[int(votes.argmax())]


def test_without_clusters_there_are_no_pseudo_labels():
    batch = bag_batch(bags=4, per_bag=2, width=3)
    batch.candidates[1] = -1
    model = made()
    labels = model.pseudo_labels(batch, model.outputs(batch))
    assert (labels.ids == -1).all()
    assert_close(labels.probs.sum(1), torch.tensor([1.0, 1, 0, 0, 1, 1, 1, 1]))


@pytest.mark.parametrize("bag_aware", [False, True])
def test_resume_gives_the_same(bag_aware, tmp_path):
    batches = batches_of()

    def trained(root, ckpt=None):
        torch.manual_seed(0)
        model = ClusterContrast(num_ids=NUM_IDS, bag_aware=bag_aware, lr=0.01, **OPTIONS)
        saver = pl.callbacks.ModelCheckpoint(root, filename="{epoch}", save_top_k=-1)
        trainer = make_trainer(root, max_epochs=3, enable_checkpointing=True, callbacks=[saver])
        trainer.fit(model, datamodule=WithBags(batches), ckpt_path=ckpt, weights_only=True)
        return model

    whole = trained(tmp_path / "a")
    assert len(whole.memory) > 1
    resumed = trained(tmp_path / "b", tmp_path / "a" / "epoch=1.ckpt")
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    assert torch.equal(whole.memory, resumed.memory)
    loaded = ClusterContrast.load_from_checkpoint(tmp_path / "a" / "epoch=2.ckpt", weights_only=True)
    for name in ("rows", "clusters", "memory"):
        assert torch.equal(getattr(loaded, name), getattr(whole, name))
    ids = [model.pseudo_labels(batches[0], model.outputs(batches[0])).ids for model in (loaded, whole)]
    assert torch.equal(*ids)


def test_a_checkpoint_in_an_epoch_has_the_memory_after_the_step(tmp_path):
    class Looks(pl.Callback):
        waiting: ClassVar[list[int]] = []

        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            self.waiting.append(len(pl_module._seen))

    model = ClusterContrast(num_ids=NUM_IDS, **OPTIONS)
    make_trainer(tmp_path, callbacks=[Looks()], accumulate_grad_batches=2).fit(model, datamodule=Served(batches_of(4)))
    assert Looks.waiting == [1, 0, 1, 0]


def test_without_bag_aware_the_candidates_change_nothing(tmp_path):
    def weights(batches):
        torch.manual_seed(0)
        model = ClusterContrast(num_ids=NUM_IDS, lr=0.01, **OPTIONS)
        make_trainer(tmp_path, max_epochs=2).fit(model, datamodule=WithBags(batches))
        return model.state_dict()

    batches = batches_of()
    others = [replace(b, candidates=(b.candidates + 5) % NUM_IDS) for b in batches]
    first, second = weights(batches), weights(others)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_limit_reaches_the_pass():
    assert made(epoch_pass_limit=200).epoch_pass_limit == 200
    assert made().epoch_pass_limit is None


@pytest.mark.parametrize(
    "wrong", [{"k1": 0}, {"eps": 1.0}, {"temperature": 0.0}, {"momentum": 1.0}, {"epoch_pass_limit": 0}]
)
def test_refuses_what_cannot_be(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        ClusterContrast(num_ids=NUM_IDS, **wrong)
