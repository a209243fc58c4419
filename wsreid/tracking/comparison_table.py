"""A comparison of runs as text: for the terminal, Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import Final

from rich.table import Table
from rich.text import Text

from wsreid.tracking.compared_runs import ComparedGroup, ComparedRuns, ComparedTable
from wsreid.tracking.over_seeds import OverSeeds
from wsreid.tracking.pooled_bootstrap import DRAWS, LEVEL, SEED, Difference, Spread
from wsreid.tracking.result_table import REFINE_KINDS
from wsreid.tracking.scored_run import PERCENTAGES

NONE: Final = "n/a"
NUMBERS: Final = (*PERCENTAGES, "seconds")
WIDE: Final = 105
LEFT_OUT_IF_NARROW: Final = ("mAP trap.", "mINP")
_TEXTS: Final = 3  # columns at the left
_BELOW: Final = {"learns from": "method", "mAP interval": "mAP step"}  # what the terminal shows below another cell


def terminal_table(table: ComparedTable, width: int) -> Table:
    """One table for the terminal: intervals stand below their figures; methods that read the truth are bold.

    Args:
        table: The table.
        width: Columns of the terminal; below `WIDE` the figures of `LEFT_OUT_IF_NARROW` are left out.

    Returns:
        A rich table.
    """
    names = heads(table)
    own = [name for name in names if name not in _BELOW and (width >= WIDE or name not in LEFT_OUT_IF_NARROW)]
    shown = Table(title=Text(title(table)), box=None, padding=(0, 1, 0, 0), pad_edge=False, title_justify="left")
    for name in own:
        shown.add_column(Text(name), justify="left" if name in names[:_TEXTS] else "right", overflow="fold")
    for group in table.groups:
        cells = dict(zip(names, _cells(table, group), strict=True))
        below = {above: cells[name] for name, above in _BELOW.items()}
        figures = {
            name: cells[name].replace(" [", "\n[").replace(" / ", "\n") for name in own if name not in names[:_TEXTS]
        }
        lines = {**cells, **figures}
        # A label may come from a file: `Text` does not read it as markup.
        texts = [Text(f"{lines[name]}\n{below[name]}" if name in below else lines[name]) for name in own]
        shown.add_row(*texts, style="bold" if group.used_truth else "")
    return shown


def markdown(found: ComparedRuns) -> str:
    """All of a comparison as Markdown.

    Args:
        found: The comparison.

    Returns:
        The text, without a line break at its end.
    """
    parts = [definition(found), ""]
    parts += [line for warning in differences(found) for line in (f"**{warning}**", "")]
    for table in found.tables:
        rows = [heads(table), ["---" if at < _TEXTS else "---:" for at in range(len(heads(table)))]]
        for group in table.groups:
            cells = [cell.replace("|", "\\|") for cell in _cells(table, group)]
            rows.append([f"**{cell}**" for cell in cells] if group.used_truth else cells)
        parts += [f"## {title(table)}", "", *(f"| {' | '.join(row)} |" for row in rows), ""]
        parts += [f"- {note}" for note in (*table.notes, terms_line(table))]
        parts.append("")
    if found.left_out:
        parts += ["## Left out", "", *(f"- {line}" for line in left_out(found))]
    return "\n".join(parts).rstrip()


def csv_table(found: ComparedRuns) -> str:
    """All tables of a comparison as one CSV; runs that differ in the number of their table are not comparable.

    Args:
        found: The comparison.

    Returns:
        The text, without a line break at its end; empty cells = not known.
    """
    terms = list(dict.fromkeys(name for table in found.tables for name in table.terms))
    columns = ["table", "data", *(name.replace(" ", "_") for name in terms)]
    columns += ["label", "method", "config_hash", "learns_from", "seeds"]
    columns += [f"{name}{end}" for name in NUMBERS for end in ("", "_sd")]
    columns += [f"{name}_interval_{end}" for name in ("mAP_step", "R1") for end in ("low", "high")]
    columns += ["baseline", "difference", "difference_low", "difference_high", "p"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for number, table in enumerate(found.tables, 1):
        for group in table.groups:
            row: list[object] = [number, table.data, *(table.terms.get(name, "") for name in terms)]
            row += [group.label, group.method, group.config_hash, group.learns_from, _listed(group)]
            for name in NUMBERS:
                over = group.numbers.get(name)
                row += ["", ""] if over is None else [_exact(over.mean), _exact(over.deviation)]
            for spread in (group.map_interval, group.r1_interval):
                row += ["", ""] if spread is None else [_exact(spread.low), _exact(spread.high)]
            row.append(table.baseline or "")
            test = group.against
            row += [""] * 4 if test is None else [_exact(each) for each in (test.value, test.low, test.high, test.p)]
            writer.writerow(row)
    return text.getvalue().rstrip("\n")


def json_table(found: ComparedRuns) -> str:
    """All of a comparison as JSON, null = not known.

    Args:
        found: The comparison.

    Returns:
        The text, without a line break at its end.
    """
    content = {
        "tables": [
            {
                "data": table.data,
                "terms": dict(table.terms),
                "baseline": table.baseline,
                "groups": [_json_group(group) for group in table.groups],
                "notes": list(table.notes),
            }
            for table in found.tables
        ],
        "differing": {name: list(values) for name, values in found.differing.items()},
        "left_out": [{"path": str(each.path), "reason": each.reason} for each in found.left_out],
        "bootstrap": {"draws": DRAWS, "level": LEVEL, "seed": SEED, "over": "query identities, seeds pooled"},
    }
    return json.dumps(content, indent=1, ensure_ascii=False)


def title(table: ComparedTable) -> str:
    """What stands above a table: the data set and the hashes of data and bags."""
    return f"{table.data}, test split (data {table.terms['data hash']}, bags {table.terms['bags hash']})"


def differences(found: ComparedRuns) -> list[str]:
    """The warning that the tables are not comparable, if there are several: a sentence a term that differs."""
    if len(found.tables) < 2:
        return []
    said = [f"NOT COMPARABLE, so there are {len(found.tables)} tables: their runs differ in what follows."]
    for name, values in found.differing.items():
        shown = "; ".join(f"table {number}: {value}" for number, value in enumerate(values, 1))
        said.append(f"{name}: {shown}.")
    return said


def terms_line(table: ComparedTable) -> str:
    """What the figures of a table mean, in one sentence."""
    names = [name for name in table.terms if not name.endswith("hash")]
    return f"Figures: {'; '.join(f'{name}: {table.terms[name]}' for name in names)}."


def definition(found: ComparedRuns) -> str:
    """What the columns mean, in a few sentences."""
    parts = [
        "%, test split, ordered by mAP (step). Mean ± standard deviation over the seeds; in brackets "
        f"the {100 * LEVEL:.0f} % interval of the bootstrap over query identities ({DRAWS} draws), a drawn identity "
        "bringing its queries in all seeds."
    ]
    if any(table.baseline for table in found.tables):
        parts.append(
            "vs = mAP minus that of the baseline, paired bootstrap over the seeds that both have; * = the interval "
            "excludes 0; p is two-sided."
        )
    parts.append(
        "Refine = label-refine accuracy raw / matched per bag / matched once over the set. Seconds: of the fit."
    )
    return " ".join(parts)


def left_out(found: ComparedRuns) -> list[str]:
    """The runs that are in no table, each with its reason."""
    return [f"{each.path}: {each.reason.removeprefix(f'{each.path}: ')}" for each in found.left_out]


def heads(table: ComparedTable) -> list[str]:
    """Heads of a table's columns."""
    against = [f"vs {table.baseline}", "p"] if table.baseline else []
    figures = ["mAP step", "mAP interval", "R1", "mAP trap.", "mINP"]
    return ["method", "learns from", "seeds", *figures, *against, "refine", "seconds"]


