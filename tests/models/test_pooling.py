import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wsreid.models.pooling import AvgPool, GeM, make_pooling


def test_gem_is_the_power_mean_of_each_channel():
    maps = torch.rand(2, 3, 4, 2, generator=torch.Generator().manual_seed(0)) - 0.3
    with torch.no_grad():
        pooled = GeM(p=3.0)(maps)
    assert pooled.shape == (2, 3, 1, 1)
    for n in range(2):
        for c in range(3):
            lifted = [max(float(value), 1e-6) for value in maps[n, c].flatten()]
            expected = (sum(value**3 for value in lifted) / len(lifted)) ** (1 / 3)
            assert float(pooled[n, c]) == pytest.approx(expected, rel=1e-5)


@settings(max_examples=30, deadline=None)
@given(
    values=st.lists(st.floats(0.01, 10.0), min_size=4, max_size=4),
    low=st.floats(1.0, 4.0),
    step=st.floats(0.1, 4.0),
)
def test_gem_grows_with_its_power_from_the_mean_to_the_maximum(values, low, step):
    maps = torch.tensor(values, dtype=torch.float32).reshape(1, 1, 2, 2)
    slack = 1e-4 * max(values)
    with torch.no_grad():
        mean, weak, strong = float(AvgPool()(maps)), float(GeM(low)(maps)), float(GeM(low + step)(maps))
    assert mean - slack <= weak <= strong + slack
    assert strong <= max(values) + slack


@pytest.mark.parametrize("kind", ["avg", "gem"])
def test_zones_are_the_stripes_from_top_to_bottom(kind):
    pooling = make_pooling(kind)
    maps = torch.rand(2, 3, 6, 4, generator=torch.Generator().manual_seed(0))
    zones = pooling(maps, 3)
    assert zones.shape == (2, 3, 3, 1)
    for zone in range(3):
        torch.testing.assert_close(zones[:, :, zone : zone + 1], pooling(maps[:, :, 2 * zone : 2 * zone + 2]))


def test_gem_survives_large_half_precision_activations():
    with torch.no_grad():
        pooled = GeM()(torch.full((1, 1, 2, 2), 100.0, dtype=torch.float16))  # 100^3 overflows float16
    assert pooled.dtype == torch.float16
    assert float(pooled) == pytest.approx(100.0, rel=1e-2)


def test_the_power_is_learnt():
    gem = GeM()
    gem(torch.tensor([[[[1.0, 2.0]]]])).sum().backward()
    assert gem.p.grad is not None
    assert float(gem.p.grad) > 0
