"""The parameters that papers give are those a caller gets who names none."""

import inspect

import pytest

from wsreid import losses

DEFAULTS = {
    "cluster_contrast_loss": {"temperature": 0.05},
    "update_cluster_memory": {"momentum": 0.1},
    "similarity_distribution_loss": {"temperature": 0.1},
    "bag_triplet_loss": {"margin": 0.3},
    "bag_smoothed_cross_entropy": {"smoothing": 0.1},
    "co_person_attention_loss": {"margin": 0.5},
    "smoothed_cross_entropy": {"smoothing": 0.1},
    "pairwise_loss": {"sigma": 1.0, "bag": None, "detach": False},
    "graph_loss": {"pair_weight": 2.0, "sigma": 1.0, "bag": None, "detach": False},
    "leveraged_weighted_loss": {"inside_weight": 1.0, "outside_weight": 1.0},
    "pool_bags": {"pool": "topk", "share": 0.25, "sharpness": 5.0},
    "pooled_bag_loss": {"pool": "topk", "loss": "ce", "share": 0.25, "sharpness": 5.0},
    "weighted_candidate_cross_entropy": {"smoothing": 0.0},
    "prototype_contrast_loss": {"temperature": 0.1, "chunk": 4096},
    "momentum_contrastive_loss": {"temperature": 0.07},
    "supervised_contrastive_loss": {"temperature": 0.07},
    "batch_hard_triplet_loss": {"margin": 0.3},
    "weak_triplet_loss": {"margin": 1.2, "quantile": None},
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_defaults_are_those_of_the_papers(name):
    given = inspect.signature(getattr(losses, name)).parameters.values()
    assert {each.name: each.default for each in given if each.default is not each.empty} == DEFAULTS[name]
