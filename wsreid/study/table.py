"""The tables of a study as Markdown, CSV and for the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.table import Table

from wsreid.study.comparison import REFINE, Comparison, Line
from wsreid.study.records import NUMBERS, csv_text
from wsreid.study.study_file import Study
from wsreid.tracking.over_seeds import OverSeeds
from wsreid.tracking.pooled_bootstrap import DRAWS, LEVEL, Spread

NONE = "n/a"
_CSV_TEXTS = ("setting", "label", "learns_from", "needs", "seeds", "missing_seeds")
_SPREADS = ("mAP_step_interval", "R1_interval", "difference")


def markdown(study: Study, comparisons: Sequence[Comparison]) -> str:
    """All tables of a study.

    Args:
        study: The study.
        comparisons: Its tables.

    Returns:
        Markdown text.
    """
    parts = [f"# {study.name}", "", *([study.about, ""] if study.about else []), definition(study), ""]
    for comparison in comparisons:
        parts += [f"## {comparison.setting}", ""]
        if comparison.lines:
            heads = _heads(study)
            parts += [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
            parts += [f"| {' | '.join(_cells(study, line, bold='**'))} |" for line in comparison.lines]
            parts.append("")
        parts += [line for note in remarks(study, comparison) for line in (note, "")]
    return "\n".join(parts).rstrip() + "\n"


def terminal_table(study: Study, comparison: Comparison) -> Table:
    """One table for the terminal.

    Args:
        study: The study.
        comparison: The table.

    Returns:
        A rich table.
    """
    title = f"{study.name}, {comparison.setting}"
    table = Table(title=title, box=None, padding=(0, 1, 0, 0), pad_edge=False, title_justify="left")
    for at, head in enumerate(_heads(study)):
        table.add_column(head, justify="left" if at < 3 else "right", overflow="fold")
    for line in comparison.lines:
        table.add_row(*_cells(study, line, bold=""), style="bold" if line.truth else "")
    return table


def csv_table(study: Study, comparisons: Sequence[Comparison]) -> str:
    """All tables of a study as one CSV: each number with its deviation, each interval with its ends.

    Args:
        study: The study.
        comparisons: Its tables.

    Returns:
        CSV text.
    """
    columns = [*_CSV_TEXTS, *(f"{name}{end}" for name in NUMBERS for end in ("", "_sd"))]
    columns += [f"{name}{end}" for name in _SPREADS for end in ("_low", "_high")]
    columns += ["gap_closed", "difference_to", "difference"]
    return csv_text(columns, (_csv_row(study, each.setting, line) for each in comparisons for line in each.lines))


def remarks(study: Study, comparison: Comparison) -> list[str]:
    """What stands under a table: chance, what has failed, what is missing, what is wrong."""
    found = []
    chance = next((numbers for line in comparison.lines if "refine_raw_random" in (numbers := line.numbers)), None)
    if chance is not None:
        shown = " / ".join(f"{chance[f'{name}_random'].mean:.1f}" for name in REFINE)
        found.append(f"Label-refine accuracy of random in-bag assignments: {shown}.")
    failed = comparison.failed
    if failed:
        found.append(failure(comparison))
    not_run = [label for label in comparison.missing if label not in failed]
    if not_run:
        found.append(f"Not yet run: {', '.join(not_run)}.")
    missing = {line.label: line.missing for line in comparison.lines}
    missing |= {label: tuple(study.seeds) for label in comparison.missing if label in failed}
    left = {label: [seed for seed in seeds if seed not in failed.get(label, ())] for label, seeds in missing.items()}
    partly = [f"{label} (seeds {_listed(seeds)})" for label, seeds in left.items() if seeds]
    if partly:
        found.append(f"Seeds still missing: {', '.join(partly)}.")
    return [*found, *comparison.notes]


def failure(comparison: Comparison) -> str:
    """Which runs of a table have failed, in a sentence; empty = none."""
    named = ", ".join(f"{label} (seeds {_listed(seeds)})" for label, seeds in comparison.failed.items())
    return named and f"Failed: {named}."


def definition(study: Study) -> str:
    """What the columns mean, in a few sentences."""
    parts = [
        "%, last checkpoint, test split. Mean ± standard deviation over the seeds; in brackets the "
        f"{100 * LEVEL:.0f} % interval of the bootstrap over query identities ({DRAWS} draws), a drawn identity "
        "bringing its queries in all seeds."
    ]
    if study.baseline and study.oracle:
        parts.append(f"Gap closed = (mAP - {study.baseline}) / ({study.oracle} - {study.baseline}).")
    if study.reference:
        parts.append(
            f"vs {study.reference} = difference in mAP, paired bootstrap over the seeds that both have; * = the "
            "interval excludes 0."
        )
    parts.append(
        "Refine = label-refine accuracy raw / matched per bag / matched once over the set. Seconds = the whole "
        "process, its start and the test included; memory = its peak resident size, MiB."
    )
    return " ".join(parts)


def _heads(study: Study) -> list[str]:
    gap = ["gap closed"] if study.baseline and study.oracle else []
    against = [f"vs {study.reference}"] if study.reference else []
    costs = ["refine", "seconds", "memory", "seeds"]
    return ["method", "learns from", "needs", "mAP", "mAP interval", "R1", *gap, *against, *costs]


def _cells(study: Study, line: Line, bold: str) -> list[str]:
    learns = line.learns_from
    cells = [
        line.label,
        f"{bold}{learns}{bold}" if line.truth else learns,
        line.needs or "-",
        _over_seeds(line.numbers.get("mAP_step")),
        f"[{_number(line.map_interval.low)}, {_number(line.map_interval.high)}]",
        _over_seeds(line.numbers.get("R1")),
    ]
    if study.baseline and study.oracle:
        cells.append(NONE if line.gap_closed is None else f"{line.gap_closed + 0.0:.0f}")
    if study.reference:
        cells.append(_against(study, line))
    seconds, memory = line.numbers.get("total_seconds"), line.numbers.get("peak_mib")
    return [
        *cells,
        " / ".join(f"{line.numbers[name].mean:.1f}" for name in REFINE) if REFINE[0] in line.numbers else NONE,
        NONE if seconds is None else f"{seconds.mean:.0f}",
        NONE if memory is None else f"{memory.mean:.0f}",
        f"{len(line.seeds)} of {len(study.seeds)}",
    ]


def _against(study: Study, line: Line) -> str:
    if line.label == study.reference:
        return "-"
    if line.against is None:
        return NONE
    star = "*" if line.against.excludes_zero else ""
    return f"{line.against.value:+.1f} [{line.against.low:+.1f}, {line.against.high:+.1f}]{star}"


def _csv_row(study: Study, setting: str, line: Line) -> dict[str, str]:
    texts = (setting, line.label, line.learns_from, line.needs, _listed(line.seeds), _listed(line.missing))
    row = dict(zip(_CSV_TEXTS, texts, strict=True))
    for name in NUMBERS:
        number = line.numbers.get(name)
        row[name] = "" if number is None else f"{number.mean:.4f}"
        row[f"{name}_sd"] = "" if number is None or number.deviation is None else f"{number.deviation:.4f}"
    for name, spread in zip(_SPREADS, (line.map_interval, line.r1_interval, line.against), strict=True):
        row |= _ends(name, spread)
    row["gap_closed"] = "" if line.gap_closed is None else f"{line.gap_closed:.2f}"
    row["difference_to"] = study.reference or ""
    row["difference"] = "" if line.against is None else f"{line.against.value:.4f}"
    return row


def _ends(name: str, spread: Spread | None) -> dict[str, str]:
    known = spread is not None and not math.isnan(spread.low)
    low, high = (f"{spread.low:.4f}", f"{spread.high:.4f}") if known and spread is not None else ("", "")
    return {f"{name}_low": low, f"{name}_high": high}


def _over_seeds(number: OverSeeds | None) -> str:
    if number is None:
        return NONE
    return f"{number.mean:.1f}" if number.deviation is None else f"{number.mean:.1f} ± {number.deviation:.1f}"


def _number(value: float) -> str:
    return NONE if math.isnan(value) else f"{value:.1f}"


def _listed(seeds: Sequence[int]) -> str:
    return " ".join(map(str, seeds))
