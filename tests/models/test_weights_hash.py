import torch

from wsreid.models.weights_hash import weights_hash


def test_the_hash_of_weights_knows_names_types_and_shapes():
    weights = {"a": torch.arange(4.0), "b": torch.tensor(2)}
    same = {"b": torch.tensor(2), "a": torch.arange(8.0)[::2] / 2}
    assert weights_hash(weights) == weights_hash(same)
    others = [
        {"a": torch.arange(4.0), "c": torch.tensor(2)},
        {"a": torch.arange(4.0).reshape(2, 2), "b": torch.tensor(2)},
        {"a": torch.arange(4.0).double(), "b": torch.tensor(2)},
        {"a": torch.arange(4.0).bfloat16(), "b": torch.tensor(2)},
        {"a": torch.arange(4.0) + 1e-6, "b": torch.tensor(2)},
    ]
    assert len({weights_hash(other) for other in [weights, *others]}) == 6