def _cells(table: ComparedTable, group: ComparedGroup) -> list[str]:
    numbers = group.numbers
    against = [_difference(group.against), _p(group.against)] if table.baseline else []
    if group.label == table.baseline:
        against = ["-", "-"]
    refine = [numbers.get(f"refine_{kind}") for kind in REFINE_KINDS]
    seconds = numbers.get("seconds")
    return [
        group.label,
        group.learns_from,
        _listed(group),
        _over_seeds(numbers.get("mAP_step")),
        _interval(group.map_interval),
        *(_over_seeds(numbers.get(name)) for name in ("R1", "mAP_trapezoid", "mINP")),
        *against,
        " / ".join(NONE if each is None else f"{each.mean:.1f}" for each in refine) if any(refine) else NONE,
        NONE if seconds is None else f"{seconds.mean:.0f}",
    ]


def _over_seeds(number: OverSeeds | None) -> str:
    if number is None:
        return NONE
    return f"{number.mean:.1f}" if number.deviation is None else f"{number.mean:.1f} ± {number.deviation:.1f}"


def _interval(spread: Spread | None) -> str:
    return NONE if spread is None or math.isnan(spread.low) else f"[{spread.low:.1f}, {spread.high:.1f}]"


def _difference(test: Difference | None) -> str:
    if test is None:
        return NONE
    ends = NONE if math.isnan(test.low) else f"[{test.low:+.1f}, {test.high:+.1f}]"
    return f"{test.value:+.1f} {ends}{'*' if test.excludes_zero else ''}"


def _p(test: Difference | None) -> str:
    return NONE if test is None or math.isnan(test.p) else f"{test.p:.3f}"


def _listed(group: ComparedGroup) -> str:
    return " ".join(map(str, group.seeds))


def _exact(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.6g}"


def _json_group(group: ComparedGroup) -> dict[str, object]:
    test = group.against
    spreads = {"mAP_step": group.map_interval, "R1": group.r1_interval}
    return {
        "label": group.label,
        "method": group.method,
        "config_hash": group.config_hash,
        "used_truth": group.used_truth,
        "learns_from": group.learns_from,
        "runs": [{"path": str(each.run.path), "seed": each.run.seed} for each in group.runs],
        "numbers": {name: {"mean": over.mean, "deviation": over.deviation} for name, over in group.numbers.items()},
        "intervals": {
            name: [_json_number(spread.low), _json_number(spread.high)]
            for name, spread in spreads.items()
            if spread is not None
        },
        "against": None
        if test is None
        else {
            "difference": test.value,
            "low": _json_number(test.low),
            "high": _json_number(test.high),
            "p": _json_number(test.p),
        },
    }


def _json_number(value: float) -> float | None:
    return None if math.isnan(value) else value
