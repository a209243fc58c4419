import pytest
import timm
import torch

from wsreid.errors import ConfigError
from wsreid.models.timm_body import create_body
from wsreid.models.timm_net import TimmNet

IMAGES = torch.randn(2, 3, 64, 32, generator=torch.Generator().manual_seed(0))


def net(name, *, last_stride=None, **options):
    torch.manual_seed(0)
    return TimmNet(create_body(name, last_stride=last_stride), name, **options)


OLD_TIMM = tuple(int(part) for part in timm.__version__.split(".")[:3]) < (1, 0, 31)
SWIN = pytest.param(
    "swin_tiny_patch4_window7_224",
    marks=pytest.mark.skipif(OLD_TIMM, reason="before timm 1.0.31 its Swin takes images of one size alone"),
)


# Maps (N, C, H, W), maps with a hidden layer behind the pooling, maps (N, H, W, C), tokens.
@pytest.mark.parametrize("name", ["test_resnet", "mobilenetv3_small_050", SWIN, "test_vit"])
def test_every_kind_of_body_embeds_images_that_are_not_square(name):
    network = net(name).eval()
    with torch.no_grad():
        output = network(IMAGES)
        own = network.body.forward_head(network.body.forward_features(IMAGES), pre_logits=True)
    assert output.features.shape == (2, network.feature_dim)
    assert output.heads[0].shape == (2, *network.head_dims)
    # Average pooling gives what timm's own network would hand to its classifier.
    torch.testing.assert_close(output.metric[0], own, rtol=1e-4, atol=1e-5)


def test_low_level_is_the_mean_of_layer1_with_its_gradient():
    network = net("test_resnet")
    maps = {}
    network.body.layer1.register_forward_hook(lambda _m, _i, out: maps.update(low=out))
    output = network(IMAGES)
    torch.testing.assert_close(output.low_level, maps["low"].flatten(2).mean(-1))
    output.low_level.sum().backward()
    assert all(parameter.grad is not None for parameter in network.body.conv1.parameters())
    assert all(parameter.grad is None for parameter in network.body.layer2.parameters())


def test_low_level_of_a_transformer_is_the_mean_of_its_image_tokens():
    network = net("test_vit").eval()
    tokens = {}
    network.body.blocks[0].register_forward_hook(lambda _m, _i, out: tokens.update(low=out))
    with torch.no_grad():
        output = network(IMAGES)
    torch.testing.assert_close(output.low_level, tokens["low"][:, network.body.num_prefix_tokens :].mean(1))


def test_the_metric_feature_is_before_and_the_test_feature_behind_the_neck():
    network = net("test_resnet").train()
    with torch.no_grad():
        output = network(IMAGES)
    assert torch.equal(output.features, output.heads[0])
    torch.testing.assert_close(output.heads[0].mean(0), torch.zeros(network.feature_dim), atol=1e-4, rtol=0)
    assert float(output.metric[0].mean(0).abs().max()) > 1e-2
    bare = net("test_resnet", neck="none")(IMAGES)
    assert bare.features is bare.heads[0]
    assert bare.heads[0] is bare.metric[0]


def test_gem_pools_the_map():
    network = net("test_resnet", pooling="gem", last_stride=1).eval()
    with torch.no_grad():
        output = network(IMAGES)
        final = network.body.forward_features(IMAGES)
    expected = final.clamp(min=1e-6).pow(3).mean(dim=(2, 3)).pow(1 / 3)
    torch.testing.assert_close(output.metric[0], expected)


def test_gem_on_tokens_is_refused_when_the_network_is_built():
    with pytest.raises(ConfigError, match=r"test_vit.*tokens"):
        net("test_vit", pooling="gem")


@pytest.mark.parametrize("name", ["mixer_s32_224", "test_vit"])
def test_a_size_that_the_body_refuses_is_a_config_error(name):
    with pytest.raises(ConfigError, match=rf"{name}.*30x20.*data\.height"), torch.no_grad():
        net(name).eval()(torch.zeros(1, 3, 30, 20))


def test_other_errors_of_the_body_pass_through():
    with pytest.raises(RuntimeError, match="channels"):
        net("test_resnet")(torch.zeros(2, 4, 64, 32))


def test_features_are_float32_under_autocast():
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.no_grad():
        output = net("test_resnet", neck="none").eval()(IMAGES)
    assert output.features.dtype == torch.float32
