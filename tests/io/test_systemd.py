"""What systemd hears: real datagrams on real sockets."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamfuse.io.systemd import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A service manager's socket, and its name as a service finds it in its environment."""
    path = str(tmp_path / "notify")
    name = f"@streamfuse-test-{os.getpid()}" if request.param == "abstract" else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(name.replace("@", "\0", 1))
        listener.settimeout(5)
        yield listener, name


def test_a_service_tells_its_life(manager: tuple[socket.socket, str]) -> None:
    """One datagram for each turn, with the words of sd_notify(3)."""
    listener, name = manager
    with Notifier({"NOTIFY_SOCKET": name}) as notifier:
        assert notifier.is_heard
        notifier.ready("12 fused\nat 25 fps")
        notifier.alive()
        notifier.reloading(5_000_000)
        notifier.status("all is well")
        notifier.stopping()
    assert [listener.recv(4096).decode() for _ in range(5)] == [
        "READY=1\nSTATUS=12 fused at 25 fps\n",
        "WATCHDOG=1\n",
        "RELOADING=1\nMONOTONIC_USEC=5000\n",
        "STATUS=all is well\n",
        "STOPPING=1\n",
    ]


@pytest.mark.parametrize("address", ["", "relative", "vsock:2:1"])
def test_without_a_manager_nothing_is_said(address: str) -> None:
    """On a terminal every word goes nowhere, without an error."""
    notifier = Notifier({"NOTIFY_SOCKET": address} if address else {})
    notifier.ready("")
    notifier.alive()
    notifier.close()
    assert not notifier.is_heard


def test_a_manager_that_is_gone_is_no_error(tmp_path: Path) -> None:
    """The service goes on with its work."""
    with Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}) as notifier:
        notifier.alive()
        assert notifier.is_heard


@pytest.mark.parametrize(
    ("environ", "patience_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": str(os.getpid())}, 0.5),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
    ],
)
def test_whom_the_watchdog_watches(environ: dict[str, str], patience_s: float | None) -> None:
    """Only who is meant, with a time that makes sense."""
    assert Notifier(environ).watchdog_s == patience_s
