"""The runner of mutants finds what a weak test does not see, whether it is in a function or runs at import."""

import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

from tests.mutants import Mutant, list_mutants, put_in_place

MODULE = """\
LEAST = 18


def adult(age: int | None) -> bool:
    if age is None:
        raise ValueError(f"no age, least is {LEAST + 1}")
    return age >= LEAST


def steps(count):
    while count > 0:
        count -= 1
    return count
"""
TEST = """\
import pytest
from small import adult, steps


def test_adult():
    assert adult(30) and not adult(3)


@pytest.mark.parametrize("pool", [3])
def test_steps(pool):
    assert steps(pool) == 0
"""
RUN = """\
import sys
from tests import mutants
from tests.test_mutants import MODULE, changed
mutants.LEAST_SECONDS = 0.5
mutants.list_mutants = lambda source: [
    changed(*each)
    for each in [("age >= LEAST", "age > LEAST"), ("age >= LEAST", "age < LEAST"), ("count -= 1", "count -= 0"),
                 ("LEAST = 18", "LEAST = 19", False), ("LEAST = 18", "LEAST = 2", False)]
]
sys.exit(mutants.main(["small.py=test_small.py"]))
"""


def changed(before, after, in_body=True):
    line = MODULE[: MODULE.index(before)].count("\n") + 1
    return Mutant(line, before, after, MODULE.replace(before, after), in_body)


def run(folder, test=TEST):
    (folder / "small.py").write_text(MODULE)
    (folder / "test_small.py").write_text(test)
    paths = os.pathsep.join([str(Path(__file__).parents[1]), str(folder)])
    environment = {**os.environ, "PYTHONPATH": paths, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run([sys.executable, "-c", RUN], cwd=folder, env=environment, capture_output=True, text=True)


def test_survivors_are_told_from_the_others(tmp_path):
    done = run(tmp_path)
    rows = [line for line in done.stdout.splitlines() if " small:" in line]
    assert rows == [
        "SURVIVED small:7: age >= LEAST  ->  age > LEAST",
        "endless small:12: count -= 1  ->  count -= 0",
        "SURVIVED small:1: LEAST = 18  ->  LEAST = 19",
    ], done.stdout + done.stderr
    assert "5 of 5 mutants run, 2 killed, 1 endless, 2 survived" in done.stdout
    assert done.returncode == 1


def test_a_module_whose_tests_fail_is_not_run(tmp_path):
    done = run(tmp_path, TEST.replace("== 0", "== 1"))
    assert "this test fails without a change: test_small.py::test_steps[3]" in done.stdout + done.stderr
    assert done.returncode == 2


def test_whoever_holds_the_function_has_the_mutant():
    module = types.ModuleType("small")
    exec(compile(MODULE, "small.py", "exec"), vars(module))
    adult = module.adult
    put_in_place(changed("age >= LEAST", "age > LEAST"), MODULE, "small.py", [module.adult, module.steps])
    assert not adult(18)
    assert module.steps(2) == 0


def test_mutants_are_of_what_can_change_a_number():
    pytest.importorskip("cosmic_ray", reason="cosmic-ray makes the mutants; it is no dependency (tests/MUTANTS.md)")
    found = [(mutant.line, mutant.before, mutant.after, mutant.in_body) for mutant in list_mutants(MODULE)]
    assert found == [
        (1, "LEAST = 18", "LEAST = 19", False),
        (5, "if age is None:", "if age is not None:", True),
        (5, "if age is None:", "if not age is None:", True),
        (7, "return age >= LEAST", "return age > LEAST", True),
        (11, "while count > 0:", "while count >= 0:", True),
        (11, "while count > 0:", "while not count > 0:", True),
        (11, "while count > 0:", "while count > 1:", True),
        (12, "count -= 1", "count -= 2", True),
    ]
