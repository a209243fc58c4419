"""One line for a wrong option: what is wrong, where it stands, and the nearest right name."""

from __future__ import annotations

import difflib
import inspect
import re
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml  # type: ignore[import-untyped]
from jsonargparse import ArgumentParser

from wsreid.class_paths import denied, refused

_UNKNOWN = (
    re.compile(r"Option '(?P<key>[^']+)' is not accepted"),
    re.compile(r"does not accept option '(?P<key>[^']+)'"),
    re.compile(r"unrecognized arguments: --(?P<key>[^\s=]+)"),
)
_NO_CLASS = re.compile(r"Expected a dot import path string: (?P<name>\S+)")
_BAD_PATH = re.compile(r"Problem with given class_path '(?P<name>[^']+)':(?!\s*Parser key)\s*(?P<why>[^\n]+)")
_ABSTRACT = re.compile(
    r"instantiatable class, but .*?is abstract.*?Given value: (?:.*?class_path['\"]?[:=] ?['\"]?)?(?P<name>[\w.]+)",
    re.DOTALL,
)
_CHOICES = re.compile(r"typing\.Literal\[(?P<choices>[^\]]+)\]")
_NO_COMMAND = re.compile(r"invalid choice: '(?P<name>[^']+)' \(choose from (?P<known>[^)]+)\)")
_PARSER_KEY = re.compile(r"Parser key \"(?P<key>[^\"]+)\":\s*")
_MISSING = re.compile(r"the following arguments are required: (?P<keys>.+)")
_SHARED = "is abstract: it only holds what other classes share, so choose one of those"
_SKIPPED = ("class_path", "init_args", "dict_kwargs")


@dataclass(frozen=True)
class Given:
    """An option as the user gave it.

    Attributes:
        key: Dotted name, without jsonargparse's `init_args`.
        value: Its value; None for a branch.
        origin: The file it stands in; None = the command line.
    """

    key: str
    value: object
    origin: str | None

    @property
    def shown(self) -> str:
        """How the user wrote it."""
        return f"--{self.key}" if self.origin is None else f"{self.origin}: {self.key}"


def explain(
    message: str,
    args: Sequence[str],
    names: Iterable[str],
    classes: Mapping[str, Iterable[type]],
    positional: Sequence[str] = (),
) -> str:
    """Turns a parser's message into one line.

    Args:
        message: What jsonargparse says.
        args: The command line.
        names: Dotted names of all options, as `option_names` and `class_options` give them.
        classes: For an option that takes a class, such as `model`, the classes; under "" those for any other option.
        positional: What is given by its place, without a name.

    Returns:
        The line.
    """
    given = list(given_options(args))
    names = {name for name in names if not name.endswith(".help")} - set(positional)
    usage = " ".join(word.upper() for word in positional)
    if named := [g.key for g in given if g.key in positional]:
        return f"--{named[0]}: it is given by its place, without a name: {usage}."
    if found := _NO_COMMAND.search(message):
        choices = re.findall(r"\w+", found["known"])
        return no_command(found["name"], choices)
    if name := denied(message):
        return _where(given, lambda g: g.value == name, "") + refused(name)
    for pattern in _UNKNOWN:
        if found := pattern.search(message):
            return _unknown(found["key"], given, set(names))
    if found := _ABSTRACT.search(message):
        return _bad_class(found["name"], _SHARED, given, classes)
    switch = "Expected a <class 'bool'>" in message  # on, off, or settings: nobody meant a class
    if found := None if switch else _NO_CLASS.search(message) or _BAD_PATH.search(message):
        return _bad_class(found["name"], found.groupdict().get("why"), given, classes)
    if found := _MISSING.search(message):
        keys = [re.sub(r"^(fit|validate|test|predict)\.", "", key.strip()) for key in found["keys"].split(",")]
        if missing := [key.upper() for key in keys if key in positional]:
            return f"Missing: {' '.join(missing)}. It comes first, without a name: {usage}."
        return f"Missing: {', '.join('--' + key for key in keys)}. Give it on the command line or in a --config file."
    return _plain(message, given)


def no_command(name: str, commands: Sequence[str]) -> str:
    """The line for a command that does not exist.

    Args:
        name: What the user wrote; empty = nothing.
        commands: Those that exist.

    Returns:
        The line, with the nearest right name.
    """
    known = f"Commands: {', '.join(commands)}."
    return f"There is no command '{name}'{_nearest(name, commands)} {known}" if name else f"Name a command. {known}"


def option_names(parser: ArgumentParser) -> set[str]:
    """Dotted names of a parser's own options."""
    return {action.dest for action in parser._actions if action.dest != "help"}


def class_options(cls: type, prefix: str) -> set[str]:
    """Dotted names of the options of a class, those of its dataclass and class arguments among them.

    Args:
        cls: A class whose signature is typed.
        prefix: The option that holds the class, such as `model`.

    Returns:
        Names such as `data.bags.protocol`.
    """
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(cls, fail_untyped=False, sub_configs=True)
    names = {f"{prefix}.{name}" for name in option_names(parser)}
    hints = typing.get_type_hints(getattr(cls, "__init__"))  # noqa: B009  # mypy cannot know which class
    for name in inspect.signature(cls).parameters:
        hint = hints.get(name)
        for kind in (hint, *typing.get_args(hint)):  # a class, or a class or None
            if isinstance(kind, type) and kind.__module__.partition(".")[0] == cls.__module__.partition(".")[0]:
                names |= {n for subclass in subclasses(kind) for n in class_options(subclass, f"{prefix}.{name}")}
    return names


