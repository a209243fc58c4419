"""Finds a rendered set in the cache, or renders it."""

import logging
import shutil
from pathlib import Path

from filelock import FileLock

from wsreid.data.cache import build_once, cache_dir
from wsreid.data.rendered.dataset import is_intact, write_rendered
from wsreid.data.rendered.settings import RenderSettings

_logger = logging.getLogger(__name__)


def rendered_root(settings: RenderSettings) -> Path:
    """Folder of a rendered set in Market-1501 layout, rendered on the first call and again if its hash is wrong.

    Args:
        settings: What to render.

    Returns:
        A folder under `cache_dir()`, to be read only; nothing is written anywhere else.

    Raises:
        DataError: The cache folder cannot be written to.
    """
    root = cache_dir() / "rendered" / settings.key

    def render(folder: Path) -> None:
        write_rendered(folder, settings)

    fresh = not root.exists()
    build_once(root, render)
    # A set that another process is mending must not be judged, nor thrown away twice.
    with FileLock(root.with_name(f".{root.name}.check.lock")):
        if not fresh and not is_intact(root):
            _logger.warning("%s: the rendered set was changed or is incomplete; rendering it again", root)
            shutil.rmtree(root)
        return build_once(root, render)
