"""The callback in a real trainer: it sees what was trained on, changes nothing, and goes on after a resume."""

import math
from dataclasses import replace

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from tests.teachers import teacher_options
from wsreid.data.batch import Truth
from wsreid.errors import ConfigError, WsreidError
from wsreid.inference import PseudoLabels
from wsreid.methods import BagCE
from wsreid.methods.diagnostics import ALL, LabelDiagnostics
from wsreid.methods.diagnostics_callback import LOGGED, DiagnosticsCallback
from wsreid.methods.diagnostics_file import read_diagnostics

from .conftest import NUM_IDS, Served, bag_batch, make_trainer, permute_truth
from .test_no_leak import METHODS, batches_for

pytestmark = pytest.mark.usefixtures("tiny_network")


def batch_of(number, **options):
    """A batch with members of its own."""
    batch = bag_batch(number, **options)
    return replace(batch, member=batch.member + 100 * number, camera=batch.member % 3)


def batches():
    return [batch_of(0, width=3), batch_of(1, bags=3, width=2), batch_of(2, per_bag=2, bag_size=9, width=2)]


class Spied(BagCE):
    """Remembers what it was trained on."""

    def __init__(self, **base):
        super().__init__(**base)
        self.seen = []

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        self.seen.append((self.current_epoch, batch, self.latest_labels))
        return loss


def fitted(root, callback, data, method=Spied, epochs=1, ckpt_path=None, **settings):
    torch.manual_seed(0)
    model = method(num_ids=NUM_IDS, lr=0.05, **teacher_options(method, root.parent))
    given = [] if callback is None else [callback]
    trainer = make_trainer(root, callbacks=[*given, *settings.pop("others", [])], max_epochs=epochs, **settings)
    trainer.fit(model, datamodule=data, ckpt_path=ckpt_path)
    return trainer, model


def mean(values):
    return sum(values) / len(values)


def test_figures_of_the_labels_that_were_trained_on(tmp_path):
    callback = DiagnosticsCallback()
    trainer, model = fitted(tmp_path / "run", callback, Served(batches()), epochs=2)
    labels = [{}, {}]
    right, entropy, present = [], [], []
    for epoch, batch, found in model.seen:
        labels[epoch] |= dict(zip(batch.member.tolist(), found.ids.tolist(), strict=True))
        if epoch == 1:
            right += (found.ids == batch.truth.ids).tolist()
            entropy += torch.special.entr(found.probs).sum(1).tolist()
            for bag, ids in enumerate(batch.candidates.tolist()):
                present.append(len(set(found.ids[batch.bag == bag].tolist())) / len(ids))
    last = {
        member: (label, float(p.max()), row)
        for epoch, batch, found in model.seen
        for member, label, p, row in zip(
            batch.member.tolist(), found.ids.tolist(), found.probs, batch.row.tolist(), strict=True
        )
        if epoch == 1
    }
    kept = callback.labels
    assert kept.member.tolist() == sorted(last)
    for at, member in enumerate(kept.member.tolist()):
        assert (kept.pseudo[at], kept.row[at]) == (last[member][0], last[member][2])
        assert kept.confidence[at] == pytest.approx(last[member][1], abs=1e-6)
    found = callback.result[ALL]
    assert (found.n_bags, found.n_images, found.n_scored, found.n_repeated) == (11, 36, 36, 36)
    assert found.raw == pytest.approx(mean(right))
    assert found.entropy == pytest.approx(mean(entropy), abs=1e-6)
    assert found.presence == pytest.approx(mean(present))
    assert found.flip_rate == pytest.approx(mean([labels[0][m] != labels[1][m] for m in labels[0]]))
    assert set(callback.result) == {ALL, "bag size 4", "bag size 5-9", "cameras 2", "cameras 3"}
    for field, name in LOGGED.items():
        value = getattr(found, field)
        assert (value is None) == (name not in trainer.callback_metrics), name
        if value is not None:
            assert float(trainer.callback_metrics[name]) == pytest.approx(value)
    rows = read_diagnostics(tmp_path / "run" / "diagnostics.csv")
    assert [row["epoch"] for row in rows] == ["0"] * 5 + ["1"] * 5
    assert rows[0]["flip_rate"] == ""
    assert float(rows[5]["flip_rate"]) == pytest.approx(found.flip_rate, rel=1e-5)


