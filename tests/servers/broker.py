"""A real MQTT broker for tests: mosquitto on a free port, which can be killed and started again."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from servers import free_port, need_server

__all__ = ["Broker", "Listener", "StartBroker", "broker"]

WAIT_S = 60.0
MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin")


class Broker:
    """mosquitto; it keeps nothing over a restart, as one without a disk does.

    Args:
        folder: for its configuration.
        more: lines of its configuration besides the port.
    """

    def __init__(self, folder: Path, more: str = "allow_anonymous true") -> None:
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        self._config.write_text(f"user root\nlistener {self.port} 127.0.0.1\n{more}\n")
        self.start()

    @property
    def address(self) -> str:
        """``host:port``."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it (again), on the same port; it listens when this returns."""
        assert MOSQUITTO is not None
        self._process = subprocess.Popen([MOSQUITTO, "-c", str(self._config)], stderr=subprocess.DEVNULL)
        deadline_s = time.monotonic() + WAIT_S
        while not self._listens():
            assert time.monotonic() < deadline_s, f"mosquitto does not listen at {self.address}"
            time.sleep(0.02)  # it has no way to tell

    def pause(self) -> None:
        """It hangs: connections stay open, and nothing is answered."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Go on after :meth:`pause`."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
        except ConnectionRefusedError:
            return False
        return True


class Listener:
    """Hears what is published under a topic, in a thread of its own; connects again by itself."""

    def __init__(self, broker: Broker, topic: str) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self._changed = threading.Condition()
        self._topic = topic
        self._subscribed = False
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe(topic, qos=2)
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.connect_async("127.0.0.1", broker.port)
        self._client.loop_start()
        self.wait_until(lambda: self._subscribed)

    def bodies(self, topic: str) -> list[bytes]:
        """What came on one topic, in order."""
        with self._changed:
            return [body for heard_topic, body in self.heard if heard_topic == topic]

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until ``condition`` holds; it is asked again with each message."""
        with self._changed:
            assert self._changed.wait_for(condition, WAIT_S), f"{self._topic}: heard {self.heard[-5:]}"

    def close(self) -> None:
        """Stop listening."""
        self._client.disconnect()
        self._client.loop_stop()
        del self._client  # paho gives its sockets back with the last reference

    def _on_subscribe(self, *_: object) -> None:
        with self._changed:
            self._subscribed = True
            self._changed.notify_all()

    def _on_message(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        with self._changed:
            self.heard.append((message.topic, bytes(message.payload)))
            self._changed.notify_all()


StartBroker = Callable[..., Broker]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[StartBroker]:
    """Start a broker; the arguments are those of :class:`Broker` without its folder."""
    need_server(None if MOSQUITTO else "mosquitto is not installed")
    with ExitStack() as stack:

        def start(more: str = "allow_anonymous true") -> Broker:
            made = Broker(tmp_path, more)
            stack.callback(made.kill)
            return made

        yield start
