"""Checks of a method's options: a number out of its range is refused by name, also one that is no number at all.

Each takes options as `name=value` and raises ConfigError for the first that is out of range.
"""

from collections.abc import Callable, Mapping

from wsreid.errors import ConfigError


def not_negative(**options: float) -> None:
    """Refuses options below 0."""
    _check(options, lambda value: value >= 0, "must not be negative")


def above_zero(**options: float) -> None:
    """Refuses options that are not above 0."""
    _check(options, lambda value: value > 0, "must be above 0")


def at_least_one(**options: int) -> None:
    """Refuses numbers of things below 1."""
    _check(options, lambda value: value >= 1, "must be at least 1")


def below_one(**options: float) -> None:
    """Refuses options outside of [0, 1): shares that must leave something."""
    _check(options, lambda value: 0 <= value < 1, "must be in [0, 1)")


def _check(options: Mapping[str, float], right: Callable[[float], bool], otherwise: str) -> None:
    for name, value in options.items():
        if not right(value):  # no comparison holds for nan
            raise ConfigError(f"{name} {otherwise}, got {value}")
