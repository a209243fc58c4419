"""The upper line."""

import pytest
import torch

from wsreid.losses import batch_hard_triplet_loss, smoothed_cross_entropy
from wsreid.methods import Oracle

from .conftest import NUM_IDS, bag_batch


@pytest.mark.usefixtures("tiny_network")
def test_terms_read_the_truth_and_the_right_features():
    model, batch = Oracle(num_ids=NUM_IDS).eval(), bag_batch()
    outputs = model.outputs(batch)
    terms = model.losses(batch, outputs)
    ids = batch.truth.ids
    assert torch.allclose(terms["ce"], sum(smoothed_cross_entropy(z, ids, 0.1) for z in outputs.logits) / 2)
    assert torch.allclose(terms["triplet"], batch_hard_triplet_loss(outputs.network.metric[0], ids, 0.3))
    assert model.needs.truth
    assert model.needs.identity_batches
