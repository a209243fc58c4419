"""Tuning that is the same for each method: as many short trials, drawn from the search space in its file."""

from __future__ import annotations

import inspect
import itertools
import math
import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from wsreid.class_paths import is_allowed, refused
from wsreid.errors import ConfigError
from wsreid.study.options import Options, merged
from wsreid.study.plan import PlannedRun, planned_run
from wsreid.study.study_file import MethodEntry, Study, Tune
from wsreid.study.trial_records import Trial, TrialRecord

Space = Mapping[str, Sequence[object]]
_NO_TEST: Options = {"test_after_fit": False}


@dataclass(frozen=True)
class Tuned:
    """What tuning has found for a method so far.

    Attributes:
        label: The method.
        options: Those of the best trial.
        trial: Its number.
        score: Its score, the mean over settings and seeds.
        default: Score of the method's own defaults; None = not known.
        scored: Number of trials that have a score.
        trials: Number of trials that are planned.
    """

    label: str
    options: Options
    trial: int
    score: float
    default: float | None
    scored: int
    trials: int


def search_space(entry: MethodEntry) -> tuple[Space, Options]:
    """The search space of a method's class, and its values where nothing is changed.

    Args:
        entry: The method.

    Returns:
        Values by option, without those that the study itself fixes, and the default of each where it is known.

    Raises:
        ConfigError: There is no such class.
    """
    cls = _class(entry)
    fixed = set(entry.options)
    space = {
        f"model.{name}": tuple(values)
        for name, values in getattr(cls, "search_space", {}).items()
        if f"model.{name}" not in fixed
    }
    model = entry.content.get("model")
    given = model.get("init_args", {}) if isinstance(model, Mapping) else {}
    signature = {
        name: parameter.default
        for base in reversed(cls.__mro__)
        for name, parameter in inspect.signature(base).parameters.items()
        if "__init__" in vars(base) and parameter.default is not inspect.Parameter.empty
    }
    known = {**signature, **given}
    return space, {
        name: value for name in space if (value := known.get(name.removeprefix("model."), known)) is not known
    }


def draw_trials(label: str, tune: Tune, space: Space, defaults: Options) -> list[Trial]:
    """The trials of a method: its own defaults, then distinct other combinations from its search space.

    Args:
        label: The method; another label draws other combinations.
        tune: Number of trials and seed.
        space: Values by option.
        defaults: The value of each option where nothing is changed.

    Returns:
        As many trials as asked for, or as the search space has.
    """
    names = sorted(space)
    sizes = [len(space[name]) for name in names]
    total = math.prod(sizes) if names else 0
    generator = random.Random(f"{tune.seed} {label}")
    found = [Trial(0, {})]
    # One more than needed: the defaults may be among the combinations, and they are the first trial already.
    for number in generator.sample(range(total), min(total, tune.trials)):
        options: dict[str, object] = {}
        for name, size in zip(names, sizes, strict=True):
            number, at = divmod(number, size)
            options[name] = space[name][at]
        if len(found) < tune.trials and not all(name in defaults and defaults[name] == options[name] for name in names):
            found.append(Trial(len(found), options))
    return found


def planned_trials(study: Study, out: Path) -> tuple[list[PlannedRun], dict[str, list[Trial]]]:
    """The runs of a tuning, trial by trial, so that each method has its defaults scored early.

    Args:
        study: A study that tunes.
        out: Folder of the run folders.

    Returns:
        The runs, and the trials of each method.

    Raises:
        ConfigError: A method's class cannot be found.
    """
    assert study.tune is not None
    tune = study.tune
    trials = {entry.label: draw_trials(entry.label, tune, *search_space(entry)) for entry in study.methods}
    steps = itertools.product(range(tune.trials), study.seeds, study.settings, study.methods)
    runs = [
        planned_run(
            study,
            entry,
            setting,
            seed,
            out,
            trial=number,
            trial_options=merged(tune.options, trials[entry.label][number].options, _NO_TEST),
        )
        for number, seed, setting, entry in steps
        if number < len(trials[entry.label])
    ]
    return runs, trials


def best_trials(
    study: Study, runs: Sequence[PlannedRun], trials: Mapping[str, Sequence[Trial]], records: Mapping[Any, TrialRecord]
) -> list[Tuned]:
    """The best trial of each method that has one; of equal ones the first.

    Args:
        study: The study.
        runs: Its runs.
        trials: The trials of each method.
        records: The trials that have run; those of another configuration do not count.

    Returns:
        The methods in the order of the study.
    """
    found = []
    for entry in study.methods:
        scores: dict[int, float] = {}
        for trial in trials[entry.label]:
            own = [run for run in runs if run.label == entry.label and run.trial == trial.number]
            there = [records[run.key].score for run in own if run.key in records and records[run.key].hash == run.hash]
            if own and len(there) == len(own):
                scores[trial.number] = statistics.mean(there)
        if scores:
            best = max(scores, key=lambda number: (scores[number], -number))
            options = trials[entry.label][best].options
            counts = len(scores), len(trials[entry.label])
            found.append(Tuned(entry.label, options, best, scores[best], scores.get(0), *counts))
    return found


def _class(entry: MethodEntry) -> type:
    module, _, name = entry.class_path.rpartition(".")
    if module and not is_allowed(entry.class_path):
        raise ConfigError(f"{entry.config}: {refused(entry.class_path)}")
    try:
        cls = getattr(import_module(module or "wsreid.methods"), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{entry.config}: there is no method {entry.class_path}: {error}") from error
    if not isinstance(cls, type):
        raise ConfigError(f"{entry.config}: {entry.class_path} is no class.")
    return cls
