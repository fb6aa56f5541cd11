"""MQTT: against a real mosquitto that goes, hangs, refuses and comes back."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from broker import Broker, Listener, StartBroker, broker  # noqa: F401 - a fixture
from servers import free_port, need_server

from streamfuse.config.outputs import MqttSink
from streamfuse.core.messages import Kind, Message
from streamfuse.errors import UsageError
from streamfuse.io.publish.courier import ROOM
from streamfuse.io.publish.publisher import Publisher
from streamfuse.io.publish.publishers import open_publisher
from streamfuse.io.publish.standing import News

DEADLINE_S = 60.0
RECOVERY_S = 10.0
"""Promised: the broker is back, and so are the messages."""


CHILD = """
import sys, threading
from streamfuse.config.outputs import MqttSink
from streamfuse.io.publish.publishers import open_publisher

sink = MqttSink(kind="mqtt", broker=sys.argv[1], topic="gate")
with open_publisher(sink, pipeline="gate"):
    threading.Event().wait()
"""
"""A process that publishes until it is killed."""


def message(number: int, kind: Kind = Kind.PAIR) -> Message:
    """A message that is told apart by its number."""
    return Message(kind=kind, body=b"%d" % number)


@contextmanager
def publishing(address: str, **keys: Any) -> Iterator[Publisher]:
    """A publisher to ``gate/…`` at this broker."""
    sink = MqttSink.model_validate({"kind": "mqtt", "broker": address, "topic": "gate", **keys})
    with open_publisher(sink, pipeline="gate") as publisher:
        yield publisher


def news(publisher: Publisher, *, until: str) -> list[str]:
    """What the publisher tells until a sentence has these words."""
    told: list[str] = []

    def is_told() -> bool:
        told.extend(news.text for news in publisher.standing.take_news())
        return any(until in text for text in told)

    wait_until(is_told)
    return told


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for something that another thread does and nobody announces."""
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s, "the condition did not come true"
        time.sleep(0.01)  # another thread's doing, which nobody announces


def online(listener: Listener) -> list[bool]:
    """What the status topic has said."""
    return [json.loads(body)["online"] for body in listener.bodies("gate/status")]


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_messages_go_to_their_topics_in_order(broker: StartBroker, qos: int) -> None:  # noqa: F811 - the fixture
    """Pairs and events have a topic each; whatever the quality of service, in order and once."""
    server = broker()
    with closing(Listener(server, "gate/#")) as listener, publishing(server.address, qos=qos) as publisher:
        for number in range(50):
            publisher.publish(message(number))
        publisher.publish(message(7, Kind.EVENT))
        listener.wait_until(lambda: len(listener.heard) >= 52)
        assert listener.bodies("gate/pairs") == [b"%d" % number for number in range(50)]
        assert listener.bodies("gate/events") == [b"7"]
        assert publisher.standing.lost == 0


def test_the_status_says_who_is_there(broker: StartBroker) -> None:  # noqa: F811 - the fixture
    """Online once connected, kept for those who come later; offline after an orderly end."""
    server = broker()
    with closing(Listener(server, "gate/#")) as listener:
        with publishing(server.address):
            listener.wait_until(lambda: online(listener) == [True])
            with closing(Listener(server, "gate/status")) as late:
                late.wait_until(lambda: online(late) == [True])
        listener.wait_until(lambda: online(listener) == [True, False])


@pytest.mark.fault
def test_a_publisher_that_is_killed_is_reported_by_the_broker(
    broker: StartBroker,  # noqa: F811 - the fixture
    record_property: Any,
) -> None:
    """After ``kill -9`` the status topic says offline: the last will."""
    record_property("room", "operations")
    record_property("fault", "the process that publishes to MQTT is killed")
    server = broker()
    with closing(Listener(server, "gate/#")) as listener:
        child = subprocess.Popen([sys.executable, "-c", CHILD, server.address])
        listener.wait_until(lambda: online(listener) == [True])
        child.kill()
        child.wait()
        killed_s = time.monotonic()
        listener.wait_until(lambda: online(listener) == [True, False])
        told_s = time.monotonic() - killed_s
    assert told_s < 2.0
    record_property("recovery_s", told_s)
    record_property("promise", "offline within 2 s")


