"""What the keys of one project's checkpoints are called in ours: prefixes that move, and prefixes that are dropped."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class MovedKeys:
    """The keys of a file, sorted.

    Attributes:
        kept: Our key to the file's.
        dropped: Keys of the file that are declared to be dropped.
        unexpected: Keys of the file that no rule knows.
    """

    kept: Mapping[str, str]
    dropped: tuple[str, ...]
    unexpected: tuple[str, ...]


@dataclass(frozen=True)
class KeyMap:
    """How a project's keys become ours.

    Attributes:
        moved: A prefix of the file's keys and what stands in its place in ours; of several that fit the longest counts.
        dropped: Classifiers and unused layers: whole keys, or what stands before a dot.
    """

    moved: tuple[tuple[str, str], ...]
    dropped: tuple[str, ...] = ()

    def apply(self, keys: Iterable[str], own: Iterable[str]) -> MovedKeys:
        """Sorts the keys of a file.

        Args:
            keys: The file's keys.
            own: Our network's keys; what it has is not dropped.
        """
        ours = frozenset(own)
        kept: dict[str, str] = {}
        dropped, unexpected = [], []
        for key in keys:
            name = self._ours(key)
            if name in ours and name not in kept:
                kept[name] = key
            elif any(key == prefix or key.startswith(f"{prefix}.") for prefix in self.dropped):
                dropped.append(key)
            else:
                unexpected.append(key)
        return MovedKeys(kept, tuple(dropped), tuple(unexpected))

    def theirs(self, own: str) -> str:
        """What a key of ours is called in the file, for messages."""
        fitting = [(new, old) for old, new in self.moved if own.startswith(new)]
        new, old = max(fitting, key=lambda pair: len(pair[0]), default=("", ""))
        return old + own.removeprefix(new)

    def _ours(self, key: str) -> str | None:
        fitting = [(old, new) for old, new in self.moved if key.startswith(old)]
        if not fitting:
            return None
        old, new = max(fitting, key=lambda pair: len(pair[0]))
        return new + key.removeprefix(old)