def test_it_changes_no_weight_and_reads_the_truth_for_itself_alone(tmp_path):
    permuted = [permute_truth(batch) for batch in batches()]
    runs = [(None, batches()), (DiagnosticsCallback(), batches()), (DiagnosticsCallback(), permuted)]
    weights = [
        fitted(tmp_path / str(i), callback, Served(served), epochs=2)[1].state_dict()
        for i, (callback, served) in enumerate(runs)
    ]
    for other in weights[1:]:
        assert all(torch.equal(weights[0][name], other[name]) for name in weights[0])
    assert runs[1][0].result[ALL].raw != runs[2][0].result[ALL].raw
    assert runs[1][0].result[ALL].flip_rate == runs[2][0].result[ALL].flip_rate


def without_truth(batch):
    return replace(batch, truth=Truth(torch.full_like(batch.truth.ids, -1)))


def test_no_truth(tmp_path):
    callback = DiagnosticsCallback()
    data = Served([without_truth(batch) for batch in batches()], has_truth=False)
    trainer, _ = fitted(tmp_path, callback, data, epochs=2)
    names = {name for name in trainer.callback_metrics if name.startswith("train/label")}
    assert names == {f"train/labels/{name}" for name in ("presence", "entropy", "entropy_normalised", "flip_rate")}
    row = read_diagnostics(tmp_path / "diagnostics.csv")[-1]
    assert (row["raw"], row["confusion"], row["confused_pairs"], row["n_scored"]) == ("", "", "", "0")
    assert row["presence"]


def test_batches_that_are_not_drawn_by_bag_are_not_known(tmp_path):
    def by_identity(batch):
        return replace(batch, member=torch.full_like(batch.member, -1), bag_id=torch.full_like(batch.bag_id, -1))

    callback = DiagnosticsCallback()
    trainer, _ = fitted(tmp_path, callback, Served([by_identity(batch) for batch in batches()]), epochs=2)
    assert callback.result == {ALL: LabelDiagnostics()}
    assert not any(name.startswith("train/label") for name in trainer.callback_metrics)
    rows = read_diagnostics(tmp_path / "diagnostics.csv")
    assert [(row["group"], row["n_images"], row["entropy"]) for row in rows] == [("all", "0", "")] * 2


def test_a_skipped_batch_leaves_no_label(tmp_path):
    one = bag_batch(5, bags=1, per_bag=1)
    callback = DiagnosticsCallback()
    fitted(tmp_path, callback, Served([batch_of(0), replace(one, member=one.member + 900)]))
    assert (callback.result[ALL].n_bags, callback.result[ALL].n_images) == (4, 16)
    with pytest.raises(WsreidError, match="nothing was trained"):
        fitted(tmp_path, callback, Served([one]))


def test_images_without_candidates_or_label(tmp_path):
    class NoLabels(BagCE):
        def pseudo_labels(self, batch, outputs):
            return PseudoLabels(torch.full_like(batch.bag, -1), torch.zeros(batch.image_candidates.shape))

    batch = batch_of(0)
    callback = DiagnosticsCallback()
    fitted(tmp_path, callback, Served([batch]), method=NoLabels, epochs=2)
    found = callback.result[ALL]
    assert (found.raw, found.presence, found.n_wrong) == (0.0, 0.0, 0)
    assert (found.entropy, found.flip_rate, found.confusion) == (None, None, None)
    empty = replace(batch, candidates=torch.full_like(batch.candidates, -1))
    fitted(tmp_path, callback, Served([empty]), method=NoLabels)
    assert (callback.result[ALL].n_scored, callback.result[ALL].presence) == (0, None)


