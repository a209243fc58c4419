"""What a reader of a comparison must know beside its figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from wsreid.tracking.experiment_hash import config_hash
from wsreid.tracking.recorded_run import RETRIEVAL_FILE
from wsreid.tracking.scored_run import NOT_KNOWN, ScoredRun

Groups = Sequence[tuple[str, Sequence[ScoredRun]]]


def table_notes(terms: Mapping[str, str], groups: Groups) -> tuple[str, ...]:
    """Finds what the runs of a table do not share, and what they say themselves.

    Args:
        terms: The terms of the table.
        groups: Label and runs of each line of the table.

    Returns:
        A sentence or two each.
    """
    runs = [each for _, found in groups for each in found]
    return (
        *_unknown(terms),
        *_truth(groups),
        *_validation(runs),
        *_seeds(groups),
        *_ranks(groups),
        *_resumed(groups),
        *_said(groups),
        *_code(runs),
    )


def _unknown(terms: Mapping[str, str]) -> Iterable[str]:
    names = [name for name, value in terms.items() if value == NOT_KNOWN]
    if names:
        yield f"Not recorded, so whether the runs share it cannot be told: {', '.join(names)}."


def _truth(groups: Groups) -> Iterable[str]:
    labels = [label for label, runs in groups if any(each.run.used_truth for each in runs)]
    if labels:
        yield f"Used truth, the image-level identities: {', '.join(labels)}."


def _validation(runs: Sequence[ScoredRun]) -> Iterable[str]:
    found = sorted({each.run.results.get("labelled_val_ids", 0) for each in runs})
    if found != [0]:
        shown = str(found[0]) if len(found) == 1 else f"{found[0]} to {found[-1]}, NOT THE SAME for all runs"
        yield f"Labelled validation identities used: {shown}."


def _seeds(groups: Groups) -> Iterable[str]:
    seeds = {label: tuple(each.run.seed for each in runs) for label, runs in groups}
    every = sorted({seed for found in seeds.values() for seed in found})
    lacking = [
        f"{label} ({', '.join(map(str, sorted(set(every) - set(found))))})"
        for label, found in seeds.items()
        if len(found) < len(every)
    ]
    if lacking:
        yield f"Seeds that others have: {'; '.join(lacking)} lack them."
    single = [label for label, found in seeds.items() if len(found) == 1]
    if single:
        yield f"One seed alone, so how another run would differ is not known: {', '.join(single)}."


def _ranks(groups: Groups) -> Iterable[str]:
    labels = [label for label, runs in groups if any(each.sums is None for each in runs)]
    if labels:
        yield f"No interval, as a {RETRIEVAL_FILE} with the queries' identities is missing: {', '.join(labels)}."


def _resumed(groups: Groups) -> Iterable[str]:
    for label, runs in groups:
        for each in runs:
            begun = each.run.begun_with
            if begun is not None and config_hash(begun) != config_hash(each.run.config):
                yield f"{label} seed {each.run.seed} was resumed with other options than it began with."


def _said(groups: Groups) -> Iterable[str]:
    for label, runs in groups:
        for each in runs:
            for note in each.run.results.get("notes", []):
                yield f"{label} seed {each.run.seed}: {note}"


def _code(runs: Sequence[ScoredRun]) -> Iterable[str]:
    commits = sorted({str(each.run.results.get("git_commit") or "none")[:10] for each in runs})
    if len(commits) > 1:
        yield f"Runs come from {len(commits)} commits of the code: {', '.join(commits)}."
    for package in ("wsreid", "torch", "lightning"):
        found = sorted({str(each.run.results.get("versions", {}).get(package, "none")) for each in runs})
        if len(found) > 1:
            yield f"Runs come from {len(found)} versions of {package}: {', '.join(found)}."
