"""Runs beside each other: grouped over seeds, ordered, tested, and never mixed where figures mean other things."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from wsreid.errors import ConfigError, DataError
from wsreid.tracking.comparison_notes import table_notes
from wsreid.tracking.experiment_hash import config_hash
from wsreid.tracking.experiment_label import experiment_labels
from wsreid.tracking.identity_sums import IdentitySums
from wsreid.tracking.over_seeds import OverSeeds
from wsreid.tracking.pooled_bootstrap import Difference, Spread, difference, interval
from wsreid.tracking.recorded_run import RecordedRun, find_runs, read_run
from wsreid.tracking.scored_run import NOT_KNOWN, ScoredRun, scored_run


@dataclass(frozen=True)
class ComparedGroup:
    """The runs of one experiment: one method, one configuration, the same data and bags, several seeds.

    Attributes:
        label: Its name in the table; no other group of the table has it.
        method: Class of its method.
        config_hash: Names its configuration apart from seed and run folder.
        used_truth: The method reads image-level identities.
        learns_from: What the method reads of the training data besides images, such as `bag labels`.
        runs: Its runs, by seed; no two of the same seed.
        numbers: Mean and deviation by name: R1, R5, R10, mAP_step, mAP_trapezoid, mINP and refine_* in percent,
            `seconds` of the fit; without those that are not known of all its runs.
        map_interval: mAP (step) in percent, with its interval over query identities, seeds pooled; None = the ranks
            are not recorded.
        r1_interval: Rank-1 likewise.
        against: mAP minus that of the baseline in percentage points, over the seeds that both have, each draw serving
            both; None = this is the baseline, there is none, or it has no such seed or no ranks.
    """

    label: str
    method: str
    config_hash: str
    used_truth: bool
    learns_from: str
    runs: tuple[ScoredRun, ...]
    numbers: Mapping[str, OverSeeds]
    map_interval: Spread | None
    r1_interval: Spread | None
    against: Difference | None = None

    @property
    def seeds(self) -> tuple[int, ...]:
        """Its seeds, ascending."""
        return tuple(each.run.seed for each in self.runs)

    @property
    def mean_ap(self) -> float:
        """The figure that groups are ordered by: the mean of mAP (step), in percent."""
        return self.numbers["mAP_step"].mean


@dataclass(frozen=True)
class ComparedTable:
    """Groups whose figures mean the same and are of the same data.

    Attributes:
        data: Name of the data set.
        terms: What they all mean and are of, by name: hashes of data and bags, metric, AP, junk rule and so on.
        groups: The highest mAP first.
        baseline: Label of the group that the others are tested against; None = there is none here.
        notes: What a reader must know, a sentence or two each.
    """

    data: str
    terms: Mapping[str, str]
    groups: tuple[ComparedGroup, ...]
    baseline: str | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class LeftOut:
    """A run folder that is not compared.

    Attributes:
        path: The folder.
        reason: Why.
    """

    path: Path
    reason: str


@dataclass(frozen=True)
class ComparedRuns:
    """A comparison.

    Attributes:
        tables: One for each set of terms; that with the most runs first.
        left_out: Runs that are in none.
    """

    tables: tuple[ComparedTable, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def differing(self) -> dict[str, tuple[str, ...]]:
        """The terms in which the tables differ: by name the value in each table."""
        names = dict.fromkeys(name for table in self.tables for name in table.terms)
        found = {name: tuple(table.terms.get(name, NOT_KNOWN) for table in self.tables) for name in names}
        return {name: values for name, values in found.items() if len(set(values)) > 1}


def compare_folders(paths: Iterable[Path], baseline: str | None = None) -> ComparedRuns:
    """Compares the runs in and below some folders.

    Args:
        paths: Run folders, or folders that hold some at any depth.
        baseline: See `compare_runs`.

    Returns:
        The comparison; a run whose files cannot be read is left out with its reason.

    Raises:
        DataError: A path does not exist, or holds no run.
        ConfigError: See `compare_runs`.
    """
    runs, left_out = [], []
    for path in find_runs(paths):
        try:
            runs.append(read_run(path))
        except DataError as error:
            left_out.append(LeftOut(path, str(error)))
    found = compare_runs(runs, baseline)
    return replace(found, left_out=(*found.left_out, *left_out))


def compare_runs(runs: Iterable[RecordedRun], baseline: str | None = None) -> ComparedRuns:
    """Compares runs.

    Args:
        runs: The runs. Of two that are the same experiment with the same seed the first is taken.
        baseline: Label of the group that the others are tested against, a method that one group of a table has, or
            a run folder of the group.

    Returns:
        The comparison.

    Raises:
        ConfigError: No table has such a baseline, or a table has several.
    """
    buckets: dict[tuple[tuple[str, str], ...], list[ScoredRun]] = {}
    left_out = []
    for run in runs:
        try:
            scored = scored_run(run)
        except DataError as error:
            left_out.append(LeftOut(run.path, str(error)))
        else:
            buckets.setdefault(tuple(scored.terms.items()), []).append(scored)
    tables = []
    for bucket in buckets.values():
        for part in _by_queries(bucket):
            kept, repeated = _without_repeats(part)
            left_out += repeated
            tables.append(_table(kept))
    tables.sort(key=lambda table: -sum(len(group.runs) for group in table.groups))
    return ComparedRuns(tuple(_tested(tables, baseline)), tuple(left_out))


def _by_queries(bucket: Sequence[ScoredRun]) -> list[list[ScoredRun]]:
    """Splits runs whose terms are the same and whose queries are not, as hashes of old files may hide it."""
    known = {each.queries for each in bucket} - {None}
    if len(known) < 2:
        return [list(bucket)]
    parts: dict[str, list[ScoredRun]] = {}
    for each in bucket:
        name = each.queries or NOT_KNOWN
        parts.setdefault(name, []).append(replace(each, terms={**each.terms, "queries": name}))
    return list(parts.values())


def _without_repeats(bucket: Sequence[ScoredRun]) -> tuple[list[ScoredRun], list[LeftOut]]:
    kept: dict[tuple[str, str, int], ScoredRun] = {}
    left_out = []
    for each in bucket:
        first = kept.setdefault((*_experiment(each), each.run.seed), each)
        if first is not each:
            left_out.append(LeftOut(each.run.path, f"the same experiment and seed as {first.run.path}, which is taken"))
    return list(kept.values()), left_out


def _experiment(each: ScoredRun) -> tuple[str, str]:
    return each.run.method, config_hash(each.run.config)


def _table(bucket: Sequence[ScoredRun]) -> ComparedTable:
    experiments: dict[tuple[str, str], list[ScoredRun]] = {}
    for each in bucket:
        experiments.setdefault(_experiment(each), []).append(each)
    labels = experiment_labels(
        [method for method, _ in experiments], [found[0].run.config for found in experiments.values()]
    )
    groups = [_group(label, found) for label, found in zip(labels, experiments.values(), strict=True)]
    ordered = tuple(sorted(groups, key=lambda group: (-group.mean_ap, group.label)))
    notes = table_notes(bucket[0].terms, [(each.label, each.runs) for each in ordered])
    return ComparedTable(bucket[0].run.data, bucket[0].terms, ordered, None, notes)


def _group(label: str, found: Sequence[ScoredRun]) -> ComparedGroup:
    runs = tuple(sorted(found, key=lambda each: each.run.seed))
    sums = _sums(runs)
    numbers = {}
    for name in runs[0].numbers:
        values = [value for each in runs if (value := each.numbers[name]) is not None]
        if len(values) == len(runs):
            numbers[name] = OverSeeds(statistics.mean(values), statistics.stdev(values) if len(values) > 1 else None)
    return ComparedGroup(
        label=label,
        method=runs[0].run.method,
        config_hash=config_hash(runs[0].run.config),
        used_truth=any(each.run.used_truth for each in runs),
        learns_from=runs[0].run.learns_from,
        runs=runs,
        numbers=numbers,
        map_interval=None if sums is None else interval(sums, "ap"),
        r1_interval=None if sums is None else interval(sums, "hits"),
    )


def _sums(runs: Sequence[ScoredRun]) -> list[IdentitySums] | None:
    known = [each.sums for each in runs if each.sums is not None]
    return known if known and len(known) == len(runs) else None


def _tested(tables: Sequence[ComparedTable], baseline: str | None) -> list[ComparedTable]:
    if baseline is None:
        return list(tables)
    found = [_baseline(table, baseline) for table in tables]
    if not any(found):
        labels = ", ".join(dict.fromkeys(group.label for table in tables for group in table.groups))
        raise ConfigError(f"--baseline {baseline}: no such group. There are: {labels or 'none'}.")
    return [_against(table, group) for table, group in zip(tables, found, strict=True)]


def _baseline(table: ComparedTable, name: str) -> ComparedGroup | None:
    place = Path(name).resolve()
    by_label = [group for group in table.groups if group.label == name]
    by_place = [group for group in table.groups if any(each.run.path.resolve() == place for each in group.runs)]
    by_method = [group for group in table.groups if group.method.lower() == name.lower()]
    found = by_label or by_place or by_method
    if len(found) > 1:
        labels = ", ".join(f'"{group.label}"' for group in found)
        raise ConfigError(f"--baseline {name}: there are {len(found)} groups of this method. Name one: {labels}.")
    return found[0] if found else None


def _against(table: ComparedTable, baseline: ComparedGroup | None) -> ComparedTable:
    if baseline is None:
        return replace(table, notes=("The baseline is not in this table, so nothing is tested.", *table.notes))
    groups, untested = [], []
    for group in table.groups:
        both = [seed for seed in group.seeds if seed in baseline.seeds]
        own, other = (_sums([each for each in of.runs if each.run.seed in both]) for of in (group, baseline))
        if group is baseline or own is None or other is None:
            groups.append(group)
            untested += [] if group is baseline else [group.label]
        else:
            groups.append(replace(group, against=difference(own, other, "ap")))
    notes = [f"Not tested, as no seed or no ranks are there of both: {', '.join(untested)}."] if untested else []
    return replace(table, groups=tuple(groups), baseline=baseline.label, notes=(*notes, *table.notes))
