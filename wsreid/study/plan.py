"""The runs of a study: one for each method, bag setting and seed, and what is left to do for each."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from wsreid.class_paths import allow_words
from wsreid.study.options import Options, as_arguments, merged
from wsreid.study.study_file import MethodEntry, Setting, Study, folder_name

Todo = Literal["done", "finished", "resume", "new"]
RESULTS_FILE = "results.json"  # of wsreid.tracking, which a light command does not load
LAST = Path("checkpoints", "last.ckpt")
# They change what is shown and what is recorded, not what is trained, so they are left out of the hash.
_OBSERVED = {"trainer.callbacks+": "wsreid.study.run_facts.RunFacts", "trainer.enable_progress_bar": False}


@dataclass(frozen=True)
class PlannedRun:
    """A run of a study.

    Attributes:
        label: The line of the comparison that it belongs to.
        setting: Its bag setting.
        seed: Its seed.
        config: Its configuration file.
        options: What it changes of that.
        hash: Names what is run: configuration, options and seed.
        folder: Its run folder.
        trial: Which trial of a tuning it is; None = no tuning.
    """

    label: str
    setting: str
    seed: int
    config: Path
    options: Options
    hash: str
    folder: Path
    trial: int | None = None

    @property
    def name(self) -> str:
        """Its name in words."""
        trial = "" if self.trial is None else f" trial {self.trial}"
        return f"{self.setting} {self.label}{trial} seed {self.seed}"

    @property
    def key(self) -> tuple[str, ...]:
        """What it is, whatever its options are."""
        return (self.setting, self.label, *(() if self.trial is None else (str(self.trial),)), str(self.seed))

    @property
    def log(self) -> Path:
        """What it has printed."""
        return self.folder.with_name(self.folder.name + ".log")

    @property
    def cost_file(self) -> Path:
        """What it has taken so far, over all its goes."""
        return self.folder.with_name(self.folder.name + ".json")

    @property
    def claim_file(self) -> Path:
        """The lock of the study process that carries it out."""
        return self.folder.with_name(self.folder.name + ".lock")

    def command(self, *, resume: bool = False) -> list[str]:
        """The words that run it.

        Args:
            resume: Go on from its last checkpoint.

        Returns:
            A command line, from the interpreter on.

        Raises:
            ConfigError: An environment variable that an option names is not set.
        """
        return [sys.executable, *self._words(resume=resume)]

    def shown(self, *, resume: bool = False) -> str:
        """The command for a reader to paste: into the same folder, with the same classes allowed.

        Args:
            resume: Go on from its last checkpoint.

        Returns:
            One line.

        Raises:
            ConfigError: An environment variable that an option names is not set.
        """
        # The study's own process tells its runs by an environment variable what `--allow` named; a shell does not.
        return shlex.join(["python", *self._words(resume=resume), *allow_words()])

    def _words(self, *, resume: bool) -> list[str]:
        options = {**_OBSERVED, **self.options}
        words = ["-m", "wsreid", "fit", "--config", str(self.config), "--run", str(self.folder)]
        words += ["--seed_everything", str(self.seed), *as_arguments(options)]
        return [*words, "--ckpt_path", "last"] if resume else words


def planned_runs(study: Study, out: Path) -> list[PlannedRun]:
    """The runs of a comparison, seed by seed, so that each method has a row early.

    Args:
        study: The study.
        out: Folder of the run folders.

    Returns:
        The runs.
    """
    return [
        planned_run(study, entry, setting, seed, out)
        for seed in study.seeds
        for setting in study.settings
        for entry in study.methods
    ]


def start_run(study: Study, out: Path) -> PlannedRun | None:
    """The run whose weights all others start from; None = there is none.

    Args:
        study: The study.
        out: Folder of the run folders.

    Returns:
        The run, by seed 0. Studies that start from the same one share it.
    """
    if study.start is None:
        return None
    start = study.start
    digest = run_hash(start.content, start.options, 0)
    folder = out / "start" / f"{start.config.stem}-{digest}"
    return PlannedRun("start", start.config.stem, 0, start.config, start.options, digest, folder)


def _start_options(study: Study, out: Path) -> Options:
    """Start from the weights of `start_run`.

    They stand by the name of an environment variable that holds their place: a run's hash must not depend on the place,
    and must depend on the run, whose hash is in the name.
    """
    run = start_run(study, out)
    if run is None:
        return {}
    variable = f"WSREID_START_{run.hash}"
    os.environ[variable] = str(run.folder / LAST)
    return {"model.weights": f"${{{variable}}}", "model.pretrained": False}


def planned_run(
    study: Study,
    entry: MethodEntry,
    setting: Setting,
    seed: int,
    out: Path,
    *,
    trial: int | None = None,
    trial_options: Options | None = None,
) -> PlannedRun:
    """One run; of its options the method's own win, then those of its tuning, then those of the bags.

    Args:
        study: The study.
        entry: The method.
        setting: How bags are made.
        seed: Seed of the run.
        out: Folder of the run folders.
        trial: Number of the trial in a tuning.
        trial_options: What the trial tries.

    Returns:
        The run.
    """
    tuned = {} if study.tuned is None else study.tuned[entry.tuned_as]
    start = _start_options(study, out)
    options = merged(start, study.options, setting.options, tuned, trial_options or {}, entry.options)
    digest = run_hash(entry.content, options, seed)
    name = f"seed{seed}-{digest}" if trial is None else f"trial{trial}-seed{seed}-{digest}"
    folder = out / study.name / setting.name / folder_name(entry.label) / name
    return PlannedRun(entry.label, setting.name, seed, entry.config, options, digest, folder, trial)


def run_hash(config: Mapping[str, Any], options: Options, seed: int) -> str:
    """Names what is run; comments and layout of the file do not count, nor does the place of the run folder.

    Args:
        config: Content of the configuration file.
        options: What is changed of it; environment variables stand by name.
        seed: Seed of the run.

    Returns:
        Ten hexadecimal digits.
    """
    text = json.dumps([config, options, seed], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def todo(run: PlannedRun, recorded: Mapping[tuple[str, ...], str]) -> Todo:
    """What is left to do for a run.

    Args:
        run: The run.
        recorded: Hash of the recorded run, by key.

    Returns:
        `done`: it is recorded; `finished`: its folder holds results that are to be recorded; `resume`: it has a
        checkpoint to go on from; `new`: it starts anew.
    """
    if recorded.get(run.key) == run.hash:
        return "done"
    if (run.folder / RESULTS_FILE).is_file():
        return "finished"
    return "resume" if (run.folder / LAST).is_file() else "new"
