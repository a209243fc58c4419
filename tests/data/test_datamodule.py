import dataclasses
import logging
import pickle
import shutil

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, OnExceptionCheckpoint

from tests.data.conftest import TRAIN_IDS
from wsreid.data import (
    BagDataModule,
    BagSettings,
    Manifest,
    Market1501,
    Needs,
    RenderSettings,
    Split,
    SYSU30k,
    checks,
    make_bags,
    write_manifest,
)
from wsreid.data.batch import BagBatch, EvalBatch
from wsreid.data.transforms import AugmentSettings
from wsreid.errors import ConfigError, DataError


def module(root, **options):
    defaults = {
        "height": 16,
        "width": 8,
        "augment": AugmentSettings(pad=2),
        "bags_per_batch": 2,
        "images_per_bag": 4,
        "ids_per_batch": 4,
        "images_per_id": 2,
        "eval_batch_size": 8,
        "val_fraction": 0.25,
    }
    return BagDataModule(root=root, **(defaults | options))


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("WSREID_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Tiny(pl.LightningModule):
    """Notes what it is given."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.train_rows: dict[int, list[list[int]]] = {}
        self.seen: dict[str, int] = {}

    def training_step(self, batch: BagBatch, batch_idx: int):
        self.train_rows.setdefault(self.current_epoch, []).append(batch.row.tolist())
        return (self.weight * batch.images.float().mean()).sum()

    def _score(self, stage: str, batch: EvalBatch):
        self.seen[stage] = self.seen.get(stage, 0) + len(batch)

    def validation_step(self, batch: EvalBatch, batch_idx: int, dataloader_idx: int = 0):
        self._score(f"val {dataloader_idx}", batch)

    def test_step(self, batch: EvalBatch, batch_idx: int, dataloader_idx: int = 0):
        self._score(f"test {dataloader_idx}", batch)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def trainer(tmp_path, **options):
    return pl.Trainer(
        **{
            "max_epochs": 2,
            "accelerator": "cpu",
            "logger": False,
            "enable_checkpointing": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "use_distributed_sampler": False,
            "num_sanity_val_steps": 0,
            "default_root_dir": tmp_path,
        }
        | options
    )


def test_prepares_once_and_outside_the_root(market_root, own_cache):
    before = sorted(p for p in market_root.rglob("*"))
    first = module(market_root)
    assert first.num_ids == TRAIN_IDS
    files = {p: p.stat().st_mtime_ns for p in own_cache.rglob("*.arrow")}
    assert len(files) == 2
    second = module(market_root)
    assert second.num_ids == TRAIN_IDS
    assert second.hashes == first.hashes
    assert {p: p.stat().st_mtime_ns for p in own_cache.rglob("*.arrow")} == files
    assert sorted(p for p in market_root.rglob("*")) == before
    assert first.name == "market1501"


def test_other_settings_give_other_bags_of_the_same_manifest(market_root):
    hashes = [
        module(market_root, **options).hashes
        for options in ({}, {"bags": BagSettings(seed=1)}, {"val_fraction": 0.0}, {"seed": 5})
    ]
    assert len({h["data"] for h in hashes}) == 1
    assert len({h["bags"] for h in hashes[:3]}) == 3
    assert hashes[3] == hashes[0]  # the run's seed changes neither the bags nor the validation split


def test_a_changed_folder_is_indexed_again(own_market_root):
    before = module(own_market_root).hashes["data"]
    next((own_market_root / "bounding_box_train").glob("0001_*")).unlink()
    assert module(own_market_root).hashes["data"] != before


def test_validation_identities_are_in_no_bag(market_root):
    data = module(market_root, bags=BagSettings(extra=1.0, images_per_id=1))
    pid, held = data.manifest.pid, set(data.manifest.pid[data.val_rows].tolist())
    assert len(held) == 3
    assert not held & set(pid[data.train_rows].tolist())
    classes = set(data.manifest.class_index(np.array(sorted(held))).tolist())
    rows, named = set(), set()
    for b in range(len(data.bags)):
        rows |= set(data.bags.rows(b).tolist())
        named |= set(data.bags.candidates(b).tolist())
    assert rows == set(data.train_rows.tolist())
    assert not classes & named
    assert data.num_ids == TRAIN_IDS
    query, gallery = data.val_dataloader()
    assert {int(p) for b in query for p in b.pid} == held
    assert sum(len(b) for b in gallery) == len(data.val_rows)


def test_loaders(market_root):
    data = module(market_root)
    train = list(data.train_dataloader())
    assert all(isinstance(b, BagBatch) for b in train)
    assert {r for b in train for r in b.row.tolist()} <= set(data.train_rows.tolist())
    assert [sum(len(b) for b in loader) for loader in data.test_dataloader()] == [4, 11]
    assert [sum(len(b) for b in loader) for loader in data.predict_dataloader()] == [4, 11]
    query, gallery = data.test_rows
    data.predicted = np.r_[gallery[3:5], query]
    left = [[r for b in loader for r in b.row.tolist()] for loader in data.predict_dataloader()]
    assert left == [[], np.delete(gallery, [3, 4]).tolist()]
    refine = list(data.refine_dataloader())
    assert [m for b in refine for m in b.member.tolist()] == list(range(data.bags.n_members))
    assert torch.equal(refine[0].images, next(iter(data.refine_dataloader())).images)


def test_use_gives_the_method_what_it_needs(market_root):
    data = module(market_root)
    data.use(Needs(views=2))
    assert next(iter(data.train_dataloader())).images.shape[0] == 2
    bag_images = sum(len(b) for b in data.train_dataloader())
    data.use(Needs(truth=True, identity_batches=True))
    batches = list(data.train_dataloader())
    assert all(len(set(b.truth.ids.tolist())) == 4 and len(b) == 8 for b in batches)
    assert {r for b in batches for r in b.row.tolist()} <= set(data.train_rows.tolist())
    assert abs(sum(len(b) for b in batches) - bag_images) <= 4


def test_pairs_by_label_are_not_drawn_from_bags_that_change(market_root):
    data = module(market_root, redraw_bags=True)
    with pytest.raises(ConfigError, match="share a label"):
        data.use(Needs(shared_label_pairs=True))


def test_labels_by_member_are_not_kept_of_bags_that_change(market_root):
    data = module(market_root, redraw_bags=True)
    data.use(Needs())
    with pytest.raises(ConfigError, match=r"data\.redraw_bags: .*drawn anew"):
        data.use(Needs(member_table=True))


def test_a_pass_over_the_training_images_reads_each_once_or_a_sample_of_the_epoch(market_root):
    data = module(market_root)
    every = [r for b in data.epoch_pass_dataloader(None, 0) for r in b.row.tolist()]
    assert every == data.train_rows.tolist()
    first, again, later = ([r for b in data.epoch_pass_dataloader(9, e) for r in b.row.tolist()] for e in (0, 0, 1))
    assert first == again == sorted(set(first))
    assert len(first) == len(later) == 9
    assert first != later
    assert set(first) <= set(every)


@pytest.mark.parametrize("workers", [0, 1])
def test_fit_and_test_in_lightning(market_root, tmp_path, workers):
    model, run = Tiny(), trainer(tmp_path)
    data = module(market_root, num_workers=workers)
    run.fit(model, datamodule=data)
    run.test(model, datamodule=data, verbose=False)
    assert model.train_rows.keys() == {0, 1}
    zero, one = model.train_rows[0], model.train_rows[1]
    assert zero != one
    assert len(zero) == len(one) == len(data.train_dataloader())
    val = data.val_rows
    assert model.seen == {"val 0": 12, "val 1": 2 * len(val), "test 0": 4, "test 1": 11}


@pytest.mark.parametrize("workers", [0, 1])
def test_a_restart_gives_the_same_second_epoch(market_root, tmp_path, workers):
    whole = Tiny()
    trainer(tmp_path).fit(whole, datamodule=module(market_root))
    first = trainer(tmp_path, max_epochs=1)
    first.fit(Tiny(), datamodule=module(market_root))
    first.save_checkpoint(tmp_path / "one.ckpt")
    restarted = Tiny()
    data = module(market_root, num_workers=workers)
    trainer(tmp_path).fit(restarted, datamodule=data, ckpt_path=tmp_path / "one.ckpt")
    assert restarted.train_rows == {1: whole.train_rows[1]}


class Members(Tiny):
    """Notes epoch and rows of each batch; stops, if it is told to, in the middle of a step."""

    def __init__(self, stop=None):
        super().__init__()
        self.batches = []
        self.stop = stop

    def training_step(self, batch: BagBatch, batch_idx: int):
        if len(self.batches) == self.stop:
            raise RuntimeError("stopped")
        self.batches.append((self.current_epoch, batch.row.tolist(), batch.images.sum().item()))
        return super().training_step(batch, batch_idx)


def fit_noting(root, tmp_path, *, needs=None, stop=None, workers=0, ckpt_path=None, callbacks=(), **options):
    data = module(root, bags_per_batch=1, images_per_bag=3, num_workers=workers)
    data.use(Needs() if needs is None else needs)
    model = Members(stop)
    run = trainer(tmp_path, callbacks=list(callbacks), enable_checkpointing=bool(callbacks), **options)
    run.fit(model, datamodule=data, ckpt_path=ckpt_path)
    return model.batches


@pytest.mark.parametrize("needs", [Needs(), Needs(truth=True, identity_batches=True)], ids=["bags", "identities"])
@pytest.mark.parametrize("workers", [(0, 0), (1, 0), (0, 1)])
def test_resumes_in_the_middle_of_an_epoch(market_root, tmp_path, needs, workers):
    whole = fit_noting(market_root, tmp_path, needs=needs)
    each_step = ModelCheckpoint(tmp_path, filename="{step}", every_n_train_steps=1, save_top_k=-1)
    assert fit_noting(market_root, tmp_path, needs=needs, workers=workers[0], callbacks=[each_step]) == whole
    steps = len(whole) // 2
    for step in (1, steps - 1, steps, steps + 1, 2 * steps - 1):
        rest = fit_noting(
            market_root, tmp_path, needs=needs, workers=workers[1], ckpt_path=tmp_path / f"step={step}.ckpt"
        )
        assert rest == whole[step:], step


def test_resumes_from_a_validation_in_the_middle_of_an_epoch(market_root, tmp_path):
    often = {"val_check_interval": 2}
    whole = fit_noting(market_root, tmp_path, **often)
    best = ModelCheckpoint(tmp_path, filename="{step}", save_on_train_epoch_end=False, save_top_k=-1)
    fit_noting(market_root, tmp_path, callbacks=[best], **often)
    saved = sorted(int(path.stem.split("=")[1]) for path in tmp_path.glob("step=*.ckpt"))
    assert saved[0] == 2
    for step in saved:
        assert fit_noting(market_root, tmp_path, ckpt_path=tmp_path / f"step={step}.ckpt", **often) == whole[step:]


@pytest.mark.parametrize("stop", [1, 4])
def test_resumes_after_an_exception_in_a_step(market_root, tmp_path, stop):
    whole = fit_noting(market_root, tmp_path)
    with pytest.raises(RuntimeError, match="stopped"):
        fit_noting(market_root, tmp_path, stop=stop, callbacks=[OnExceptionCheckpoint(tmp_path, "left")])
    assert fit_noting(market_root, tmp_path, ckpt_path=tmp_path / "left.ckpt") == whole[stop:]


def test_does_not_resume_an_epoch_that_was_drawn_otherwise(market_root, tmp_path):
    each_step = ModelCheckpoint(tmp_path, filename="{step}", every_n_train_steps=1, save_top_k=-1)
    steps = len(fit_noting(market_root, tmp_path, callbacks=[each_step])) // 2
    data = module(market_root, bags_per_batch=1, images_per_bag=2, seed=3)
    with pytest.raises(ConfigError, match=r"data\.images_per_bag was 3, is 2, data\.seed was 0, is 3"):
        trainer(tmp_path).fit(Tiny(), datamodule=data, ckpt_path=tmp_path / "step=1.ckpt")
    trainer(tmp_path).fit(Tiny(), datamodule=data, ckpt_path=tmp_path / f"step={steps}.ckpt")  # an epoch's end


def paired(root, **options):
    data = module(root, **options)
    data.use(Needs(shared_label_pairs=True))
    return data


def test_resumes_in_the_middle_of_an_epoch_of_pairs(market_root, tmp_path):
    each_step = ModelCheckpoint(tmp_path, filename="{step}", every_n_train_steps=1, save_top_k=-1)
    whole = Tiny()
    checkpoints = {"enable_checkpointing": True, "callbacks": [each_step]}
    trainer(tmp_path, **checkpoints).fit(whole, datamodule=paired(market_root))
    plain = Tiny()
    trainer(tmp_path).fit(plain, datamodule=module(market_root))
    assert [len(whole.train_rows[e]) for e in (0, 1)] == [len(plain.train_rows[e]) for e in (0, 1)]
    for epoch in (0, 1):
        rows = [sorted(r for batch in run.train_rows[epoch] for r in batch) for run in (whole, plain)]
        assert rows[0] == rows[1]
    resumed = Tiny()
    trainer(tmp_path).fit(resumed, datamodule=paired(market_root), ckpt_path=tmp_path / "step=2.ckpt")
    assert resumed.train_rows[0] == whole.train_rows[0][2:]
    assert resumed.train_rows[1] == whole.train_rows[1]
    with pytest.raises(ConfigError, match=r"data\.draw was bags, in pairs that share a label, is bags"):
        trainer(tmp_path).fit(Tiny(), datamodule=module(market_root), ckpt_path=tmp_path / "step=2.ckpt")


def test_one_bag_a_batch_holds_no_pair(market_root):
    with pytest.raises(ConfigError, match=r"data\.bags_per_batch is 1"):
        paired(market_root, bags_per_batch=1)


@pytest.mark.parametrize("options", [{"val_fraction": 0.0}])
def test_fit_without_validation(market_root, tmp_path, options, caplog):
    caplog.set_level(logging.INFO)
    model = Tiny()
    data = module(market_root, **options)
    trainer(tmp_path, max_epochs=1).fit(model, datamodule=data)
    assert data.val_dataloader() == []
    assert not model.seen
    assert len(model.train_rows[0]) > 0
    assert "no validation: data.val_fraction is 0" in caplog.text


def test_fit_without_truth(sysu_root, tmp_path, caplog):
    model = Tiny()
    data = module(sysu_root, source=SYSU30k(), bags=BagSettings(protocol="sysu"))
    trainer(tmp_path, max_epochs=1).fit(model, datamodule=data)
    assert not data.has_truth
    assert data.num_ids == 6
    assert len(data.bags) == 18
    assert data.val_dataloader() == []
    assert "no validation: sysu30k has no image-level truth" in caplog.text
    assert not model.seen


def test_oracle_needs_truth(sysu_root):
    data = module(sysu_root, source=SYSU30k(), bags=BagSettings(protocol="sysu"))
    data.use(Needs(truth=True))
    with pytest.raises(DataError, match="no image-level truth"):
        data.setup("fit")


def test_redraw(market_root, tmp_path, caplog):
    data = module(market_root, redraw_bags=True)
    data.setup("fit")
    assert "leaks" in caplog.text
    sampler = data.train_dataloader().plans
    labels = []
    for epoch in (0, 1, 1):
        sampler.set_epoch(epoch)
        labels.append(sorted(sampler.bags.candidates(b).tolist() for b in range(len(sampler.bags))))
    fixed = sorted(data.bags.candidates(b).tolist() for b in range(len(data.bags)))
    assert labels[0] == fixed
    assert labels[1] == labels[2] != labels[0]
    model = Tiny()
    trainer(tmp_path).fit(model, datamodule=data)
    held = set(data.val_rows.tolist())
    assert not held & {r for epoch in model.train_rows.values() for rows in epoch for r in rows}


def test_draw_by_folder(sysu_root, caplog):
    data = module(sysu_root, source=SYSU30k(), bags=BagSettings(protocol="sysu"), draw="folders")
    data.setup("fit")
    loader = data.train_dataloader()
    assert "data.draw folders reads which folder each image lies in" in caplog.text
    assert all(np.bincount(batch.bag).tolist() == [4] * len(batch.bag_id) for batch in loader)


@pytest.mark.parametrize(
    "options",
    [
        {"redraw_bags": True, "bags": BagSettings(protocol="windows")},
        {"redraw_bags": True, "bag_file": "x"},
        {"source": SYSU30k(), "root": None},
        {"draw": "folders"},
        {"draw": "ids"},
        {"height": 0},
        {"val_fraction": 1.0},
        {"num_workers": -1},
        {"max_corrupt": -1},
    ],
)
def test_refuses_options(market_root, options):
    with pytest.raises(ConfigError, match="data"):
        module(**({"root": market_root} | options))


def test_given_files(market_root, tmp_path, market):
    write_manifest(tmp_path / "m.arrow", Market1501().index(market_root), source="market1501", root=tmp_path / "gone")
    rows = market.rows(Split.TRAIN)
    make_bags(market, BagSettings(seed=7), rows).write(tmp_path / "b.arrow")
    assert module(market_root).hashes["bags"] != module(market_root, redraw_bags=True).hashes["bags"]
    given = module(market_root, manifest=tmp_path / "m.arrow", bag_file=tmp_path / "b.arrow", val_fraction=0.0)
    given.check()
    assert given.bags.settings.seed == 7
    assert given.image(0).shape == (32, 16, 3)
    with pytest.raises(DataError, match="held out for validation"):
        module(market_root, bag_file=tmp_path / "b.arrow").check()


@pytest.mark.parametrize("option", ["manifest", "bag_file"])
def test_a_changed_number_is_found_before_training(market_root, market, tmp_path, option):
    path = tmp_path / "mine.arrow"
    bags = make_bags(market, BagSettings(), market.rows(Split.TRAIN))
    if option == "manifest":
        shutil.copy(market.path, path)
        number = market.pid.tobytes()
    else:
        bags.write(path)
        number = bags.draft.candidates.tobytes()
    whole = bytearray(path.read_bytes())
    whole[whole.index(number)] ^= 1
    path.write_bytes(whole)
    with pytest.raises(DataError, match=rf"{option.replace('_', ' ')} .*mine\.arrow is damaged: its content hash is"):
        module(market_root, **{option: path}, val_fraction=0.0).check()


def test_a_large_manifest_is_not_read_whole(market_root, tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO", "wsreid.data.checks")
    monkeypatch.setattr(checks, "_VERIFIED", 1)
    monkeypatch.setattr(Manifest, "check", None)
    module(market_root).check()
    assert "is not verified; `python -m wsreid check` does" in caplog.text


@pytest.mark.parametrize("option", ["manifest", "bag_file"])
@pytest.mark.parametrize("content", [b"", b"no Arrow file at all", None])
def test_a_damaged_file_of_the_user_is_not_to_be_deleted(market_root, market, tmp_path, option, content):
    path = tmp_path / "mine.arrow"
    if option == "manifest":
        shutil.copy(market.path, path)
    else:
        make_bags(market, BagSettings(), market.rows(Split.TRAIN)).write(path)
    path.write_bytes(path.read_bytes()[:-20] if content is None else content)
    with pytest.raises(DataError) as caught:
        module(market_root, **{option: path}, val_fraction=0.0).check()
    message = str(caught.value)
    assert f"{path} is no readable {option.replace('_', ' ').removesuffix(' file')} file, or a damaged one" in message
    assert message.endswith(f"Give the right file, or leave the option data.{option} out.")
    assert "elete" not in message


@pytest.mark.parametrize("folder", ["manifests", "bags"])
def test_a_damaged_file_of_the_cache_is_to_be_deleted(market_root, own_cache, folder):
    module(market_root).check()
    (path,) = (own_cache / folder).rglob("*.arrow")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(
        DataError, match=r"damaged.*Delete (it|the bag file): it is made again from the data set\.$"
    ) as caught:
        module(market_root).check()
    assert str(path) in str(caught.value)
    assert "leave" not in str(caught.value)
    path.unlink()
    module(market_root).check()


def test_a_file_of_the_cache_is_to_be_deleted_when_damage_is_found_later(market_root, own_cache):
    data = module(market_root)
    data.check()
    for opened in (data.manifest, pickle.loads(pickle.dumps(data.manifest)), data.bags):
        opened.hash = "0" * 64
        with pytest.raises(DataError, match=r"content hash.*Delete (it|the bag file): it is made again"):
            opened.check()


def test_manifest_whose_images_are_gone(market_root, tmp_path):
    write_manifest(tmp_path / "m", Market1501().index(market_root), source="market1501", root=tmp_path / "gone")
    with pytest.raises(DataError, match=r"gone.*does not exist.*data\.root"):
        module(None, manifest=tmp_path / "m").check()


def test_validation_across_one_camera(own_market_root):
    for file in (own_market_root / "bounding_box_train").glob("*_c2*"):
        file.unlink()
    with pytest.raises(DataError, match=r"val: there is no query.*val_fraction 0"):
        module(own_market_root).check()
    module(own_market_root, val_fraction=0.0).check()


def test_rendered_set(own_cache):
    settings = RenderSettings(train_ids=8, test_ids=4, cameras=2, images_per_id=4, distractors=2, junk=2)
    for protocol in ("random", "windows"):
        data = module(None, rendered=settings, bags=BagSettings(protocol=protocol))
        data.setup("fit")
        assert data.name == "synthetic"
        assert data.num_ids == 8
        assert data.manifest.root.is_relative_to(own_cache)
        assert len(next(iter(data.train_dataloader()))) > 0


def test_describe_row_and_image(market_root):
    data = module(market_root)
    assert data.describe_row(0) == "bounding_box_train/0001_c1s1_000001_00.jpg"
    assert data.image(0).shape == (32, 16, 3)
    assert data.image(0).dtype == np.uint8


# Bad input before training


def test_zero_byte_and_no_image(own_market_root, caplog):
    train = sorted((own_market_root / "bounding_box_train").iterdir())
    train[0].write_bytes(b"")
    train[5].write_text("not an image")
    with pytest.raises(DataError) as caught:
        module(own_market_root).check()
    for name in (train[0].name, train[5].name, "data.max_corrupt"):
        assert name in str(caught.value)
    data = module(own_market_root, max_corrupt=2)
    data.check()
    assert train[0].name in caplog.text
    assert len(data.manifest.rows(Split.TRAIN)) == 70


def test_no_query_with_a_match(own_market_root, caplog):
    gallery = own_market_root / "bounding_box_test"
    for file in sorted(gallery.glob("01*_c2*"))[1:]:
        file.unlink()
    data = module(own_market_root)
    data.check()
    data.setup("test")
    assert caplog.text.count("test: 3 of 4 queries have no match in the gallery") == 1
    assert "own camera alone" in caplog.text
    for file in gallery.glob("0101_*"):
        file.unlink()
    with pytest.raises(DataError, match="none of the 4 queries has a match") as caught:
        module(own_market_root).check()
    assert "1 show an identity that the gallery does not have, 3 an identity" in str(caught.value)
    assert "0101_c1s1_000001_00.jpg" in str(caught.value)


def test_empty_split(market, tmp_path):
    records = Market1501().index(market.root)
    kept = records.split != Split.QUERY
    columns = {
        f.name: getattr(records, f.name)[kept]
        for f in dataclasses.fields(records)
        if isinstance(getattr(records, f.name), np.ndarray) and f.name != "identities"
    }
    files = [str(f) for f, k in zip(records.file, kept, strict=True) if k]
    write_manifest(
        tmp_path / "m", dataclasses.replace(records, **(columns | {"file": files})), source="x", root=market.root
    )
    assert len(Manifest.open(tmp_path / "m").rows(Split.QUERY)) == 0
    with pytest.raises(DataError, match=r"the query split of .* is empty"):
        module(None, manifest=tmp_path / "m").check()


def test_missing_root(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        _ = module(tmp_path / "nothing").num_ids


def test_a_bag_that_names_a_folder_that_is_not_there_is_left_out(sysu_root, tmp_path, caplog):
    import json
    import shutil

    root = tmp_path / "sysu"
    shutil.copytree(sysu_root, root)
    file = SYSU30k().bag_label_file(root)
    bags = json.loads(file.read_text())
    bags[4]["BagLabel"].append(4711)
    file.write_text(json.dumps(bags))
    data = module(root, source=SYSU30k(), bags=BagSettings(protocol="sysu"))
    with caplog.at_level("WARNING"):
        assert data.num_ids > 0
    assert len(data.bags) == len(bags) - 1
    assert "4711" in caplog.text


# Bad input in mid-run


def damaged(root, count):
    data = module(root, val_fraction=0.0)
    data.check()
    names = [data.describe_row(int(r)) for r in data.train_rows[:count]]
    for name in names:
        (root / name).write_bytes(b"\xff\xd8\xff\xe0 torn")
    return names


@pytest.mark.parametrize("workers", [0, 1])
def test_mid_run_fails_at_the_first(own_market_root, tmp_path, workers):
    names = damaged(own_market_root, 1)
    data = module(own_market_root, val_fraction=0.0, images_per_bag=99, num_workers=workers)
    with pytest.raises(DataError, match=r"data\.max_corrupt allows 0") as caught:
        trainer(tmp_path).fit(Tiny(), datamodule=data)
    assert names[0] in str(caught.value)


def test_mid_run_skips_up_to_the_limit(own_market_root, tmp_path, caplog):
    names = damaged(own_market_root, 2)
    data = module(own_market_root, val_fraction=0.0, images_per_bag=99, max_corrupt=2)
    model, run = Tiny(), trainer(tmp_path)
    run.fit(model, datamodule=data)
    run.test(model, datamodule=data, verbose=False)
    assert [len({r for rows in model.train_rows[e] for r in rows}) for e in (0, 1)] == [70, 70]
    warnings = [r.getMessage() for r in caplog.records if "were skipped" in r.getMessage()]
    assert len(warnings) == 1  # two epochs, one warning
    assert all(name in warnings[0] for name in names)


def test_mid_run_counts_all_loaders(own_market_root, tmp_path):
    damaged(own_market_root, 1)
    data = module(own_market_root, val_fraction=0.0, images_per_bag=99, max_corrupt=1)
    query = sorted((own_market_root / "query").iterdir())[0]
    model, run = Tiny(), trainer(tmp_path, max_epochs=1)
    run.fit(model, datamodule=data)
    query.write_bytes(b"\xff\xd8\xff\xe0 torn")
    with pytest.raises(DataError, match=query.name):
        run.test(model, datamodule=data, verbose=False)
