import pytest
import torch

from wsreid.models.mgn import MGN
from wsreid.models.timm_body import create_body

IMAGES = torch.randn(2, 3, 96, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return MGN(create_body("resnet26"))


def test_eight_heads_three_of_them_global(network):
    output = network(IMAGES)
    assert network.head_dims == (256,) * 8
    assert [tuple(head.shape) for head in output.heads] == [(2, 256)] * 8
    assert all(metric is head for metric, head in zip(output.metric, output.heads[:3], strict=True))
    assert len(output.metric) == 3
    assert output.low_level.shape == (2, 256)
    assert network.feature_dim == 2048
    assert torch.equal(output.features, torch.cat(output.heads, dim=1))
    assert all(bool((head >= 0).all()) for head in output.heads)


def test_branch_one_halves_the_map_and_the_others_do_not(network):
    sizes = {}
    hooks = [
        branch.register_forward_hook(lambda _m, _i, out, k=k: sizes.update({k: tuple(out.shape[1:])}))
        for k, branch in enumerate(network.branches)
    ]
    network(torch.randn(2, 3, 384, 128)[:, :, ::4, ::4])
    for hook in hooks:
        hook.remove()
    assert sizes == {0: (2048, 3, 1), 1: (2048, 6, 2), 2: (2048, 6, 2)}  # a quarter of 12x4 and 24x8


def test_branches_start_equal_and_are_apart(network):
    first, second, third = (dict(branch.named_parameters()) for branch in network.branches)
    assert list(first) == list(second) == list(third)
    for key, value in first.items():
        assert torch.equal(value, second[key])
        assert torch.equal(value, third[key])
        assert len({value.data_ptr(), second[key].data_ptr(), third[key].data_ptr()}) == 3


def test_each_head_reads_its_own_zone(network):
    reads = {"global": (0, 1), "upper half": (0, 0.5), "lower half": (0.5, 1)}
    reads |= {"upper third": (0, 1 / 3), "middle third": (1 / 3, 2 / 3), "lower third": (2 / 3, 1)}
    zones = ["global"] * 3 + list(reads)[1:]
    branch_of = [0, 1, 2, 1, 1, 2, 2, 2]
    network.eval()
    maps, seen = {}, {}
    hooks = [
        branch.register_forward_hook(lambda _m, _i, out, k=k: maps.update({k: out}))
        for k, branch in enumerate(network.branches)
    ]
    hooks += [
        reduction.register_forward_hook(lambda _m, args, _o, k=k: seen.update({k: args[0]}))
        for k, reduction in enumerate(network.reductions)
    ]
    with torch.no_grad():
        network(IMAGES)
    for hook in hooks:
        hook.remove()
    network.train()
    for head, (branch, zone) in enumerate(zip(branch_of, zones, strict=True)):
        height = maps[branch].shape[2]
        top, bottom = (round(edge * height) for edge in reads[zone])
        torch.testing.assert_close(seen[head].flatten(1), maps[branch][:, :, top:bottom].mean(dim=(2, 3)))


def test_every_parameter_learns(network):
    network.zero_grad()
    network(IMAGES).features.square().sum().backward()
    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []


def test_low_level_stops_at_layer1(network):
    network.zero_grad()
    network(IMAGES).low_level.sum().backward()
    assert all(parameter.grad is not None for parameter in network.layer1.parameters())
    assert all(parameter.grad is None for parameter in network.trunk.parameters())


@pytest.mark.parametrize("name", ["resnet18", "test_convnext", "resnet14t"])
def test_bodies_that_cannot_be_split_are_refused(name):
    with pytest.raises(TypeError, match="bottleneck"):
        MGN(create_body(name))
