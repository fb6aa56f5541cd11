"""A test that hangs ends the session with the stack of every thread, in whatever it hangs.

pytest-timeout fails a test once, by an exception in the main thread. That does not reach a call into C that
never returns, nor a teardown that waits for ever after that one exception. This does: the timer belongs to a
thread of faulthandler, which needs neither the interpreter nor its lock.
"""

from __future__ import annotations

import faulthandler
import os

import pytest

STDERR = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """How long one phase of a test may take; longer than pytest-timeout, which has the first word."""
    parser.addini("watchdog_s", "seconds for the setup, call or teardown of one test", default="360")


def pytest_configure(config: pytest.Config) -> None:
    """Keep the true standard error: while a test runs, pytest holds back what is written there."""
    config.stash[STDERR] = os.dup(2)


def _arm(config: pytest.Config) -> None:
    faulthandler.dump_traceback_later(
        float(config.getini("watchdog_s")), exit=True, file=config.stash[STDERR]
    )


# Each phase anew: pytest stops the timer when a test fails, before it tears the test down.
@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Watch the setup."""
    _arm(item.config)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Watch the test."""
    _arm(item.config)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Watch the teardown, and after the last test that of the session."""
    _arm(item.config)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Watch the end of the interpreter too, which waits for threads."""
    _arm(config)
