import numpy as np
import pytest
import yaml

from wsreid.errors import ConfigError
from wsreid.retrieval import evaluate
from wsreid.retrieval.summary import summary
from wsreid.study import study_file
from wsreid.study.study_file import read_study


def test_a_study_is_read(study):
    assert [entry.label for entry in study.methods] == ["Oracle", "BagCE", "dgl_official"]
    assert [entry.class_path for entry in study.methods] == ["Oracle", "BagCE", "DGL"]
    assert study.seeds == (0, 1)
    assert [(s.name, dict(s.options), dict(s.x)) for s in study.settings] == [
        ("n2", {"data.n": 2}, {"x": 2.0}),
        ("n4", {"data.n": 4}, {"x": 4.0}),
    ]


def test_a_method_may_have_a_label_options_and_another_class(write_study):
    methods = [
        {"method": "bagce", "label": "B max", "options": {"model.pool": "max"}},
        {"method": "bagce", "options": {"model": "my.Other"}},
    ]
    study = read_study(write_study(methods=methods, baseline=None, oracle=None, reference="B max"))
    first, second = study.methods
    assert (first.label, dict(first.options), first.class_path) == ("B max", {"model.pool": "max"}, "BagCE")
    assert (second.label, second.class_path) == ("bagce", "my.Other")


def test_without_settings_there_is_one(write_study):
    assert [s.name for s in read_study(write_study(settings=None)).settings] == ["default"]


def test_axes_may_have_names(write_study):
    (setting,) = read_study(write_study(settings={"a": {"x": {"ids": 4, "noise": 0.1}}})).settings
    assert dict(setting.x) == {"ids": 4.0, "noise": 0.1}


def test_tuned_options_are_read_from_a_file(write_study, folder):
    (folder / "best.yaml").write_text(yaml.safe_dump({"Oracle": {}, "BagCE": {"model.lr": 1.0}, "DGL": {}}))
    methods = ["oracle", "bagce", {"method": "dgl_official", "tuned_as": "DGL"}]
    study = read_study(write_study(tuned="best.yaml", methods=methods))
    assert study.tuned["BagCE"] == {"model.lr": 1.0}
    with pytest.raises(ConfigError, match=r"no tuned options of 'dgl_official'.*tuned_as: LABEL"):
        read_study(write_study(tuned="best.yaml"))
    with pytest.raises(ConfigError, match=r"run the tuning study first.*other\.yaml"):
        read_study(write_study(tuned="other.yaml"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sede": [1]}, r"unknown key `sede`; did you mean 'seeds'"),
        ({"methods": None}, "`methods` is missing"),
        ({"methods": "bagce"}, "expected a list"),
        ({"methods": ["bagcee"]}, r"there is no configs/bagcee\.yaml; did you mean 'bagce'"),
        ({"methods": ["bagce", "bagce"]}, "label 'BagCE' stands twice.*another `label:`"),
        (
            {"methods": ["bagce", {"method": "oracle", "label": "bag/ce"}, {"method": "oracle", "label": "bag ce"}]},
            "twice",
        ),
        ({"methods": [{"method": "bagce", "option": {}}]}, "unknown key `option`; did you mean 'options'"),
        ({"methods": [{"label": "x"}]}, "`method:`"),
        ({"configs": "nowhere"}, "no folder nowhere"),
        ({"seeds": "0"}, "list of whole numbers"),
        ({"seeds": [1, 1]}, "twice"),
        ({"seeds": [True]}, "whole numbers"),
        ({"seeds": [-1]}, "whole numbers from 0 on"),
        ({"settings": {"n2": 5}}, "settings: n2: expected `option: value` lines, got 5"),
        ({"settings": {"n2": "abc"}}, "settings: n2: expected `option: value` lines, got 'abc'"),
        ({"settings": {"n2": {"x": True}}}, "expected a number"),
        ({"tuned": 5}, "tuned: expected the path"),
        ({"baseline": "bagce"}, "did you mean 'BagCE'"),
        ({"baseline": "BagC"}, "baseline: there is no label 'BagC'; did you mean 'BagCE'"),
        ({"name": "a/b"}, "names folders"),
        ({"limit_s": 0}, "expected seconds"),
        ({"start": "pretrain"}, "the file of the run to start from"),
        ({"start": {"config": "configs/oracl.yaml"}}, r"there is no configs/oracl\.yaml; did you mean 'oracle'"),
        ({"start": {"config": "configs/oracle.yaml", "option": {}}}, "unknown key `option`; did you mean 'options'"),
        ({"settings": {"a b": {}}}, "names a folder"),
        ({"settings": {"a": {"x": "two"}}}, "expected a number"),
        ({"settings": {"a": {"--data.n": 2}}}, "without dashes"),
        ({"settings": [2]}, "name: {option: value}"),
        ({"options": {"seed_everything": 1}}, "use seeds"),
        ({"options": {"run": "x"}}, "use --out"),
        ({"tune": {"trials": 0}}, "at least 1"),
        ({"tune": {"trails": 2}}, "did you mean 'trials'"),
        ({"tune": {"metric": "val/mAP_stp"}}, "did you mean 'val/mAP_step'"),
        ({"tune": {"metric": "test/mAP_step"}}, "begins with val/"),
        ({"tune": {"options": {"test_after_fit": True}}}, "never reads the test split"),
        ({"tune": 6}, "mapping with trials"),
    ],
)
def test_mistakes_are_explained(write_study, changes, message):
    with pytest.raises(ConfigError, match=message):
        read_study(write_study(**changes))


def test_a_missing_or_damaged_file_is_named(write_study, folder):
    path = write_study()
    with pytest.raises(ConfigError, match=r"no study file .*ss\.yaml; did you mean 's'"):
        read_study(folder / "ss.yaml")
    path.write_text("a: [")
    with pytest.raises(ConfigError, match=r"s\.yaml: cannot be read as YAML"):
        read_study(path)
    path.write_text("- a")
    with pytest.raises(ConfigError, match="expected `key: value` lines"):
        read_study(path)
    (folder / "configs" / "bagce.yaml").write_text("trainer: {}")
    with pytest.raises(ConfigError, match=r"bagce\.yaml: `model.class_path` is missing"):
        read_study(write_study())


@pytest.mark.parametrize("metric", [*study_file._FIGURES, "val/loss", "val/mine"])
def test_a_tuning_is_scored_by_any_figure_of_validation_or_one_of_a_method(metric, write_study):
    study = read_study(write_study(tune={"metric": metric}))
    assert study.tune is not None
    assert study.tune.metric == metric


def test_the_figures_of_validation_are_those_that_retrieval_logs():
    result = evaluate(np.eye(2), np.eye(2), q_pid=[0, 1], g_pid=[0, 1])
    assert {f"val/{name}" for name in summary(result)} == set(study_file._FIGURES)
