"""Hostile and broken browsers: nobody else notices."""

from __future__ import annotations

import contextlib
import socket
import statistics
import threading
import time

import httpx
import pytest

DEADLINE_S = 10.0


def answer(port: int, request: bytes) -> bytes:
    """What the viewer says to raw bytes until it closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as stranger:
        with contextlib.suppress(OSError):  # it may have hung up already
            stranger.sendall(request)
            stranger.shutdown(socket.SHUT_WR)
        said = b""
        with contextlib.suppress(ConnectionError):
            while chunk := stranger.recv(65_536):
                said += chunk
        return said


@pytest.mark.fault
@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b""),
        (b"NONSENSE\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 1_000_000 + b"\r\n\r\n", b""),
        (b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", b""),
        (b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n", b"400"),
        (b"GET /%ff%00 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", b"404"),
        (b"DELETE / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", b"405"),
        (
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\nConnection: close\r\n\r\n1",
            b"405",
        ),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", b"400"),
        (
            b"GET /live HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            b"400",
        ),
        (b"GET /live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", b"404"),
    ],
)
def test_malformed_requests_are_refused(viewer, record_property, capfd, request_: bytes, code: bytes) -> None:
    """What is no request gets an error or a closed connection, quietly; the viewer goes on."""
    record_property("room", "operations")
    record_property("fault", "malformed HTTP requests to the viewer")
    record_property("promise", "refused; the viewer goes on")
    said = answer(viewer.port, request_)
    if code or said:  # nothing: it has hung up before we had sent all
        assert said.split(b" ", 2)[1] == (code or b"400")
    assert httpx.get(f"{viewer.url}healthz").text == "ok\n"
    assert capfd.readouterr() == ("", "")


@pytest.mark.fault
def test_fifty_browsers_half_of_them_stalled(viewer, live, frame, record_property) -> None:
    """25 stalled pages beside 25 quick ones: showing is quick, the quick get all, one encoding a frame."""
    record_property("room", "operations")
    record_property("fault", "50 browsers, half of them stalled")
    record_property(
        "promise",
        "handing a frame over takes below 50 ms (median); one encoding a frame; the others get every frame",
    )
    stalled, quick = (
        [live(viewer, max_queue=1, close_timeout=0.1) for _ in range(25)],
        [live(viewer) for _ in range(25)],
    )
    for browser in (*stalled, *quick):
        browser.want("fused")
    turn, count, took_s = threading.Barrier(26), 10, []
    got: list[list[int]] = [[] for _ in quick]

    def look(browser, numbers: list[int]) -> None:
        for _ in range(count):
            numbers.append(browser.picture().number)
            turn.wait(DEADLINE_S)

    threads = [
        threading.Thread(target=look, args=(browser, numbers))
        for browser, numbers in zip(quick, got, strict=True)
    ]
    for thread in threads:
        thread.start()
    for number in range(count):
        shown = frame(number, size_wh=(640, 480), noisy=True)
        started_s = time.perf_counter()
        viewer.show(shown)
        took_s.append(time.perf_counter() - started_s)
        turn.wait(DEADLINE_S)
    for thread in threads:
        thread.join(DEADLINE_S)
    assert all(numbers == list(range(1, count + 1)) for numbers in got)
    assert viewer.encoded == count
    assert statistics.median(took_s) < 0.05
    for browser in stalled:
        browser.say({"ready": count})
        assert browser.picture(ready=False).number <= 2  # what was on its way, then the newest


@pytest.mark.fault
@pytest.mark.slow
def test_connections_that_say_nothing_are_cut(viewer, record_property) -> None:
    """Open connections without a request, or with half of one, do not live for ever."""
    record_property("room", "operations")
    record_property("fault", "connections to the viewer that never send a whole request")
    record_property("promise", "cut within 15 s")
    with contextlib.ExitStack() as stack:
        silent = [
            stack.enter_context(socket.create_connection(("127.0.0.1", viewer.port))) for _ in range(20)
        ]
        for connection in silent[10:]:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: local")
        deadline_s = time.monotonic() + 15
        for connection in silent:
            connection.settimeout(max(0.1, deadline_s - time.monotonic()))
            with contextlib.suppress(ConnectionResetError):
                assert connection.recv(1) == b""
