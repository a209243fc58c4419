"""CPAL and CMIL, which compare bags: their terms, with pairs and without."""

import logging
from dataclasses import replace

import pytest
import torch

from wsreid.data import BagDataModule, BagSettings, RenderSettings
from wsreid.data.transforms import AugmentSettings
from wsreid.errors import ConfigError
from wsreid.losses import (
    bag_means,
    bag_smoothed_cross_entropy,
    bag_triplet_loss,
    co_person_attention_loss,
    nearest_image_loss,
    pooled_bag_loss,
)
from wsreid.methods import CMIL, CPAL

from .conftest import NUM_IDS, Served, bag_batch, make_trainer

pytestmark = pytest.mark.usefixtures("tiny_network")
BOTH = pytest.mark.parametrize("method", [CPAL, CMIL])
PAIR_TERM = {CPAL: "coperson", CMIL: "triplet"}


def pairs_batch(seed=0):
    """Bags 0 and 1 share a label, and so do bags 2 and 3."""
    batch = bag_batch(seed)
    candidates = batch.candidates.clone()
    candidates[1::2, 0] = candidates[::2, 0]
    return replace(batch, candidates=candidates)


def model_and(method, batch, **options):
    torch.manual_seed(3)
    model = method(num_ids=NUM_IDS, **options).eval()
    for classifier in model.classifiers:
        torch.nn.init.normal_(classifier.weight)
    return model, model.outputs(batch)


def test_the_terms_of_cpal():
    batch = pairs_batch()
    model, outputs = model_and(CPAL, batch, pair_weight=0.3, share=0.5, margin=0.7)
    terms = model.losses(batch, outputs)
    assert list(terms) == ["mil", "coperson"]
    mil = [pooled_bag_loss(z, batch.bag, batch.candidates, "topk", "ce", 0.5) for z in outputs.logits]
    pairs = [
        co_person_attention_loss(z, f, batch.bag, batch.candidates, 0.7)
        for z, f in zip(outputs.logits, outputs.network.heads, strict=True)
    ]
    assert torch.allclose(terms["mil"], 0.7 * sum(mil) / 2)
    assert torch.allclose(terms["coperson"], 0.3 * sum(pairs) / 2)
    assert terms["coperson"] > 0


def test_the_terms_of_cmil():
    batch = pairs_batch()
    model, outputs = model_and(CMIL, batch, triplet_weight=2.0, ce_weight=3.0, align_weight=0.5, margin=4.0)
    terms = model.losses(batch, outputs)
    assert list(terms) == ["ce", "triplet", "alignment"]
    ce = [bag_smoothed_cross_entropy(z, batch.bag, batch.candidates, 0.1) for z in outputs.logits]
    (metric,) = outputs.network.metric
    means = bag_means(metric, batch.bag, 4)
    assert torch.allclose(terms["ce"], 3 * sum(ce) / 2)
    assert torch.allclose(terms["triplet"], 2 * bag_triplet_loss(means, batch.candidates, 4.0))
    assert torch.allclose(terms["alignment"], 0.5 * nearest_image_loss(metric, means, batch.bag))
    assert terms["triplet"] > 0


@BOTH
def test_both_ask_for_pairs(method):
    assert method.needs.shared_label_pairs
    assert method.needs.whole_bags


@BOTH
@pytest.mark.parametrize("case", ["no pair", "no candidates", "one image a bag", "one bag", "a sample", "equal logits"])
def test_edges(method, case):
    batch = pairs_batch()
    if case == "no pair":
        batch = bag_batch()
    if case == "no candidates":
        batch = replace(batch, candidates=torch.full_like(batch.candidates, -1))
    if case == "one image a bag":
        batch = bag_batch(bags=4, per_bag=1)
        batch = replace(batch, candidates=batch.candidates[[0, 0, 1, 1]])
    if case == "one bag":
        batch = bag_batch(bags=1)
    if case == "a sample":
        batch = replace(batch, bag_size=batch.bag_size + 5, member=torch.full_like(batch.member, -1))
    model, outputs = model_and(method, batch)
    if case == "equal logits":
        outputs = replace(outputs, logits=tuple(z * 0 for z in outputs.logits))
    terms = model.losses(batch, outputs)
    sum(terms.values()).backward()
    assert all(term.isfinite() for term in terms.values())
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
    if case in ("no pair", "no candidates", "one bag"):
        assert terms[PAIR_TERM[method]].item() == 0


@BOTH
def test_two_epochs_and_a_resume(method, tmp_path):
    def fit(epochs, **options):
        torch.manual_seed(0)
        model = method(num_ids=NUM_IDS, lr=0.01)
        trainer = make_trainer(tmp_path, max_epochs=epochs)
        trainer.fit(model, datamodule=Served([pairs_batch(seed) for seed in range(3)]), **options)
        trainer.save_checkpoint(tmp_path / f"{epochs}.ckpt")
        return model.state_dict()

    whole = fit(2)
    fit(1)
    resumed = fit(2, ckpt_path=tmp_path / "1.ckpt")
    assert all(torch.equal(value, whole[name]) for name, value in resumed.items())


def data_of(bags, **options):
    rendered = RenderSettings(train_ids=12, test_ids=4, cameras=2, images_per_id=8, distractors=2, junk=2)
    sizes = {"bags_per_batch": 2, "images_per_bag": 8, "val_fraction": 0.0, "height": 16, "width": 8}
    return BagDataModule(rendered=rendered, bags=bags, augment=AugmentSettings(pad=2), **sizes | options)


class Watched:
    """Notes the pair term of each step."""

    def losses(self, batch, outputs):
        terms = super().losses(batch, outputs)
        self.seen.append(float(terms[self.pair_term].detach()))
        return terms


def fit_on(method, data, tmp_path):
    kind = type("Seen", (Watched, method), {"pair_term": PAIR_TERM[method]})
    model = kind(num_ids=data.num_ids, lr=0.01, **({"margin": 5.0} if method is CMIL else {}))
    model.seen = []
    make_trainer(tmp_path, max_epochs=2).fit(model, datamodule=data)
    return model.seen


@BOTH
def test_the_data_gives_pairs(method, tmp_path, caplog):
    for bags in (BagSettings(ids_per_bag=2, images_per_id=2), BagSettings(protocol="windows", window=6)):
        seen = fit_on(method, data_of(bags, bags_per_batch=4), tmp_path)
        assert sum(value > 0 for value in seen) > 0.6 * len(seen)  # without a pair, 0; CMIL also wants a negative
    assert "no two bags share an identity" not in caplog.text


@BOTH
def test_without_pairs_in_the_data_it_says_so_once_and_trains(method, tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    seen = fit_on(method, data_of(BagSettings(ids_per_bag=2, images_per_id="all")), tmp_path)
    assert len(seen) == 6
    assert not any(seen)
    assert caplog.text.count("no two bags share an identity") == 1


@pytest.mark.parametrize("options", [{"pair_weight": 1.1}, {"share": 0.0}])
def test_refuses(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        CPAL(num_ids=NUM_IDS, **options)
