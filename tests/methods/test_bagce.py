"""The lower line."""

import pytest
import torch

from wsreid.losses import candidate_binary_cross_entropy, candidate_cross_entropy
from wsreid.methods import BagCE

from .conftest import NUM_IDS, bag_batch


@pytest.mark.usefixtures("tiny_network")
@pytest.mark.parametrize(("name", "loss"), [("ce", candidate_cross_entropy), ("bce", candidate_binary_cross_entropy)])
def test_the_term_is_the_mean_over_the_heads(name, loss):
    model, batch = BagCE(num_ids=NUM_IDS, loss=name).eval(), bag_batch(width=3)
    outputs = model.outputs(batch)
    terms = model.losses(batch, outputs)
    assert list(terms) == [name]
    expected = sum(loss(z, batch.image_candidates) for z in outputs.logits) / 2
    assert torch.allclose(terms[name], expected)
