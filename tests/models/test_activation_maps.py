import pytest
import torch
from torch import nn

from wsreid.models import EmbeddingNet, NetworkOutput, build_network
from wsreid.models.activation_maps import activation_maps
from wsreid.models.pooling import AvgPool


class Plain(EmbeddingNet):
    """Its map is the image, averaged over blocks of 4x4 pixels."""

    def __init__(self):
        super().__init__((3,), 3)
        self.pooling = AvgPool()

    def forward(self, images):
        maps = nn.functional.avg_pool2d(images, 4)
        features = self.pooling(maps).flatten(1)
        return NetworkOutput(features=features, heads=(features,), metric=(features,), low_level=features)


def with_spot(top, left):
    image = torch.zeros(3, 16, 8)
    image[:, top : top + 4, left : left + 4] = torch.tensor([3.0, 4.0, 12.0])[:, None, None]
    return image


def test_the_map_is_bright_where_the_features_come_from():
    network = Plain()
    images = torch.stack([with_spot(0, 0), with_spot(12, 4), torch.zeros(3, 16, 8), with_spot(4, 4) / 100])
    maps = activation_maps(lambda x: network(x).features, network, images)
    assert maps.shape == (4, 16, 8)
    assert maps[0].argmax() == 0
    assert maps[1, 15, 7] == 1
    assert maps[1, :4].max() == 0
    assert not maps[2].any()
    assert maps[3, 5, 6] == 1  # each image has its own scale
    assert maps[3].min() == 0


def test_it_is_the_norm_over_the_channels():
    network = Plain()
    images = torch.zeros(1, 3, 8, 8)
    images[0, 0, :4, :4] = 5.0  # one strong channel: norm 5
    images[0, :, 4:, 4:] = 3.0  # three weaker ones: norm 5.2
    maps = activation_maps(lambda x: network(x).features, network, images)
    assert maps[0, 7, 7] == 1
    assert maps[0, 0, 0] == pytest.approx(5 / 27**0.5)


def test_of_two_passes_the_first_counts():
    network = Plain()
    image = with_spot(4, 0)[None]
    once = activation_maps(lambda x: network(x).features, network, image)
    twice = activation_maps(lambda x: network(x).features + network(x.flip(-1)).features, network, image)
    assert torch.equal(once, twice)


def test_of_two_networks_that_which_embeds_counts():
    both = nn.ModuleList([Plain(), Plain()])
    maps = activation_maps(lambda x: both[1](x).features, both, with_spot(8, 4)[None])
    assert maps[0, 8:12, 4:].min() > maps[0, :4].max()


@pytest.mark.parametrize("backbone", ["test_resnet", "osnet_x0_25", "mgn"])
@pytest.mark.parametrize("pooling", ["avg", "gem"])
def test_each_network_has_one_map_and_works_as_before(backbone, pooling):
    torch.manual_seed(0)
    network = build_network(backbone, pooling=pooling).eval()
    images = torch.randn(2, 3, 64, 32)
    before = network(images).features
    maps = activation_maps(lambda x: network(x).features, network, images)
    assert maps.shape == (2, 64, 32)
    assert maps.min() == 0
    assert (maps.amax((1, 2)) == 1).all()
    assert torch.equal(network(images).features, before)
    assert not any(part._forward_pre_hooks for part in network.modules())


def test_tokens_have_none():
    network = build_network("test_vit").eval()
    assert activation_maps(lambda x: network(x).features, network, torch.randn(1, 3, 160, 160)) is None
