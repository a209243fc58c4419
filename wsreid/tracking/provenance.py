"""What a result needs beside its configuration to be repeated: versions and the state of the code."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from wsreid.errors import DataError
from wsreid.whole_file import whole_file

PROVENANCE_FILE: Final = "provenance.json"

_PACKAGES = (
    *("wsreid", "torch", "torchvision", "lightning", "timm", "numpy", "scipy", "faiss-cpu", "faiss-gpu", "pyarrow"),
    *("jsonargparse", "opencv-python-headless", "wandb"),
)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on; a package that is not installed is left out."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def git_commit(folder: Path | None = None) -> str | None:
    """The commit of the repository that holds a folder.

    Args:
        folder: By default that of this package.

    Returns:
        The commit's hash, with `-dirty` behind it where tracked files differ; None without git or a repository.
    """
    where = folder or Path(__file__).parent
    try:
        commit = _git(where, "rev-parse", "HEAD")
        return f"{commit}-dirty" if _git(where, "status", "--porcelain", "--untracked-files=no") else commit
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *args: str) -> str:
    command = ["git", "-C", str(folder), *args]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout.strip()


def data_hashes(data: object) -> dict[str, str]:
    """The content hashes of a datamodule's files.

    Args:
        data: A datamodule with `hashes`, such as `BagDataModule`.

    Returns:
        Hash by name; without `bags` where there is no training data to make bags of, as when a checkpoint is scored.
    """
    try:
        return dict(getattr(data, "hashes", {}))
    except DataError:
        return {"data": str(data.manifest.hash)} if hasattr(data, "manifest") else {}


def write_provenance(path: Path, facts: Mapping[str, object]) -> None:
    """Writes what a run needs beside its configuration to be repeated.

    Args:
        path: The JSON file; it appears whole or not at all.
        facts: Plain values.
    """
    with whole_file(path) as file:
        json.dump(facts, file, indent=2, sort_keys=True)


def read_provenance(run: Path) -> dict[str, Any]:
    """Reads what a run began with.

    Args:
        run: Its folder.

    Returns:
        `command`, `versions`, `git_commit`, `hashes`, `threads`, `processor`, `gpu`; empty = it is older than the file.

    Raises:
        DataError: The file is damaged.
    """
    path = run / PROVENANCE_FILE
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error}).") from error
    if not isinstance(found, dict) or not all(isinstance(found.get(key, {}), dict) for key in ("versions", "hashes")):
        raise DataError(f"{path}: damaged: it holds no versions and hashes.")
    return found


def machine() -> dict[str, object]:
    """What of the machine decides how numbers are rounded: threads, processor, and the GPU if there is one."""
    import torch  # late: reading run folders needs no torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "threads": torch.get_num_threads(),
        "processor": f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}",
        "gpu": gpu,
    }
