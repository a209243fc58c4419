"""Feature files in, a closing table, a JSON file and, if asked for, a result file out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from wsreid.cli.bar import bar
from wsreid.cli.evaluate_options import EvaluateOptions
from wsreid.cli.evaluation_file import check_output, check_place, write_evaluation
from wsreid.cli.evaluation_report import Scored, about, show
from wsreid.errors import ConfigError, FeatureError
from wsreid.retrieval import RetrievalResult, evaluate
from wsreid.retrieval.errors import NonFiniteFeaturesError
from wsreid.retrieval.feature_files import FeatureFile, read_features
from wsreid.retrieval.junk import UNKNOWN, Ints
from wsreid.retrieval.lost_queries import lost_queries
from wsreid.retrieval.protocols import protocol_named
from wsreid.retrieval.verification import verify
from wsreid.retrieval.watching import begin, watched_by
from wsreid.tracking.result_table import ResultRow


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A finished `evaluate`.

    Attributes:
        options: What was asked for.
        scored: What was found.
        output: The JSON file.
    """

    options: EvaluateOptions
    scored: Scored
    output: Path

    @property
    def result(self) -> RetrievalResult:
        """The retrieval figures."""
        return self.scored.result

    @property
    def results(self) -> Sequence[ResultRow]:
        """The one row of the table."""
        return [self.scored.row]


def evaluate_files(options: EvaluateOptions) -> Evaluation:
    """Scores, writes the JSON file, prints the table.

    Args:
        options: What is asked for.

    Returns:
        What was found.

    Raises:
        WsreidError: Something that the user can mend; its text is all that needs to be shown.
    """
    output = options.output or Path(f"{options.gallery.stem}-evaluation.json")
    check_output(output)
    if options.save is not None:
        _check_save(options.save)
        if options.save.resolve() == output.resolve():
            raise ConfigError(f"--save {options.save}: the figures (--output) go into this file. Name another.")
    device = _device(options.device)
    with bar("reading") as watch, watched_by(watch):
        query = read_features(options.query, options.query_meta)
        gallery = read_features(options.gallery, options.gallery_meta)
        for file in (query, gallery):
            file.check()
        scored = score(options, query, gallery, device)
    if options.save is not None:
        try:
            scored.result.save(options.save)
        except OSError as error:
            raise ConfigError(f"--save {options.save}: cannot be written ({error.strerror or error}).") from error
    write_evaluation(output, about(options, scored))
    show(options, scored, output)
    return Evaluation(options, scored, output)


def score(options: EvaluateOptions, query: FeatureFile, gallery: FeatureFile, device: torch.device) -> Scored:
    """Scores opened files.

    Args:
        options: What is asked for.
        query: The queries.
        gallery: The gallery.
        device: Where to compute.

    Returns:
        What was found.

    Raises:
        FeatureError: The features cannot be ranked; it names the file.
        ConfigError: The options do not fit the features.
    """
    q_cam, g_cam = _cameras(query, gallery, options.protocol)
    with _naming(query, gallery):
        result = evaluate(
            query.features,
            gallery.features,
            q_pid=query.pid,
            g_pid=gallery.pid,
            q_cam=q_cam,
            g_cam=g_cam,
            metric=options.metric,
            ties=options.ties,
            protocol=options.protocol,
            max_rank=options.max_rank,
            topk=options.topk,
            index=options.index,
            rerank=options.reranking,
            expand=options.expansion,
            query_row=query.row,
            gallery_row=gallery.row,
            memory_mb=options.memory_mb,
            device=device,
            seed=options.seed,
        )
        verification = None
        if options.verification:
            begin("verifying", 0)
            verification = verify(
                query.features,
                gallery.features,
                q_pid=query.pid,
                g_pid=gallery.pid,
                q_cam=q_cam,
                g_cam=g_cam,
                metric=options.metric,
                protocol=options.protocol,
                memory_mb=options.memory_mb,
                device=device,
            )
    protocol = protocol_named(str(result.definition["protocol"]))
    unknown = np.full(max(len(query.pid), len(gallery.pid)), UNKNOWN)
    q_known, g_known = (unknown[: len(f.pid)] if c is None else c for f, c in ((query, q_cam), (gallery, g_cam)))
    return Scored(
        query,
        gallery,
        result,
        lost_queries(query.pid, gallery.pid, q_known, g_known, protocol),
        protocol.count_note(len(query.pid), len(gallery.pid)) if options.protocol else None,
        verification,
    )


def _check_save(path: Path) -> None:
    check_place(path, "--save")
    if path.exists():
        try:
            RetrievalResult.load(path)
        except FeatureError:
            raise ConfigError(
                f"--save {path}: there is such a file, and it is no retrieval result. Name another, or remove it."
            ) from None


def _device(name: str | None) -> torch.device:
    try:
        device = torch.device(name or "cpu")
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise ConfigError(f"--device {name}: torch finds no such device here. Leave it out for the CPU.") from None
    return device


def _cameras(query: FeatureFile, gallery: FeatureFile, protocol: str | None) -> tuple[Ints | None, Ints | None]:
    if protocol == "none":
        return None, None
    if (query.camera is None) != (gallery.camera is None):
        with_, without = (gallery, query) if query.camera is None else (query, gallery)
        raise FeatureError(
            f"{without.path} names no cameras, {with_.path} does: the junk rule needs those of both. Add a column "
            "camera, or leave the cameras out of account with --protocol none."
        )
    return query.camera, gallery.camera


@contextmanager
def _naming(query: FeatureFile, gallery: FeatureFile) -> Iterator[None]:
    """Puts the file in front of what is wrong with its features."""
    try:
        yield
    except NonFiniteFeaturesError as error:
        file = query if error.side == "query" else gallery
        names = tuple(f"{file.path}, feature {i} (row {file.row[i]})" for i in error.indices[:5])
        raise error.named(names) from error
    except FeatureError as error:
        raise type(error)(f"{query.path}, {gallery.path}: {error}") from error
    except ValueError as error:
        raise ConfigError(str(error)) from error
