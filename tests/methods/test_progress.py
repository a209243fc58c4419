"""The share of a run that lies behind."""

from types import SimpleNamespace

import pytest

from wsreid.methods.progress import run_progress


def trainer(epoch=0, epochs=None, step=0, steps=-1, batch=0, batches=1):
    loop = SimpleNamespace(batch_idx=batch)
    return SimpleNamespace(
        current_epoch=epoch,
        max_epochs=epochs,
        global_step=step,
        max_steps=steps,
        fit_loop=loop,
        num_training_batches=batches,
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, 0.0),
        (trainer(0, 5), 0.0),
        (trainer(2, 5), 0.5),
        (trainer(4, 5), 1.0),
        (trainer(5, 5), 1.0),  # after the fit
        (trainer(0, 1), 0.0),
        (trainer(0, 1, batch=2, batches=5), 0.5),
        (trainer(0, 1, batch=4, batches=5), 1.0),
        (trainer(0, 1, batch=4, batches=float("inf")), 0.0),
        (trainer(7, -1, step=30, steps=120), 0.25),
        (trainer(7, None, step=30), 0.0),
    ],
)
def test_run_progress(given, expected):
    assert run_progress(given) == expected
