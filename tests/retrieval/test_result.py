import dataclasses
import zipfile

import numpy as np
import pytest

from wsreid.errors import FeatureError
from wsreid.retrieval import RetrievalResult, evaluate, summary


@pytest.mark.parametrize("topk", [None, 3])
def test_saved_and_loaded_results_are_equal(problem, tmp_path, topk):
    result = evaluate(problem.query, problem.gallery, topk=topk, **problem.arguments())
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


def test_the_contracts_fields():
    names = {f.name for f in dataclasses.fields(RetrievalResult)}
    averages = {name + end for name in ("cmc", "map_step", "map_trapezoid", "minp") for end in ("", "_all")}
    assert names == averages | {"n_query", "n_valid", "n_tied", "ranks", "query_row", "topk", "definition"}


def test_per_query_figures_average_to_the_results(problem):
    result = evaluate(problem.query, problem.gallery, **problem.arguments())
    per_query = result.per_query()
    assert np.nanmean(per_query.ap_step) == pytest.approx(result.map_step)
    assert np.nanmean(per_query.ap_trapezoid) == pytest.approx(result.map_trapezoid)
    assert np.nanmean(per_query.inp) == pytest.approx(result.minp)
    assert (~np.isnan(per_query.first)).sum() == result.n_valid


def test_damaged_files_are_refused(problem, tmp_path):
    with pytest.raises(FeatureError, match="no such"):
        RetrievalResult.load(tmp_path / "none.npz")
    path = tmp_path / "r.npz"
    evaluate(problem.query, problem.gallery, **problem.arguments()).save(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FeatureError, match="not a whole"):
        RetrievalResult.load(path)
    np.savez(path, a=np.zeros(1))
    assert zipfile.is_zipfile(path)
    with pytest.raises(FeatureError, match="not a whole"):
        RetrievalResult.load(path)
    np.savez(path, format=np.array(99))
    with pytest.raises(FeatureError, match="format 99"):
        RetrievalResult.load(path)


def test_summary_names_fractions(problem):
    result = evaluate(problem.query, problem.gallery, max_rank=2, **problem.arguments())
    figures = summary(result)
    assert list(figures) == ["R1", "R5", "R10", "mAP_step", "mAP_trapezoid", "mINP"]
    first = result.per_query().first
    assert figures["R10"] == pytest.approx((first < 10).sum() / result.n_valid)
    assert (figures["R1"], figures["mAP_step"], figures["mINP"]) == (result.cmc[0], result.map_step, result.minp)
