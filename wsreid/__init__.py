"""wsreid: weakly supervised person re-identification, from bags of images to exact retrieval metrics."""

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from wsreid.tracking.loaded_run import LoadedRun, load_run
else:

    def __getattr__(name: str) -> object:
        if name not in ("LoadedRun", "load_run"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from wsreid.tracking import loaded_run  # here: it loads torch and Lightning, which `--help` does without

        return getattr(loaded_run, name)


__all__ = ["LoadedRun", "__version__", "load_run"]
