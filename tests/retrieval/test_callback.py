import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger

from wsreid.errors import ConfigError, DataError
from wsreid.retrieval import NoMatchError, NonFiniteFeaturesError, RetrievalResult, evaluate
from wsreid.retrieval.callback import RetrievalCallback
from wsreid.retrieval.expansion_settings import QueryExpansion
from wsreid.retrieval.rerank_settings import KReciprocal

from .ddp import Data, Model, trainer
from .problems import make_problem


def direct(p, **options):
    rows = {"query_row": np.arange(len(p.query)) + 100, "gallery_row": np.arange(len(p.gallery)) + 500}
    return evaluate(p.query, p.gallery, topk=10, **rows, **p.arguments(), **options)


def test_test_scores_logs_saves_and_clears(problem, tmp_path):
    callback = RetrievalCallback()
    run = trainer(tmp_path, callback)
    run.test(Model(), datamodule=Data(problem), verbose=False)
    expected = direct(problem)
    logged = {k: float(v) for k, v in run.callback_metrics.items()}
    assert logged == pytest.approx(
        {
            "test/R1": expected.cmc[0],
            "test/R5": expected.cmc[4],
            "test/R10": expected.cmc[9],
            "test/mAP_step": expected.map_step,
            "test/mAP_trapezoid": expected.map_trapezoid,
            "test/mINP": expected.minp,
            "test/n_query": 7,
            "test/n_valid": expected.n_valid,
            "test/n_tied": 0,
        }
    )
    saved = RetrievalResult.load(tmp_path / "retrieval.npz")
    for result in (saved, callback.results["test"]):
        assert all(np.array_equal(a, b) for a, b in zip(result.ranks, expected.ranks, strict=True))
        assert np.array_equal(result.topk, expected.topk)
        assert result.query_row.tolist() == list(range(100, 107))
    assert all(o.images == 0 for o in callback._outputs.values())


