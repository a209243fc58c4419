"""A signal ends a run with a checkpoint and an exit code, and the run goes on exactly."""

import os
import signal

import pytest
import torch

from tests.cli.killed_runs import differences
from wsreid.cli.stop_signals import Stopped, StopSignals
from wsreid.methods import Method

LIMITS = ["--trainer.max_epochs", 3, "--data.bags_per_batch", 1, "--test_after_fit", "false"]


@pytest.fixture(autouse=True)
def _heard():
    """What a shell starts in the background ignores SIGINT, and what is ignored stays so."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def when(monkeypatch):
    """Sends signals to this process in a step of a method."""

    def send(step, condition, *numbers):
        before = getattr(Method, step)

        def signalled(self, *args):
            if numbers and condition(self):
                monkeypatch.setattr(Method, step, before)
                for number in numbers:
                    os.kill(os.getpid(), number)
            return before(self, *args)

        monkeypatch.setattr(Method, step, signalled)

    return send


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return tmp_path_factory.mktemp("whole") / "run"


@pytest.mark.parametrize(
    ("number", "code", "step", "at", "kept"),
    [
        (signal.SIGTERM, 143, "training_step", 2, 3),
        pytest.param(signal.SIGINT, 130, "training_step", 2, 3, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, 143, "training_step", 3, 4, marks=pytest.mark.slow),  # the last step of the epoch
        pytest.param(signal.SIGINT, 130, "validation_step", 4, 4, marks=pytest.mark.slow),
    ],
)
def test_a_run_ends_with_a_checkpoint_and_goes_on_exactly(number, code, step, at, kept, whole, run_cli, tmp_path, when):
    if not whole.exists():
        run_cli("fit", "--run", whole, *LIMITS)
    run = tmp_path / "run"
    handlers = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    when(step, lambda method: method.global_step == at, number)
    with pytest.raises(Stopped, match=rf"stopped by {signal.Signals(number).name}\..*--ckpt_path last") as stopped:
        run_cli("fit", "--run", run, *LIMITS)
    assert stopped.value.code == code
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == kept
    assert not (run / "owner.json").exists()
    run_cli("fit", "--run", run, "--ckpt_path", "last", *LIMITS)
    assert differences(whole, run) == []


def test_a_second_signal_ends_it_at_once(run_cli, tmp_path, when):
    when("training_step", lambda method: method.global_step == 3, signal.SIGINT, signal.SIGINT)
    with pytest.raises(Stopped, match="goes on from its last checkpoint") as stopped:
        run_cli("fit", "--run", tmp_path / "run", *LIMITS)
    assert stopped.value.code == 130
    assert torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 2


def test_outside_of_training_a_signal_ends_the_command_at_once(run_cli, tmp_path, when):
    when("test_step", lambda method: True, signal.SIGTERM)
    with pytest.raises(Stopped, match="stopped by SIGTERM") as stopped:
        run_cli("test", "--run", tmp_path / "run")
    assert stopped.value.code == 143


def test_the_handlers_are_put_back_and_what_is_ignored_stays_so():
    own = signal.getsignal(signal.SIGINT)
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with StopSignals().handled():
            assert signal.getsignal(signal.SIGINT) is not own
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGINT) is own
    finally:
        signal.signal(signal.SIGTERM, before)
