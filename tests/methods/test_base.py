"""What the base does for every method."""

from dataclasses import replace
from types import SimpleNamespace
from typing import ClassVar

import pytest
import torch

from wsreid.data.needs import Needs
from wsreid.errors import ConfigError, WsreidError
from wsreid.methods import BagCE, Method, Oracle

from .conftest import NUM_IDS, Served, bag_batch, eval_batch, make_trainer

pytestmark = pytest.mark.usefixtures("tiny_network")


def bagce(**options):
    torch.manual_seed(0)
    return BagCE(num_ids=NUM_IDS, **options)


def test_images_are_normalised_as_documented():
    images = torch.tensor([0, 128, 255], dtype=torch.uint8).view(1, 3, 1, 1)
    out = bagce(mean=(0.5, 0.25, 0.0), std=(0.5, 0.5, 2.0)).normalise(images)
    assert out.flatten().tolist() == pytest.approx([-1.0, (128 / 255 - 0.25) / 0.5, 0.5])


def test_flip_test_sums_image_and_flip():
    model = bagce(flip_test=True).eval()
    images = eval_batch().images
    both = model.embed(images)
    model.flip_test = False
    single = model.embed(images)
    assert torch.equal(both, single + model.embed(images.flip(3)))
    assert not torch.allclose(both, 2 * single)
    assert torch.equal(single, model(images))
    assert single.dtype == torch.float32


def test_eval_steps_return_what_retrieval_reads():
    model, batch = bagce().eval(), eval_batch()
    for step in (model.validation_step, model.test_step, model.predict_step):
        out = step(batch, 0, 1)
        assert set(out) == {"features", "pid", "camera", "row"}
        assert torch.equal(out["features"], model.embed(batch.images))
        assert torch.equal(out["row"], batch.row)


def test_outputs_are_the_first_views_logits_in_float32():
    model, batch = bagce().eval(), bag_batch(views=2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = model.outputs(batch)
    assert [tuple(z.shape) for z in outputs.logits] == [(16, NUM_IDS)] * 2
    assert all(z.dtype == torch.float32 for z in outputs.logits)
    plain = model.view_outputs(batch.images[0])
    assert torch.equal(plain.logits[0], model.classifiers[0](plain.network.heads[0]))
    assert torch.allclose(plain.logits[0], outputs.logits[0], atol=1e-3)


def test_default_pseudo_labels_are_the_mean_of_the_heads():
    model, batch = bagce().eval(), bag_batch(width=3)
    outputs = model.outputs(batch)
    labels = model.pseudo_labels(batch, outputs)
    own = batch.image_candidates
    expected = sum(z.gather(1, own).softmax(1) for z in outputs.logits) / 2
    assert torch.allclose(labels.probs, expected)
    assert torch.equal(labels.ids, own.gather(1, expected.argmax(1, keepdim=True))[:, 0])


def test_two_groups_with_their_own_rates(tmp_path):
    model = bagce(lr=0.5, classifier_lr_factor=10, optimizer=lambda p: torch.optim.SGD(p, lr=7.0, momentum=0.9))
    backbone, classifiers = model.configure_optimizers().param_groups
    assert (backbone["lr"], classifiers["lr"]) == (0.5, 5.0)
    assert (backbone["momentum"], classifiers["momentum"]) == (0.9, 0.9)
    assert {id(p) for p in classifiers["params"]} == {id(p) for p in model.classifiers.parameters()}
    assert len(backbone["params"]) + len(classifiers["params"]) == len(list(model.parameters()))


def test_the_step_logs_the_terms_and_their_sum(tmp_path):
    class Two(BagCE):
        def losses(self, batch, outputs):
            ce = super().losses(batch, outputs)["ce"]
            return {"ce": ce, "other": 0.5 * ce}

    torch.manual_seed(0)
    trainer = make_trainer(tmp_path)
    trainer.fit(Two(num_ids=NUM_IDS), datamodule=Served([bag_batch(0), bag_batch(1)]))
    logged = trainer.logged_metrics | trainer.callback_metrics
    assert float(logged["train/other"]) == pytest.approx(0.5 * float(logged["train/ce"]))
    assert float(logged["train/loss"]) == pytest.approx(1.5 * float(logged["train/ce"]))


def test_a_term_that_is_not_finite_is_named(tmp_path):
    class Broken(BagCE):
        def losses(self, batch, outputs):
            return super().losses(batch, outputs) | {"bad": outputs.logits[0].sum() * float("nan")}

    with pytest.raises(WsreidError, match=r"step 0: bad=nan"):
        make_trainer(tmp_path).fit(Broken(num_ids=NUM_IDS), datamodule=Served([bag_batch()]))


def test_losses_run_outside_autocast(tmp_path):
    seen = []

    class Spy(BagCE):
        def losses(self, batch, outputs):
            seen.append((torch.is_autocast_enabled("cpu"), outputs.logits[0].dtype))
            return super().losses(batch, outputs)

    make_trainer(tmp_path, precision="bf16-mixed").fit(Spy(num_ids=NUM_IDS), datamodule=Served([bag_batch()]))
    assert seen == [(False, torch.float32)]


def test_needs_reach_the_datamodule_before_the_loaders(tmp_path):
    class Greedy(BagCE):
        needs: ClassVar[Needs] = Needs(views=2, whole_bags=True)

    data = Served([bag_batch(views=2)])
    make_trainer(tmp_path).fit(Greedy(num_ids=NUM_IDS), datamodule=data)
    assert data.needs == Needs(views=2, whole_bags=True)


def test_another_number_of_identities_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="12 identities and the training data holds 9"):
        make_trainer(tmp_path).fit(bagce(), datamodule=Served([bag_batch()], num_ids=9))


