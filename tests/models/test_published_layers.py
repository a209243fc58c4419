import torch
import torch.nn.functional as F

from wsreid.models.published_layers import IBN, FixedGeM, NonLocal
from wsreid.models.published_resnet import NON_LOCAL_AFTER, PublishedResNet, ResNetBody


def test_ibn_normalises_one_half_by_image_and_the_other_by_batch():
    torch.manual_seed(0)
    layer = IBN(6).eval()
    layer.BN.running_mean.fill_(0.5)
    maps = torch.randn(2, 6, 4, 3)
    found = layer(maps)
    torch.testing.assert_close(found[:, :3], F.instance_norm(maps[:, :3]))
    torch.testing.assert_close(found[:, 3:], (maps[:, 3:] - 0.5) / (1 + 1e-5) ** 0.5)


def test_non_local_is_the_formula_of_all_pairs_of_positions():
    torch.manual_seed(0)
    layer = NonLocal(5, inner=2).eval()
    maps = torch.randn(2, 5, 4, 3)
    g, theta, phi = (m(maps).flatten(2) for m in (layer.g, layer.theta, layer.phi))
    pairs = torch.einsum("nip,niq->npq", theta, phi) / 12
    expected = maps + layer.W(torch.einsum("npq,niq->nip", pairs, g).reshape(2, 2, 4, 3))
    torch.testing.assert_close(layer(maps), expected)
    assert not torch.equal(layer(maps), maps)


def test_gem_of_fixed_power_is_the_cube_root_of_the_mean_cube_and_has_no_key():
    layer = FixedGeM()
    assert layer.state_dict() == {}
    maps = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    torch.testing.assert_close(layer(maps).flatten(), torch.tensor([25.0 ** (1 / 3)]))


def test_non_local_blocks_stand_behind_the_last_blocks_of_layer2_and_layer3():
    torch.manual_seed(0)
    network = PublishedResNet(ResNetBody(last_stride=1, non_local=True)).eval()
    order = []
    for stage in ("2", "3"):
        for kind, modules in (("block", getattr(network.body, f"layer{stage}")), ("nl", network.non_local[stage])):
            for index, module in enumerate(modules):
                name = (stage, kind, index)
                module.register_forward_hook(lambda *_, name=name: order.append(name))
    with torch.no_grad():
        network(torch.randn(1, 3, 32, 16))
    assert [name for name in order if name[0] == "2"][2:] == [
        ("2", "block", 2),
        ("2", "nl", 0),
        ("2", "block", 3),
        ("2", "nl", 1),
    ]
    behind = [order[i - 1][2] for i, name in enumerate(order) if name[:2] == ("3", "nl")]
    assert tuple(behind) == NON_LOCAL_AFTER["3"]
