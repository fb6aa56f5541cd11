"""``streamfuse view`` against a real viewer: it finds it, opens the page, and says what is wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from servers import free_port

from streamfuse.clock import SystemClock
from streamfuse.frames import FusedFrame, Image, PairState
from streamfuse.io.mjpeg import LiveStream, ViewerAddress, find_viewer
from streamfuse.io.viewer.server import WebViewer
from streamfuse.io.viewer.settings import ViewerSettings
from streamfuse.io.window import decode_jpeg

TOKEN = "correct-horse-battery"  # noqa: S105 - of a server that lives as long as its test


@pytest.fixture
def viewer() -> Iterator[WebViewer]:
    """A viewer with a token and a red picture."""
    made = WebViewer(ViewerSettings(port=0, token=TOKEN))
    made.start()
    made.show(red_frame(0))
    yield made
    made.close()


def red_frame(number: int) -> FusedFrame:
    """A frame that is red all over."""
    now_ns = SystemClock().now_ns()
    return FusedFrame(
        pair_id=number,
        state=PairState.MATCHED,
        image=Image.from_rgb(np.full((48, 64, 3), (250, 10, 10), np.uint8)),
        capture_ns=now_ns,
        fused_ns=now_ns,
        skew_ms=0.0,
        infrared_age_ms=0.0,
        visible_seq=number,
        infrared_seq=number,
    )


def view(*words: str, environment: dict[str, str] | None = None) -> tuple[int, str]:
    """Run the command: exit code and what it said."""
    command = [sys.executable, "-m", "streamfuse", "view", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def test_the_page_opens_in_the_browser(viewer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The browser that the person has set is given the address of the page, without any secret."""
    browser, seen = tmp_path / "browser", tmp_path / "seen"
    browser.write_text(f'#!/bin/sh\necho "$1" > {seen}\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{browser} %s")
    code, words = view(f"127.0.0.1:{viewer.port}")
    assert (code, words) == (0, viewer.url)
    assert seen.read_text().strip() == viewer.url


def test_where_nothing_answers_one_sentence_says_so() -> None:
    """Exit code 3, the address, and what has to run there."""
    port = free_port()
    code, words = view(f"127.0.0.1:{port}")
    assert code == 3
    assert f"no viewer answers at http://127.0.0.1:{port}/" in words
    assert "is a pipeline with `viewer.web` running there?" in words


def test_a_wrong_address_is_a_usage_error() -> None:
    """No port, no look."""
    code, words = view("edge-box")
    assert code == 2
    assert 'expected host:port, such as 127.0.0.1:8090, got "edge-box"' in words


@pytest.mark.parametrize(
    ("token", "code", "words"), [(None, 2, "add --token-file FILE"), ("wrong-one", 2, "does not accept")]
)
def test_a_window_needs_the_token(viewer, tmp_path: Path, token: str | None, code: int, words: str) -> None:
    """Without it, or with a wrong one, nothing is opened and the sentence says why."""
    options = ["--window"]
    if token is not None:
        (tmp_path / "token").write_text(f"{token}\n")
        options += ["--token-file", str(tmp_path / "token")]
    got, said = view(f"127.0.0.1:{viewer.port}", *options)
    assert got == code
    assert words in said


def test_what_is_no_viewer_is_told_apart() -> None:
    """Another web server on the port is not taken for a viewer."""

    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        thread = Thread(target=server.handle_request)
        thread.start()
        code, words = view(f"127.0.0.1:{server.server_port}")
        thread.join()
    assert code == 3
    assert "is no viewer of streamfuse; check the port" in words


def test_the_live_stream_gives_pictures_and_ends(viewer) -> None:
    """The newest picture comes as it was shown; when the viewer stops, the stream has ended."""
    address = ViewerAddress.of(f"127.0.0.1:{viewer.port}", token=TOKEN)
    assert find_viewer(address)
    with LiveStream(address) as stream:
        picture = stream.newest(10)
        assert picture is not None
        assert np.abs(decode_jpeg(picture).astype(int) - (250, 10, 10)).max() < 12
        viewer.close()
        assert stream.newest(10) is None
        assert stream.ended


def test_leaving_the_stream_does_not_wait_for_a_picture(viewer) -> None:
    """A stream can be closed while no picture comes, and twice."""
    stream = LiveStream(ViewerAddress.of(viewer.url, token=TOKEN))
    assert stream.newest(10) is not None
    stream.close()
    stream.close()
    assert stream.ended
