"""A small re-identification set that the package renders itself."""

from wsreid.data.rendered.root import rendered_root
from wsreid.data.rendered.settings import RenderSettings

__all__ = ["RenderSettings", "rendered_root"]
