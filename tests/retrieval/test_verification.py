import dataclasses
import math
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsreid.errors import ConfigError, FeatureError
from wsreid.retrieval.errors import NoMatchError, NonFiniteFeaturesError
from wsreid.retrieval.score_histogram import Bins, make_bins
from wsreid.retrieval.verification import operating_point, verify
from wsreid.retrieval.verification_result import VerificationResult

from .oracle import scores
from .problems import KINDS, make_problem

RATES = (0.3, 0.1, 1e-2, 1e-3)


def naive_pairs(p, metric):
    """Exact scores of the genuine and of the impostor pairs, ascending."""
    s = scores(p.query, p.gallery, metric)
    if metric == "euclidean":
        s = s - (p.query.astype(float) ** 2).sum(1)[:, None]
    genuine, impostor = [], []
    for i in range(len(p.q_pid)):
        for j in range(len(p.g_pid)):
            if -1 in (p.q_pid[i], p.g_pid[j]):
                continue
            if p.q_pid[i] != p.g_pid[j]:
                impostor.append(s[i, j])
            elif p.q_cam[i] == -1 or p.q_cam[i] != p.g_cam[j]:
                genuine.append(s[i, j])
    return np.sort(genuine), np.sort(impostor)


def naive_tpr(genuine, impostor, rate):
    """The largest share of the genuine pairs that any threshold accepts with at most the share `rate` of impostors."""
    best = 0.0
    for threshold in [*genuine, np.inf]:
        if (impostor >= threshold).mean() <= rate:
            best = max(best, (genuine >= threshold).mean())
    return best


