import json

import numpy as np
import pytest
import torch

from wsreid.errors import DataError
from wsreid.inference import PseudoLabels
from wsreid.methods import BagCE
from wsreid.report.image_pool import ImagePool
from wsreid.report.labelled_bags import labelled_bags
from wsreid.report.run_data import DataOfRuns
from wsreid.tracking.recorded_run import RecordedRun, read_run


@pytest.fixture(scope="module")
def data(trained):
    return DataOfRuns().of(read_run(trained)).module


def test_labels_are_those_of_the_closing_test(trained, data):
    """All bags together give the label-refine accuracy that the run ended with."""
    pool = ImagePool()
    found = labelled_bags(read_run(trained), data, 1000, pool)
    images = [image for bag in found for image in bag.images]
    assert len(found) == len(data.bags)
    assert len(images) == data.bags.n_members
    right = np.mean([image.label == image.truth for image in images])
    assert right == pytest.approx(json.loads((trained / "label_refine.json").read_text())["raw"])
    for bag in found:
        assert bag.size == len(bag.images)
        for image in bag.images:
            assert image.label in bag.candidates
            assert 100 / len(bag.candidates) - 0.1 <= image.share <= 100
            row = pool.images[image.image].row
            assert image.truth == data.manifest.pid_name(int(data.manifest.pid[row]))


def test_few_bags_are_the_same_ones_each_time(trained, data):
    first, second = (labelled_bags(read_run(trained), data, 2, ImagePool()) for _ in range(2))
    assert first == second
    assert len(first) == 2


def test_of_a_large_bag_some_images_are_shown_and_a_batch_is_labelled(trained, data, monkeypatch):
    seen = []
    own = BagCE.pseudo_labels

    def watch(self, batch, outputs):
        seen.append(len(batch))
        return own(self, batch, outputs)

    monkeypatch.setattr(BagCE, "pseudo_labels", watch)
    monkeypatch.setattr("wsreid.report.labelled_bags.SHOWN_IMAGES", 3)
    monkeypatch.setattr(data, "eval_batch_size", 5)
    (bag,) = labelled_bags(read_run(trained), data, 1, ImagePool())
    assert (len(bag.images), seen) == (3, [5])
    assert bag.size > 5


def test_an_image_without_a_label_has_no_share(trained, data, monkeypatch):
    def none(self, batch, outputs):
        return PseudoLabels(torch.full((len(batch),), -1), torch.zeros(len(batch), batch.candidates.shape[1]))

    monkeypatch.setattr(BagCE, "pseudo_labels", none)
    (bag,) = labelled_bags(read_run(trained), data, 1, ImagePool())
    assert {(image.label, image.share) for image in bag.images} == {("", None)}


def test_what_cannot_be_labelled_is_told(copy_run, data, tmp_path):
    run = read_run(copy_run(tmp_path / "a"))
    (run.path / "checkpoints" / "last.ckpt").write_bytes(b"x")
    with pytest.raises(DataError, match=r"last\.ckpt"):
        labelled_bags(run, data, 1, ImagePool())
    (run.path / "checkpoints" / "last.ckpt").unlink()
    with pytest.raises(DataError, match=r"last\.ckpt: there is no such"):
        labelled_bags(run, data, 1, ImagePool())


@pytest.mark.parametrize("class_path", ["no.such.Method", "collections.Counter"])
def test_a_method_that_is_not_there_is_told(trained, data, class_path, monkeypatch):
    monkeypatch.setenv("WSREID_ALLOW", "no,collections")
    run = read_run(trained)
    strange = RecordedRun(run.path, {**run.config, "model": {"class_path": class_path, "init_args": {}}}, run.results)
    with pytest.raises(DataError, match="no model can be made"):
        labelled_bags(strange, data, 1, ImagePool())


def test_other_bags_are_told(trained, data):
    run = read_run(trained)
    results = {**run.results, "hashes": {**run.results["hashes"], "bags": "0" * 64}}
    with pytest.raises(DataError, match="bags"):
        labelled_bags(RecordedRun(run.path, run.config, results), data, 1, ImagePool())
