import pytest

from .pool import Pool
from .problems import Problem, make_problem


@pytest.fixture
def problem() -> Problem:
    return make_problem()


@pytest.fixture(scope="session")
def pool(tmp_path_factory: pytest.TempPathFactory):
    processes = Pool(tmp_path_factory.mktemp("gloo"))
    yield processes
    processes.close()
