"""What stands in the file."""

import json
import re

import numpy as np
import pytest

from tests.tracking.run_folders import make_result, write_run
from wsreid.data.images import UnreadableImage
from wsreid.report import ReportSettings, make_report
from wsreid.report import report as report_module
from wsreid.report.image_pool import PooledImage
from wsreid.report.ranked_lists import query_sets

HOSTILE = "<img src=x onerror=boom()>\"'&{{7*7}}"


def made(paths, **settings):
    return make_report(paths, ReportSettings(**{"bags": 0, **settings}), lambda what, steps: lambda: None)


def data_of(html):
    return json.loads(re.search(r'id="data">(.*?)</script>', html, re.DOTALL)[1])


@pytest.fixture
def two(tmp_path):
    return [
        write_run(tmp_path / method, make_result([[first], [first + 1], [0]]), method=method)
        for method, first in (("DGL", 0), ("BagCE", 3))
    ]


def test_nothing_is_loaded_from_elsewhere(two):
    html = made(two).html
    without = re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL)  # plotly's own text names sites
    assert not re.search(r"(src|href)=[\"'](?!#)", without)
    assert "@import" not in html.partition("</style>")[0]
    assert "url(" not in html.partition("</style>")[0]
    assert html.count("plotly.js v") == 1
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)[1]
    assert policy.startswith("default-src &#39;none&#39;")
    assert "script-src &#39;unsafe" not in policy


def test_names_and_paths_are_escaped_everywhere(tmp_path):
    folder = write_run(tmp_path / HOSTILE, make_result([[0], [1]]), options={"note": HOSTILE})
    other = write_run(tmp_path / "b", make_result([[0], [2]]), options={"note": "<script>boom()</script>"}, seed=1)
    (folder / "diagnostics.csv").write_text("epoch,group,raw\n0,<u>x</u>,0.5\n")
    stopped = write_run(tmp_path / "<i>c", method="</script><b>")
    html = made([folder, other, stopped]).html
    for part in ("<img src=x", "<script>boom", "</script><b>", "<u>", "<i>c"):
        assert part not in html, part
    assert "&lt;img src=x onerror=boom()&gt;&#34;&#39;&amp;{{7*7}}" in html
    assert "&lt;i&gt;c" in html


def test_the_lists_of_each_run_are_in_it(two):
    (found,) = data_of(made(two).html)["querySets"]
    assert found["runs"] == [0, 1]
    assert [[each["first"] for each in of_run] for of_run in found["lists"]] == [[1, 2, 1], [4, 5, 1]]


def test_a_run_without_its_images_is_told(two):
    found = made(two)
    assert found.images == 0
    assert sum("no images: " in remark for remark in found.remarks) == 2
    assert all(remark in found.html.replace("&#39;", "'") for remark in found.remarks)


def test_few_queries_are_shown_where_few_are_asked_for(two):
    found = made(two, queries=2)
    assert len(data_of(found.html)["querySets"][0]["queries"]) == 2
    assert any(remark.startswith("2 of 3 queries are shown") for remark in found.remarks)


def test_a_baseline_is_tested_against(two):
    assert "vs BagCE" in made(two, baseline="bagce").html
    assert "vs BagCE" not in made(two).html


def test_runs_that_have_not_finished_show_their_curves(tmp_path):
    found = made([write_run(tmp_path / "a")])
    data = data_of(found.html)
    assert [each["label"] for each in data["charts"]["curves"]] == ["val/mAP_step", "train/loss"]
    assert data["querySets"] == []
    assert "cmc" not in data["charts"]
    assert "not finished" in found.html
    assert any("no ranked lists" in remark for remark in found.remarks)


def test_images_and_bags_of_a_trained_run(trained):
    steps = {}

    def progress(what, number):
        steps[what] = [number, 0]

        def step():
            steps[what][1] += 1

        return step

    found = make_report([trained], ReportSettings(bags=2), progress)
    data = data_of(found.html)
    assert found.remarks == ()
    assert len(data["bags"][0]["bags"]) == 2
    assert found.images == len(data["images"]) == steps["images"][0]
    assert len(set(data["images"])) == len(data["images"])
    assert all(done == number for number, done in steps.values())
    shown = {number for each in data["querySets"][0]["lists"][0] for number in each["hits"]}
    shown |= {query["img"] for query in data["querySets"][0]["queries"]}
    shown |= {image["img"] for bag in data["bags"][0]["bags"] for image in bag["images"]}
    assert shown == set(range(len(data["images"])))


def test_images_that_are_gone_are_counted(trained, monkeypatch):
    def gone(self, row):
        raise UnreadableImage("gone")

    monkeypatch.setattr("wsreid.data.datamodule.BagDataModule.image", gone)
    found = make_report([trained], ReportSettings(bags=0), lambda what, steps: lambda: None)
    assert found.images == 0
    assert {*data_of(found.html)["images"]} == {None}
    assert any("cannot be read any more" in remark for remark in found.remarks)


def test_twenty_runs_on_two_hundred_queries_stay_under_fifteen_megabytes(tmp_path, monkeypatch):
    """Also where there are so many images, as hard to compress as noise, that they do not fit."""

    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (20, 48, 24, 3), dtype=np.uint8)

    class Noise:
        def image(self, row):
            return noise[row % len(noise)]

    def crowded(runs, most, pool):
        pool.images += [PooledImage(Noise(), at, at % 11) for at in range(18_000)]
        return query_sets(runs, most, pool)

    monkeypatch.setattr(report_module, "query_sets", crowded)
    result = make_result([np.sort(rng.choice(2000, 6, replace=False)) for _ in range(200)])
    paths = [write_run(tmp_path / str(at), result, options={"lr": at}) for at in range(20)]
    found = made(paths)
    assert 12_000_000 < len(found.html.encode()) < 15_000_000
    assert any("left out to keep the file small" in remark for remark in found.remarks)
