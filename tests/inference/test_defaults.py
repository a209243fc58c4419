"""The parameters that papers give are those a caller gets who names none."""

import inspect

import pytest

from wsreid import inference

DEFAULTS = {
    "density_clusters": {"eps": 0.6, "min_samples": 4},
    "bag_couplings": {"weight": 1.0, "sigma": 1.0, "same_frame": 0.0, "neighbour": 0.0, "reach": 1},
    "mean_field": {"rounds": 5, "damping": 0.5},
    "moved_prototypes": {"momentum": 0.99},
    "drawn_prototypes": {"least": 0.05},
    "seed_groups": {"share": 0.95},
    "sinkhorn": {"at_least": None, "eps": 1.0, "tolerance": 1e-4, "max_rounds": 1000},
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_defaults_are_those_of_the_papers(name):
    given = inspect.signature(getattr(inference, name)).parameters.values()
    assert {each.name: each.default for each in given if each.default is not each.empty} == DEFAULTS[name]
