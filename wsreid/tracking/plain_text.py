"""Text of files that others may have written, fit for a terminal, a table and a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_SPACES: Final = dict.fromkeys(map(ord, "\t\n\v\f\r\x85\u2028\u2029"), " ")
_CONTROLS: Final = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0)), "\N{REPLACEMENT CHARACTER}") | _SPACES


def plain_text(value: Any) -> Any:  # noqa: ANN401  # JSON
    """Replaces control characters, which break a table's rows and steer a terminal.

    Args:
        value: Values as JSON has them.

    Returns:
        The same; in its texts and names a space stands for what breaks a line or a column, and U+FFFD for any other
        control character.
    """
    if isinstance(value, str):
        return value.translate(_CONTROLS)
    if isinstance(value, Mapping):
        return {plain_text(name): plain_text(each) for name, each in value.items()}
    return [plain_text(each) for each in value] if isinstance(value, list) else value