@settings(max_examples=35, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    kind=st.sampled_from(KINDS),
    metric=st.sampled_from(("cosine", "dot", "euclidean")),
    dtype=st.sampled_from((np.float16, np.float32, np.float64)),
    width=st.sampled_from((1, 9, 300)),
    bins=st.sampled_from((16, 2**16, 2**20)),
)
def test_the_true_rates_lie_in_their_brackets(seed, kind, metric, dtype, width, bins):
    p = make_problem(seed, kind=kind, width=width, dtype=dtype)
    p.q_pid[1] = -1
    genuine, impostor = naive_pairs(p, metric)
    found = verify(p.query, p.gallery, metric=metric, rates=RATES, bins=bins, **p.arguments())
    assert (found.n_genuine, found.n_impostor) == (len(genuine), len(impostor))
    slack = 1e-12 * max(1.0, abs(impostor).max())  # the oracle's own rounding
    for point in found.points:
        if point.fpr * len(impostor) < 1:
            assert math.isnan(point.tpr)
            assert "cannot resolve" in point.reason
            continue
        exact = naive_tpr(genuine, impostor, point.fpr)
        assert point.low <= exact <= point.high
        assert (impostor > point.threshold).mean() <= point.fpr
        assert (genuine > point.threshold + slack).mean() <= point.low <= (genuine > point.threshold - slack).mean()
    assert found.threshold[0] - found.threshold[-1] == pytest.approx(bins * found.bin_width)
    assert found.definition["score"] == {"euclidean": "minus the squared Euclidean distance"}.get(metric, metric)
    for fpr, tpr, t in list(zip(found.fpr, found.tpr, found.threshold, strict=True))[:: bins // 16]:
        e = found.score_error
        assert (impostor >= t + e).mean() <= fpr <= (impostor >= t - e).mean()
        assert (genuine >= t + slack).mean() <= tpr <= (genuine >= t - slack).mean()


def test_brackets_are_as_narrow_as_the_bins():
    p = make_problem(3, queries=60, images=400, width=16, ids=20)
    found = verify(p.query, p.gallery, rates=(0.1, 0.01), **p.arguments())
    genuine, impostor = naive_pairs(p, "cosine")
    for point in found.points:
        assert point.low == naive_tpr(genuine, impostor, point.fpr)  # no genuine pair happens to lie in the bin
        assert point.high == point.low
    assert found.bin_width == 2 / 2**16
    assert found.score_error < 1e-5
    assert list(found.figures()) == ["TPR@FPR=1e-01", "TPR@FPR=1e-02"]


def test_a_bracket_is_its_bin_widened_by_the_error():
    bins = Bins(0.0, 4.0, 4, error=0.25, q_unit=2.0, g_unit=1.0, metric="dot")
    counts = np.array([5, 2, 2, 1])  # one of ten is accepted, so the second best decides; it lies in 2..3, more or less
    genuine = np.array([0.5, 1.7, 1.8, 2.5, 3.2, 3.3])
    point = operating_point(0.1, counts, genuine, bins)
    assert (point.low, point.high, point.threshold) == (1 / 6, 4 / 6, 2 * 3.25)
    assert operating_point(0.099, counts, genuine, bins).reason.endswith("it takes 11")
    assert operating_point(0.01, counts, genuine, bins).reason.endswith("it takes 100")


def test_a_collapsed_network_is_told_from_nothing():
    p = make_problem(kind="constant")
    point = verify(p.query, p.gallery, rates=(0.5,), **p.arguments()).points[0]
    assert (point.low, point.high) == (0, 1)  # the truth is 0; the bin cannot tell the pairs apart


def test_without_cameras_same_camera_pairs_are_genuine():
    p = make_problem(1)
    p.q_cam[:], p.g_cam[:] = 0, 0
    p.g_cam[0] = 1
    with_cameras = verify(p.query, p.gallery, **p.arguments())
    without = verify(p.query, p.gallery, protocol="none", **p.arguments())
    assert without.n_genuine > with_cameras.n_genuine
    assert without.n_impostor == with_cameras.n_impostor
    assert without.definition["protocol"] == "none"


class ThreadGroup:
    """Processes of one gallery, as threads."""

    def __init__(self, rank, size, table, barrier):
        self.rank, self.size, self.table, self.barrier = rank, size, table, barrier

    def gather(self, array):
        self.table[self.rank] = array
        self.barrier.wait(20)
        found = list(self.table)
        self.barrier.wait(20)
        return found

    def sum(self, array):
        return sum(self.gather(array))

    def max(self, value):
        return max(self.gather(value))

    def agree(self, error):
        first = next((e for e in self.gather(error) if e is not None), None)
        if first is not None:
            raise first


def in_threads(p, parts, **options):
    found, barrier, table = [None] * len(parts), threading.Barrier(len(parts)), [None] * len(parts)

    def run(rank):
        rows = parts[rank]
        try:
            found[rank] = verify(
                p.query,
                p.gallery[rows],
                q_pid=p.q_pid,
                g_pid=p.g_pid[rows],
                q_cam=p.q_cam,
                g_cam=p.g_cam[rows],
                group=ThreadGroup(rank, len(parts), table, barrier),
                **options,
            )
        except FeatureError as error:
            found[rank] = error

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(len(parts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return found


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
def test_parts_of_a_gallery_add_up(metric):
    p = make_problem(5, queries=20, images=90, kind="uneven")
    p.gallery[:] *= np.float32(1e-3)  # no norm hides that of a part without rows
    one = verify(p.query, p.gallery, metric=metric, rates=RATES, **p.arguments())
    parts = [np.arange(50), np.arange(50, 90), np.arange(0)]
    for found in in_threads(p, parts, metric=metric, rates=RATES):
        assert (found.n_genuine, found.n_impostor, found.definition) == (one.n_genuine, one.n_impostor, one.definition)
        np.testing.assert_array_equal(found.tpr, one.tpr)
        assert found.bin_width == one.bin_width
        assert np.abs(found.fpr - one.fpr).max() <= 3 / one.n_impostor  # a few pairs in the next bin
        for mine, theirs in zip(found.points, one.points, strict=True):
            assert mine.low <= theirs.high
            assert theirs.low <= mine.high


def test_an_error_in_one_part_is_raised_in_all():
    p = make_problem(5)
    p.gallery[30] = np.nan
    found = in_threads(p, [np.arange(20), np.arange(20, 40)])
    assert [type(e) for e in found] == [NonFiniteFeaturesError] * 2


def test_results_are_saved_and_loaded(tmp_path):
    p = make_problem(2)
    result = verify(p.query, p.gallery, **p.arguments())
    path = tmp_path / "v.npz"
    result.save(path)
    loaded = VerificationResult.load(path)
    for field in dataclasses.fields(result):
        mine, theirs = getattr(result, field.name), getattr(loaded, field.name)
        if field.name == "points":
            assert repr(mine) == repr(theirs)  # NaN is not equal to itself
        else:
            assert np.array_equal(mine, theirs)
    path.write_bytes(path.read_bytes()[:-90])
    with pytest.raises(FeatureError, match="not a whole verification"):
        VerificationResult.load(path)
    with pytest.raises(FeatureError, match="no such"):
        VerificationResult.load(tmp_path / "none.npz")
    np.savez(path, verification_format=np.array(9))
    with pytest.raises(FeatureError, match="format 9"):
        VerificationResult.load(path)


def test_what_cannot_be_verified_is_refused():
    p = make_problem()
    arguments = p.arguments()
    for options in ({"rates": (0.0,)}, {"rates": (1.0,)}, {"bins": 3}, {"metric": "l1"}, {"memory_mb": 0}):
        with pytest.raises(ConfigError, match=next(iter(options))):
            verify(p.query, p.gallery, **arguments, **options)
    with pytest.raises(FeatureError, match="dimensions"):
        verify(p.query[:, :3], p.gallery, **arguments)
    with pytest.raises(FeatureError, match="or neither"):
        verify(p.query, p.gallery, **(arguments | {"q_cam": None}))
    with pytest.raises(ConfigError, match="no cameras are known"):
        verify(p.query, p.gallery, q_pid=p.q_pid, g_pid=p.g_pid, protocol="market1501")
    with pytest.raises(FeatureError, match="no rows"):
        verify(p.query, p.gallery[:0], q_pid=p.q_pid, g_pid=p.g_pid[:0])
    with pytest.raises(NoMatchError, match="no genuine"):
        verify(p.query, p.gallery, q_pid=p.q_pid + 100, g_pid=p.g_pid)
    same = np.zeros(len(p.g_pid), dtype=int)
    with pytest.raises(NoMatchError, match="no impostor"):
        verify(p.query, p.gallery, q_pid=np.zeros_like(p.q_pid), g_pid=same)


@pytest.mark.parametrize("metric", ["dot", "euclidean"])
def test_features_that_are_all_zero_have_bins_too(metric):
    bins = make_bins(0.0, 0.0, 5, 10, metric)
    assert (bins.low, bins.high) == (-1.0, 1.0)
    assert 0 < bins.error < 1e-5


@pytest.mark.parametrize("scale", [1e-200, 1e200])
@pytest.mark.filterwarnings("error")
def test_features_whose_squares_float64_cannot_hold_are_refused(scale):
    p = make_problem(0)
    gallery = p.gallery * np.float64(scale)
    with pytest.raises(NonFiniteFeaturesError, match=r"row 0, .* Rescale the features"):
        verify(p.query, gallery, **p.arguments())
