"""Numbers for identities and cameras that a data set calls by name."""

from __future__ import annotations

import re
from typing import Final

_NUMBER: Final = re.compile(r"\d{1,9}", re.ASCII)


def numbered(names: set[str]) -> tuple[dict[str, int], tuple[str, ...] | None]:
    """Gives each name a number.

    Args:
        names: Different names.

    Returns:
        The number of each: its own where all are different whole numbers, else its place, from 1, in sorted order.
        Then the names in that order, or None where they are numbers.
    """
    if all(_NUMBER.fullmatch(name) for name in names):
        numbers = {name: int(name) for name in names}
        if len(set(numbers.values())) == len(names):
            return numbers, None
    ordered = tuple(sorted(names))
    return {name: place for place, name in enumerate(ordered, 1)}, ordered