def test_an_oracle_without_truth_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="Oracle learns from image-level identities"):
        make_trainer(tmp_path).fit(Oracle(num_ids=NUM_IDS), datamodule=Served([bag_batch()], has_truth=False))


def test_no_identity_is_refused():
    with pytest.raises(ConfigError, match="num_ids"):
        BagCE(num_ids=0)


def test_a_single_image_is_skipped_with_one_warning(tmp_path, caplog):
    one = bag_batch(bags=1, per_bag=1)
    model = bagce()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(WsreidError, match=r"nothing was trained.*bags_per_batch"):
        make_trainer(tmp_path).fit(model, datamodule=Served([one, one]))
    assert [r.message for r in caplog.records if "fewer than 2 images" in r.message] != []
    assert len([r for r in caplog.records if "fewer than 2 images" in r.message]) == 1
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_a_run_that_skips_some_batches_goes_on(tmp_path):
    model = bagce()
    make_trainer(tmp_path).fit(model, datamodule=Served([bag_batch(bags=1, per_bag=1), bag_batch()]))
    assert model.trainer.state.status == "finished"


def test_of_several_processes_none_may_skip_a_batch():
    model = bagce()
    model._trainer = SimpleNamespace(world_size=2)
    with pytest.raises(WsreidError, match=r"fewer than 2 images.*bags_per_batch"):
        model.training_step(bag_batch(bags=1, per_bag=1), 0)


def test_a_method_without_losses_says_so():
    model, batch = Method(num_ids=NUM_IDS), bag_batch()
    with pytest.raises(NotImplementedError, match="Method"):
        model.losses(batch, model.outputs(batch))


def test_checkpoint_restores_without_data_and_with_plain_hparams(tmp_path):
    model = bagce(loss="bce", lr=0.125, weights="gone.pth", optimizer=lambda p: torch.optim.SGD(p, lr=1.0))
    trainer = make_trainer(tmp_path)
    trainer.fit(model, datamodule=Served([bag_batch()]))
    path = tmp_path / "last.ckpt"
    trainer.save_checkpoint(path)
    hparams = torch.load(path, weights_only=True)["hyper_parameters"]
    assert hparams["num_ids"] == NUM_IDS
    assert hparams["loss"] == "bce"
    assert not {"optimizer", "scheduler", "weights", "pretrained"} & set(hparams)
    again = BagCE.load_from_checkpoint(path, weights_only=True)
    assert (again.loss, again.lr, again.num_ids) == ("bce", 0.125, NUM_IDS)
    batch = eval_batch()
    assert torch.equal(again.eval().embed(batch.images), model.eval().embed(batch.images))
    assert isinstance(again.configure_optimizers(), torch.optim.Adam)


def test_a_batch_moves_with_the_trainer(tmp_path):
    """Frozen batches pass through Lightning's transfer untouched."""
    seen = []

    class Spy(BagCE):
        def losses(self, batch, outputs):
            seen.append(batch)
            return super().losses(batch, outputs)

    batch = bag_batch()
    make_trainer(tmp_path).fit(Spy(num_ids=NUM_IDS), datamodule=Served([batch]))
    assert torch.equal(seen[0].images, batch.images)
    assert replace(seen[0], bag=batch.bag) is not None