@pytest.mark.parametrize(("every", "epochs"), [(0, []), (1, [0, 1, 2, 3]), (2, [1, 3]), (3, [2])])
def test_every_n_epochs(tmp_path, every, epochs):
    callback = DiagnosticsCallback(every_n_epochs=every)
    trainer, model = fitted(tmp_path, callback, Served(batches()), epochs=4)
    rows = [row for row in read_diagnostics(tmp_path / "diagnostics.csv") if row["group"] == "all"]
    assert [int(row["epoch"]) for row in rows] == epochs
    assert [row["flip_rate"] != "" for row in rows] == [False, True, True, True][: len(epochs)]
    assert ("train/labels/entropy" in trainer.callback_metrics) == bool(epochs)
    if every == 2:  # flips from one diagnosis to the next
        last, first = ({}, {})
        for epoch, batch, labels in model.seen:
            found = {1: first, 3: last}.get(epoch, {})
            found |= dict(zip(batch.member.tolist(), labels.ids.tolist(), strict=True))
        assert callback.result[ALL].flip_rate == pytest.approx(mean([first[m] != last[m] for m in last]))


def test_bags_that_are_drawn_anew_have_no_flips(tmp_path):
    data, callback = Served(batches()), DiagnosticsCallback()
    data.redraw_bags = True
    fitted(tmp_path, callback, data, epochs=2)
    assert callback.result[ALL].flip_rate is None


def test_of_a_large_set_the_same_whole_bags_are_watched_in_each_epoch(tmp_path):
    many = [batch_of(i) for i in range(40)]  # 160 bags of 4 images; more batches than are fetched at once
    callback = DiagnosticsCallback(max_members=200)
    fitted(tmp_path, callback, Served(many), epochs=3)
    found = callback.result[ALL]
    assert 20 < found.n_images <= 200
    assert found.n_images == 4 * found.n_bags == found.n_repeated
    other = DiagnosticsCallback(max_members=200, seed=1)
    fitted(tmp_path, other, Served(many), epochs=1)
    assert not np.array_equal(other._before[0], callback._before[0])


def checkpoint(root):
    return ModelCheckpoint(dirpath=root, filename="{epoch}", save_top_k=-1, save_on_train_epoch_end=True)


def test_a_resume_goes_on_exactly(tmp_path):
    whole, again = DiagnosticsCallback(max_members=20), DiagnosticsCallback(max_members=20)
    fitted(tmp_path / "a", whole, Served(batches()), epochs=4, enable_checkpointing=True, others=[checkpoint(tmp_path)])
    expected = (tmp_path / "a" / "diagnostics.csv").read_text()
    assert expected.count("\n") > 8
    saved = tmp_path / "epoch=1.ckpt"
    state = torch.load(saved, weights_only=True)["callbacks"]["DiagnosticsCallback"]
    assert (state["finished"], state["part"]) == (1, {})
    fitted(tmp_path / "a", again, Served(batches()), epochs=4, ckpt_path=saved)
    assert (tmp_path / "a" / "diagnostics.csv").read_text() == expected
    assert again.result == whole.result


def test_rows_of_epochs_after_the_resumed_one_are_cut_before_training(tmp_path):
    fitted(
        tmp_path,
        DiagnosticsCallback(),
        Served(batches()),
        epochs=4,
        enable_checkpointing=True,
        others=[checkpoint(tmp_path)],
    )

    class Breaks(BagCE):
        def training_step(self, batch, batch_idx):
            raise RuntimeError("the power went")

    with pytest.raises(RuntimeError, match="power"):
        fitted(
            tmp_path,
            DiagnosticsCallback(),
            Served(batches()),
            method=Breaks,
            epochs=4,
            ckpt_path=tmp_path / "epoch=1.ckpt",
        )
    assert {row["epoch"] for row in read_diagnostics(tmp_path / "diagnostics.csv")} == {"0", "1"}


