"""RC: the weights are those of the network after the step."""

import lightning.pytorch as pl
import pytest
import torch

from wsreid.losses import candidate_cross_entropy
from wsreid.methods import RC

from .conftest import Served, bag_batch, make_trainer
from .partial_label import assert_gets_through, assert_resume_gives_the_same, batches, made

pytestmark = pytest.mark.usefixtures("tiny_network")


def test_the_first_weights_are_uniform_and_the_loss_writes_none():
    model, batch = made(RC), batches()[0]
    outputs = model.outputs(batch)
    expected = sum(candidate_cross_entropy(z, batch.image_candidates) for z in outputs.logits) / 2
    assert torch.allclose(model.losses(batch, outputs)["ce"], expected)
    assert len(model.table) == 0


class AfterTheStep(pl.Callback):
    """Compares the table with the network after each step, as early as a checkpoint may be saved."""

    def __init__(self, every):
        self.every = every
        self.batches = []
        self.compared = 0

    @torch.no_grad()
    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.batches.append(batch)
        if len(self.batches) < self.every:
            return
        kept = {name: value.clone() for name, value in pl_module.state_dict().items()}
        for seen in self.batches:
            own = seen.image_candidates
            expected = sum(z.gather(1, own).softmax(1) for z in pl_module.outputs(seen).logits) / 2
            assert torch.allclose(pl_module.table.take(seen.member, own), expected, atol=1e-3)
            assert not torch.allclose(expected, torch.full_like(expected, 1 / 3), atol=1e-2)
            self.compared += 1
        pl_module.load_state_dict(kept)  # the statistics of batch normalisation as they were
        self.batches.clear()


@pytest.mark.parametrize("every", [1, 2])
def test_the_next_weights_are_the_softmax_of_the_network_after_the_step(every, tmp_path):
    """Also with gradient accumulation."""
    watch, model = AfterTheStep(every), made(RC, lr=0.1)
    torch.nn.init.normal_(model.classifiers[0].weight)
    trainer = make_trainer(tmp_path, callbacks=[watch], accumulate_grad_batches=every)
    trainer.fit(model, datamodule=Served(batches(count=4)))
    assert watch.compared == 4
    assert trainer.global_step == 4 // every


def test_batches_too_small_to_train_on_are_passed_over(tmp_path):
    model = made(RC)
    make_trainer(tmp_path).fit(model, datamodule=Served([bag_batch(bags=1, per_bag=1), bag_batch(1, width=3)]))
    assert bool(model.table.written(torch.arange(16)).all())


def test_odd_batches():
    assert_gets_through(RC)


def test_resume_gives_the_same(tmp_path):
    assert_resume_gives_the_same(RC, tmp_path)
