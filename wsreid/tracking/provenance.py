"""What a result needs beside its configuration to be repeated: versions and the state of the code."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from pathlib import Path

from wsreid.errors import DataError

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
