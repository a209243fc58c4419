"""What the tests of the partial-label methods share."""

from dataclasses import replace
from unittest import mock

import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from wsreid.methods.gathering import gather_rows

from .conftest import NUM_IDS, Served, TinyNet, bag_batch, make_trainer
from .jobs import several


def batches(views=1, count=2):
    """Batches of one training set: each with its own bags and members."""
    found = [bag_batch(seed, bags=4, per_bag=4, width=3, views=views) for seed in range(count)]
    return [replace(b, member=b.member + 16 * i, row=b.row + 16 * i) for i, b in enumerate(found)]


def made(method, **options):
    torch.manual_seed(0)
    return method(num_ids=NUM_IDS, **({"lr": 0.02} | options))


def trained(method, root, epochs=2, ckpt_path=None, data=None, **options):
    """The model after some epochs, with a checkpoint of each in `root`."""
    model = made(method, **options)
    saver = ModelCheckpoint(root, filename="{epoch}", save_top_k=-1, save_on_train_epoch_end=True)
    trainer = make_trainer(root, max_epochs=epochs, enable_checkpointing=True, callbacks=[saver])
    served = Served(batches(method.needs.views) if data is None else data)
    trainer.fit(model, datamodule=served, ckpt_path=ckpt_path, weights_only=True)
    return model


def assert_resume_gives_the_same(method, root, **options):
    """Four epochs in one go and in two halves: weights, buffers and table bit for bit."""
    whole = trained(method, root / "a", epochs=4, **options)
    half = trained(method, root / "b", epochs=4, ckpt_path=root / "a" / "epoch=1.ckpt", **options)
    expected, found = whole.state_dict(), half.state_dict()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    if method.needs.member_table:
        ours, theirs = whole.table.state_dict(), half.table.state_dict()
        assert len(ours["member"]) == 32
        assert all(torch.equal(ours[name], theirs[name]) for name in ("member", "values"))


def odd_batches(views=1):
    """By name: batches that a method must get through."""
    plain = bag_batch(0, bags=3, per_bag=4, width=3, views=views)
    none = torch.full_like(plain.candidates, -1)
    some = plain.candidates.clone()
    some[0], some[1, 1:] = -1, -1
    lone = torch.tensor([0, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2])
    return {
        "no candidates": replace(plain, candidates=none),
        "no candidates and one candidate": replace(plain, candidates=some),
        "a bag of width 0": replace(plain, candidates=none[:, :0]),
        "one image in a bag": replace(plain, bag=lone, bag_size=torch.tensor([1, 2, 9])),
        "one bag": bag_batch(1, bags=1, per_bag=6, width=3, views=views),
        "a sample of a bag": replace(plain, bag_size=plain.bag_size + 30),
        "no members": replace(plain, member=torch.full_like(plain.member, -1)),
    }


def assert_gets_through(method, **options):
    """Finite losses, gradients and pseudo labels inside the candidates, in training and in evaluation with one view."""
    for name, batch in odd_batches(method.needs.views).items():
        model = made(method, **options)
        for _ in range(2):  # the second time with what the first left behind
            outputs = model.outputs(batch)
            terms = model.losses(batch, outputs)
            assert all(term.isfinite() for term in terms.values()), name
            sum(terms.values()).backward()
            assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None), name
            _check_labels(model, batch, outputs, name)
        if hasattr(model, "table") and name == "no members":
            assert len(model.table) == 0
        model.eval()
        with torch.no_grad():
            one = replace(batch, images=batch.images[:1])
            _check_labels(model, one, model.outputs(one), name)


def _check_labels(model, batch, outputs, name):
    with torch.no_grad():
        labels = model.pseudo_labels(batch, outputs)
    own = batch.image_candidates
    has = (own >= 0).any(1)
    assert (labels.ids[~has] == -1).all(), name
    assert (own[has] == labels.ids[has, None]).any(1).all(), name
    assert torch.allclose(labels.probs.sum(1), has.float(), atol=1e-3), name


def gather_uneven(group):
    """Rows and labels as a process gets them, and as they were; processes have 1, 2, ... of them."""
    generator = torch.Generator().manual_seed(0)
    total = group.size * (group.size + 1) // 2
    rows, labels = torch.randn(total, 5, generator=generator), torch.randint(-1, 4, (total,), generator=generator)
    mine = slice(group.rank * (group.rank + 1) // 2, (group.rank + 1) * (group.rank + 2) // 2)
    return gather_rows(rows[mine]), gather_rows(labels[mine]), rows, labels


def train_together(group, method, root, options):
    """Weights, buffers and table of a process after two epochs; each has bags of its own."""
    with several(group.rank, group.size) as settings:
        with mock.patch("wsreid.methods.base.build_network", side_effect=lambda *_, **__: TinyNet()):
            model = made(method, **options)
        own = batches(method.needs.views, count=2 * group.size)[group.rank :: group.size]
        make_trainer(root, max_epochs=2, **settings).fit(model, datamodule=Served(own))
    return model.state_dict(), model.table.state_dict()
