"""Vectors of the official code, one parameter per file."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.testing import assert_close

FOLDER = Path(os.environ.get("WSREID_CONFORMANCE") or Path(__file__).parents[1] / "conformance")
FILES = sorted(FOLDER.glob("dgl_losses_*.npz"))


def candidate_lists(bag_prior):
    """(N, C) membership -> (N, L) index lists padded with -1."""
    lists = [torch.from_numpy(np.flatnonzero(row)) for row in bag_prior]
    return torch.nn.utils.rnn.pad_sequence(lists, batch_first=True, padding_value=-1)


def assert_near(ours, official):
    """1e-5 relative: of the number itself for scalars, of the largest entry for tensors."""
    official = torch.as_tensor(official, dtype=ours.dtype)
    assert_close(ours, official, rtol=1e-5, atol=1e-5 * float(official.abs().max()))


@pytest.fixture(params=FILES or [None], ids=lambda path: path.stem if path else "none")
def dgl_vector(request):
    if request.param is None:
        assert "WSREID_CONFORMANCE" in os.environ, f"no dgl_losses_*.npz in {FOLDER}"
        pytest.skip(f"WSREID_CONFORMANCE names {FOLDER}, which holds no dgl_losses_*.npz")
    with np.load(request.param) as file:
        arrays = dict(file)
    tensors = {name: torch.from_numpy(value) for name, value in arrays.items() if value.ndim}
    tensors["candidates"] = candidate_lists(arrays["bag_prior"])
    return tensors, {name: float(value) for name, value in arrays.items() if not value.ndim}