def test_what_was_published_before_the_end_arrives(broker: StartBroker) -> None:  # noqa: F811 - the fixture
    """Closing waits a moment for what is still to be sent."""
    server = broker()
    with closing(Listener(server, "gate/#")) as listener:
        with publishing(server.address) as publisher:
            listener.wait_until(lambda: online(listener) == [True])
            for number in range(100):
                publisher.publish(message(number))
        listener.wait_until(lambda: len(listener.bodies("gate/pairs")) == 100)
        assert publisher.standing.lost == 0


@pytest.mark.fault
def test_a_broker_that_is_gone_and_back_gets_the_newest(
    broker: StartBroker,  # noqa: F811 - the fixture
    record_property: Any,
) -> None:
    """Publishing never waits; the newest messages are kept, the older ones counted; then all goes on."""
    record_property("room", "operations")
    record_property("fault", "the MQTT broker is killed and comes back")
    server = broker()
    with publishing(server.address) as publisher:
        with closing(Listener(server, "gate/#")) as listener:
            publisher.publish(message(0))
            listener.wait_until(lambda: listener.bodies("gate/pairs") == [b"0"])
        server.kill()
        news(publisher, until="broke")
        began_s = time.perf_counter()
        last = ROOM + 100  # and one is in the courier's hands
        for number in range(1, last + 1):
            publisher.publish(message(number))
        assert time.perf_counter() - began_s < 1.0
        lost = publisher.standing.lost
        assert lost in {99, 100}
        server.start()
        back_s = time.monotonic()
        with closing(Listener(server, "gate/#")) as listener:
            again = news(publisher, until="works again")[-1]
            publisher.publish(message(last + 1))
            listener.wait_until(lambda: listener.bodies("gate/pairs")[-1:] == [b"%d" % (last + 1)])
            recovery_s = time.monotonic() - back_s
            heard = [int(body) for body in listener.bodies("gate/pairs")]
    assert heard[-ROOM:] == list(range(last + 2 - ROOM, last + 2))
    assert f"{lost} messages were lost" in again
    assert recovery_s < RECOVERY_S
    record_property("recovery_s", recovery_s)
    record_property("promise", f"{RECOVERY_S:g} s")


@pytest.mark.fault
def test_a_broker_that_hangs_keeps_nobody_waiting(
    broker: StartBroker,  # noqa: F811 - the fixture
    record_property: Any,
) -> None:
    """While the broker is stopped, messages are taken over at once; when it goes on, they arrive."""
    record_property("room", "operations")
    record_property("fault", "the MQTT broker hangs and goes on")
    server = broker()
    with closing(Listener(server, "gate/#")) as listener, publishing(server.address) as publisher:
        listener.wait_until(lambda: online(listener) == [True])
        server.pause()
        began_s = time.perf_counter()
        for number in range(200):
            publisher.publish(message(number))
        assert time.perf_counter() - began_s < 1.0
        server.resume()
        resumed_s = time.monotonic()
        listener.wait_until(lambda: len(listener.bodies("gate/pairs")) == 200)
        recovery_s = time.monotonic() - resumed_s
        assert publisher.standing.lost == 0
    assert recovery_s < RECOVERY_S
    record_property("recovery_s", recovery_s)
    record_property("promise", f"{RECOVERY_S:g} s")


def test_a_broker_that_is_not_there_is_told_once_and_ends_in_time() -> None:
    """One sentence names the broker; closing takes a moment, and says how many were lost."""
    address = f"127.0.0.1:{free_port()}"
    with publishing(address) as publisher:
        publisher.publish(message(1))
        assert news(publisher, until="cannot be reached") == [
            f"mqtt://{address}/gate: the broker cannot be reached (Connection refused); trying on"
        ]
        began_s = time.monotonic()
    assert time.monotonic() - began_s < 4.0
    assert publisher.standing.lost == 1
    publisher.standing.finish()
    (left,) = publisher.standing.take_news()
    assert left == News(text=f"mqtt://{address}/gate: 1 message was not delivered", level="warning")


