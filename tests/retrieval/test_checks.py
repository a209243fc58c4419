import numpy as np
import pytest
import torch

from wsreid.errors import ConfigError, FeatureError
from wsreid.retrieval.checks import check_choice, check_features, check_ids, check_positive


@pytest.mark.parametrize(
    ("features", "remedy"),
    [
        (np.ones((3, 2), int), r"got int64\. Give query\.astype\(np\.float32\)"),
        (np.ones((3, 2), bool), r"got bool\. Give query\.astype\(np\.float32\)"),
        (torch.ones(3, 2, dtype=torch.int32), r"got torch\.int32\. Give query\.float\(\)"),
        (torch.ones(3, 2, dtype=torch.bool), r"Give query\.float\(\)"),
        (np.ones((3, 2), complex), r"got complex128\. .*query\.real"),
        (torch.ones(3, 2, dtype=torch.complex64), r"query\.real"),
        (np.ones((3, 2), object), r"Ragged rows.*np\.stack\(query\)\.astype\(np\.float32\)"),
        (np.array([["a", "b"]]), "Features are numbers"),
        (np.ones(4, np.float32), r"shape \(N, D\), got \(4,\)\. The feature of one image is query\[None\]"),
        (np.ones((3, 4, 2), np.float32), r"got \(3, 4, 2\)\. .*query\.reshape\(3, -1\)"),
    ],
)
def test_features_are_refused_with_a_remedy(features, remedy):
    with pytest.raises(FeatureError, match=f"query: .*{remedy}"):
        check_features(features, "query")


@pytest.mark.parametrize(
    ("values", "remedy"),
    [
        (np.array([1.0, 2.0, -1.0]), r"got float64\. They are whole: give q_pid\.astype\(int\)"),
        (torch.tensor([1.0, 2.0, -1.0], dtype=torch.bfloat16), r"torch\.bfloat16\. They are whole: give q_pid\.long\("),
        (np.array([1.0, 2.5, np.nan]), r"2 of them are no whole numbers \(the first is 2\.5, at place 1\)\. Put -1"),
        (np.array([1.0, np.inf, 2.0]), "the first is inf, at place 1"),
        (np.array([1.0, 1e20, 2.0]), "the first is 1e.20, at place 1"),
        (np.array(["a", "b", "c"]), "Number the names first"),
        (np.array([True, False, True]), "got bool. True and False name nothing"),
        (np.ones((3, 1), int), r"shape \(3,\), got \(3, 1\)\. Give q_pid\.reshape\(-1\)"),
        (np.ones(4, int), r"shape \(3,\), got \(4,\)\.$"),
    ],
)
def test_ids_are_refused_with_a_remedy(values, remedy):
    with pytest.raises(FeatureError, match=f"q_pid: .*{remedy}"):
        check_ids(values, "q_pid", 3, "query")


def test_remedies_for_ids_work():
    assert check_ids(np.array([1.0, -1.0]).astype(int), "q_pid", 2, "query").tolist() == [1, -1]
    assert check_ids(torch.tensor([[1.0], [2.0]]).long().reshape(-1), "q_pid", 2, "query").tolist() == [1, 2]


def test_options_are_refused_in_words():
    with pytest.raises(ConfigError, match=r"ties='rnd': expected one of mid, optimistic\."):
        check_choice("ties", "rnd", ("mid", "optimistic"))
    for wrong in (0, -1, 2.5, "3", None):
        with pytest.raises(ConfigError, match=r"max_rank=.*: expected a whole number, at least 1"):
            check_positive("max_rank", wrong)
    check_positive("max_rank", np.int64(3))


def test_ids_beyond_64_signed_bits_are_refused():
    most = np.iinfo(np.int64).max
    assert check_ids(np.array([0, most], np.uint64), "q_pid", 2, "query").tolist() == [0, most]
    with pytest.raises(FeatureError, match=r"q_pid: 9223372036854775808 does not fit 64-bit signed integers"):
        check_ids(np.array([0, most + 1], np.uint64), "q_pid", 2, "query")
