"""The errors that a user can mend: what is wrong, where, and what to do."""


class WsreidError(Exception):
    """Base of every error that is the user's to mend; the CLI prints its text alone, without a stack trace.

    Attributes:
        code: The process's exit code.
    """

    code: int = 2


class DataError(WsreidError):
    """A data set, an image, a manifest or a bag file is missing, damaged or inconsistent."""


class ConfigError(WsreidError):
    """An option, or a combination of options, that cannot work."""


class WeightsError(WsreidError):
    """A weights file is missing, unreadable or does not fit the network."""


class FeatureError(WsreidError, ValueError):
    """Features that cannot be ranked: wrong shape, wrong type, or not finite."""
