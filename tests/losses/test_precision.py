"""The float32 wrapper."""

import torch

from wsreid.losses.precision import in_float32


@in_float32
def product(a, b, scale=None):
    return a @ b if scale is None else a @ b * scale


def test_outside_autocast_and_raised():
    a = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    expected = a @ a
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not torch.equal((a @ a).float(), expected)
        assert torch.equal(product(a, b=a), expected)
    assert product(a.half(), a.half(), scale=torch.ones(()).half()).dtype == torch.float32


def test_float64_stays():
    a = torch.ones(2, 2, dtype=torch.float64)
    assert product(a, a).dtype == torch.float64
