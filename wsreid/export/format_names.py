"""The formats that a network is exported to, by name; loads nothing, so that `--help` answers at once."""

from pathlib import Path
from typing import Final, Literal, get_args

Format = Literal["onnx", "pt2", "safetensors"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)
"""Each is the ending of its files too."""


def format_of(path: Path) -> Format | None:
    """The format that a file's ending names; None = none of them.

    Args:
        path: The file; it need not exist.
    """
    return next((kind for kind in FORMATS if path.suffix == f".{kind}"), None)
