"""Webhooks: against a real HTTP server that is slow, refuses, goes and comes back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hook import Hook, hook  # noqa: F401 - a fixture
from servers import free_port

from streamfuse.config.outputs import WebhookSink
from streamfuse.core.messages import Kind, Message
from streamfuse.errors import UsageError
from streamfuse.io.publish.courier import ROOM
from streamfuse.io.publish.publisher import Publisher
from streamfuse.io.publish.publishers import open_publisher
from streamfuse.io.publish.standing import News

RECOVERY_S = 12.0
"""Promised: the longest delay between two attempts, and its spread."""


def message(number: int) -> Message:
    """A message that is told apart by its number."""
    return Message(kind=Kind.EVENT, body=b"%d" % number)


@contextmanager
def publishing(url: str, **keys: Any) -> Iterator[Publisher]:
    """A publisher to this address."""
    sink = WebhookSink.model_validate({"kind": "webhook", "url": url, **keys})
    with open_publisher(sink, pipeline="gate") as publisher:
        yield publisher


def first_news(publisher: Publisher) -> list[News]:
    """What the publisher tells first."""
    deadline_s = time.monotonic() + 10
    while not (news := publisher.standing.take_news()):
        assert time.monotonic() < deadline_s, "nothing was told"
        time.sleep(0.01)  # another thread's doing, which nobody announces
    return news


def test_each_message_is_a_post(hook: Hook) -> None:  # noqa: F811 - the fixture
    """In order, as JSON, with the token; what was published before the end arrives."""
    with publishing(hook.url, token="secret-word") as publisher:  # noqa: S106 - no secret
        for number in range(20):
            publisher.publish(message(number))
        hook.wait_until(lambda: len(hook.posts) == 20)
        publisher.publish(message(20))
    assert [post.body for post in hook.posts] == [b"%d" % number for number in range(21)]
    (first, *_) = hook.posts
    assert first.path == "/hook"
    assert first.headers["Content-Type"] == "application/json"
    assert first.headers["Authorization"] == "Bearer secret-word"
    assert publisher.standing.lost == 0


@pytest.mark.parametrize("code", [500, 503, 408, 429])
def test_an_answer_that_means_later_is_tried_again(hook: Hook, code: int) -> None:  # noqa: F811 - the fixture
    """The same message comes again, and nothing is lost."""
    hook.answers = [code]
    with publishing(hook.url) as publisher:
        publisher.publish(message(1))
        hook.wait_until(lambda: len(hook.posts) == 2)
    assert [post.body for post in hook.posts] == [b"1", b"1"]
    assert publisher.standing.lost == 0


@pytest.mark.parametrize("code", [302, 400, 401, 404])
def test_a_refused_message_is_not_tried_again(hook: Hook, code: int) -> None:  # noqa: F811 - the fixture
    """It is lost, counted and told, the next one is sent; a redirection is not followed."""
    hook.answers = [code]
    with publishing(hook.url) as publisher:
        publisher.publish(message(1))
        publisher.publish(message(2))
        hook.wait_until(lambda: len(hook.posts) == 2)
    assert [(post.path, post.body) for post in hook.posts] == [("/hook", b"1"), ("/hook", b"2")]
    assert publisher.standing.lost == 1
    refused, again = publisher.standing.take_news()
    assert (refused.level, again.level) == ("warning", "info")
    assert refused.text.startswith(f"{hook.url}: answers {code} ")
    assert "1 message was lost" in again.text


def test_retrying_ends_with_retry_s(hook: Hook) -> None:  # noqa: F811 - the fixture
    """Without time for a second attempt the message is lost."""
    hook.answers = [500]
    with publishing(hook.url, retry_s=0.0) as publisher:
        publisher.publish(message(1))
        publisher.publish(message(2))
        hook.wait_until(lambda: [post.body for post in hook.posts] == [b"1", b"2"])
    assert publisher.standing.lost == 1


@pytest.mark.fault
def test_a_server_that_is_down_and_back_gets_the_newest(
    hook: Hook,  # noqa: F811 - the fixture
    record_property: Any,
) -> None:
    """Publishing never waits; the newest messages are kept, the older ones counted; then all goes on."""
    record_property("room", "operations")
    record_property("fault", "the webhook's server is down and comes back")
    hook.stop()
    with publishing(hook.url) as publisher:
        publisher.publish(message(0))
        (down,) = first_news(publisher)
        assert "cannot be reached" in down.text
        began_s = time.perf_counter()
        last = ROOM + 100  # and the first is in the courier's hands
        for number in range(1, last + 1):
            publisher.publish(message(number))
        assert time.perf_counter() - began_s < 1.0
        assert publisher.standing.lost == 100
        hook.start()
        back_s = time.monotonic()
        hook.wait_until(lambda: bool(hook.posts))
        recovery_s = time.monotonic() - back_s
        hook.wait_until(lambda: hook.posts[-1].body == b"%d" % last)
    assert [int(post.body) for post in hook.posts] == [0, *range(101, last + 1)]
    (up,) = publisher.standing.take_news()
    assert "works again" in up.text
    assert "100 messages were lost" in up.text
    assert recovery_s < RECOVERY_S
    record_property("recovery_s", recovery_s)
    record_property("promise", f"{RECOVERY_S:g} s")


@pytest.mark.fault
def test_a_server_that_does_not_answer_keeps_nobody_waiting(
    hook: Hook,  # noqa: F811 - the fixture
    record_property: Any,
) -> None:
    """Messages are taken over at once, the end comes in time, and the books name what was lost."""
    record_property("room", "operations")
    record_property("fault", "the webhook's server accepts and never answers")
    hook.patience.clear()
    with publishing(hook.url, timeout_s=30.0) as publisher:
        began_s = time.perf_counter()
        for number in range(5):
            publisher.publish(message(number))
        assert time.perf_counter() - began_s < 1.0
        ending_s = time.perf_counter()
    assert time.perf_counter() - ending_s < 2.0
    assert publisher.standing.lost == 5
    record_property("promise", "the end within 2 s")


def test_an_answer_that_takes_too_long_is_told(hook: Hook) -> None:  # noqa: F811 - the fixture
    """After ``timeout_s`` the server counts as away, and the message is tried again."""
    hook.patience.clear()
    with publishing(hook.url, timeout_s=0.2) as publisher:
        publisher.publish(message(1))
        (slow,) = first_news(publisher)
        assert slow.text == f"{hook.url}: no answer within 0.2 s; trying on"
        hook.patience.set()
        hook.wait_until(lambda: len(hook.posts) >= 2)


def test_secrets_of_the_address_are_not_told() -> None:
    """Neither the name, nor the password, nor the query of a url gets into a sentence for people."""
    port = free_port()
    with publishing(f"http://me:secret@127.0.0.1:{port}/hook?key=secret", retry_s=0.0) as publisher:
        publisher.publish(message(1))
    (news,) = publisher.standing.take_news()
    assert news.text.startswith(f"http://127.0.0.1:{port}/hook: cannot be reached")
    assert "secret" not in news.text


def test_a_host_that_cannot_be_is_refused() -> None:
    """What looks like a url and is none is one sentence, at once."""
    with pytest.raises(UsageError, match="cannot post to the webhook's url"), publishing("http://é-.org/"):
        pass
