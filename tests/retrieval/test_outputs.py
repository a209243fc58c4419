import numpy as np
import pytest
import torch

from wsreid.errors import ConfigError
from wsreid.retrieval import outputs
from wsreid.retrieval.outputs import StepOutputs


def batch(rows, dtype=torch.float32):
    ids = torch.tensor(rows)
    return {"features": ids[:, None].to(dtype).repeat(1, 3), "pid": ids % 4, "camera": ids % 2, "row": ids}


def test_batches_are_joined_in_float32():
    collected = StepOutputs()
    collected.add(batch([3, 1], torch.bfloat16), "test_step")
    collected.add(batch([2]), "test_step")
    joined = collected.gather(1)
    assert joined.features.dtype == np.float32
    assert joined.row.tolist() == [3, 1, 2]
    assert joined.features[:, 0].tolist() == [3, 1, 2]
    assert StepOutputs().gather(1) is None


def test_ranks_are_joined_by_row_without_duplicates(monkeypatch):
    mine, other = StepOutputs(), StepOutputs()
    mine.add(batch([0, 2, 4]), "test_step")
    other.add(batch([1, 3, 0]), "test_step")  # the sampler repeats row 0 to even the ranks out

    def gather(parts, own):
        parts[0], parts[1] = own, other._batches

    monkeypatch.setattr(outputs.torch.distributed, "all_gather_object", gather)
    joined = mine.gather(2)
    assert joined.row.tolist() == [0, 1, 2, 3, 4]
    assert joined.pid.tolist() == [0, 1, 2, 3, 0]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (None, "returned NoneType"),
        ({k: v for k, v in batch([1]).items() if k != "row"}, "row is missing"),
        ({**batch([1]), "pid": [1]}, "pid is list"),
        ({**batch([1, 2]), "camera": torch.tensor([1])}, "shapes are"),
        ({**batch([1]), "features": torch.ones(1)}, "shapes are"),
    ],
)
def test_wrong_outputs_are_refused_in_words(wrong, message):
    with pytest.raises(ConfigError, match=rf"validation_step must return.*{message}"):
        StepOutputs().add(wrong, "validation_step")
