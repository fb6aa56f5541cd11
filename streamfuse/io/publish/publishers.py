"""All publishers of a pipeline together: they are given frames and say what became of the messages."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, assert_never

from streamfuse.clock import Utc
from streamfuse.config.outputs import JsonlSink, MqttSink, PublishSink, WebhookSink, ZeromqSink
from streamfuse.core.masks import decode_window
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
    from streamfuse.geometry.outlines import Polygon
    from streamfuse.io.publish.mqtt import MqttCarrier

__all__ = ["Publishers", "check_publisher", "open_publisher"]

_KINDS: Final = {
    "pairs": frozenset({Kind.PAIR}),
    "events": frozenset({Kind.EVENT}),
    "all": frozenset({Kind.PAIR, Kind.EVENT}),
}

_Way = tuple[frozenset[Kind], Publisher]
"""What a publisher wants to hear of, and the publisher."""


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
        self._rooms = []
        with ExitStack() as stack:
            for outline in (None, _outline):  # messages with polygons are made only for those who want them
                ways = [
                    (_KINDS[sink.what], stack.enter_context(open_publisher(sink, pipeline=pipeline)))
                    for sink in sinks
                    if sink.polygons is (outline is not None)
                ]
                if ways:
                    kinds = frozenset[Kind]().union(*(wanted for wanted, _ in ways))
                    room = Newsroom(pipeline, utc=utc, kinds=kinds, outline=outline)
                    self._rooms.append((room, ways))
            self._open = stack.pop_all()
        self._publishers = [publisher for _, ways in self._rooms for _, publisher in ways]

    @property
    def lost(self) -> int:
        """Messages so far that somebody did not get who should have."""
        return sum(publisher.standing.lost for publisher in self._publishers)

    def publish(self, frame: FusedFrame) -> None:
        """Send the messages of the next frame."""
        for room, ways in self._rooms:
            _send(room.of(frame), ways)

    def turn(self) -> list[News]:
        """Do what is due between frames; returns what people should know."""
        for publisher in self._publishers:
            publisher.turn()
        return self._news()

    def finish(self) -> list[News]:
        """Say good-bye and close; returns what people should know. The stream has ended."""
        for room, ways in self._rooms:
            _send(room.farewell(), ways)
        for publisher in self._publishers:  # all at once, then one after the other is waited for
            publisher.end()
        self.close()
        for publisher in self._publishers:
            publisher.standing.finish()
        return self._news()

    def close(self) -> None:
        """Close all publishers; may be called twice."""
        self._open.close()

    def _news(self) -> list[News]:
        return [news for publisher in self._publishers for news in publisher.standing.take_news()]


def _send(messages: Sequence[Message], ways: Sequence[_Way]) -> None:
    for message in messages:
        for kinds, publisher in ways:
            if message.kind in kinds:
                publisher.publish(message)


def _outline(runs: Sequence[int], size_wh: tuple[int, int]) -> tuple[Polygon, ...]:
    from streamfuse.geometry.outlines import outlines  # noqa: PLC0415 - loads OpenCV, which few need

    window, corner_xy = decode_window(runs, size_wh)
    return outlines(window, offset_xy=corner_xy)


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
