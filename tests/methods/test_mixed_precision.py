"""Each method trains in bfloat16 and with clipped gradients, on the CPU."""

import pytest
import torch

from tests.teachers import teacher_options
from wsreid.methods import BagCE

from .conftest import NUM_IDS, Served, bag_batch, make_trainer
from .test_no_leak import METHODS, batches_for

OPTIONS = {"ClusterContrast": {"eps": 0.6, "min_samples": 2, "k1": 4, "k2": 2}}  # finds clusters among so few images


@pytest.mark.usefixtures("tiny_network")
@pytest.mark.parametrize("method", METHODS)
def test_each_method_trains_in_bfloat16(method, tmp_path):
    options = teacher_options(method, tmp_path) | OPTIONS.get(method.__name__, {})
    torch.manual_seed(0)
    model = method(num_ids=NUM_IDS, lr=0.01, **options)
    before = {name: value.clone() for name, value in model.network.named_parameters()}
    trainer = make_trainer(tmp_path, max_epochs=2, precision="bf16-mixed")
    trainer.fit(model, datamodule=Served(batches_for(method)))
    assert trainer.callback_metrics["train/loss"].isfinite()
    for name, value in model.network.named_parameters():
        assert value.dtype == torch.float32
        assert value.isfinite().all()
        assert not torch.equal(value, before[name]) or not value.requires_grad, name


@pytest.mark.usefixtures("tiny_network")
@pytest.mark.parametrize("precision", ["32", "bf16-mixed"])
def test_gradients_are_clipped(precision, tmp_path):
    norms = []

    class Watched(BagCE):
        def on_before_zero_grad(self, optimizer):
            grads = [p.grad for p in self.parameters() if p.grad is not None]
            if grads:  # those that the step was taken with
                norms.append(float(torch.linalg.vector_norm(torch.cat([grad.flatten() for grad in grads]))))

    def steps(**options):
        torch.manual_seed(0)
        norms.clear()
        trainer = make_trainer(tmp_path, precision=precision, max_epochs=2, **options)
        trainer.fit(Watched(num_ids=NUM_IDS), datamodule=Served([bag_batch(seed) for seed in range(3)]))
        return list(norms)

    free, clipped = steps(), steps(gradient_clip_val=0.01)
    assert min(free) > 0.02
    assert clipped
    assert max(clipped) == pytest.approx(0.01, rel=1e-3)
