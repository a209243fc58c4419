"""A hook of MkDocs for links that leave docs/: they work on a code host; the site names the file instead.

Without it a strict build refuses them. A link to a file that is not there is a warning, so it still ends such a build.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

log = logging.getLogger("mkdocs.hooks.links_out")  # below "mkdocs": strict builds count its warnings
OUT = re.compile(r"(?<!!)\[(?P<text>[^\]]+)\]\((?P<path>\.\./[^)#\s]+)(?:#[^)\s]*)?\)")


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Shows each link out of docs/ as its text and the file's place in the repository.

    Args:
        markdown: The page.
        page: Where it stands.
        config: Of MkDocs.
        files: All files of the site.

    Returns:
        The page with these links replaced.
    """
    root = Path(config.docs_dir).resolve().parent
    here = Path(config.docs_dir, page.file.src_uri).resolve().parent

    def shown(match: re.Match[str]) -> str:
        target = (here / match["path"]).resolve()
        if target.is_relative_to(config.docs_dir):
            return match[0]
        if not target.exists() or not target.is_relative_to(root):
            log.warning("%s links to %s, which is not there.", page.file.src_uri, match["path"])
            return match[0]
        name = target.relative_to(root).as_posix()
        text = match["text"]
        return f"`{name}`" if text.strip("`") in (name, target.name) else f"{text} (`{name}`)"

    return OUT.sub(shown, markdown)
