import signal
import time

import pytest

from interlock.lanes.training.stops import StopRequests

SIGNALS = [signal.SIGINT, signal.SIGTERM]


def training(number, *, heeded=False, error=None):
    """A training whose only step meets a signal: after its last boundary, or before one that heeds it."""
    with StopRequests(hours_max=1.0, clock=time.monotonic) as stops:
        assert stops.pending() is None
        signal.raise_signal(number)
        if heeded:
            raise stops.pending()
        if error:
            raise error


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_after_the_last_step_still_interrupts(number):
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt, match="after its last step"):
        training(number)
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_waits_for_a_step_boundary(number):
    with pytest.raises(KeyboardInterrupt, match=f"by {signal.Signals(number).name}"):
        training(number, heeded=True)


def test_an_error_of_the_training_is_not_hidden():
    with pytest.raises(ValueError, match="its own"):
        training(signal.SIGINT, error=ValueError("its own"))
