import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from wsreid.errors import WeightsError
from wsreid.models.osnet import OSNET_WIDTHS, OSNet
from wsreid.models.weights import find_weights, load_weights

CONFORMANCE = Path(os.environ.get("WSREID_CONFORMANCE", Path(__file__).parents[1] / "conformance"))


def test_agrees_with_torchreid():
    files = sorted(CONFORMANCE.glob("osnet_*.npz"))
    if not files:
        pytest.skip(f"no osnet_*.npz in {CONFORMANCE}")
    for file in files:
        try:
            weights = find_weights(f"{file.stem}.pth")
        except WeightsError as error:
            pytest.skip(f"torchreid's weights are not on this machine: {error}")
        match = re.match(r"osnet_x\d_\d+", file.stem)
        assert match is not None
        network = OSNet(match[0], neck="none").eval()
        load_weights(network, str(weights))
        with np.load(file) as vectors, torch.no_grad():
            features = network(torch.from_numpy(vectors["images"]).float()).features.numpy()
            expected = vectors["features"]
        assert np.linalg.norm(features - expected) <= 1e-4 * np.linalg.norm(expected)
        np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


# Millions of parameters without classifier, as the paper and torchreid's model zoo print them.
@pytest.mark.parametrize(
    ("name", "millions"), [("osnet_x1_0", 2.2), ("osnet_x0_75", 1.3), ("osnet_x0_5", 0.6), ("osnet_x0_25", 0.2)]
)
def test_has_the_size_of_the_paper(name, millions):
    with torch.device("meta"):
        network = OSNet(name, neck="none")
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 1) == millions


@pytest.mark.parametrize("name", OSNET_WIDTHS)
def test_each_width_embeds(name):
    network = OSNet(name)
    output = network(torch.randn(2, 3, 64, 32))
    assert output.features.shape == (2, network.feature_dim) == (2, 512)
    assert tuple(head.shape[1] for head in output.heads) == network.head_dims == (512,)
    assert output.low_level.shape == (2, OSNET_WIDTHS[name][1])
    assert output.features.dtype == torch.float32


def test_the_map_is_a_sixteenth_and_the_low_level_map_a_quarter():
    network = OSNet("osnet_x0_25")
    sizes = {}
    network.conv5.register_forward_hook(lambda _m, _i, out: sizes.update(last=tuple(out.shape[2:])))
    network.conv2[1].register_forward_hook(lambda _m, _i, out: sizes.update(low=tuple(out.shape[2:])))
    network(torch.randn(2, 3, 64, 32))
    assert sizes == {"last": (4, 2), "low": (16, 8)}


def test_low_level_reaches_the_first_stage_and_no_further():
    network = OSNet("osnet_x0_25")
    maps = {}
    network.conv2[1].register_forward_hook(lambda _m, _i, out: maps.update(low=out))
    output = network(torch.randn(2, 3, 64, 32))
    torch.testing.assert_close(output.low_level, maps["low"].flatten(2).mean(-1))
    output.low_level.sum().backward()
    assert network.conv1.conv.weight.grad is not None
    assert network.conv2[2][0].conv.weight.grad is None
    assert network.conv3[0].conv1.conv.weight.grad is None


def test_without_a_neck_all_features_are_one_and_a_fresh_neck_only_rescales_them():
    images = torch.randn(2, 3, 64, 32)
    torch.manual_seed(0)
    bare = OSNet("osnet_x0_25", neck="none").eval()
    necked = OSNet("osnet_x0_25", neck="bnneck").eval()
    necked.load_state_dict(bare.state_dict(), strict=False)
    with torch.no_grad():
        plain, neck = bare(images), necked(images)
    assert torch.equal(plain.features, plain.heads[0])
    assert torch.equal(plain.features, plain.metric[0])
    assert torch.equal(neck.metric[0], plain.metric[0])
    assert torch.equal(neck.features, neck.heads[0])
    torch.testing.assert_close(neck.features, plain.features / (1 + 1e-5) ** 0.5)


def test_the_ibn_form_normalises_each_image_in_the_stem_and_behind_the_blocks_of_conv2():
    torch.manual_seed(0)
    network = OSNet("osnet_ibn_x1_0", neck="none").eval()
    seen = []
    for module in (network.conv1.bn, network.conv2[0], network.conv2[1], network.conv3[0]):
        module.register_forward_hook(lambda _m, _i, out: seen.append(out.clone()))  # ReLU works in place
    with torch.no_grad():
        network.conv2[0].IN.bias.fill_(100.0)  # far above zero, so that the ReLU behind it changes nothing
        network.conv2[1].IN.bias.fill_(100.0)
        network(torch.randn(2, 3, 64, 32))
    stem, *blocks, other = seen
    assert stem.mean(dim=(2, 3)).abs().max() < 1e-4
    for block in blocks:
        torch.testing.assert_close(block.mean(dim=(2, 3)), torch.full((2, 256), 100.0))
    assert other.mean(dim=(2, 3)).std() > 0.01
