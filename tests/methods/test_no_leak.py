"""The truth reaches oracles alone: permuting it leaves the weights of a weak method bit for bit the same."""

import inspect

import pytest
import torch

import wsreid.methods
from tests.teachers import teacher_options
from wsreid.methods import FolderCE, Method

from .conftest import NUM_IDS, Served, bag_batch, make_trainer, permute_truth

METHODS = sorted(
    (
        kind
        for name in wsreid.methods.__all__
        if inspect.isclass(kind := getattr(wsreid.methods, name))
        and issubclass(kind, Method)
        and kind.trains
        and kind is not Method
    ),
    key=lambda kind: kind.__name__,
)
WEAK = [kind for kind in METHODS if not kind.needs.truth]
ORACLES = [kind for kind in METHODS if kind.needs.truth]


def weights_after(method, batches, root, **options):
    options = teacher_options(method, root) | options
    torch.manual_seed(0)
    model = method(num_ids=NUM_IDS, lr=0.01, **options)
    make_trainer(root, max_epochs=2).fit(model, datamodule=Served(batches))
    return model.state_dict()


def batches_for(method):
    width = 1 if method is FolderCE else 3
    views = method.needs.views
    return [bag_batch(seed, bags=4, per_bag=4, width=width, views=views) for seed in range(3)]


def test_there_are_methods_of_both_kinds():
    assert {kind.__name__ for kind in WEAK} >= {"BagCE", "DGL", "FolderCE"}
    assert {kind.__name__ for kind in ORACLES} >= {"Oracle"}


@pytest.mark.usefixtures("tiny_network")
@pytest.mark.parametrize("method", METHODS)
def test_permuted_truth(method, tmp_path):
    batches = batches_for(method)
    permuted = [permute_truth(batch, seed) for seed, batch in enumerate(batches)]
    assert any((a.truth.ids != b.truth.ids).any() for a, b in zip(batches, permuted, strict=True))
    first = weights_after(method, batches, tmp_path)
    second = weights_after(method, permuted, tmp_path)
    same = all(torch.equal(first[name], second[name]) for name in first)
    assert same is not method.needs.truth


@pytest.mark.usefixtures("tiny_network")
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("DGLOfficial", {"inference": "greedy", "pair_scope": "bag", "triplet_quantile": "by_bag"}),
        ("DGLOfficial", {"kernel": "rgb"}),
        ("DGLOfficial", {"kernel": "embedding", "detach_kernel": True}),
        ("DGL", {"kernel": "rgb", "pair_weight": 1.0, "warm_start": 0.0, "momentum": 0.5, "sharpen": 2.0}),
        ("DGL", {"kernel": "layer1", "presence": False, "bank_weight": 0.0}),
    ],
    ids=str,
)
def test_permuted_truth_under_the_switches_of_the_graph_models(name, options, tmp_path):
    method = getattr(wsreid.methods, name)
    batches = batches_for(method)
    permuted = [permute_truth(batch) for batch in batches]
    first = weights_after(method, batches, tmp_path, **options)
    second = weights_after(method, permuted, tmp_path, **options)
    assert all(torch.equal(first[name], second[name]) for name in first)
    default = weights_after(method, batches, tmp_path)
    assert any(not torch.equal(first[name], default[name]) for name in first)
