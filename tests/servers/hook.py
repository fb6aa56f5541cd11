"""A real HTTP server for webhooks, in a thread: answers as it is told, goes away and comes back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from servers import free_port

__all__ = ["Hook", "hook"]

WAIT_S = 60.0


@dataclass(frozen=True)
class Post:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Hook:
    """Takes POSTs at :attr:`url` and keeps them; each answer is the next of ``answers``, then 204."""

    port: int = field(default_factory=free_port)
    posts: list[Post] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    patience: threading.Event = field(default_factory=threading.Event)
    """Answers wait until it is set."""

    def __post_init__(self) -> None:
        self.changed = threading.Condition()
        self._server: ThreadingHTTPServer | None = None
        self.patience.set()
        self.start()

    @property
    def url(self) -> str:
        """Where it takes POSTs."""
        return f"http://127.0.0.1:{self.port}/hook"

    def start(self) -> None:
        """Listen (again), on the same port."""
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), _handler(self))
        self._server.daemon_threads = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), name="hook")
        self._thread.start()

    def stop(self) -> None:
        """Go away: connections are refused."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self._server = None

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until ``condition`` holds; it is asked again after each POST."""
        with self.changed:
            assert self.changed.wait_for(condition, WAIT_S), f"got {self.posts[-5:]}"


def _handler(hook: Hook) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # connections stay open, as with most servers

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.patience.wait(WAIT_S)
            with hook.changed:
                code = hook.answers.pop(0) if hook.answers else 204
                # Before it is answered, or the next one, on a connection of its own, might overtake.
                hook.posts.append(Post(self.path, dict(self.headers), body))
                hook.changed.notify_all()
            try:
                self.send_response(code)
                self.send_header("Content-Length", "0")
                if 300 <= code < 400:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()
            except BrokenPipeError:
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    return Handler


@pytest.fixture
def hook() -> Iterator[Hook]:
    """A running webhook server."""
    made = Hook()
    yield made
    made.patience.set()
    made.stop()
