import pytest

from .problems import Problem, make_problem


@pytest.fixture
def problem() -> Problem:
    return make_problem()