def test_fit_logs_for_checkpoints_and_loggers_and_skips_the_sanity_check(problem, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr("wsreid.retrieval.callback.evaluate", lambda *a, **k: calls.append(1) or evaluate(*a, **k))
    checkpoint = ModelCheckpoint(tmp_path / "c", monitor="val/mAP_step", mode="max", filename="{epoch}", save_last=True)
    callback = RetrievalCallback(metric="euclidean", topk=None, ties="pessimistic", max_rank=3)
    csv = CSVLogger(tmp_path, name="log", version="0")
    run = trainer(
        tmp_path,
        callback,
        callbacks=[checkpoint],
        logger=csv,
        enable_checkpointing=True,
        max_epochs=2,
        log_every_n_steps=1,
    )
    run.fit(Model(), datamodule=Data(problem))
    assert len(calls) == 2  # none in the sanity check
    expected = direct(problem, metric="euclidean", ties="pessimistic")
    assert float(checkpoint.best_model_score) == pytest.approx(expected.map_step)
    assert "val/R1" in (tmp_path / "log" / "0" / "metrics.csv").read_text()
    assert float(run.callback_metrics["best/R1"]) == pytest.approx(expected.cmc[0])
    assert (tmp_path / "retrieval_val.npz").exists()
    assert callback.results["val"].cmc.shape == (3,)

    resumed = RetrievalCallback(metric="euclidean")
    state = torch.load(tmp_path / "c" / "last.ckpt", weights_only=True)["callbacks"]
    resumed.load_state_dict(state[resumed.state_key])
    assert resumed.best["mAP_step"] == pytest.approx(expected.map_step)


def test_best_is_the_highest_so_far(problem, tmp_path):
    callback = RetrievalCallback()
    callback.best = {"R1": 2.0, "mAP_step": 0.0}
    run = trainer(tmp_path, callback)
    run.validate(Model(), datamodule=Data(problem), verbose=False)
    assert float(run.callback_metrics["best/R1"]) == 2.0
    assert float(run.callback_metrics["best/mAP_step"]) == pytest.approx(direct(problem).map_step)


def test_under_a_batch_limit_the_images_seen_are_all_there_is(problem, tmp_path):
    callback = RetrievalCallback()
    trainer(tmp_path, callback, limit_test_batches=2).test(Model(), datamodule=Data(problem), verbose=False)
    p = problem
    seen = evaluate(
        p.query[:6], p.gallery[:16], q_pid=p.q_pid[:6], g_pid=p.g_pid[:16], q_cam=p.q_cam[:6], g_cam=p.g_cam[:16]
    )
    result = callback.results["test"]
    assert (result.n_query, result.definition["n_gallery"]) == (6, 16)
    assert all(np.array_equal(a, b) for a, b in zip(result.ranks, seen.ranks, strict=True))


def test_no_match_is_a_warning_under_a_limit_and_an_error_without(tmp_path, caplog):
    p = make_problem()
    p.g_pid = p.g_pid * 0 + 77
    callback = RetrievalCallback()
    run = trainer(tmp_path, callback, limit_val_batches=1)
    with caplog.at_level(logging.WARNING):
        run.validate(Model(), datamodule=Data(p), verbose=False)
    assert "share no identity" in caplog.text
    assert not run.callback_metrics
    assert not callback.results
    with pytest.raises(NoMatchError):
        trainer(tmp_path, callback).validate(Model(), datamodule=Data(p), verbose=False)


def test_a_missing_gallery_is_an_error(problem, tmp_path):
    with pytest.raises(DataError, match="gallery dataloader gave no images"):
        trainer(tmp_path, RetrievalCallback()).test(Model(), datamodule=Data(problem, sides=1), verbose=False)


def test_a_third_loader_is_an_error(problem, tmp_path):
    data = Data(problem)
    data.loaders.append(data.loaders[1])
    with pytest.raises(ConfigError, match="two dataloaders"):
        trainer(tmp_path, RetrievalCallback()).test(Model(), datamodule=data, verbose=False)


@pytest.mark.parametrize(("side", "name"), [("query", "img_102.jpg"), ("gallery", "img_502.jpg")])
def test_an_image_with_nan_features_is_named(problem, tmp_path, side, name):
    getattr(problem, side)[2, 0] = np.nan
    with pytest.raises(NonFiniteFeaturesError, match=rf"1 {side} feature.*{name}") as caught:
        trainer(tmp_path, RetrievalCallback()).test(Model(), datamodule=Data(problem), verbose=False)
    assert caught.value.indices == (2,)


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true"])
def test_half_precision_modules_are_scored_in_float32(problem, tmp_path, precision):
    callback = RetrievalCallback()
    run = trainer(tmp_path, callback, precision=precision)
    run.test(Model(), datamodule=Data(problem), verbose=False)
    assert run.callback_metrics["test/mAP_step"].dtype == torch.float32
    assert float(run.callback_metrics["test/mAP_step"]) == pytest.approx(callback.results["test"].map_step)


def test_save_can_be_switched_off(problem, tmp_path):
    trainer(tmp_path, RetrievalCallback(save=False)).test(Model(), datamodule=Data(problem), verbose=False)
    assert not list(tmp_path.glob("*.npz"))


def test_the_options_reach_the_result(problem, tmp_path):
    callback = RetrievalCallback(protocol="sysu30k", topk=3, expand=QueryExpansion(k=2), rerank=KReciprocal(k1=4, k2=2))
    trainer(tmp_path, callback).test(Model(), datamodule=Data(problem), verbose=False)
    given = callback.results["test"].definition
    assert given["protocol"] == "sysu30k"
    assert "k=2" in given["expand"]
    assert "k1=4" in given["rerank"]
    plain = RetrievalCallback(index="ivf", topk=3)
    trainer(tmp_path, plain).test(Model(), datamodule=Data(problem), verbose=False)
    assert "recall@3" in plain.results["test"].definition["lists"]


def test_intervals_are_logged_where_they_are_asked_for(problem, tmp_path):
    callback = RetrievalCallback(bootstrap=50)
    run = trainer(tmp_path, callback)
    run.test(Model(), datamodule=Data(problem), verbose=False)
    for name, interval in callback.results["test"].intervals(50).items():
        assert float(run.callback_metrics[f"test/{name}_low"]) == pytest.approx(interval.low)
        assert float(run.callback_metrics[f"test/{name}_high"]) == pytest.approx(interval.high)


@pytest.mark.parametrize("options", [{"rerank": KReciprocal()}, {"expand": QueryExpansion()}])
def test_several_processes_neither_rerank_nor_expand(options):
    callback = RetrievalCallback(**options)
    callback.setup(SimpleNamespace(world_size=1), None, "fit")
    with pytest.raises(ConfigError, match="needs the whole gallery in one process, and there are 2"):
        callback.setup(SimpleNamespace(world_size=2), None, "fit")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"protocol": "market"}, "protocol='market'"),
        ({"index": "flat"}, "index='flat'"),
        ({"bootstrap": -1}, "bootstrap=-1"),
    ],
)
def test_wrong_options_are_refused_when_it_is_made(options, message):
    with pytest.raises(ConfigError, match=message):
        RetrievalCallback(**options)
