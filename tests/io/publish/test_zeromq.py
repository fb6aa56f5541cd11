"""ZeroMQ PUB: whoever subscribes gets what it subscribed to; strangers and sleepers change nothing."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import zmq
from servers import free_port

from streamfuse.config.outputs import Curve, ZeromqSink
from streamfuse.core.messages import Kind, Message
from streamfuse.errors import MachineError, UsageError
from streamfuse.io.publish.zeromq import ZeromqPublisher
from streamfuse.io.transport.curve import ClientKeys, load_client_keys, make_keys
from streamfuse.io.transport.pubsub import Broadcast

DEADLINE_S = 10.0
PAGE = Path(__file__).parents[3] / "docs" / "messages.md"


def message(kind: Kind, number: int, *, nbytes: int = 0) -> Message:
    """A message that is told apart by its number."""
    return Message(kind=kind, body=b"%d" % number + b" " * nbytes)


@contextmanager
def subscriber(
    endpoint: str, topic: bytes, keys: ClientKeys | None = None, *, room: int = 1000
) -> Iterator[zmq.Socket[bytes]]:
    """A plain SUB socket, as a user of ours would write it."""
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.set(zmq.RCVHWM, room)
        if keys is not None:
            keys.apply(socket)
        socket.connect(endpoint)
        socket.subscribe(topic)
        yield socket


def heard(publisher: ZeromqPublisher, socket: zmq.Socket[bytes], kind: Kind) -> list[bytes] | None:
    """What the subscriber hears while the publisher says the same again and again; None within 2 s."""
    deadline_s = time.monotonic() + 2.0
    while time.monotonic() < deadline_s:
        publisher.turn()
        publisher.publish(message(kind, 0))
        if socket.poll(50):
            return socket.recv_multipart()
    return None


def test_a_subscriber_gets_its_topic_and_no_other() -> None:
    """Two parts, topic and message; who wants events gets no pairs."""
    with (
        ZeromqPublisher(ZeromqSink(kind="zeromq", bind="tcp://127.0.0.1:0")) as publisher,
        subscriber(publisher.endpoint, b"events") as events,
    ):
        assert heard(publisher, events, Kind.EVENT) == [b"events", b"0"]
        publisher.publish(message(Kind.PAIR, 1))
        publisher.publish(message(Kind.EVENT, 2))
        while (parts := events.recv_multipart()) == [b"events", b"0"]:
            pass
        assert parts == [b"events", b"2"]


@pytest.mark.fault
def test_a_sleeping_subscriber_costs_nobody_anything(record_property: Any) -> None:
    """One that never reads misses messages; publishing stays as fast, and the other gets every message."""
    record_property("room", "operations")
    record_property("fault", "a ZeroMQ subscriber stops reading")
    with (
        ZeromqPublisher(ZeromqSink(kind="zeromq", bind="tcp://127.0.0.1:0")) as publisher,
        subscriber(publisher.endpoint, b"pairs", room=1) as asleep,
        subscriber(publisher.endpoint, b"pairs") as awake,
    ):
        assert heard(publisher, asleep, Kind.PAIR)
        assert heard(publisher, awake, Kind.PAIR)
        slowest_s, got = 0.0, 0
        for number in range(1, 2_001):
            began_s = time.perf_counter()
            publisher.publish(message(Kind.PAIR, number, nbytes=20_000))
            slowest_s = max(slowest_s, time.perf_counter() - began_s)
            while got != number:
                got = int(awake.recv_multipart()[1])
    assert slowest_s < 0.5
    record_property("promise", "no message is waited for")


def test_only_a_known_key_may_listen(tmp_path: Path) -> None:
    """The allowed one hears, another and one without a key hear nothing."""
    for name in ("gate", "reader", "stranger"):
        make_keys(name, tmp_path)
    keys = Curve(own=tmp_path / "gate.key", allow=(tmp_path / "reader.pub",))
    allowed, stranger = (
        load_client_keys(tmp_path / f"{name}.key", tmp_path / "gate.pub") for name in ("reader", "stranger")
    )
    with ZeromqPublisher(ZeromqSink(kind="zeromq", bind="tcp://127.0.0.1:0", keys=keys)) as publisher:
        for key, hears in ((stranger, None), (None, None), (allowed, [b"pairs", b"0"])):
            with subscriber(publisher.endpoint, b"pairs", key) as socket:
                assert heard(publisher, socket, Kind.PAIR) == hears


def test_an_address_that_is_taken_is_one_sentence() -> None:
    """A second publisher on the same port says what to do."""
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    sink = ZeromqSink(kind="zeromq", bind=endpoint)
    with ZeromqPublisher(sink), pytest.raises(MachineError, match="in use; stop what listens there"):
        ZeromqPublisher(sink)


def test_the_listener_of_the_page_hears_an_event() -> None:
    """The example of docs/messages.md, run as it stands but for the port."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    with ZeromqPublisher(ZeromqSink(kind="zeromq", bind="tcp://127.0.0.1:0")) as publisher:
        code = code.replace("tcp://127.0.0.1:5556", publisher.endpoint)
        listener = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        deadline_s = time.monotonic() + DEADLINE_S
        while listener.poll() is None:
            assert time.monotonic() < deadline_s, "the listener heard nothing"
            publisher.publish(Message(kind=Kind.EVENT, body=b'{"rule": "people"}'))
            time.sleep(0.02)  # a subscription is not announced
        said, _ = listener.communicate()
    assert said == "people\n"


def test_nothing_is_broadcast_in_plain_text_beyond_this_machine() -> None:
    """An address that others can reach needs keys."""
    with pytest.raises(UsageError, match="keys are needed"):
        Broadcast("tcp://0.0.0.0:0", keys=None)
