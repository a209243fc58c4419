"""Which packages a configuration may name classes of: importing a module runs its code, whoever wrote the name down.

A configuration is a file, and so is the `config.yaml` of a run that somebody sent. Classes of wsreid and of the
libraries it stands on need no leave; others need `--allow PACKAGE`, `WSREID_ALLOW`, or `load_run(..., allow=...)`. A
class that is typed on the command line (`--model my_file.MyMethod`) is allowed by that.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextvars import ContextVar
from typing import Final

from wsreid.errors import ConfigError

PACKAGES: Final = ("wsreid", "torch", "torchvision", "lightning", "timm")
"""Their classes need no leave."""

OPTION: Final = "--allow"
VARIABLE: Final = "WSREID_ALLOW"

UNTYPED: Final = "WSREID_UNTYPED"
"""Set for commands that a study writes: nobody has typed the words on their line."""

_DOTTED: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
_DENIED: Final = re.compile(r"Importing '(?P<name>[\w.]+)' is not allowed")
_now: ContextVar[frozenset[str]] = ContextVar("allowed packages", default=frozenset(PACKAGES))


def taken_out(args: Sequence[str]) -> tuple[list[str], list[str]]:
    """Takes `--allow PACKAGE` out of a command line: it is of all commands, and no configuration file can give it.

    Args:
        args: The command line.

    Returns:
        The other words, and the packages.

    Raises:
        ConfigError: There is no package behind it, or what is there is none.
    """
    words, packages = [], []
    left = iter(args)
    for word in left:
        name, equals, value = word.partition("=")
        if name != OPTION:
            words.append(word)
            continue
        package = value if equals else next(left, "")
        if not _is_package(package):
            raise ConfigError(f"{OPTION} {package}: name a package or a module, such as {OPTION} my_file")
        packages.append(package)
    return words, packages


@contextlib.contextmanager
def granted(packages: Iterable[str], typed: Iterable[str] = ()) -> Iterator[None]:
    """While this is open, configurations may name classes of these packages too.

    Args:
        packages: What `--allow` named; processes that are started meanwhile are told.
        typed: What the command line itself names; they read it there.
    """
    before, given = os.environ.get(VARIABLE), list(packages)
    if given:
        os.environ[VARIABLE] = ",".join([*([before] if before else []), *given])
    try:
        with allowing(typed):
            yield
    finally:
        if before is None:
            os.environ.pop(VARIABLE, None)
        else:
            os.environ[VARIABLE] = before


@contextlib.contextmanager
def allowing(more: Iterable[str] = ()) -> Iterator[None]:
    """While this is open, jsonargparse imports classes of the allowed packages alone.

    Args:
        more: Packages or modules besides `PACKAGES`, those of `WSREID_ALLOW`, and those allowed already.
    """
    from jsonargparse import set_parsing_settings  # late: `--help` of the suite needs no parser
    from jsonargparse._common import parsing_settings  # a program that also uses it gets its own settings back

    before = dict(parsing_settings)
    token = _now.set(_now.get() | {name for name in more if _is_package(name)})
    set_parsing_settings(
        import_path_denylist=["*"],
        import_path_allowlist=sorted(_allowed()),
        instantiate_subclass_spec_in_any=False,  # an option of any type is no way to make a class either
    )
    try:
        yield
    finally:
        _now.reset(token)
        parsing_settings.update(before)


def typed_classes(args: Iterable[str]) -> set[str]:
    """The packages of class paths that stand on a command line as an option's whole value.

    Args:
        args: The command line.

    Returns:
        Packages; never one of Python's own library, which holds no method and much that runs commands.
    """
    if UNTYPED in os.environ:
        return set()
    values = [word.partition("=")[2] if word.startswith("-") else word for word in args]
    found = {value.partition(".")[0] for value in values if _DOTTED.fullmatch(value)}
    return found - set(sys.stdlib_module_names) - {"jsonargparse"}


def _allowed() -> frozenset[str]:
    variable = (name.strip() for name in os.environ.get(VARIABLE, "").split(","))
    return _now.get() | {name for name in variable if _is_package(name)}


def allow_words() -> list[str]:
    """What is to stand on a printed command, so that it may name the same classes wherever it is pasted."""
    names = dict.fromkeys(name.strip() for name in os.environ.get(VARIABLE, "").split(","))
    return [word for name in names if _is_package(name) for word in (OPTION, name)]


def _is_package(name: str) -> bool:
    # jsonargparse is no package of methods: naming it could change what is allowed, which it refuses itself
    return all(part.isidentifier() for part in name.split(".")) and name.partition(".")[0] != "jsonargparse"


def is_allowed(class_path: str) -> bool:
    """Whether a class may be imported, for places that import by name themselves."""
    parts = class_path.split(".")
    allowed = _allowed()
    return any(".".join(parts[:number]) in allowed for number in range(1, len(parts) + 1))


def denied(message: str) -> str | None:
    """The class path that a parser has refused to import; None = its message is about something else."""
    found = _DENIED.search(message)
    return None if found is None else found["name"]


def refused(name: str) -> str:
    """What is said of a class path that is not allowed.

    Args:
        name: The class path.
    """
    package = name.partition(".")[0]
    return (
        f"'{name}' is of none of {', '.join(PACKAGES)}, and importing it runs its code. "
        f"If you trust it, add {OPTION} {package} to the command, or set {VARIABLE}={package}."
    )
