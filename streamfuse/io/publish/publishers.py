"""All publishers of a pipeline together: they are given frames and say what became of the messages."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, assert_never

from streamfuse.clock import Utc
from streamfuse.config.outputs import JsonlSink, MqttSink, PublishSink, WebhookSink, ZeromqSink
from streamfuse.core.messages import Kind, Message, Newsroom
from streamfuse.errors import MachineError
from streamfuse.frames import FusedFrame
from streamfuse.io.closing import Closing
from streamfuse.io.publish.courier import Courier
from streamfuse.io.publish.jsonl import JsonlPublisher, check_path
from streamfuse.io.publish.publisher import Publisher
from streamfuse.io.publish.standing import News
from streamfuse.io.publish.webhook import WebhookCarrier
from streamfuse.io.publish.zeromq import ZeromqPublisher, load_keys

if TYPE_CHECKING:
    from streamfuse.io.publish.mqtt import MqttCarrier

__all__ = ["Publishers", "check_publisher", "open_publisher"]

_KINDS: Final = {
    "pairs": frozenset({Kind.PAIR}),
    "events": frozenset({Kind.EVENT}),
    "all": frozenset({Kind.PAIR, Kind.EVENT}),
}


def open_publisher(sink: PublishSink, *, pipeline: str) -> Publisher:
    """Open one way out. A receiver that is away is no error: it is tried again and again.

    Raises:
        OutputError: a file cannot be written to.
        UsageError: a key or certificate cannot be used.
        MachineError: an address cannot be listened at, or a library is missing.
    """
    match sink:
        case JsonlSink():
            return JsonlPublisher(sink.path)
        case ZeromqSink():
            return ZeromqPublisher(sink)
        case WebhookSink():
            hook = WebhookCarrier(sink)
            return Courier(hook, standing=hook.standing)
        case MqttSink():
            return _open_mqtt(sink, pipeline)
        case _:
            assert_never(sink)


class Publishers(Closing):
    """Sends the messages of each frame to whoever wants them.

    Args:
        sinks: where to, and what each wants.
        pipeline: its name.
        utc: labels monotonic times with UTC.

    Raises:
        StreamfuseError: as :func:`open_publisher`.
    """

    def __init__(self, sinks: Sequence[PublishSink], *, pipeline: str, utc: Utc) -> None:
        wanted = {kind for sink in sinks for kind in _KINDS[sink.what]}
        self._newsroom = Newsroom(pipeline, utc=utc, kinds=wanted)
        with ExitStack() as stack:
            self._ways = [
                (_KINDS[sink.what], stack.enter_context(open_publisher(sink, pipeline=pipeline)))
                for sink in sinks
            ]
            self._open = stack.pop_all()

    @property
    def lost(self) -> int:
        """Messages so far that somebody did not get who should have."""
        return sum(publisher.standing.lost for _, publisher in self._ways)

    def publish(self, frame: FusedFrame) -> None:
        """Send the messages of the next frame."""
        for message in self._newsroom.of(frame):
            self._send(message)

    def turn(self) -> list[News]:
        """Do what is due between frames; returns what people should know."""
        for _, publisher in self._ways:
            publisher.turn()
        return self._news()

    def finish(self) -> list[News]:
        """Say good-bye and close; returns what people should know. The stream has ended."""
        for message in self._newsroom.farewell():
            self._send(message)
        for _, publisher in self._ways:  # all at once, then one after the other is waited for
            publisher.end()
        self.close()
        for _, publisher in self._ways:
            publisher.standing.finish()
        return self._news()

    def close(self) -> None:
        """Close all publishers; may be called twice."""
        self._open.close()

    def _send(self, message: Message) -> None:
        for kinds, publisher in self._ways:
            if message.kind in kinds:
                publisher.publish(message)

    def _news(self) -> list[News]:
        return [news for _, publisher in self._ways for news in publisher.standing.take_news()]


def check_publisher(sink: PublishSink) -> None:
    """See whether a way out can be opened, as far as this is known without listening or connecting.

    Nothing is left behind.

    Raises:
        OutputError: a file cannot be written to.
        UsageError: a key, certificate or address cannot be used.
        MachineError: a library is missing.
    """
    match sink:
        case JsonlSink():
            check_path(sink.path)
        case ZeromqSink():
            load_keys(sink)
        case WebhookSink():
            WebhookCarrier(sink)  # the carriers connect when they are entered, not before
        case MqttSink():
            _mqtt()(sink, pipeline="check")
        case _:
            assert_never(sink)


def _mqtt() -> type[MqttCarrier]:
    try:
        from streamfuse.io.publish.mqtt import MqttCarrier  # noqa: PLC0415 - needs an extra
    except ImportError as error:
        raise MachineError("publishing to MQTT needs a library: pip install 'streamfuse[mqtt]'") from error
    return MqttCarrier


def _open_mqtt(sink: MqttSink, pipeline: str) -> Publisher:
    carrier = _mqtt()(sink, pipeline=pipeline)
    return Courier(carrier, standing=carrier.standing)
