"""Whether a run that was done again has found the same: first what it was made of, then its numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from wsreid.tracking.provenance import read_provenance
from wsreid.tracking.recorded_run import RecordedRun

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["made of", "curve", "result"]
MISSING: Final = "(none)"
_CONDITIONS: Final = ("git_commit", "threads", "processor", "gpu")
_TIMES: Final = ("seconds",)


@dataclass(frozen=True)
class Difference:
    """Something that two goes of a run do not agree on.

    Attributes:
        kind: What it is of; `made of` = what the run was made of, which explains the rest.
        name: Its name.
        first: Its value in the run.
        second: Its value in the run that repeats it.
    """

    kind: Kind
    name: str
    first: str
    second: str


def differences(first: RecordedRun, second: RecordedRun) -> list[Difference]:
    """Compares two goes of a run, number by number, without a tolerance.

    Args:
        first: The run.
        second: The run that repeats it.

    Returns:
        What differs: versions, commit, hashes and machine before curves and results.

    Raises:
        WsreidError: A file of them is damaged.
    """
    return [*_made_of(first, second), *_curves(first, second), *_results(first, second)]


def _made_of(first: RecordedRun, second: RecordedRun) -> Iterator[Difference]:
    one, other = (_facts(run) for run in (first, second))
    for group in ("versions", "hashes"):
        inner = [dict(facts.get(group) or {}) for facts in (one, other)]
        yield from _unequal("made of", inner[0], inner[1], prefix="" if group == "versions" else "hash of ")
    # a run from before a fact was recorded is not known to differ in it
    known = [name for name in _CONDITIONS if name in one and name in other]
    yield from _unequal("made of", {name: one[name] for name in known}, {name: other[name] for name in known})


def _facts(run: RecordedRun) -> Mapping[str, Any]:
    return read_provenance(run.path) or {
        name: run.results[name] for name in ("versions", "hashes", "git_commit") if name in run.results
    }


def _curves(first: RecordedRun, second: RecordedRun) -> Iterator[Difference]:
    one, other = first.metrics, second.metrics
    for name in (column for column in one.columns if column not in other.columns):
        yield Difference("curve", str(name), "logged", MISSING)
    for name in (column for column in other.columns if column not in one.columns):
        yield Difference("curve", str(name), MISSING, "logged")
    if len(one) != len(other):
        yield Difference("curve", "rows", str(len(one)), str(len(other)))
    rows = min(len(one), len(other))
    for name in (column for column in one.columns if column in other.columns and column not in _TIMES):
        yield from _first_unequal(str(name), one.iloc[:rows], other.iloc[:rows])


def _first_unequal(name: str, one: pd.DataFrame, other: pd.DataFrame) -> Iterator[Difference]:
    """Where a column parts: the first row is what to look at, those behind it follow from it."""
    equal = (one[name] == other[name]) | (one[name].isna() & other[name].isna())
    if equal.all():
        return
    at = int((~equal).to_numpy().argmax())
    where = f"{name}, epoch {one['epoch'].iloc[at]:.0f}, step {one['step'].iloc[at]:.0f}"
    more = int((~equal).sum()) - 1
    label = f"{where}, and {more} more" if more else where
    yield Difference("curve", label, *(repr(float(table[name].iloc[at])) for table in (one, other)))


def _results(first: RecordedRun, second: RecordedRun) -> Iterator[Difference]:
    rows: Sequence[Sequence[Mapping[str, Any]]] = [run.results.get("rows") or [] for run in (first, second)]
    if len(rows[0]) != len(rows[1]):
        yield Difference("result", "rows of the closing table", str(len(rows[0])), str(len(rows[1])))
    for one, other in zip(*rows, strict=False):
        kept = [{name: value for name, value in each.items() if name not in _TIMES} for each in (one, other)]
        yield from _unequal("result", kept[0], kept[1], prefix=f"{one.get('name', 'row')}: ")
    ranks = [run.retrieval for run in (first, second)]
    if ranks[0] is None or ranks[1] is None:
        return
    unequal = sum(
        a.shape != b.shape or bool((a != b).any()) for a, b in zip(ranks[0].ranks, ranks[1].ranks, strict=False)
    )
    if unequal or len(ranks[0].ranks) != len(ranks[1].ranks):
        told = f"others for {unequal} of {len(ranks[0].ranks)} queries"
        yield Difference("result", "ranks of the matches", "-", told)


def _unequal(
    kind: Kind, one: Mapping[str, object], other: Mapping[str, object], prefix: str = ""
) -> Iterator[Difference]:
    for name in [*one, *(name for name in other if name not in one)]:
        pair = [each.get(name, MISSING) for each in (one, other)]
        if pair[0] != pair[1]:
            yield Difference(kind, f"{prefix}{name}", *(_shown(value) for value in pair))


def _shown(value: object) -> str:
    text = str(value)
    return text[:12] if len(text) == 64 and text.isalnum() else text
