"""CV-MIML: its terms are the losses', its prototypes follow the groups and survive a resume."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from tests.retrieval.pool import SIZE
from wsreid.errors import ConfigError
from wsreid.inference import means_over_views, seed_groups, view_sums
from wsreid.losses import alignment_and_entropy, bag_maximum_loss, candidate_log_softmax, cross_view_loss
from wsreid.methods import CVMIML

from . import cvmiml_jobs
from .conftest import NUM_IDS, Served, bag_batch, make_trainer

pytestmark = pytest.mark.usefixtures("tiny_network")


def batch_of(seed=0, **options):
    batch = bag_batch(seed, **options)
    camera = torch.arange(len(batch)) % 3 - 1
    return replace(batch, camera=camera)


def model_and(batch, **options):
    torch.manual_seed(3)
    model = CVMIML(num_ids=NUM_IDS, **options)
    for classifier in model.classifiers:
        torch.nn.init.normal_(classifier.weight)
    return model, model.outputs(batch)


def test_the_terms_are_the_losses():
    batch = batch_of(width=3)
    model, outputs = model_and(batch, weight=0.5, view_weight=2.0, share=0.4)
    torch.nn.init.normal_(model.prototypes)
    before = model.prototypes.clone()
    terms = model.losses(batch, outputs)
    assert list(terms) == ["bag", "alignment", "entropy", "view"]
    heads = [candidate_log_softmax(z, batch.image_candidates) for z in outputs.logits]
    expected = [bag_maximum_loss(head, batch.bag, batch.candidates) for head in heads]
    assert torch.allclose(terms["bag"], sum(expected) / 2)
    both = []
    for z, head in zip(outputs.logits, heads, strict=True):
        groups = seed_groups(head, batch.bag, batch.candidates, 0.4)
        both.append(alignment_and_entropy(z, batch.bag, batch.candidates, groups.seed, groups.member))
    assert torch.allclose(terms["alignment"], 0.5 * sum(a for a, _ in both) / 2)
    assert torch.allclose(terms["entropy"], 0.5 * sum(e for _, e in both) / 2)

    p = sum(z.softmax(1) for z in outputs.logits) / 2
    groups = seed_groups(p.gather(1, batch.image_candidates).log(), batch.bag, batch.candidates, 0.4)
    features = F.normalize(outputs.network.features, dim=1)
    view = cross_view_loss(features, batch.bag, groups.member, before[batch.candidates].float())
    assert torch.allclose(terms["view"], 2 * view)
    sums = view_sums(features, groups.member, batch.bag, batch.candidates, batch.camera)
    classes, means = means_over_views(sums)
    moved = F.normalize(0.9 * before[classes].float() + 0.1 * means, dim=1)
    assert torch.allclose(model.prototypes[classes].float(), moved, atol=1e-3)
    others = torch.ones(NUM_IDS, dtype=torch.bool)
    others[classes] = False
    assert torch.equal(model.prototypes[others], before[others])


def test_the_first_prototype_is_the_mean_and_counts_from_the_second_batch_on():
    batch = batch_of()
    model, outputs = model_and(batch)
    assert model.losses(batch, outputs)["view"].item() == 0
    named = batch.candidates.flatten()
    assert torch.allclose(model.prototypes[named].float().norm(dim=1), torch.ones(len(named)), atol=1e-2)
    assert model.losses(batch, outputs)["view"].item() > 0
    kept = model.prototypes.clone()
    model.eval()
    model.losses(batch, outputs)
    assert torch.equal(model.prototypes, kept)  # diagnostics do not move them


def test_delay(tmp_path):
    batch = batch_of()
    model, outputs = model_and(batch, delay=2)
    terms = model.losses(batch, outputs)
    assert [name for name, term in terms.items() if term.item()] == ["bag"]
    make_trainer(tmp_path, max_epochs=2).fit(model, datamodule=Served([batch]))
    assert not model.prototypes.any()
    make_trainer(tmp_path, max_epochs=3).fit(model, datamodule=Served([batch]))
    assert model.prototypes.any()


@pytest.mark.parametrize("case", ["no candidates", "one image a bag", "a sample", "equal logits"])
def test_edges(case):
    batch = batch_of(bags=4, per_bag=1 if case == "one image a bag" else 4)
    if case == "no candidates":
        batch = replace(batch, candidates=torch.full_like(batch.candidates, -1))
    if case == "a sample":
        batch = replace(batch, bag_size=batch.bag_size + 5, member=torch.full_like(batch.member, -1))
    model, outputs = model_and(batch)
    if case == "equal logits":
        outputs = replace(outputs, logits=tuple(z * 0 for z in outputs.logits))
    for _ in range(2):
        terms = model.losses(batch, outputs)
        assert all(term.isfinite() for term in terms.values())


def test_resume_gives_the_same(tmp_path):
    def fit(epochs, root, **options):
        torch.manual_seed(0)
        model = CVMIML(num_ids=NUM_IDS, lr=0.01)
        trainer = make_trainer(root, max_epochs=epochs)
        trainer.fit(model, datamodule=Served([batch_of(seed) for seed in range(3)]), **options)
        return model, trainer

    whole, _ = fit(4, tmp_path)
    half, trainer = fit(2, tmp_path)
    trainer.save_checkpoint(tmp_path / "half.ckpt")
    loaded = CVMIML.load_from_checkpoint(tmp_path / "half.ckpt", weights_only=True)
    assert loaded.prototypes.dtype == torch.float16
    assert torch.equal(loaded.prototypes, half.prototypes)
    resumed, _ = fit(4, tmp_path, ckpt_path=tmp_path / "half.ckpt")
    expected = whole.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in resumed.state_dict().items())


@pytest.mark.parametrize("options", [{"share": 0.0}, {"momentum": 1.0}, {"delay": -1}])
def test_refuses(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        CVMIML(num_ids=NUM_IDS, **options)


def test_prototypes_are_alike_on_all_processes_and_those_of_one(pool):
    found = pool.run(SIZE, cvmiml_jobs.prototypes_together)
    expected = cvmiml_jobs.prototypes_of(range(SIZE))
    assert expected.any()
    for prototypes in found:
        assert torch.equal(prototypes, found[0])
        assert torch.allclose(prototypes.float(), expected.float(), atol=1e-3)
