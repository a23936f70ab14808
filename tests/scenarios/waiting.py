"""Waiting for conditions: the only way a scenario waits."""

import time

POLL_SECONDS = 0.02


class NotYet(AssertionError):
    """The condition did not come true within its time."""


def eventually(predicate, within=20.0, what=None):
    """The first true value of `predicate()`, polled until then; NotYet after `within` seconds.

    An AssertionError or OSError of the predicate counts as "not yet", so it may contain checks and
    calls to servers that are still starting. `what` is a text, or a function that makes one.
    """
    deadline = time.monotonic() + within
    while True:
        problem = None
        try:
            value = predicate()
            if value:
                return value
        except (AssertionError, OSError) as error:
            problem = error
        if time.monotonic() > deadline:
            told = what() if callable(what) else what
            raise NotYet(f"not within {within:g} s: {told or predicate}"
                         + (f"; last: {problem}" if problem else ""))
        time.sleep(POLL_SECONDS)
