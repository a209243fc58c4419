"""The follower: the formula, written as a loop; no gradient; batch normalisation by averaged statistics."""

import torch
from torch import nn

from wsreid.methods.ema import Follower

from .conftest import NUM_IDS, TinyNet


def moved(module, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in module.parameters():
            p.add_(torch.randn(p.shape, generator=generator))
        for name, b in module.named_buffers():
            if "running" in name:
                b.add_(1.0)


def test_weights_follow_the_formula():
    network, classifiers = TinyNet(), nn.ModuleList([nn.Linear(6, NUM_IDS), nn.Linear(5, NUM_IDS)])
    follower = Follower(network, classifiers, 0.75)
    follower.follow(network, classifiers)
    expected = {name: p.clone() for name, p in network.state_dict().items()}
    for step in range(3):
        moved(network, step)
        moved(classifiers, step)
        follower.follow(network, classifiers)
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                expected[name] = 0.75 * expected[name] + 0.25 * value
    for name, value in follower.network.state_dict().items():
        if value.is_floating_point():
            assert torch.allclose(value, expected[name], atol=1e-6), name


def test_it_takes_no_gradient_and_stays_in_evaluation_mode():
    network, classifiers = TinyNet(), nn.ModuleList([nn.Linear(6, NUM_IDS), nn.Linear(5, NUM_IDS)])
    follower = Follower(network, classifiers, 0.9).train()
    assert not any(p.requires_grad for p in follower.parameters())
    assert not any(m.training for m in follower.modules())
    assert all(p.requires_grad for p in network.parameters())
