import numpy as np
import pytest
import torch

from wsreid.retrieval.features import FeatureTable, Sliceable

CPU = torch.device("cpu")
ROWS = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)


class Elsewhere:
    shape = (9, 4)
    dtype = np.dtype(np.float32)

    def slice(self, start, stop):
        return ROWS[start:stop].copy()

    def pick(self, index):
        return ROWS[index]


def kinds(folder):
    np.save(folder / "rows.npy", ROWS)
    frozen = ROWS.copy()
    frozen.flags.writeable = False
    return {
        "array": ROWS,
        "read-only": frozen,
        "other byte order": ROWS.astype(">f4"),
        "tensor": torch.from_numpy(ROWS),
        "mapped": np.load(folder / "rows.npy", mmap_mode="r"),
        "elsewhere": Elsewhere(),
        "backwards": ROWS[::-1].copy()[::-1],
    }


@pytest.mark.filterwarnings("error")
def test_slices_and_picks_are_the_same_wherever_the_rows_lie(tmp_path):
    index = torch.tensor([8, 0, 3, 3])
    for name, features in kinds(tmp_path).items():
        table = FeatureTable(features, CPU)
        assert (table.rows, table.width) == (9, 4), name
        assert np.array_equal(table.slice(2, 5).numpy(), ROWS[2:5]), name
        assert np.array_equal(table.pick(index).numpy(), ROWS[index].astype(np.float64)), name
        assert np.array_equal(table.pick_array(index.numpy()), ROWS[index].astype(np.float64)), name


def test_arrays_are_not_sliceables_and_what_has_the_methods_is():
    assert isinstance(Elsewhere(), Sliceable)
    assert not isinstance(ROWS, Sliceable)
