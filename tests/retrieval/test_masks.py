import pytest
import torch

from wsreid.retrieval.masks import at_least, count_true, numbered_places, true_places


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 1.0])
@pytest.mark.parametrize("shape", [(1, 8), (3, 2041), (5, 5600), (4, 0)])
def test_counts_and_places_are_those_of_nonzero(shape, share):
    mask = torch.rand(shape, generator=torch.Generator().manual_seed(1)) < share
    row, column = torch.nonzero(mask, as_tuple=True)
    assert count_true(mask) == len(row)
    found = true_places(mask)
    assert torch.equal(found[0], row)
    assert torch.equal(found[1], column)
    assert torch.equal(numbered_places(mask)[2], torch.nonzero(mask.flatten()).flatten())


def test_values_are_compared_with_the_limit_of_their_row():
    values = torch.tensor([[1.0, 2.0, -torch.inf], [3.0, torch.inf, 2.0]])
    limits = torch.tensor([[2.0], [3.0]])
    out = torch.empty(2, 3, dtype=torch.bool)
    for found in (at_least(values, limits), at_least(values, limits, out=out)):
        assert found.tolist() == [[False, True, False], [True, True, False]]
    assert out.tolist() == [[False, True, False], [True, True, False]]
    assert at_least(torch.tensor([[1, 5]]), 5).tolist() == [[False, True]]
