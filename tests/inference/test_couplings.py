"""Couplings: the formula as a loop, over bags, cameras, sequences and unknown times."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wsreid.inference import bag_couplings

OPTIONS = {"weight": 0.7, "sigma": 0.5, "same_frame": 2.0, "neighbour": 0.3}


def naive(appearance, bag, camera, sequence, frame, weight, sigma, same_frame, neighbour, reach):
    n = len(bag)
    result = [[0.0] * n for _ in range(n)]
    for i in range(n):
        track = (bag[i], camera[i], sequence[i])
        frames = sorted({frame[j] for j in range(n) if (bag[j], camera[j], sequence[j]) == track})
        for j in range(n):
            if i == j or bag[i] != bag[j]:
                continue
            kernel = math.exp(-sum((a - b) ** 2 for a, b in zip(appearance[i], appearance[j], strict=True)) / sigma)
            result[i][j] = weight * kernel
            timed = min(camera[i], sequence[i], frame[i], camera[j], sequence[j], frame[j]) >= 0
            if not timed or (bag[j], camera[j], sequence[j]) != track:
                continue
            steps = abs(frames.index(frame[i]) - frames.index(frame[j]))
            if steps == 0:
                result[i][j] -= same_frame
            elif steps <= reach:
                result[i][j] += neighbour * kernel
    return result


@given(st.integers(0, 500), st.integers(1, 3))
def test_the_formula_as_a_loop(seed, reach):
    generator = torch.Generator().manual_seed(seed)
    n = 9
    appearance = torch.rand(n, 2, generator=generator, dtype=torch.float64)
    bag = torch.randint(0, 3, (n,), generator=generator)
    camera, sequence = (torch.randint(-1, 2, (n,), generator=generator) for _ in range(2))
    frame = torch.randint(-1, 4, (n,), generator=generator) * 12
    frame[frame < 0] = -1
    times = (bag, camera, sequence, frame)
    found = bag_couplings(appearance, *times, **OPTIONS, reach=reach)
    expected = naive(appearance.tolist(), *(t.tolist() for t in times), **OPTIONS, reach=reach)
    assert torch.allclose(found, torch.tensor(expected, dtype=torch.float64))
    assert torch.equal(found, found.T)


def test_without_times_the_kernel_is_alone():
    none = torch.full((3,), -1)
    found = bag_couplings(torch.zeros(3, 4), torch.zeros(3, dtype=torch.long), none, none, none, **OPTIONS)
    assert torch.allclose(found, 0.7 * (1 - torch.eye(3)))


@pytest.mark.parametrize("n", [0, 1])
def test_no_pair(n):
    none = torch.full((n,), -1)
    assert bag_couplings(torch.zeros(n, 4), torch.zeros(n, dtype=torch.long), none, none, none).tolist() == [[0.0]] * n


def test_half_precision_is_computed_in_float32_and_without_a_graph():
    appearance = torch.rand(3, 4, generator=torch.Generator().manual_seed(0)).bfloat16().requires_grad_()
    none, bag = torch.full((3,), -1), torch.zeros(3, dtype=torch.long)
    found = bag_couplings(appearance, bag, none, none, none)
    assert found.dtype == torch.float32
    assert torch.equal(found, bag_couplings(appearance.detach().float(), bag, none, none, none))
    assert not found.requires_grad
