import dataclasses
import zipfile

import numpy as np
import pytest

from wsreid.errors import ConfigError, FeatureError
from wsreid.retrieval.errors import NoMatchError
from wsreid.retrieval.protocols import PROTOCOLS
from wsreid.retrieval.result import RetrievalResult
from wsreid.retrieval.summary import headline, summary

from .oracle import naive_figures
from .results import make_result


@pytest.mark.parametrize(
    "changes",
    [{}, {"topk": np.arange(90).reshape(30, 3)}, {"query_pid": None}, {"shots": np.full((10, 30), 2.0)}],
    ids=lambda c: next(iter(c), "plain"),
)
def test_saved_and_loaded_results_are_equal(tmp_path, changes):
    result = make_result(**changes)
    result.save(tmp_path / "new" / "r.npz")
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["r.npz"]
    loaded = RetrievalResult.load(tmp_path / "new" / "r.npz")
    for field in dataclasses.fields(result):
        mine, theirs = getattr(result, field.name), getattr(loaded, field.name)
        if field.name == "ranks":
            assert len(mine) == len(theirs)
            assert all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(mine, theirs, strict=True))
        elif isinstance(mine, np.ndarray):
            assert np.array_equal(mine, theirs)
            assert mine.dtype == theirs.dtype
        else:
            assert mine == theirs
            assert type(mine) is type(theirs)


def test_files_of_format_1_are_read(tmp_path):
    result = make_result()
    result.save(tmp_path / "new.npz")
    with np.load(tmp_path / "new.npz") as file:
        old = {name: file[name] for name in file.files if name != "query_pid"} | {"format": np.array(1)}
    np.savez(tmp_path / "old.npz", **old)
    loaded = RetrievalResult.load(tmp_path / "old.npz")
    assert loaded.query_pid is None
    assert summary(loaded) == summary(result)
    with pytest.raises(FeatureError, match="Evaluate again"):
        loaded.intervals()


def test_the_contracts_fields():
    names = {f.name for f in dataclasses.fields(RetrievalResult)}
    averages = {name + end for name in ("cmc", "map_step", "map_trapezoid", "minp") for end in ("", "_all")}
    rest = {"n_query", "n_valid", "n_tied", "ranks", "query_row", "topk", "definition", "query_pid", "shots"}
    assert names == averages | rest


@pytest.mark.parametrize("seed", range(5))
def test_averages_are_the_loops(seed):
    result = make_result(seed)
    cmc, figures = naive_figures(result.ranks, 20)
    valid = np.array([len(r) > 0 for r in result.ranks])
    assert (result.n_query, result.n_valid) == (30, valid.sum())
    np.testing.assert_allclose(result.cmc, cmc[valid].mean(0), atol=1e-15)
    np.testing.assert_allclose(result.cmc_all, cmc.mean(0), atol=1e-15)
    mine = (result.map_step, result.map_trapezoid, result.minp)
    np.testing.assert_allclose(mine, figures[valid].mean(0), atol=1e-15)
    mine = (result.map_step_all, result.map_trapezoid_all, result.minp_all)
    np.testing.assert_allclose(mine, figures.mean(0), atol=1e-15)
    assert np.nanmean(result.per_query().ap_step) == pytest.approx(result.map_step)


def test_a_result_without_a_match_is_refused():
    with pytest.raises(NoMatchError, match="none of the 30 queries"):
        RetrievalResult.of_ranks(
            [np.empty(0)] * 30, n_tied=0, max_rank=5, query_row=np.arange(30), query_pid=None, definition={}
        )


def test_single_shot_curves_average_the_draws():
    shots = np.random.default_rng(0).integers(0, 30, (10, 30)) / 2
    shots[:, 4] = np.nan
    result = make_result(lost=0, shots=shots)
    result = RetrievalResult.of_ranks(
        (*result.ranks[:4], np.empty(0), *result.ranks[5:]),
        n_tied=0,
        max_rank=6,
        query_row=result.query_row,
        query_pid=result.query_pid,
        definition=result.definition,
        shots=shots,
    )
    for k in (1, 2, 6, 9):
        hits = [rank + 1 <= k for draw in shots for rank in draw if not np.isnan(rank)]
        assert result.rank_k(k) == pytest.approx(np.mean(hits))
        assert result.rank_k(k, over_all=True) == pytest.approx(np.sum(hits) / shots.size)


def test_damaged_files_are_refused(tmp_path):
    with pytest.raises(FeatureError, match="no such"):
        RetrievalResult.load(tmp_path / "none.npz")
    path = tmp_path / "r.npz"
    make_result().save(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FeatureError, match="not a whole"):
        RetrievalResult.load(path)
    np.savez(path, a=np.zeros(1))
    assert zipfile.is_zipfile(path)
    with pytest.raises(FeatureError, match="not a whole"):
        RetrievalResult.load(path)
    np.savez(path, format=np.array(99))
    with pytest.raises(FeatureError, match=r"format 99; this version reads 1 and 2"):
        RetrievalResult.load(path)


def test_summary_names_fractions():
    result = make_result(max_rank=2)
    figures = summary(result)
    assert list(figures) == ["R1", "R5", "R10", "mAP_step", "mAP_trapezoid", "mINP"]
    first = result.per_query().first
    assert figures["R10"] == pytest.approx((first < 10).sum() / result.n_valid)
    assert (figures["R1"], figures["mAP_step"], figures["mINP"]) == (result.cmc[0], result.map_step, result.minp)
    assert headline(result) == ("mAP_step", result.map_step)


def test_the_protocol_decides_over_which_queries():
    result = make_result(protocol="sysu30k", max_rank=2)
    assert result.n_valid < result.n_query
    figures = summary(result)
    assert (figures["R1"], figures["mAP_step"]) == (result.cmc_all[0], result.map_step_all)
    assert (figures["mAP_trapezoid"], figures["mINP"]) == (result.map_trapezoid_all, result.minp_all)
    assert figures["R10"] == pytest.approx((result.per_query().first < 10).sum() / result.n_query)
    assert headline(result) == ("R1", result.cmc_all[0])


def test_every_protocols_headline_is_a_figure():
    for name in PROTOCOLS:
        figure, value = headline(make_result(protocol=name))
        assert value == summary(make_result(protocol=name))[figure]


def test_a_half_rank_is_no_hit_before_the_next_whole_one():
    def result(first):
        rows, ranks = np.arange(1), (np.array([first]),)
        return RetrievalResult.of_ranks(
            ranks, n_tied=1, max_rank=3, query_row=rows, query_pid=rows, definition={"ties": "mid"}
        )

    assert result(0.5).cmc.tolist() == [0, 1, 1]
    assert result(0.0).cmc.tolist() == [1, 1, 1]


def test_there_is_no_rank_0():
    with pytest.raises(ConfigError, match="k=0: expected at least 1"):
        make_result().rank_k(0)
