"""The web viewer, through real sockets: newest picture to everyone, nobody waits for anybody."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from streamfuse.errors import OutputError, UsageError
from streamfuse.io.viewer import WebViewer

DEADLINE_S = 10.0


def picture(number: int, size: int = 2000) -> bytes:
    """Stands for a JPEG: the viewer never looks inside."""
    return b"\xff\xd8%08d" % number + bytes(size - 12) + b"\xff\xd9"


def number_of(jpeg: bytes) -> int:
    """The number that ``picture`` put in."""
    return int(jpeg[2:10])


def open_descriptors() -> int:
    """How many files and sockets this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def viewer() -> Iterator[WebViewer]:
    """A running viewer on a free port."""
    running = WebViewer("127.0.0.1", 0)
    running.start()
    with contextlib.closing(running):
        yield running


@pytest.fixture
def client(viewer: WebViewer) -> Iterator[httpx.Client]:
    """An HTTP client of the viewer."""
    with httpx.Client(base_url=viewer.url, timeout=DEADLINE_S) as opened:
        yield opened


class Browser:
    """Reads a live stream part by part, as a browser does, from a socket of its own."""

    def __init__(self, viewer: WebViewer, *, receive_buffer_bytes: int | None = None) -> None:
        self._socket = socket.socket()
        if receive_buffer_bytes is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self._socket.settimeout(DEADLINE_S)
        self._socket.connect(("127.0.0.1", viewer.port))
        # HTTP/1.0: the body comes without chunk headers and ends with the connection.
        self._socket.sendall(b"GET /stream.mjpg HTTP/1.0\r\nHost: localhost\r\n\r\n")
        self._file = self._socket.makefile("rb")

    def open(self) -> None:
        """Read up to the first part: from then on the server knows this browser."""
        self._lines_until_empty()
        assert self._file.readline() == b"\r\n"
        assert self._file.readline() == b"--streamfuse-picture\r\n"

    def read(self) -> bytes | None:
        """The next picture, or None at the end of the stream."""
        head = self._lines_until_empty()
        if not head:
            return None
        assert head[0] == b"Content-Type: image/jpeg\r\n"
        jpeg = self._file.read(int(head[1].removeprefix(b"Content-Length: ")))
        assert self._file.readline() == b"\r\n"
        assert self._file.readline() == b"--streamfuse-picture\r\n"
        return jpeg

    def close(self) -> None:
        """Leave, as a closed tab does."""
        self._file.close()
        self._socket.close()

    def _lines_until_empty(self) -> list[bytes]:
        return list(iter(self._file.readline, b"\r\n")) if self._file.peek(1) else []


def test_a_stream_brings_every_picture_to_who_keeps_up(viewer: WebViewer, client: httpx.Client) -> None:
    """A client that reads as fast as pictures come gets each of them, whole, as multipart JPEG."""
    with client.stream("GET", "/stream.mjpg") as reply:
        assert reply.headers["content-type"] == "multipart/x-mixed-replace; boundary=streamfuse-picture"
        chunks, body = reply.iter_raw(), b""
        for number in range(5):
            viewer.show(picture(number), {})
            while picture(number) not in body or not body.endswith(b"\r\n--streamfuse-picture\r\n"):
                body += next(chunks)
    assert body.count(b"Content-Type: image/jpeg\r\nContent-Length: 2000\r\n\r\n") == 5


def test_who_comes_late_sees_the_newest_picture_at_once(viewer: WebViewer) -> None:
    """A new stream starts with the picture shown last, without waiting for the next."""
    for number in range(3):
        viewer.show(picture(number), {})
    with contextlib.closing(Browser(viewer)) as browser:
        browser.open()
        assert browser.read() == picture(2)


