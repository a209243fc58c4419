"""From the records of a study to the lines of its tables."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from wsreid.study.plan import PlannedRun
from wsreid.study.records import Key, RunRecord
from wsreid.study.study_file import Study
from wsreid.tracking.over_seeds import OverSeeds
from wsreid.tracking.pooled_bootstrap import Spread, difference, interval

REFINE = ("refine_raw", "refine_per_bag", "refine_over_set")


@dataclass(frozen=True)
class Line:
    """A method under one bag setting.

    Attributes:
        label: Its name.
        truth: It learns from image-level identities.
        learns_from: What it read of the training data besides images.
        needs: What it needed.
        seeds: Seeds that are there.
        missing: Seeds that are not.
        numbers: Mean and deviation by name; without those that are not known.
        map_interval: mAP over identities, seeds pooled.
        r1_interval: Rank-1 likewise.
        gap_closed: Percent of the way from the baseline to the oracle; None where one of them is missing, and where the
            oracle is not above the baseline.
        against: mAP minus that of the reference, over the seeds that both have; None where there is none.
    """

    label: str
    truth: bool
    learns_from: str
    needs: str
    seeds: tuple[int, ...]
    missing: tuple[int, ...]
    numbers: Mapping[str, OverSeeds]
    map_interval: Spread
    r1_interval: Spread
    gap_closed: float | None
    against: Spread | None

    @property
    def mean_ap(self) -> float:
        """The figure that lines are ordered by."""
        return self.numbers["mAP_step"].mean


@dataclass(frozen=True)
class Comparison:
    """The table of one bag setting.

    Attributes:
        setting: Its name.
        lines: The methods that have a run, the best first.
        missing: Labels without any run.
        failed: Of what is missing, the seeds whose run has failed, by label.
        notes: What a reader must know.
    """

    setting: str
    lines: tuple[Line, ...]
    missing: tuple[str, ...]
    failed: Mapping[str, tuple[int, ...]]
    notes: tuple[str, ...]


def compare(
    study: Study, runs: Sequence[PlannedRun], records: Mapping[Key, RunRecord], failed: Collection[Key] = ()
) -> list[Comparison]:
    """Makes the tables.

    Args:
        study: The study.
        runs: All its runs.
        records: Those that are recorded; those of another configuration than the study's count as missing.
        failed: Those that have failed; where one is recorded the record counts.

    Returns:
        One table a bag setting, in the order of the study.
    """
    kept = {run.key: records[run.key] for run in runs if run.key in records and records[run.key].hash == run.hash}
    outdated = [run for run in runs if run.key in records and run.key not in kept]
    lost = [run for run in runs if run.key in failed and run.key not in kept]
    return [_comparison(study, setting.name, kept, outdated, lost) for setting in study.settings]


def _comparison(
    study: Study,
    setting: str,
    kept: Mapping[Key, RunRecord],
    outdated: Sequence[PlannedRun],
    lost: Sequence[PlannedRun],
) -> Comparison:
    by_label = {
        entry.label: [r for seed in study.seeds if (r := kept.get((setting, entry.label, str(seed)))) is not None]
        for entry in study.methods
    }
    there = {label: found for label, found in by_label.items() if found}
    lines = [_line(study, label, there) for label in there]
    failed: dict[str, tuple[int, ...]] = {}
    for run in lost:
        if run.setting == setting:
            failed[run.label] = (*failed.get(run.label, ()), run.seed)
    return Comparison(
        setting=setting,
        lines=tuple(sorted(lines, key=lambda line: -line.mean_ap)),
        missing=tuple(label for label in by_label if label not in there),
        failed=failed,
        notes=tuple(_notes(study, there, [run for run in outdated if run.setting == setting])),
    )


def _line(study: Study, label: str, there: Mapping[str, Sequence[RunRecord]]) -> Line:
    records = there[label]
    seeds = tuple(record.seed for record in records)
    sums = [record.identities for record in records]
    numbers = {}
    for name in records[0].numbers:
        values = [value for record in records if (value := record.numbers[name]) is not None]
        if values:
            numbers[name] = OverSeeds(statistics.mean(values), statistics.stdev(values) if len(values) > 1 else None)
    return Line(
        label=label,
        truth=any(record.used_truth for record in records),
        learns_from=records[0].texts["learns_from"],
        needs=records[0].texts["needs"],
        seeds=seeds,
        missing=tuple(seed for seed in study.seeds if seed not in seeds),
        numbers=numbers,
        map_interval=interval(sums, "ap"),
        r1_interval=interval(sums, "hits"),
        gap_closed=_gap_closed(study, label, there),
        against=_against(study, label, there),
    )


def _gap_closed(study: Study, label: str, there: Mapping[str, Sequence[RunRecord]]) -> float | None:
    ends = [name for name in (study.baseline, study.oracle) if name is not None and name in there]
    if len(ends) < 2:
        return None
    low, high, own = (statistics.mean(_map(record) for record in there[name]) for name in (*ends, label))
    return 100 * (own - low) / (high - low) if high > low else None


def _map(record: RunRecord) -> float:
    value = record.numbers["mAP_step"]
    return float("nan") if value is None else value


def _against(study: Study, label: str, there: Mapping[str, Sequence[RunRecord]]) -> Spread | None:
    if study.reference is None or study.reference == label or study.reference not in there:
        return None
    own, other = ({record.seed: record.identities for record in there[name]} for name in (label, study.reference))
    both = [seed for seed in study.seeds if seed in own and seed in other]
    return difference([own[s] for s in both], [other[s] for s in both], "ap") if both else None


def _notes(study: Study, there: Mapping[str, Sequence[RunRecord]], outdated: Sequence[PlannedRun]) -> list[str]:
    records = [record for found in there.values() for record in found]
    notes = []
    ends = [name for name in (study.baseline, study.oracle) if name is not None and name in there]
    if len(ends) == 2 and len({tuple(record.seed for record in found) for found in there.values()}) > 1:
        notes.append("Gap closed compares means over different seeds, as some are missing: it will change.")
    if outdated:
        names = ", ".join(f"{run.label} seed {run.seed}" for run in outdated)
        notes.append(f"Left out, as their configuration has changed since they ran: {names}.")
    for name, what in (("data_hash", "data"), ("bags_hash", "bags")):
        found = {record.texts[name] for record in records}
        if len(found) > 1:
            notes.append(f"NOT THE SAME {what.upper()} for all runs: hashes {', '.join(sorted(found))}.")
    images = {label: _images(found) for label, found in there.items()}
    seen = sorted({count for count in images.values() if count is not None})
    if len(seen) > 1:
        most = f"{seen[0]:,.0f} to {seen[-1]:,.0f}"
        notes.append(f"Images seen in training differ: {most} (mean over seeds; each method's stand in the CSV).")
    if study.limit_s is not None:
        slow = [
            f"{record.label} seed {record.seed} ({seconds:.0f} s)"
            for record in records
            if (seconds := record.numbers["total_seconds"]) is not None and seconds > study.limit_s
        ]
        if slow:
            notes.append(f"Longer than the stated {study.limit_s:.0f} s a run: {', '.join(slow)}.")
    commits = sorted({record.texts["git_commit"][:10] for record in records} - {""})
    if len(commits) > 1:
        notes.append(f"Runs come from {len(commits)} commits of the code: see runs.csv.")
    return notes


def _images(records: Sequence[RunRecord]) -> float | None:
    values = [value for record in records if (value := record.numbers["images"]) is not None]
    return statistics.mean(values) if values else None
