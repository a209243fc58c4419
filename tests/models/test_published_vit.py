import pytest
import torch

from wsreid.errors import ConfigError
from wsreid.models.published_vit import TransReID, ViTBody, shuffled

SMALL = "vit_tiny_patch16_224"


def test_patches_are_rolled_and_interleaved():
    patches = torch.arange(10.0).view(1, 10, 1)
    assert shuffled(patches).flatten().tolist() == [4, 9, 5, 0, 6, 1, 7, 2, 8, 3]
    odd = shuffled(torch.arange(9.0).view(1, 9, 1)).flatten().tolist()
    assert odd == [4, 0, 5, 1, 6, 2, 7, 3, 8, 2]


@pytest.mark.parametrize(("jigsaw", "parts"), [(False, 1), (True, 5)])
def test_the_feature_is_the_token_before_the_neck_and_a_quarter_of_each_part(jigsaw, parts):
    torch.manual_seed(0)
    network = TransReID(ViTBody(SMALL, 64, 32, 12, cameras=3, jigsaw=jigsaw)).eval()
    images = torch.randn(2, 3, 64, 32)
    with torch.no_grad():
        network.sie_embed.normal_()
        found = network(images)
        assert found.features.shape == (2, network.feature_dim) == (2, 192 * parts)
        torch.testing.assert_close(found.features[:, :192], found.metric[0])
        tokens = torch.cat([network.cls_token.expand(2, -1, -1), network.patch(images).flatten(2).mT], 1)
        tokens = tokens + network.pos_embed + 3.0 * network.sie_embed.mean(0)
        if not jigsaw:
            torch.testing.assert_close(found.metric[0], network.norm(network.blocks(tokens))[:, 0])
            return
        tokens = network.blocks[:-1](tokens)
        torch.testing.assert_close(found.metric[0], network.branches[0](tokens)[:, 0])
        length = (tokens.shape[1] - 1) // 4
        second = shuffled(tokens[:, 1:])[:, length : 2 * length]
        local = network.branches[1](torch.cat([tokens[:, :1], second], 1))[:, 0]
        torch.testing.assert_close(found.features[:, 192 * 2 : 192 * 3], local / 4)


def test_images_of_another_size_are_refused():
    network = TransReID(ViTBody(SMALL, 64, 32, 16)).eval()
    with pytest.raises(ConfigError, match=r"--data\.height 64 --data\.width 32"):
        network(torch.zeros(1, 3, 32, 32))
