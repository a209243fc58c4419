import itertools
from dataclasses import replace
from types import MappingProxyType
from typing import Any, ClassVar

import pytest

from wsreid.errors import ConfigError
from wsreid.study.plan import planned_runs
from wsreid.study.study_file import Tune, read_study
from wsreid.study.trial_records import Trial, TrialRecord
from wsreid.study.tuning import best_trials, draw_trials, planned_trials, search_space

SPACE = {"model.lr": (0.1, 0.2, 0.4), "model.w": (1, 2)}
TUNE = Tune(trials=4, seed=100, metric="m", options={"trainer.max_epochs": 1})


@pytest.fixture(autouse=True)
def _own_methods(monkeypatch):
    monkeypatch.setenv("WSREID_ALLOW", "tests")


class Base:
    """Stands for `Method`."""

    def __init__(self, lr: float = 0.3, **rest: Any) -> None:
        pass


class Mine(Base):
    """A method with a search space."""

    search_space: ClassVar = MappingProxyType({"lr": (0.1, 0.2), "w": (1, 2), "unknown": (1,)})

    def __init__(self, w: int = 2, **base: Any) -> None:
        super().__init__(**base)


def test_the_first_trial_is_the_defaults_and_the_others_differ():
    for label in ("a", "b", "c", "d"):
        trials = draw_trials(label, TUNE, SPACE, {"model.lr": 0.2, "model.w": 1})
        assert [trial.number for trial in trials] == [0, 1, 2, 3]
        assert trials[0].options == {}
        options = [tuple(sorted(trial.options.items())) for trial in trials[1:]]
        assert len(set(options)) == 3
        assert (("model.lr", 0.2), ("model.w", 1)) not in options
        assert all(SPACE[name].count(value) == 1 for trial in trials for name, value in trial.options.items())
        assert all(set(trial.options) == set(SPACE) for trial in trials[1:])


def test_draws_depend_on_seed_and_label_alone():
    def drawn(label="a", seed=100):
        return draw_trials(label, replace(TUNE, seed=seed), {n: range(50) for n in SPACE}, {})

    assert drawn() == drawn()
    assert drawn() != drawn(label="b")
    assert drawn() != drawn(seed=101)


def test_each_combination_can_be_drawn():
    found = {
        tuple(sorted(trial.options.items()))
        for label in map(str, range(60))
        for trial in draw_trials(label, replace(TUNE, trials=2), SPACE, {})[1:]
    }
    assert len(found) == 6


@pytest.mark.parametrize(
    ("space", "defaults", "expected"),
    [({}, {}, 1), (SPACE, {}, 7), (SPACE, {"model.lr": 0.1, "model.w": 1}, 6), (SPACE, {"model.lr": 0.1}, 7)],
)
def test_a_small_space_is_tried_as_a_whole(space, defaults, expected):
    trials = draw_trials("a", replace(TUNE, trials=50), space, defaults)
    assert len(trials) == expected
    combinations = set(itertools.product(*space.values())) if space else set()
    assert {tuple(t.options[name] for name in space) for t in trials[1:]} <= combinations


def test_the_space_is_that_of_the_class_without_what_the_study_fixes(study):
    entry = replace(study.methods[0], content={"model": {"class_path": f"{__name__}.Mine", "init_args": {"lr": 0.9}}})
    space, defaults = search_space(entry)
    assert space == {"model.lr": (0.1, 0.2), "model.w": (1, 2), "model.unknown": (1,)}
    assert defaults == {"model.lr": 0.9, "model.w": 2}
    entry = replace(entry, content={"model": {"class_path": f"{__name__}.Mine"}}, options={"model.w": 7})
    assert search_space(entry) == (
        {"model.lr": (0.1, 0.2), "model.unknown": (1,)},
        {"model.lr": 0.3},
    )


def test_classes_are_found_by_their_short_names_and_missing_ones_are_named(study):
    assert isinstance(dict(search_space(study.methods[1])[0]), dict)
    with pytest.raises(ConfigError, match=r"bagce\.yaml: there is no method BagCF"):
        search_space(replace(study.methods[1], content={"model": "BagCF"}))
    with pytest.raises(ConfigError, match=r"no\.such\.Thing"):
        search_space(replace(study.methods[1], content={"model": "no.such.Thing"}))


@pytest.fixture
def tuning(write_study, folder):
    """A study that tunes one method in two settings with one seed; the study, its runs and its trials."""
    (folder / "configs" / "mine.yaml").write_text(f"model: {{class_path: {__name__}.Mine}}")
    tune = {"trials": 3, "seed": 5, "options": {"trainer.max_epochs": 1}}
    methods = [{"method": "mine", "label": "Mine", "options": {"model.unknown": 3}}]
    changes = dict.fromkeys(("baseline", "oracle", "reference"))
    study = read_study(write_study(tune=tune, methods=methods, seeds=[100], **changes))
    return study, *planned_trials(study, folder / "out")


def test_trials_are_short_fits_without_a_test(tuning, folder):
    study, runs, trials = tuning
    assert [(run.trial, run.setting) for run in runs] == [(t, s) for t in range(3) for s in ("n2", "n4")]
    assert dict(runs[0].options) == {
        "data.n": 2,
        "trainer.max_epochs": 1,
        "test_after_fit": False,
        "model.unknown": 3,
    }
    drawn = trials["Mine"][1].options
    assert set(drawn) == {"model.lr", "model.w"}
    assert {name: runs[2].options[name] for name in drawn} == drawn
    assert len({run.folder for run in runs}) == len({run.key for run in runs}) == len({run.name for run in runs}) == 6
    assert runs[0].folder.name.startswith("trial0-seed100-")
    assert {run.key for run in runs}.isdisjoint(run.key for run in planned_runs(study, folder))


def test_the_best_trial_is_that_of_the_highest_mean_and_needs_all_its_runs(tuning):
    study, runs, trials = tuning
    scores = {(0, "n2"): 0.5, (0, "n4"): 0.1, (1, "n2"): 0.3, (1, "n4"): 0.3, (2, "n2"): 0.9}

    def records(of=scores, digest=None):
        return {
            run.key: TrialRecord(run.key, digest or run.hash, of[run.trial, run.setting], 1.0, 2, {}, "")
            for run in runs
            if (run.trial, run.setting) in of
        }

    (found,) = best_trials(study, runs, trials, records())
    assert (found.label, found.trial, found.scored, found.trials) == ("Mine", 0, 2, 3)  # of equal ones the first
    assert found.score == found.default == pytest.approx(0.3)
    assert found.options == {}
    (found,) = best_trials(study, runs, trials, records(scores | {(2, "n4"): 0.1}))
    assert (found.trial, found.score, found.options) == (2, 0.5, trials["Mine"][2].options)
    assert best_trials(study, runs, trials, records(digest="old")) == []
    assert best_trials(study, runs, trials, {}) == []
    (found,) = best_trials(study, runs, trials, records({(2, "n2"): 0.4, (2, "n4"): 0.4}))
    assert found.default is None


def test_trials_compare_by_value():
    assert Trial(1, {"a": 1}) == Trial(1, {"a": 1})
