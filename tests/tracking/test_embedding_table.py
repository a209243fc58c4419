import numpy as np
import pytest

from wsreid.data.preparation import prepared_manifest
from wsreid.data.rendered import RenderSettings, rendered_root
from wsreid.data.sources import Market1501
from wsreid.tracking.embedding_table import MOST_COMPONENTS, embedding_table, principal_components, shown_rows


@pytest.fixture(scope="module")
def manifest():
    return prepared_manifest(Market1501(), rendered_root(RenderSettings(train_ids=12, test_ids=8, cameras=3)), "tiny")


def unit(features):
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def distances(points):
    return np.linalg.norm(points[:, None] - points[None], axis=2)


@pytest.mark.parametrize("shape", [(30, 8), (8, 30), (1, 5)])
def test_all_components_keep_the_distances(shape):
    features = np.random.default_rng(0).normal(size=shape).astype(np.float32) * 7
    axes, share = principal_components(features)
    assert axes.shape == (shape[0], min(shape))
    assert share == pytest.approx(1)
    assert distances(axes) == pytest.approx(distances(unit(features)), abs=1e-5)


def test_the_first_components_hold_most():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200, 300)).astype(np.float32)
    features[:, 0] += 30 * rng.choice([-1, 1], 200)
    axes, share = principal_components(features)
    assert axes.shape == (200, MOST_COMPONENTS)
    spread = axes.std(0)
    assert (np.diff(spread) <= 1e-6).all()
    assert spread[0] > 5 * spread[1]
    assert 0.5 < share < 1
    assert share == pytest.approx(
        (axes.astype(float) ** 2).sum() / ((unit(features) - unit(features).mean(0)) ** 2).sum()
    )


def test_features_that_are_all_the_same_are_one_point():
    axes, share = principal_components(np.ones((4, 3), np.float32))
    assert abs(axes).max() < 1e-6
    assert share == 1


def test_whole_identities_are_shown_without_distractors(manifest):
    rows = shown_rows(manifest, 40)
    assert len(rows) == 40
    assert (np.diff(rows) > 0).all()
    pids, counts = np.unique(manifest.pid[rows], return_counts=True)
    assert (pids > 0).all()
    test = np.flatnonzero((manifest.split != 0) & (manifest.pid > 0))
    whole = [int((manifest.pid[test] == pid).sum()) == count for pid, count in zip(pids, counts, strict=True)]
    assert whole.count(False) <= 1  # the last one is cut
    assert set(shown_rows(manifest, 10)) < set(rows)
    assert np.array_equal(shown_rows(manifest, 10**6), test)


def test_a_row_for_each_image(manifest):
    rows = shown_rows(manifest, 5)
    features = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    images = [np.full((4, 2, 3), i, np.uint8) for i in range(5)]
    table = embedding_table(rows, images, features, manifest, lambda row: f"file {row}")
    assert table.columns == ["image", "file", "identity", "camera", "PC1", "PC2", "PC3"]
    assert [cells[0] is image for cells, image in zip(table.cells, images, strict=True)] == [True] * 5
    for cells, row in zip(table.cells, rows, strict=True):
        assert cells[1:4] == [f"file {row}", str(manifest.pid[row]), manifest.camera[row]]
    numbers = np.array([cells[4:] for cells in table.cells])
    assert distances(numbers) == pytest.approx(distances(unit(features)), abs=1e-5)
