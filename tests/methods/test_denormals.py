"""Training takes denormals for zero; nothing else does."""

import pytest
import torch

from wsreid.methods import BagCE
from wsreid.methods.denormals import flushed_denormals

from .conftest import NUM_IDS, Served, bag_batch, make_trainer

pytestmark = pytest.mark.skipif(not torch.set_flush_denormal(False), reason="this processor cannot flush denormals")


def flushes():
    return bool(torch.tensor(1e-38).mul(0.01) == 0)


def test_inside_they_are_zero_and_outside_as_before():
    assert not flushes()
    with flushed_denormals():
        assert flushes()
        with flushed_denormals():
            assert flushes()
        assert flushes()
    assert not flushes()


def test_an_error_inside_leaves_nothing_behind():
    with pytest.raises(ZeroDivisionError), flushed_denormals():
        raise ZeroDivisionError
    assert not flushes()


def test_a_training_step_flushes_and_validation_does_not(tiny_network, tmp_path):
    seen = {"forward": [], "backward": [], "validation": []}

    class Watching(BagCE):
        def losses(self, batch, outputs):
            seen["forward"].append(flushes())
            outputs.logits[0].register_hook(lambda gradient: seen["backward"].append(flushes()))
            return super().losses(batch, outputs)

        def validation_step(self, batch, batch_idx, dataloader_idx=0):
            seen["validation"].append(flushes())
            return super().validation_step(batch, batch_idx, dataloader_idx)

    trainer = make_trainer(tmp_path, limit_val_batches=1.0)
    trainer.fit(Watching(num_ids=NUM_IDS), datamodule=Served([bag_batch(0), bag_batch(1)]))
    assert seen == {"forward": [True] * 2, "backward": [True] * 2, "validation": [False] * 2}
    assert not flushes()
