"""What the `.wandb` file of an offline run says, as plain values."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wsreid.tracking.wandb_file import records


@dataclass
class LoggedRun:
    """One W&B run.

    Attributes:
        folder: Its `offline-run-...` folder.
        run: W&B's run message.
        config: The configuration; nested.
        history: What was logged, in order; dots of media are parts of names, such as `train/bags/captions`.
        summary: The last summary; nested keys as for `history`.
        metrics: W&B's definitions of metrics.
        artifacts: W&B's artifact messages.
    """

    folder: Path
    run: Any = None
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    metrics: list[Any] = field(default_factory=list)
    artifacts: list[Any] = field(default_factory=list)

    @property
    def keys(self) -> set[str]:
        """All names but W&B's own."""
        return {name for row in self.history for name in row if not name.startswith("_")}

    def numbers(self) -> set[str]:
        """Names of what is a plain number whenever it was logged."""
        return {
            name
            for name in self.keys
            if all(isinstance(row[name], (int, float)) for row in self.history if name in row)
            and not name.endswith(("/count", "/width", "/height", "/size", "/ncols", "/nrows"))
        }

    def tables(self, key: str) -> list[list[dict[str, Any]]]:
        """Each table that was logged under a name: its rows by column."""
        staged = [
            Path(entry.local_path)
            for artifact in self.artifacts
            for entry in artifact.manifest.contents
            if entry.path == f"{key}.table.json"
        ]
        assert len(staged) == sum(f"{key}/path" in row for row in self.history)
        tables = [json.loads(path.read_text()) for path in staged]
        return [[dict(zip(table["columns"], cells, strict=True)) for cells in table["data"]] for table in tables]

    def pictures(self, key: str) -> list[tuple[Path, str]]:
        """Each picture that was logged under a name, and its caption."""
        return [
            (self.folder / "files" / name, caption)
            for row in self.history
            if f"{key}/filenames" in row
            for name, caption in zip(row[f"{key}/filenames"], row[f"{key}/captions"], strict=True)
        ]


def logged_run(run: Path) -> LoggedRun:
    """Reads the one offline run in the `wandb` folder of a run folder."""
    (file,) = run.glob("wandb/offline-run-*/run-*.wandb")
    found = LoggedRun(file.parent)
    for record in records(file):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            found.run = record.run
            _update(found.config, record.run.config.update, nested=True)
        elif kind == "config":
            _update(found.config, record.config.update, nested=True)
        elif kind == "history":
            found.history.append({})
            _update(found.history[-1], record.history.item, nested=False)
        elif kind == "summary":
            _update(found.summary, record.summary.update, nested=False)
        elif kind == "metric":
            found.metrics.append(record.metric)
        elif kind == "artifact":
            found.artifacts.append(record.artifact)
    return found


def _update(target, items, *, nested):
    for item in items:
        path = list(item.nested_key) or [item.key]
        value = json.loads(item.value_json)
        if not nested:
            target["/".join(path)] = value
            continue
        inner = target
        for name in path[:-1]:
            inner = inner.setdefault(name, {})
        inner[path[-1]] = value
