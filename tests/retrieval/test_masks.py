import pytest
import torch

from wsreid.retrieval.masks import count_true, true_places


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 1.0])
@pytest.mark.parametrize("shape", [(1, 8), (3, 2040), (5, 8 * 700)])
def test_counts_and_places_are_those_of_nonzero(shape, share):
    mask = torch.rand(shape, generator=torch.Generator().manual_seed(1)) < share
    row, column = torch.nonzero(mask, as_tuple=True)
    assert count_true(mask) == len(row)
    found = true_places(mask)
    assert torch.equal(found[0], row)
    assert torch.equal(found[1], column)
