"""Messages to an MQTT broker. The only file that knows paho-mqtt.

Paho keeps the connection in a thread of its own and opens it again by itself. Here is decided what it is
given: no more than a few messages that the broker has not acknowledged, so that what waits does so in the
courier's bounded queue. Paho's call-backs are carried over into the courier's thread, where all state is.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode

from streamfuse.config.fields import split_host_port
from streamfuse.config.outputs import MqttSink
from streamfuse.core.messages import Kind, Message, status_message
from streamfuse.errors import UsageError
from streamfuse.io.publish.courier import Carry
from streamfuse.io.publish.standing import Standing

__all__ = ["MqttCarrier"]

_UNACKNOWLEDGED: Final = 20
"""Messages under way; with a way of 50 ms to the broker and back that is 400 a second."""
_KEEPALIVE_S: Final = 10
"""A broker that is silent for one and a half of it is taken for gone, and so are we by it."""
_CONNECT_S: Final = 2.0
_RETRY_S: Final = 1
_RETRY_MAX_S: Final = 5
_FAREWELL_S: Final = 0.3
_STATUS_QOS: Final = 1


class MqttCarrier:
    """Brings messages to ``TOPIC/pairs`` and ``TOPIC/events``.

    ``TOPIC/status`` always says whether the publisher is there: it is retained, and the broker itself says
    that we are gone if we go without a word (the last will).

    Raises:
        UsageError: the certificate authority cannot be used.
    """

    def __init__(self, sink: MqttSink, *, pipeline: str) -> None:
        self.standing = Standing(f"mqtt://{sink.broker}/{sink.topic}")
        self._sink = sink
        self._pipeline = pipeline
        self._unacknowledged: set[int] = set()
        self._is_up = False
        self._has_answered = False
        self._changed = asyncio.Event()
        self._client = self._make_client()

    async def __aenter__(self) -> Carry:
        self._hear(asyncio.get_running_loop())
        host, port = split_host_port(self._sink.broker)
        self._client.connect_async(host, port, keepalive=_KEEPALIVE_S)
        self._client.loop_start()
        return self._carry

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_up:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._until(lambda: not self._unacknowledged), _FAREWELL_S)
            self._tell_status(online=False)
        self.standing.leave(len(self._unacknowledged))
        self._client.on_disconnect = self._client.on_connect_fail = None  # no news, we want to go
        self._client.disconnect()
        # Its thread may be in the middle of a call-back into this loop, which therefore has to go on.
        await asyncio.to_thread(self._client.loop_stop)
        del self._client  # it gives its sockets back with the last reference

    async def _carry(self, message: Message) -> None:
        qos = self._sink.qos
        while True:
            await self._until(lambda: self._is_up and len(self._unacknowledged) < _UNACKNOWLEDGED)
            info = self._client.publish(self._topic(message.kind), message.body, qos=qos)
            # Without a connection paho keeps what has to be acknowledged, and nothing else.
            if info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS or qos > 0:
                self._unacknowledged.add(info.mid)
                return
            self._is_up = False  # and the call-back that says so is on its way

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    def _topic(self, kind: Kind) -> str:
        return f"{self._sink.topic}/{kind.topic}"

    def _tell_status(self, *, online: bool) -> None:
        body = status_message(self._pipeline, online=online).body
        self._client.publish(self._topic(Kind.STATUS), body, qos=_STATUS_QOS, retain=True)

    def _make_client(self) -> paho.Client:
        sink = self._sink
        client = paho.Client(CallbackAPIVersion.VERSION2)
        client.connect_timeout = _CONNECT_S
        client.reconnect_delay_set(_RETRY_S, _RETRY_MAX_S)
        client.will_set(
            self._topic(Kind.STATUS),
            status_message(self._pipeline, online=False).body,
            qos=_STATUS_QOS,
            retain=True,
        )
        if sink.username is not None:
            client.username_pw_set(sink.username, sink.password)
        if sink.tls:
            try:
                client.tls_set(None if sink.ca is None else str(sink.ca))
            except (OSError, ssl.SSLError) as error:
                raise UsageError(f"{sink.ca}: cannot be used as certificate authority ({error})") from error
        return client

    def _hear(self, loop: asyncio.AbstractEventLoop) -> None:
        """Bring paho's call-backs from its thread into the loop's."""
        client, tell, tls = self._client, loop.call_soon_threadsafe, self._sink.tls

        def connected(_c: paho.Client, _u: Any, _f: Any, code: ReasonCode, _p: Any) -> None:
            tell(self._connected, code)

        def disconnected(_c: paho.Client, _u: Any, _f: Any, code: ReasonCode, _p: Any) -> None:
            tell(self._disconnected, code)

        def unreachable(_c: paho.Client, _u: Any) -> None:
            # Paho calls this while it handles the error, and gives it to nobody.
            tell(self._failed, f"the broker cannot be reached{_reason(sys.exception(), tls=tls)}")

        def published(_c: paho.Client, _u: Any, mid: int, _r: ReasonCode, _p: Any) -> None:
            tell(self._acknowledged, mid)

        client.on_connect = connected
        client.on_disconnect = disconnected
        client.on_connect_fail = unreachable
        client.on_publish = published

    def _connected(self, code: ReasonCode) -> None:
        self._has_answered = True
        if code.is_failure:
            self._failed(f"the broker refuses us ({code})")
            return
        if self._sink.qos == 0:  # nobody will acknowledge what the old connection took with it
            self.standing.lose(len(self._unacknowledged))
            self._unacknowledged.clear()
        self._is_up = True
        self.standing.work()
        self._tell_status(online=True)
        self._changed.set()

    def _disconnected(self, code: ReasonCode) -> None:
        if self._has_answered or self._sink.tls:
            self._failed(f"the connection broke ({code})")
        else:  # this is how a port that waits for TLS takes a plain greeting
            self._failed(f"the broker does not answer ({code}); if it wants TLS, set tls: true")
        self._has_answered = False

    def _failed(self, why: str) -> None:
        self._is_up = False
        self.standing.fail(why)

    def _acknowledged(self, mid: int) -> None:
        self._unacknowledged.discard(mid)
        self._changed.set()


def _reason(error: BaseException | None, *, tls: bool) -> str:
    """Why no connection came about, in brackets; empty where nobody knows."""
    match error:
        case None:
            return ""
        case ssl.SSLCertVerificationError():
            return f" (its certificate is not accepted: {error.verify_message})"
        case ssl.SSLError() | ConnectionResetError() if tls:
            return f" (no encrypted connection: {error.strerror}; is this its TLS port?)"
        case OSError(strerror=str(why)):
            return f" ({why})"
        case _:
            return f" ({error})"
