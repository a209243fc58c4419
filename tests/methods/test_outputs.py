"""Real networks under a method: one classifier per head, and a training step that moves all of them."""

import pytest
import torch

from wsreid.data.batch import BagBatch
from wsreid.methods import DGL, BagOutputs

from .conftest import Served, bag_batch, make_trainer


def larger(batch: BagBatch) -> BagBatch:
    images = torch.nn.functional.interpolate(batch.images[0].float(), (64, 32)).to(torch.uint8)[None]
    return BagBatch(**{**vars(batch), "images": images})


@pytest.mark.parametrize("backbone", ["osnet_x0_25", "test_resnet"])
def test_a_step_moves_network_and_classifiers(backbone, tmp_path):
    torch.manual_seed(0)
    batch = larger(bag_batch(bags=2, per_bag=4))
    model = DGL(num_ids=12, backbone=backbone)
    outputs = model.eval().outputs(batch)
    assert isinstance(outputs, BagOutputs)
    assert [tuple(logits.shape) for logits in outputs.logits] == [(8, 12)] * len(model.network.head_dims)
    assert outputs.network.features.shape == (8, model.network.feature_dim)
    before = {name: value.clone() for name, value in model.named_parameters()}
    make_trainer(tmp_path).fit(model.train(), datamodule=Served([batch]))
    after = {name: value for name, value in model.named_parameters() if value.ndim > 1}
    still = [name for name, value in after.items() if torch.equal(value, before[name])]
    assert still == []
    assert model.embed(batch.images[0]).shape == (8, model.network.feature_dim)
