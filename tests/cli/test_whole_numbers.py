"""Options of the trainer that mean batches as int and a share as float."""

import lightning.pytorch as pl
import pytest
from jsonargparse import ArgumentParser

from wsreid.cli.whole_numbers import prefer_whole_numbers

LIMITS = [f"limit_{stage}_batches" for stage in ("train", "val", "test", "predict")] + ["overfit_batches"]


@pytest.mark.parametrize("kinds", [float | int, float | int | None, str | float | int | None])
def test_whole_numbers_stay_whole(kinds):
    def function(limit=1.0):
        pass

    function.__annotations__["limit"] = kinds
    prefer_whole_numbers(function)
    parser = ArgumentParser(exit_on_error=False)
    parser.add_function_arguments(function, "trainer")
    order = [kind for kind in function.__annotations__["limit"].__args__ if kind in (int, float)]
    assert order == [int, float]
    if str not in function.__annotations__["limit"].__args__:
        for text, value in (("1", 1), ("10", 10), ("1.0", 1.0), ("0.5", 0.5)):
            found = parser.parse_args([f"--trainer.limit={text}"]).trainer.limit
            assert (found, type(found)) == (value, type(value))


def test_lightnings_are_so_whatever_was_imported_before():
    import wsreid.cli.suite  # noqa: F401  # it sees to it

    for name in LIMITS:
        kinds = pl.Trainer.__init__.__annotations__[name].__args__
        assert kinds.index(int) < kinds.index(float)
