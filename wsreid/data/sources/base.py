"""What every data set's reader offers."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar, Final

from wsreid.data.records import ImageRecords
from wsreid.errors import DataError

_INDEX_VERSION: Final = 2
"""Part of every fingerprint; to be raised when a source reads the same files differently."""


class Source(ABC):
    """A data set in its own layout of folders and names, read into `ImageRecords`. It never writes to the data set."""

    name: ClassVar[str]
    where: ClassVar[str]
    """What the root must look like and where its owners offer the data set: the end of every error about the root."""

    @abstractmethod
    def index(self, root: Path) -> ImageRecords:
        """Lists the images, looking at names, sizes and first bytes only.

        Args:
            root: The data set's folder.

        Returns:
            The usable images; the files that are none stand in `problems`.

        Raises:
            DataError: A folder is missing, or a split has no image.
        """

    def settings(self) -> Mapping[str, str | int | bool | None]:
        """The options that change what `index` returns."""
        return {}

    @property
    def variant(self) -> str | None:
        """The variant of the published sizes that the options go with; None = the set's one split."""
        return None

    def image_root(self, root: Path) -> Path:
        """The folder that the images' paths are relative to."""
        return root

    @abstractmethod
    def watched(self, root: Path) -> Iterable[Path]:
        """The folders and lists whose change means that the data set must be indexed again.

        Raises:
            DataError: A folder is missing.
        """

    def fingerprint(self, root: Path) -> str:
        """A cheap mark that changes with the options and when files are added, removed or renamed.

        A file whose content alone changes is not noticed: folders keep no track of that.

        Args:
            root: The data set's folder.

        Returns:
            32 hexadecimal digits.

        Raises:
            DataError: A folder is missing.
        """
        self.require_root(root)
        digest = hashlib.sha256(json.dumps([_INDEX_VERSION, self.name, dict(self.settings())]).encode())
        for path in sorted(self.watched(root)):
            relative = path.relative_to(root).as_posix()
            digest.update(f"{relative!r} {path.stat().st_mtime_ns}\n".encode())
        return digest.hexdigest()[:32]

    def bag_label_file(self, root: Path) -> Path | None:
        """The file of bag labels that comes with the data set; None if there is none."""
        return None

    def require_root(self, root: Path) -> None:
        """Raises DataError if the root is no folder."""
        if not root.is_dir():
            what = "is no folder" if root.exists() else "does not exist"
            raise DataError(f"{self.name}: the data folder {root} {what}. {self.where}")

    def require_folder(self, root: Path, folder: str) -> Path:
        """A folder inside the root.

        Raises:
            DataError: It is missing; a folder one level deeper that has it is named.
        """
        self.require_root(root)
        path = root / folder
        if path.is_dir():
            return path
        deeper = sorted(p.parent for p in root.glob(f"*/{folder}") if p.is_dir())
        hint = f" Did you mean {deeper[0]}?" if deeper else ""
        raise DataError(f"{self.name}: {root} has no folder {folder!r}.{hint} {self.where}")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.settings().items())})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Source) and type(self) is type(other) and self.settings() == other.settings()

    def __hash__(self) -> int:
        return hash((type(self), tuple(self.settings().items())))
