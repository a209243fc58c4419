"""The command line."""

from wsreid.cli.main import SuiteCLI, main

__all__ = ["SuiteCLI", "main"]
