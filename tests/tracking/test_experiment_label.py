from tests.tracking.run_folders import make_config
from wsreid.tracking.experiment_hash import config_hash
from wsreid.tracking.experiment_label import experiment_labels


def test_a_method_that_is_there_once_is_its_own_label():
    assert experiment_labels(["DGL", "CC"], [make_config("DGL"), make_config("CC", lr=3)]) == ["DGL", "CC"]


def test_of_several_experiments_of_a_method_the_options_that_differ_are_named():
    configs = [make_config("DGL"), make_config("DGL", lr=0.5), make_config("DGL", lr=0.5, rounds=2), make_config("CC")]
    labels = experiment_labels(["DGL", "DGL", "DGL", "CC"], configs)
    assert labels == ["DGL (lr 0.1, rounds none)", "DGL (lr 0.5, rounds none)", "DGL (lr 0.5, rounds 2)", "CC"]


def test_options_of_one_name_are_named_in_full():
    configs = [{"model": {"seed": 1}, "data": {"seed": 2}}, {"model": {"seed": 2}, "data": {"seed": 1}}]
    assert experiment_labels(["A", "A"], configs)[0] == "A (data.seed 2, model.seed 1)"


def test_where_many_options_differ_the_hash_tells_them_apart():
    configs = [make_config("DGL"), make_config("DGL", lr=1, a=1, b=1, c=1)]
    assert experiment_labels(["DGL", "DGL"], configs) == [f"DGL {config_hash(config)}" for config in configs]


def test_no_label_is_given_twice():
    configs = [{"model": {"class_path": "A"}}, {"model": "A"}]
    labels = experiment_labels(["A", "A"], configs)
    assert len(set(labels)) == 2
