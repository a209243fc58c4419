"""What a file for others must not say: where this machine keeps things, and whose it is."""

from __future__ import annotations

import getpass
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from wsreid.data.cache import cache_dir

REMOVED: Final = "REMOVED"
"""Stands where a path or a name was."""

_PATHS: Final = ("root", "manifest", "bag_file", "table", "weights", "teacher", "run", "ckpt_path", "default_root_dir")
_NAMED: Final = ("weights", "teacher")  # options whose file's name says what a run started from
_NOBODY: Final = ("root", "user", "admin", "ubuntu", "runner", "jovyan", "docker")  # accounts that name nobody
# not behind what a formula or a regular expression has before a slash: (i+1)/(r+1), [^/]+/
_PATH: Final = re.compile(r"(?:(?<![\w.)\]}/:+*?^-])/|~/|\b[A-Za-z]:\\)[\w.][^\s'\",;)]*")


@dataclass(frozen=True)
class Machine:
    """Folders and names that tell whose machine it is.

    Attributes:
        folders: Absolute folders.
        names: The user's names.
    """

    folders: tuple[str, ...]
    names: tuple[str, ...]

    @classmethod
    def here(cls, others: Iterable[Path] = ()) -> Machine:
        """This machine.

        Args:
            others: Folders to keep quiet about, besides the user's, the present one and the cache.
        """
        home = Path.home()
        folders = [home, Path.cwd(), cache_dir(), *others]
        known = {str(form) for folder in folders for form in (folder.absolute(), folder.resolve())}
        try:
            names = {getpass.getuser(), home.name}
        except (OSError, KeyError):  # an account without a name, as containers have
            names = {home.name}
        kept = tuple(sorted(name for name in names if name and name not in _NOBODY))
        return cls(tuple(sorted(known - {"/"}, key=len, reverse=True)), kept)

    def cleaned(self, value: Any, key: str = "") -> Any:  # noqa: ANN401  # plain values of any nesting
        """Plain values without paths and names of this machine.

        Args:
            value: Text, or plain values of any nesting.
            key: The option that it is of; some are paths whatever they look like.

        Returns:
            The same with `REMOVED` in their place; of a file of weights its name stays.
        """
        if isinstance(value, Mapping):
            return {self.cleaned(str(name)): self.cleaned(each, str(name)) for name, each in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.cleaned(each, key) for each in value]
        if not isinstance(value, str):
            return value
        if key in _PATHS and not value.startswith("hf-hub:"):
            name = value.replace("\\", "/").rstrip("/").rpartition("/")[2]
            return f"{REMOVED}/{self._without_names(name)}" if key in _NAMED else REMOVED
        text = value
        for folder in self.folders:
            text = text.replace(folder, f"/{REMOVED}")
        return self._without_names(_PATH.sub(REMOVED, text))

    def told_by(self, content: bytes) -> str | None:
        """The folder of this machine that a file's content names; None = none.

        Args:
            content: The file's bytes.
        """
        for folder in self.folders:
            # a short one may stand in a file of weights by chance
            if (folder if len(folder) > 8 else f"{folder}/").encode() in content:
                return folder
        return None

    def _without_names(self, text: str) -> str:
        for name in self.names:
            text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])", REMOVED, text)
        return text


def folders_named(config: Mapping[str, Any] | Sequence[Any]) -> list[Path]:
    """The absolute folders and files that a configuration names as such, for `Machine.here`."""
    found: list[Path] = []
    items = config.items() if isinstance(config, Mapping) else [("", each) for each in config]
    for key, value in items:
        if isinstance(value, (Mapping, list, tuple)):
            found += folders_named(value)
        elif key in _PATHS and isinstance(value, str) and Path(value).is_absolute():
            found.append(Path(value))
    return found
