import shutil

from wsreid.report.run_data import DataOfRuns
from wsreid.tracking.recorded_run import RecordedRun, read_run


def changed(run, **data):
    config = {**run.config, "data": {**run.config["data"], "init_args": {**run.config["data"]["init_args"], **data}}}
    return RecordedRun(run.path, config, run.results)


def test_a_data_set_is_opened_once(trained):
    run, opened = read_run(trained), DataOfRuns()
    first = opened.of(run)
    assert first.reason == ""
    assert first.module.manifest.hash == run.hashes["data"]
    assert opened.of(read_run(trained)).module is first.module


def test_other_data_under_the_same_path_are_not_shown(trained, market, tmp_path):
    root = tmp_path / "market"
    shutil.copytree(market, root)
    (root / "query" / "0101_c1s1_000001_00.jpg").rename(root / "query" / "0103_c1s1_000009_00.jpg")
    found = DataOfRuns().of(changed(read_run(trained), root=str(root)))
    assert found.module is None
    assert "changed since" in found.reason


def test_data_that_are_gone_are_told(trained, tmp_path):
    found = DataOfRuns().of(changed(read_run(trained), root=str(tmp_path / "gone")))
    assert found.module is None
    assert str(tmp_path / "gone") in found.reason


def test_a_configuration_that_is_none_is_told(trained):
    for data in ({"height": "tall"}, {"source": {"class_path": "no.Such"}}, {"bags": {"ids_per_bag": 0}}):
        found = DataOfRuns().of(changed(read_run(trained), **data))
        assert found.module is None, data
        assert found.reason, data


def test_nothing_is_rendered_for_a_look(trained, tmp_path, monkeypatch):
    monkeypatch.setenv("WSREID_CACHE_DIR", str(tmp_path / "cache"))
    found = DataOfRuns().of(changed(read_run(trained), root=None))
    assert found.module is None
    assert "not in the cache folder any more" in found.reason
    assert not (tmp_path / "cache").exists()