def test_a_browser_that_does_not_read_slows_nobody(viewer: WebViewer) -> None:
    """Beside a stalled browser the run goes on, the other gets all; the stalled one skips to the newest."""
    size, count = 1_000_000, 20  # a picture is larger than the socket buffers
    with (
        contextlib.closing(Browser(viewer, receive_buffer_bytes=65_536)) as stalled,
        contextlib.closing(Browser(viewer)) as quick,
    ):
        stalled.open()
        quick.open()
        slowest_s = 0.0
        for number in range(count):
            started_s = time.perf_counter()
            viewer.show(picture(number, size), {})
            slowest_s = max(slowest_s, time.perf_counter() - started_s)
            assert quick.read() == picture(number, size)
        assert slowest_s < 1.0  # a blocking send to the stalled one would never return
        # What it gets is the picture that was on its way, then the newest: no old one in between.
        assert stalled.read() == picture(0, size)
        assert stalled.read() == picture(count - 1, size)


def test_a_snapshot_is_the_newest_picture(viewer: WebViewer, client: httpx.Client) -> None:
    """The snapshot is 503 before the first picture and the last one shown after it."""
    early = client.get("/snapshot.jpg")
    assert (early.status_code, early.headers["retry-after"]) == (503, "1")
    viewer.show(picture(1), {})
    viewer.show(picture(2), {})
    reply = client.get("/snapshot.jpg")
    assert (reply.content, reply.headers["content-type"]) == (picture(2), "image/jpeg")


def test_the_status_tells_the_newest_numbers(viewer: WebViewer, client: httpx.Client) -> None:
    """The status counts pictures, tells their age and gives the numbers as they were when shown."""
    first = client.get("/status.json").json()
    assert (first["frame"], first["age_ms"], first["status"]) == (0, None, {})
    numbers: dict[str, object] = {"state": "matched", "skew_ms": -1.5, "infrared_age_ms": None}
    viewer.show(picture(1), numbers)
    numbers["state"] = "held"
    second = client.get("/status.json").json()
    assert (second["viewer"], second["frame"]) == (first["viewer"], 1)
    assert 0 <= second["age_ms"] < DEADLINE_S * 1000
    assert second["status"] == {"state": "matched", "skew_ms": -1.5, "infrared_age_ms": None}


