"""The callback that scores pseudo labels over the training bags."""

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch

from wsreid.methods import BagCE, LabelRefineCallback, label_refine

from .conftest import NUM_IDS, Served, bag_batch, make_trainer

pytestmark = pytest.mark.usefixtures("tiny_network")


def scored(root, data, callback, **settings):
    torch.manual_seed(0)
    model = BagCE(num_ids=NUM_IDS)
    trainer = make_trainer(root, callbacks=[callback], **settings)
    trainer.test(model, datamodule=data, verbose=False)
    return trainer, model


def test_figures_of_the_whole_bags(tmp_path):
    batches = [bag_batch(0, width=3), bag_batch(1, bags=3, width=2)]
    callback = LabelRefineCallback(repeats=5)
    trainer, model = scored(tmp_path / "run", Served(batches), callback)
    model.eval()
    pseudo, truth, bag, own = [], [], [], []
    for batch in batches:
        pseudo.append(model.pseudo_labels(batch, model.outputs(batch)).ids)
        truth.append(batch.truth.ids)
        bag.append(batch.bag + sum(len(c) for c in own))
        own.append(torch.nn.functional.pad(batch.candidates, (0, 3 - batch.candidates.shape[1]), value=-1))
    expected = label_refine(*(torch.cat(x).numpy() for x in (pseudo, truth, bag, own)), repeats=5)
    assert callback.result == expected
    assert expected.n_images == 28
    written = json.loads((tmp_path / "run" / "label_refine.json").read_text())
    assert written == asdict(expected)
    assert float(trainer.callback_metrics["test/label_refine/raw"]) == pytest.approx(expected.raw)


def test_a_bag_in_chunks_is_one_bag(tmp_path):
    """Its figures are those of the bag in one piece."""
    whole = bag_batch(0, bags=1, per_bag=8, width=3)
    cut = []
    for part in (slice(0, 5), slice(5, 8)):
        fields = {name: getattr(whole, name)[part] for name in ("bag", "member", "row", "camera", "sequence", "frame")}
        truth = type(whole.truth)(whole.truth.ids[part])
        cut.append(type(whole)(**{**vars(whole), **fields, "images": whole.images[:, part], "truth": truth}))
    results = []
    for batches in ([whole], cut):
        callback = LabelRefineCallback()
        scored(tmp_path, Served(batches), callback)
        results.append(callback.result)
    assert results[0] == results[1]
    assert np.isfinite(results[0].bag_matched_random)


def test_no_truth_gives_none_and_no_file(tmp_path):
    callback = LabelRefineCallback()
    scored(tmp_path, Served([bag_batch()], has_truth=False), callback)
    assert callback.result is None
    assert not (tmp_path / "label_refine.json").exists()


def test_another_number_of_identities_is_not_scored(tmp_path, caplog):
    callback = LabelRefineCallback()
    scored(tmp_path, Served([bag_batch()], num_ids=99), callback)
    assert callback.result is None
    assert "12 identities" in caplog.text


def test_validation_only_when_asked_and_training_goes_on(tmp_path):
    for asked in (False, True):
        callback = LabelRefineCallback(on_validation=asked)
        modes = []

        class Spy(BagCE):
            def on_train_epoch_end(self, modes=modes):
                modes.append(self.training)

        trainer = make_trainer(
            tmp_path, callbacks=[callback], limit_val_batches=1, max_epochs=2, num_sanity_val_steps=1
        )
        trainer.fit(Spy(num_ids=NUM_IDS), datamodule=Served([bag_batch()]))
        assert (callback.result is not None) is asked
        assert ("val/label_refine/set_matched" in trainer.callback_metrics) is asked
        assert modes == [True, True]
        assert not (tmp_path / "label_refine.json").exists()
