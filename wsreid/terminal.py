"""Where all commands print: a console that shows text as it is."""

from __future__ import annotations

from typing import IO

from rich import console as rich_console


class Console(rich_console.Console):
    """A rich console that reads nothing into text: neither `[x]` as markup nor `:x:` as an emoji.

    Paths, names and messages come from outside, and a printed path must be one that exists. This covers the titles and
    cells of tables too; in a bar it is `TextColumn(..., markup=False)`.

    Args:
        stderr: Print to stderr.
        width: Columns; None = those of the terminal.
        file: Where to print instead.
        force_terminal: Take it for a terminal, or for none; None = see for itself.
    """

    def __init__(
        self,
        *,
        stderr: bool = False,
        width: int | None = None,
        file: IO[str] | None = None,
        force_terminal: bool | None = None,
    ) -> None:
        super().__init__(
            stderr=stderr, width=width, file=file, force_terminal=force_terminal, markup=False, emoji=False
        )
