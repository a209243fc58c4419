"""Checks of a method's options: a number out of its range is refused by name, also one that is no number at all."""

from wsreid.errors import ConfigError


def not_negative(**options: float) -> None:
    """Refuses options below 0.

    Args:
        options: Value by name.

    Raises:
        ConfigError: Which one.
    """
    for name, value in options.items():
        if not value >= 0:  # nan is not
            raise ConfigError(f"{name} must not be negative, got {value}")


def above_zero(**options: float) -> None:
    """Refuses options that are not above 0.

    Args:
        options: Value by name.

    Raises:
        ConfigError: Which one.
    """
    for name, value in options.items():
        if not value > 0:
            raise ConfigError(f"{name} must be above 0, got {value}")


def at_least_one(**options: int) -> None:
    """Refuses numbers of things below 1.

    Args:
        options: Value by name.

    Raises:
        ConfigError: Which one.
    """
    for name, value in options.items():
        if value < 1:
            raise ConfigError(f"{name} must be at least 1, got {value}")


def below_one(**options: float) -> None:
    """Refuses options outside of [0, 1): shares that must leave something.

    Args:
        options: Value by name.

    Raises:
        ConfigError: Which one.
    """
    for name, value in options.items():
        if not 0 <= value < 1:
            raise ConfigError(f"{name} must be in [0, 1), got {value}")
