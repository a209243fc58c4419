"""A study file: which methods are compared, on which bags, with which seeds."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from wsreid.errors import ConfigError
from wsreid.study.options import Options

_KEYS = (
    *("name", "about", "configs", "methods", "seeds", "settings", "options", "baseline", "oracle", "reference"),
    *("limit_s", "start", "tuned", "tune"),
)
_METHOD_KEYS = ("method", "label", "options", "tuned_as")
_START_KEYS = ("config", "options")
_FIGURES = tuple(f"val/{name}" for name in ("mAP_step", "R1", "R5", "R10", "mAP_trapezoid", "mINP"))
_TUNE_KEYS = ("trials", "seed", "metric", "options")
_OURS = {
    "config": "methods",
    "run": "--out",
    "ckpt_path": "nothing: a study resumes by itself",
    "seed_everything": "seeds",
    "test_after_fit": "nothing: a comparison ends with a test, and tuning never reads the test split",
}


@dataclass(frozen=True)
class MethodEntry:
    """A line of the comparison.

    Attributes:
        label: Its name in tables.
        method: Name of its configuration file, without ending.
        config: The file.
        content: What stands in it.
        options: What it changes.
        tuned_as: Label whose tuned options it takes.
    """

    label: str
    method: str
    config: Path
    content: Mapping[str, Any]
    options: Options = field(default_factory=dict)
    tuned_as: str = ""

    @property
    def class_path(self) -> str:
        """The class of the method, as the file or the options name it."""
        model = self.options.get("model", self.content.get("model", ""))
        return str(model.get("class_path", "") if isinstance(model, Mapping) else model)


@dataclass(frozen=True)
class Setting:
    """A way to make the bags.

    Attributes:
        name: Its name in tables.
        options: What it changes.
        x: Where it stands on the axes of the curves, by axis.
    """

    name: str
    options: Options = field(default_factory=dict)
    x: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Start:
    """The run whose weights all others start from.

    Attributes:
        config: Its configuration file.
        content: What stands in it.
        options: What is changed of it.
    """

    config: Path
    content: Mapping[str, Any]
    options: Options


@dataclass(frozen=True)
class Tune:
    """That a study tunes.

    Attributes:
        trials: Trials a method, its own defaults being the first.
        seed: Seed of the draw of the others.
        metric: Column of metrics.csv whose last value is the score; higher is better.
        options: What makes the runs of trials short.
    """

    trials: int
    seed: int
    metric: str
    options: Options


@dataclass(frozen=True)
class Study:
    """A study file that was read and checked.

    Attributes:
        name: Names its folders.
        about: A sentence for the head of the table.
        methods: The lines of the comparison.
        seeds: Seeds of the runs.
        settings: The ways to make bags.
        options: What all runs change.
        baseline: Label of the lower end of `gap closed`.
        oracle: Label of its upper end.
        reference: Label that the others are tested against.
        limit_s: Seconds that a run should take at most; tables say which took longer.
        start: The run whose weights all others start from; None = as each configuration says.
        tuned: Options that tuning has found, by label; None = untuned.
        tune: The study tunes instead of comparing.
    """

    name: str
    about: str
    methods: tuple[MethodEntry, ...]
    seeds: tuple[int, ...]
    settings: tuple[Setting, ...]
    options: Options
    baseline: str | None = None
    oracle: str | None = None
    reference: str | None = None
    limit_s: float | None = None
    start: Start | None = None
    tuned: Mapping[str, Options] | None = None
    tune: Tune | None = None


def read_study(path: Path) -> Study:
    """Reads and checks a study file. Folders and files that it names are looked up from the current folder.

    Args:
        path: A YAML file.

    Returns:
        The study.

    Raises:
        ConfigError: What is wrong with it, and what to do.
    """
    where = str(path)
    content = _read_yaml(path, "There is no study file")
    _check_keys(content, _KEYS, where)
    for key in ("configs", "methods"):
        if not content.get(key):
            raise ConfigError(f"{where}: `{key}` is missing.")
    methods = _methods(content, where)
    labels = [entry.label for entry in methods]
    for key in ("baseline", "oracle", "reference"):
        if content.get(key) is not None and content[key] not in labels:
            raise ConfigError(f"{where}: {key}: there is no label '{content[key]}'{_nearest(content[key], labels)}")
    seeds = content.get("seeds", [0])
    if not isinstance(seeds, list) or not seeds or not all(type(seed) is int and 0 <= seed < 2**32 for seed in seeds):
        raise ConfigError(f"{where}: seeds: expected a list of whole numbers from 0 on, such as [0, 1], got {seeds!r}.")
    if len(set(seeds)) < len(seeds):
        raise ConfigError(f"{where}: seeds: {seeds} names a seed twice.")
    name = str(content.get("name", path.stem))
    if _slug(name) != name:
        raise ConfigError(
            f"{where}: name: '{name}' names folders, so letters, digits, '.', '_' and '-' alone may be used."
        )
    limit = content.get("limit_s")
    if limit is not None and not (isinstance(limit, (int, float)) and limit > 0):
        raise ConfigError(f"{where}: limit_s: expected seconds, got {limit!r}.")
    tuned = content.get("tuned")
    if not isinstance(tuned, str | None):
        raise ConfigError(f"{where}: tuned: expected the path of a `best.yaml`, got {tuned!r}.")
    return Study(
        name=name,
        about=str(content.get("about", "")),
        methods=methods,
        seeds=tuple(seeds),
        settings=_settings(content.get("settings") or {"default": {}}, where),
        options=_options(content.get("options"), f"{where}: options"),
        baseline=content.get("baseline"),
        oracle=content.get("oracle"),
        reference=content.get("reference"),
        limit_s=limit,
        start=None if content.get("start") is None else _start(content["start"], f"{where}: start"),
        tuned=None if tuned is None else _tuned(Path(tuned), methods, where),
        tune=None if content.get("tune") is None else _tune(content["tune"], f"{where}: tune"),
    )


def folder_name(label: str) -> str:
    """A label as the name of a folder."""
    return _slug(label)


def _read_yaml(path: Path, missing: str) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        near = _nearest(path.stem, [other.stem for other in path.parent.glob("*.yaml")])
        raise ConfigError(f"{missing} {path}{near}") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read as YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected `key: value` lines, got {type(content).__name__}.")
    return content


def _methods(content: Mapping[str, Any], where: str) -> tuple[MethodEntry, ...]:
    folder = Path(str(content["configs"]))
    if not folder.is_dir():
        raise ConfigError(f"{where}: configs: there is no folder {folder}, seen from {Path.cwd()}.")
    if not isinstance(content["methods"], list):
        raise ConfigError(f"{where}: methods: expected a list of names of files in {folder}.")
    entries = [_method(given, folder, where) for given in content["methods"]]
    seen: dict[str, MethodEntry] = {}
    for entry in entries:
        other = seen.setdefault(_slug(entry.label).lower(), entry)
        if other is not entry:
            raise ConfigError(
                f"{where}: methods: the label '{entry.label}' stands twice"
                f"{'' if other.label == entry.label else f' (as {other.label}: folders would be the same)'}. "
                "Give one of them another `label:`."
            )
    return tuple(entries)


def _method(given: object, folder: Path, where: str) -> MethodEntry:
    item = {"method": given} if isinstance(given, str) else given
    if not isinstance(item, dict) or not isinstance(item.get("method"), str):
        raise ConfigError(f"{where}: methods: expected a name, or a mapping with `method:`, got {given!r}.")
    name = item["method"]
    _check_keys(item, _METHOD_KEYS, f"{where}: methods: {name}")
    path = folder / f"{name}.yaml"
    content = _read_yaml(path, f"{where}: methods: there is no")
    options = _options(item.get("options"), f"{where}: methods: {name}: options")
    entry = MethodEntry("", name, path, content, options)
    cls = entry.class_path.rpartition(".")[2]
    if not cls:
        raise ConfigError(f"{path}: `model.class_path` is missing: which method is it?")
    label = str(item.get("label") or (cls if cls.lower() == name.replace("_", "") else name))
    return MethodEntry(label, name, path, content, options, str(item.get("tuned_as", label)))


def _settings(given: object, where: str) -> tuple[Setting, ...]:
    if not isinstance(given, dict):
        raise ConfigError(f"{where}: settings: expected `name: {{option: value}}` lines, got {given!r}.")
    found = []
    for name, options in given.items():
        if _slug(str(name)) != str(name):
            raise ConfigError(f"{where}: settings: '{name}' names a folder: letters, digits, '.', '_' and '-' alone.")
        if options is not None and not isinstance(options, dict):
            raise ConfigError(f"{where}: settings: {name}: expected `option: value` lines, got {options!r}.")
        rest = dict(options or {})
        x = rest.pop("x", {})
        axes = x if isinstance(x, dict) else {"x": x}
        if not all(type(value) in (int, float) for value in axes.values()):
            raise ConfigError(f"{where}: settings: {name}: x: expected a number, or numbers by axis, got {x!r}.")
        checked = _options(rest, f"{where}: settings: {name}")
        found.append(Setting(str(name), checked, {str(axis): float(value) for axis, value in axes.items()}))
    return tuple(found)


def _options(given: object, where: str) -> Options:
    if given is None:
        return {}
    if not isinstance(given, dict) or not all(isinstance(name, str) for name in given):
        raise ConfigError(f"{where}: expected `option: value` lines, got {given!r}.")
    for name in given:
        if name in _OURS:
            raise ConfigError(f"{where}: `{name}` is set by the study: use {_OURS[name]}.")
        if name.startswith("-"):
            raise ConfigError(f"{where}: write `{name.lstrip('-')}` without dashes.")
    return given


def _start(given: object, where: str) -> Start:
    if not isinstance(given, dict) or not isinstance(given.get("config"), str):
        raise ConfigError(f"{where}: expected a mapping with `config:`, the file of the run to start from.")
    _check_keys(given, _START_KEYS, where)
    path = Path(given["config"])
    return Start(path, _read_yaml(path, f"{where}: there is no"), _options(given.get("options"), f"{where}: options"))


def _tune(given: object, where: str) -> Tune:
    if not isinstance(given, dict):
        raise ConfigError(f"{where}: expected a mapping with {', '.join(_TUNE_KEYS)}.")
    _check_keys(given, _TUNE_KEYS, where)
    trials, seed = given.get("trials", 6), given.get("seed", 100)
    if type(trials) is not int or trials < 1 or type(seed) is not int:
        raise ConfigError(f"{where}: trials and seed are whole numbers, trials at least 1; got {trials!r}, {seed!r}.")
    options = _options(given.get("options"), f"{where}: options")
    return Tune(trials, seed, _tuned_for(str(given.get("metric", "val/mAP_step")), where), options)


def _tuned_for(metric: str, where: str) -> str:
    if not metric.startswith("val/"):
        raise ConfigError(
            f"{where}: metric: tuning chooses by validation identities alone, so the metric begins with val/, such as "
            f"{_FIGURES[0]}; got {metric!r}."
        )
    # a name far from all of these may be what a method of the user's own logs
    if metric not in _FIGURES and difflib.get_close_matches(metric, _FIGURES, 1, 0.7):
        raise ConfigError(f"{where}: metric: no run logs {metric!r}{_nearest(metric, _FIGURES)}")
    return metric


def _tuned(path: Path, methods: Sequence[MethodEntry], where: str) -> Mapping[str, Options]:
    content = _read_yaml(path, f"{where}: tuned: run the tuning study first, or take the line out: there is no")
    for entry in methods:
        if entry.tuned_as not in content:
            raise ConfigError(
                f"{path}: no tuned options of '{entry.tuned_as}'{_nearest(entry.tuned_as, content)} "
                f"Tune it, or let its line in {where} take those of another label with `tuned_as: LABEL`."
            )
    return {str(label): _options(options, f"{path}: {label}") for label, options in content.items()}


def _check_keys(given: Mapping[Any, Any], known: Collection[str], where: str) -> None:
    for key in given:
        if key not in known:
            raise ConfigError(f"{where}: unknown key `{key}`{_nearest(key, known)} Known: {', '.join(known)}.")


def _nearest(name: object, known: Collection[str]) -> str:
    by_lower = {str(each).lower(): each for each in known}
    found = difflib.get_close_matches(str(name).lower(), list(by_lower), 1, 0.5)
    return f"; did you mean '{by_lower[found[0]]}'?" if found else "."


def _slug(text: str) -> str:
    return re.sub(r"[^\w.-]+", "-", text).strip("-.") or "-"