def subclasses(cls: type) -> list[type]:
    """All subclasses of a class that have been imported and can be chosen: abstract ones only share code."""
    children: list[type] = cls.__subclasses__()
    every = [found for child in children for found in (child, *subclasses(child))]
    return [found for found in every if not inspect.isabstract(found)]


def given_options(args: Sequence[str]) -> Iterator[Given]:
    """The options of a command line and of the configuration files it names, in order."""
    position = 0
    while position < len(args):
        word = args[position]
        position += 1
        if not word.startswith("-"):
            continue
        key, equals, value = word.lstrip("-").partition("=")
        if not equals and position < len(args) and not args[position].startswith("--"):
            value = args[position]
            position += 1
        if key in ("config", "c"):
            yield Given("config", value, None)
            yield from _from_file(value)
        else:
            yield Given(_clean(key), value, None)


def _from_file(name: str) -> Iterator[Given]:
    try:
        content = yaml.safe_load(Path(name).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return
    if isinstance(content, dict):
        yield from _walk(content, "", name)


def _walk(content: dict[object, object], prefix: str, origin: str) -> Iterator[Given]:
    for key, value in content.items():
        full = f"{prefix}{key}"
        if isinstance(value, dict):
            yield Given(_clean(full), None, origin)
            yield from _walk(value, f"{full}.", origin)
        else:
            yield Given(_clean(full), value, origin)


def _clean(key: str) -> str:
    return ".".join(part for part in key.rstrip("+").split(".") if part not in _SKIPPED)


def _bad_class(name: str, why: str | None, given: list[Given], classes: Mapping[str, Iterable[type]]) -> str:
    place = next((g for g in reversed(given) if g.value == name), None)
    key = place.key.removesuffix(".class_path") if place else ""
    known = sorted({c.__name__ for c in classes.get(key, classes.get("", ()))})
    where = f"{place.shown}: " if place else ""
    listed = f" Known: {', '.join(known)}." if key in classes else ""
    if why == _SHARED:
        return f"{where}'{name}' {why}.{listed}"
    if why is not None:
        return f"{where}cannot import '{name}': {why.strip()}{_nearest(name, known)}"
    return f"{where}there is no class '{name}'{_nearest(name, known)}{listed}"


def _unknown(key: str, given: list[Given], names: set[str]) -> str:
    leaf = _clean(key).rpartition(".")[2]
    branches = {name.rpartition(".")[0] for name in names}
    same = [g for g in given if g.key == key or g.key.endswith("." + _clean(key))]
    same = [g for g in same if g.key not in names | branches] or same
    if leaf == "" or (not same and leaf in _SKIPPED):
        origin = next((f"{g.origin}: " for g in given if g.origin is not None), "")
        return f"{origin}options of a class stand under `init_args:` where `class_path:` names the class beside it."
    wrong = same[0] if same else Given(_clean(key), None, None)
    if any(name.endswith("." + leaf) for name in names) and wrong.key in names:
        return f"{wrong.shown}: this option does not go with the class that was chosen."
    # The wrong part may be any of the dotted name's: the longest right beginning narrows the search.
    parent = wrong.key.rpartition(".")[0]
    siblings = [name for name in names if name.rpartition(".")[0] == parent]
    top = {name.partition(".")[0] for name in names}
    nearest = (
        [name for name in names if name.rpartition(".")[2] == wrong.key]
        or difflib.get_close_matches(wrong.key, siblings, 1, 0.5)
        or difflib.get_close_matches(wrong.key, [n for n in names | branches if not _inside(wrong.key, n)], 1, 0.7)
        or difflib.get_close_matches(wrong.key.partition(".")[0], top - {wrong.key.partition(".")[0]}, 1, 0.6)
    )
    dashes = "--" if wrong.origin is None else ""
    hint = f"; did you mean {dashes}{nearest[0]}?" if nearest else ". --help lists the options."
    return f"{wrong.shown}: there is no such option{hint}"


def _inside(key: str, branch: str) -> bool:
    return branch == "" or key.startswith(branch + ".")


def _nearest(name: str, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(name.rpartition(".")[2].lower(), lowered := {k.lower(): k for k in known}, 1, 0.5)
    return f"; did you mean '{lowered[found[0]]}'?" if found else "."


def _where(given: list[Given], test: typing.Callable[[Given], bool], default: str) -> str:
    return next((f"{g.shown}: " for g in reversed(given) if test(g)), default)


def _plain(message: str, given: list[Given]) -> str:
    where = ""
    if found := list(_PARSER_KEY.finditer(message)):
        key = found[-1]["key"]  # the innermost
        where = _where(given, lambda g: g.key == key or g.key.endswith("." + key), f"{key}: ")
        message = message[found[-1].end() :]
    elif message.startswith("Problems parsing config"):
        where = "".join(f"{g.value}: " for g in given if g.key == "config")
    value = re.search(r"(?:Given|Got) value: (.+)", message)  # the first is the innermost
    message = message[: value.end()] if value else message
    if value and (choices := _CHOICES.search(message)):
        wanted = re.findall(r"[^\s',\"]+", choices["choices"])
        got = value[1].strip()
        if "class 'int'" in message:
            wanted.append("a whole number")
        known = f"{', '.join(wanted[:-1])} or {wanted[-1]}" if len(wanted) > 1 else wanted[0]
        return f"{where}expected {known}, got {got!r}{_nearest(got, wanted)}"
    kinds = dict.fromkeys(re.findall(r"Expected an? <class '(?:\w+\.)*(\w+)'>", message))
    if value and kinds:
        wanted = ["null" if kind == "NoneType" else kind for kind in kinds]
        return f"{where}expected {' or '.join(wanted)}, got {value[1].strip()!r}."
    return where + re.sub(r"\s+", " ", message).strip()