def test_a_wrong_password_is_told(broker: StartBroker, tmp_path: Path) -> None:  # noqa: F811 - the fixture
    """The broker's own reason is passed on, never the password; the right one gets in."""
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), "gate", "secret-word"], check=True)
    server = broker(f"allow_anonymous false\npassword_file {passwords}")
    with publishing(server.address, username="gate", password="secret-w0rd") as publisher:  # noqa: S106 - no secret
        (text,) = news(publisher, until="refuses")
        assert "Not authorized" in text
        assert "secret" not in text
    with publishing(server.address, username="gate", password="secret-word") as publisher:  # noqa: S106 - no secret
        publisher.publish(message(1))
        assert publisher.standing.take_news() == []


# Paho leaves the socket of a handshake that failed to the garbage collector, which is called here.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_encrypted_connection_trusts_only_its_authority(
    broker: StartBroker,  # noqa: F811 - the fixture
    tmp_path: Path,
) -> None:
    """With the right authority messages arrive; with the machine's own the broker is not believed."""
    certificate, key = _certificate(tmp_path)
    plain = free_port()
    server = broker(
        f"allow_anonymous true\ncertfile {certificate}\nkeyfile {key}\n"
        f"listener {plain} 127.0.0.1\nallow_anonymous true"
    )
    listening = _at(server, plain)
    with closing(Listener(listening, "gate/#")) as listener:
        with publishing(server.address, tls=True, ca=str(certificate)) as publisher:
            publisher.publish(message(1))
            listener.wait_until(lambda: listener.bodies("gate/pairs") == [b"1"])
        with publishing(server.address, tls=True) as publisher:
            news(publisher, until="its certificate is not accepted: self-signed certificate")
    gc.collect()


# As above.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_why_no_encrypted_connection_comes_about_is_told(
    broker: StartBroker,  # noqa: F811 - the fixture
    tmp_path: Path,
) -> None:
    """Another host's certificate, a plain greeting at a TLS port, a TLS greeting at a plain port."""
    certificate, key = _certificate(tmp_path, host="10.0.0.1")
    plain = free_port()
    server = broker(
        f"allow_anonymous true\ncertfile {certificate}\nkeyfile {key}\n"
        f"listener {plain} 127.0.0.1\nallow_anonymous true"
    )
    with publishing(server.address, tls=True, ca=str(certificate)) as publisher:
        news(publisher, until="certificate is not valid for '127.0.0.1'")
    with publishing(server.address) as publisher:
        news(publisher, until="if it wants TLS, set tls: true")
    with publishing(f"127.0.0.1:{plain}", tls=True) as publisher:
        news(publisher, until="is this its TLS port?")
    gc.collect()


def test_an_authority_that_is_none_is_refused(tmp_path: Path) -> None:
    """A file that is missing or holds no certificate is one sentence, at once."""
    (tmp_path / "nonsense.pem").write_text("nonsense")
    for name in ("absent.pem", "nonsense.pem"):
        with (
            pytest.raises(UsageError, match=rf"{name}: cannot be used as certificate authority"),
            publishing("127.0.0.1:1", tls=True, ca=str(tmp_path / name)),
        ):
            pass


def _certificate(folder: Path, host: str = "127.0.0.1") -> tuple[Path, Path]:
    """A certificate of a host that is its own authority."""
    certificate, key = folder / "broker.pem", folder / "broker.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-days", "2", "-subj", f"/CN={host}", "-addext", f"subjectAltName=IP:{host}"]
    try:
        subprocess.run(
            [*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True
        )
    except FileNotFoundError:
        need_server("openssl is not installed")
    return certificate, key


def _at(server: Broker, port: int) -> Broker:
    """The same broker at another of its ports."""
    other = object.__new__(Broker)
    other.__dict__.update(server.__dict__, port=port)
    return other
