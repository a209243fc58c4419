"""Batch normalisation folded into the layer before it."""

import pytest
import torch
from torch import nn

from wsreid.errors import WsreidError
from wsreid.models import EmbeddingNet, NetworkOutput, build_network
from wsreid.models.folding import folded


def norms(network):
    return [name for name, module in network.named_modules() if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)]


def as_trained(network):
    generator = torch.Generator().manual_seed(0)
    for name in norms(network):
        norm = network.get_submodule(name)
        for values, low in ((norm.weight, 0.5), (norm.bias, -0.5), (norm.running_mean, -0.5), (norm.running_var, 0.5)):
            values.data.uniform_(low, low + 1, generator=generator)
    return network.eval()


@pytest.mark.parametrize("backbone", ["osnet_x0_25", "test_resnet"])
def test_features_are_the_same_with_the_norms_gone(backbone):
    network = as_trained(build_network(backbone)).to(memory_format=torch.channels_last)
    images = torch.randn(3, 3, 64, 32).contiguous(memory_format=torch.channels_last)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    found = folded(network, images[:2])
    assert norms(found) == ["neck.bn"]
    with torch.no_grad():
        torch.testing.assert_close(found(images).features, network(images).features, rtol=1e-3, atol=1e-3)
    assert all(torch.equal(network.state_dict()[name], value) for name, value in before.items())
    first = next(module for module in found.modules() if isinstance(module, nn.Conv2d))
    assert first.weight.is_contiguous(memory_format=torch.channels_last)


class Odd(EmbeddingNet):
    """A convolution whose output something else may read too, or that is called twice."""

    def __init__(self, kind):
        super().__init__((4,), 4)
        self.kind = kind
        torch.manual_seed(0)
        self.conv, self.bn = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, images):
        made = self.conv(images)
        y = self.bn(made)
        if self.kind == "read twice":
            y = y + made.relu()
        elif self.kind == "called twice":
            y = self.conv(y)
        features = y.mean((2, 3))
        return NetworkOutput(features, (features,), (features,), features)


def test_a_convolution_that_is_called_twice_keeps_its_norm():
    network = as_trained(Odd("called twice"))
    assert norms(folded(network, torch.randn(2, 3, 4, 4))) == ["bn"]


def test_what_folding_would_change_is_refused():
    images = torch.randn(2, 3, 4, 4)
    assert norms(folded(as_trained(Odd("plain")), images)) == []
    with pytest.raises(WsreidError, match=r"cannot be folded.*--features\.engine eager"):
        folded(as_trained(Odd("read twice")), images)