def test_a_status_that_is_not_json_is_refused(viewer: WebViewer) -> None:
    """NaN has no place in JSON: the caller hears of it, not the browser."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        viewer.show(picture(1), {"latency_ms": float("nan")})


def test_the_page_needs_nothing_from_elsewhere(client: httpx.Client) -> None:
    """The page names no other site, and its policy allows exactly its own style and script."""
    reply = client.get("/")
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert re.findall(r"(?:https?:)?//[\w.]", reply.text.replace("; // ", "")) == []
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy
    for tag in ("style", "script"):
        (block,) = re.findall(f"<{tag}>(.*?)</{tag}>", reply.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(block.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}';" in policy
    assert " style=" not in reply.text
    assert " onclick=" not in reply.text


@pytest.mark.parametrize("path", ["/", "/status.json", "/snapshot.jpg", "/healthz", "/nowhere"])
def test_every_answer_forbids_caching_sniffing_and_embedding(client: httpx.Client, path: str) -> None:
    """The security headers are on every answer, errors too."""
    headers = client.get(path).headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"


def test_healthz_answers_before_the_first_picture(client: httpx.Client) -> None:
    """Health is about the server, not about the cameras."""
    assert client.get("/healthz").text == "ok\n"


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("localhost", 200),
        ("127.0.0.1:9999", 200),
        ("[::1]:8090", 200),
        ("evil.example", 400),
        ("127.0.0.1.evil.example:8090", 400),
        ("localhost@evil.example", 400),
    ],
)
def test_only_loopback_names_are_answered(client: httpx.Client, host: str, code: int) -> None:
    """A foreign name that resolves to this machine (DNS rebinding) is refused, whatever the path."""
    for path in ("/healthz", "/status.json"):
        assert client.get(path, headers={"Host": host}).status_code == code


def test_head_of_the_stream_ends(client: httpx.Client) -> None:
    """Asking for the headers of the endless stream comes back."""
    assert client.head("/stream.mjpg").headers["content-type"].startswith("multipart/x-mixed-replace")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "example.org", ""])  # noqa: S104 - refused here
def test_other_hosts_than_loopback_are_refused(host: str) -> None:
    """Without a login the viewer does not listen on a network, and says how to look from afar."""
    with pytest.raises(UsageError, match=r"must be one of 127.0.0.1, ::1, localhost.*ssh -L"):
        WebViewer(host, 8090)


def test_a_port_in_use_is_one_sentence() -> None:
    """A port that somebody else has is an OutputError before anything is served; nothing is left behind."""
    before = threading.active_count()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        viewer = WebViewer("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(OutputError, match=rf"127.0.0.1:{viewer.port}: Address already in use") as caught:
            viewer.start()
        viewer.close()
    assert "\n" not in str(caught.value)
    assert threading.active_count() == before


def test_close_ends_every_stream_and_leaves_nothing() -> None:
    """With a reading and a stalled browser connected, close is quick and leaves no thread or socket."""
    threads, descriptors = threading.active_count(), open_descriptors()
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    viewer = WebViewer("127.0.0.1", 0)
    viewer.start()
    reading, stalled = Browser(viewer), Browser(viewer, receive_buffer_bytes=4096)
    reading.open()
    stalled.open()
    viewer.show(picture(1, 5_000_000), {})
    assert reading.read() == picture(1, 5_000_000)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    started_s = time.perf_counter()
    viewer.close()
    assert time.perf_counter() - started_s < 4.0
    assert reading.read() is None
    assert threading.active_count() == threads
    reading.close()
    stalled.close()
    assert open_descriptors() == descriptors
    viewer.close()
    viewer.show(picture(2), {})


def test_a_stream_that_is_read_ends_properly(viewer: WebViewer, client: httpx.Client) -> None:
    """On close the server ends a live stream as HTTP wants it; the connection is not just cut."""
    with client.stream("GET", "/stream.mjpg") as reply:
        chunks = reply.iter_raw()
        assert next(chunks) == b"\r\n--streamfuse-picture\r\n"
        viewer.close()
        assert list(chunks) == []  # a cut stream would raise RemoteProtocolError


def test_the_port_is_free_again_after_close() -> None:
    """A restarted viewer gets its port back at once, and browsers can tell it from the one before."""
    seen, port = set(), 0
    for _ in range(2):
        viewer = WebViewer("localhost", port)
        viewer.start()
        port = viewer.port
        seen.add(httpx.get(f"{viewer.url}status.json").json()["viewer"])
        viewer.close()
    assert len(seen) == 2


def test_what_is_shown_before_start_is_there_after_it() -> None:
    """Showing needs no running server; closing one that never ran does nothing."""
    viewer = WebViewer("127.0.0.1", 0)
    viewer.close()
    viewer.show(picture(3), {})
    viewer.start()
    with contextlib.closing(viewer):
        assert number_of(httpx.get(f"{viewer.url}snapshot.jpg").content) == 3


def test_a_browser_that_leaves_is_forgotten(viewer: WebViewer, client: httpx.Client) -> None:
    """A closed stream ends at the server too, though no new picture comes: its descriptor is given back."""
    client.get("/healthz")
    before = open_descriptors()
    browser = Browser(viewer)
    browser.open()
    browser.close()
    deadline_s = time.monotonic() + DEADLINE_S
    while open_descriptors() > before and time.monotonic() < deadline_s:
        client.get("/healthz")
    assert open_descriptors() == before


def test_serving_prints_nothing(
    viewer: WebViewer, client: httpx.Client, capfd: pytest.CaptureFixture[str]
) -> None:
    """The terminal belongs to the command line: requests leave no trace there."""
    client.get("/")
    client.get("/nowhere")
    viewer.close()
    assert capfd.readouterr() == ("", "")
