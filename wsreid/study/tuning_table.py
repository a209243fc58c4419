"""What a tuning has found, as options for other studies, as Markdown and for the terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import yaml  # type: ignore[import-untyped]
from rich.table import Table

from wsreid.study.options import Options
from wsreid.study.records import Key
from wsreid.study.study_file import Study
from wsreid.study.trial_records import TrialRecord
from wsreid.study.tuning import Tuned

_HEADS = ("method", "trials", "own defaults", "best", "trial", "options of the best")


def best_yaml(study: Study, tuned: Sequence[Tuned]) -> str:
    """The options of the best trials, for `tuned:` of another study.

    Args:
        study: The study.
        tuned: What was found.

    Returns:
        YAML: options by label.
    """
    assert study.tune is not None
    lines = [
        f"# By `python -m wsreid study`, study {study.name}: the best trial of each method, by {study.tune.metric}."
    ]
    for each in tuned:
        lines.append(f"# trial {each.trial}, {100 * each.score:.1f} %; {each.scored} of {each.trials} trials have run")
        lines.append(yaml.safe_dump({each.label: dict(each.options)}, sort_keys=True).rstrip())
    return "\n".join(lines) + "\n"


def tuning_markdown(study: Study, tuned: Sequence[Tuned], records: Mapping[Key, TrialRecord]) -> str:
    """What was found, and all trials.

    Args:
        study: The study.
        tuned: What was found.
        records: All trials.

    Returns:
        Markdown text.
    """
    parts = [f"# {study.name}", "", *([study.about, ""] if study.about else []), tuning_definition(study), ""]
    parts += _markdown_table(_HEADS, [_cells(each) for each in tuned])
    parts += ["", "## All trials", ""]
    trials = [
        [label, number, setting, seed, f"{100 * record.score:.1f}", _shown(record.options)]
        for (setting, label, number, seed), record in records.items()
    ]
    trials.sort(key=lambda cells: (cells[0], int(cells[1]), cells[2], int(cells[3])))
    parts += _markdown_table(("method", "trial", "setting", "seed", "score", "options"), trials)
    return "\n".join(parts) + "\n"


def tuning_terminal_table(study: Study, tuned: Sequence[Tuned]) -> Table:
    """What was found, for the terminal.

    Args:
        study: The study.
        tuned: What was found.

    Returns:
        A rich table.
    """
    table = Table(title=study.name, box=None, padding=(0, 1, 0, 0), pad_edge=False, title_justify="left")
    for at, head in enumerate(_HEADS):
        table.add_column(head, justify="right" if 0 < at < 5 else "left", overflow="fold")
    for each in tuned:
        table.add_row(*_cells(each))
    return table


def tuning_definition(study: Study) -> str:
    """What the figures mean."""
    assert study.tune is not None
    return (
        f"Score = the last {study.tune.metric} of a short run, %, on validation identities; the test split is not "
        f"read. Mean over bag settings ({', '.join(setting.name for setting in study.settings)}) and seeds "
        f"({', '.join(map(str, study.seeds))}). Each method gets {study.tune.trials} trials, or as many as its search "
        f"space has: its own defaults, then combinations drawn by seed {study.tune.seed}."
    )


def _cells(tuned: Tuned) -> list[str]:
    return [
        tuned.label,
        f"{tuned.scored} of {tuned.trials}",
        "n/a" if tuned.default is None else f"{100 * tuned.default:.1f}",
        f"{100 * tuned.score:.1f}",
        str(tuned.trial),
        _shown(tuned.options),
    ]


def _shown(options: Options) -> str:
    return ", ".join(f"{name} {json.dumps(value)}" for name, value in sorted(options.items())) or "-"


def _markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}", *(f"| {' | '.join(row)} |" for row in rows)]