class FirstOnly(pl.Callback):
    """Ends the run in the middle of the second epoch, with a checkpoint."""

    def __init__(self, path):
        self.path = path

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.current_epoch == 1 and batch_idx == 1:
            trainer.save_checkpoint(self.path)


def test_a_checkpoint_in_mid_epoch_holds_the_labels_so_far(tmp_path):
    path, callback = tmp_path / "mid.ckpt", DiagnosticsCallback()
    _, model = fitted(tmp_path, callback, Served(batches()), epochs=2, others=[FirstOnly(path)])
    content = torch.load(path, weights_only=True)["callbacks"]["DiagnosticsCallback"]
    assert (content["finished"], content["epoch"]) == (0, 1)
    seen = [(batch.member, labels.ids) for epoch, batch, labels in model.seen if epoch == 1][:2]
    assert content["part"]["member"].tolist() == torch.cat([member for member, _ in seen]).tolist()
    assert content["part"]["pseudo"].tolist() == torch.cat([ids for _, ids in seen]).tolist()
    again = DiagnosticsCallback()
    again.load_state_dict(content)
    kept = again.state_dict()
    assert torch.equal(kept["label"], content["label"])
    for name, values in content["part"].items():
        assert torch.equal(kept["part"][name], values)


def test_an_epoch_whose_end_was_lost_is_ended_by_the_next(tmp_path):
    """`best.ckpt` is written after validation, when all steps of the epoch are done and its end is not."""
    data = {"epochs": 3, "enable_checkpointing": True, "limit_val_batches": 1}
    best = ModelCheckpoint(dirpath=tmp_path, filename="{epoch}", save_top_k=-1, save_on_train_epoch_end=False)
    fitted(tmp_path, DiagnosticsCallback(), Served(batches()), others=[best], **data)
    expected = (tmp_path / "diagnostics.csv").read_text()
    state = torch.load(tmp_path / "epoch=1.ckpt", weights_only=True)["callbacks"]["DiagnosticsCallback"]
    assert (state["finished"], state["epoch"], len(state["part"]["member"])) == (0, 1, 36)
    fitted(tmp_path, DiagnosticsCallback(), Served(batches()), ckpt_path=tmp_path / "epoch=1.ckpt", **data)
    assert (tmp_path / "diagnostics.csv").read_text() == expected


def test_a_new_run_in_the_folder_starts_a_new_file(tmp_path):
    fitted(tmp_path, DiagnosticsCallback(), Served(batches()), epochs=3)
    fitted(tmp_path, DiagnosticsCallback(), Served(batches()), epochs=1)
    assert {row["epoch"] for row in read_diagnostics(tmp_path / "diagnostics.csv")} == {"0"}


def test_two_views_and_bf16(tmp_path):
    callback = DiagnosticsCallback()
    fitted(tmp_path, callback, Served([batch_of(0, views=2), batch_of(1, views=2)]), precision="bf16-mixed")
    assert callback.result[ALL].n_images == 32
    assert 0 < callback.result[ALL].entropy <= math.log(2) + 1e-6


@pytest.mark.parametrize("option", [{"every_n_epochs": -1}, {"max_members": 0}, {"repeats": 0}, {"seed": -1}])
def test_numbers_out_of_range(option):
    with pytest.raises(ConfigError, match=rf"diagnostics\.{next(iter(option))} must be at least"):
        DiagnosticsCallback(**option)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_them_and_trains_as_without(tmp_path, method):
    served = [
        replace(batch, member=batch.member + 100 * number) for number, batch in enumerate(batches_for(method))
    ]  # members of their own
    callback = DiagnosticsCallback()
    _, watched = fitted(tmp_path / "a", callback, Served(served), method=method, epochs=2)
    _, alone = fitted(tmp_path / "b", None, Served(served), method=method, epochs=2)
    assert all(torch.equal(value, watched.state_dict()[name]) for name, value in alone.state_dict().items())
    found = callback.result[ALL]
    assert (found.n_images, found.n_scored) == (sum(map(len, served)),) * 2
    assert None not in (found.raw, found.presence)
