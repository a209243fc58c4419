"""Pages that show a study's tables: what stands between two marks is made anew with the tables."""

from __future__ import annotations

import re
from pathlib import Path

from wsreid.errors import ConfigError
from wsreid.study.records import write_text


def shown_in(pages: list[Path], name: str, tables: str) -> list[Path]:
    """Puts a study's tables into the pages that ask for them.

    A page asks by two lines, `<!-- study NAME -->` and `<!-- end of study NAME -->`. Headings of the tables are put
    two levels lower, so that they stand below those of the page.

    Args:
        pages: Markdown files; one that does not exist is passed over.
        name: Name of the study.
        tables: Its tables in Markdown.

    Returns:
        The pages that have changed.

    Raises:
        ConfigError: A page has the first mark and not the second behind it.
    """
    begin, end = f"<!-- study {name} -->", f"<!-- end of study {name} -->"
    changed = []
    for page in pages:
        if not page.is_file():
            continue
        text = page.read_text(encoding="utf-8")
        before, found, rest = text.partition(begin)
        if not found:
            continue
        _, closed, after = rest.partition(end)
        if not closed:
            raise ConfigError(f"{page}: there is no `{end}` behind `{begin}`.")
        lowered = re.sub(r"^#", "###", tables, flags=re.MULTILINE)
        new = f"{before}{begin}\n\n{lowered.strip()}\n\n{end}{after}"
        if new != text:
            write_text(page, new)
            changed.append(page)
    return changed
