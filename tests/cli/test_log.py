import logging

import pytest

from wsreid.cli.log import show_log


@pytest.fixture
def suite_logger():
    logger = logging.getLogger("wsreid")
    before = logger.handlers[:], logger.level, logger.propagate
    yield logger
    logger.handlers[:], logger.level, logger.propagate = before


def test_remarks_are_shown_plain_and_warnings_marked(suite_logger, capsys):
    show_log()
    logging.getLogger("wsreid.data").info("made %d bags", 3)
    logging.getLogger("wsreid.data").debug("not shown")
    suite_logger.warning("left out")
    assert capsys.readouterr().err.splitlines() == ["made 3 bags", "WARNING: left out"]
