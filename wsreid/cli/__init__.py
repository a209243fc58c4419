"""The command line."""

from wsreid.cli.main import main

__all__ = ["main"]
