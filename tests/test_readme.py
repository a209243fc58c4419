"""The commands of the README are those that `.ci/run` runs."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
MAIN_JOB = "python -m pip install -e . && python -m wsreid fit --config experiments/quickstart.yaml"
TESTS = 'python -m pip install -e ".[test]" && python -m pytest'


def test_the_two_commands_stand_in_the_readme_as_ci_runs_them() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert MAIN_JOB in readme
    assert TESTS in readme
    assert f"\n{TESTS}\n" in ci
    assert MAIN_JOB.split(" && ")[1] in ci
