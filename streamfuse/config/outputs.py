"""What comes out of a pipeline, as users write it: recordings, the viewer, messages, numbers."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, model_validator

from streamfuse.config.fields import (
    AbsolutePath,
    Block,
    ByteCount,
    HostPort,
    Name,
    expected,
    is_loopback,
    split_host_port,
)

__all__ = [
    "Clips",
    "EventRule",
    "JsonlSink",
    "Metrics",
    "MqttSink",
    "PublishSink",
    "Record",
    "Retention",
    "Tls",
    "Viewer",
    "WebhookSink",
    "ZeromqSink",
]

_ENDPOINT: Final = re.compile(r"tcp://(.+:[0-9]{1,5})")
_URL: Final = re.compile(
    r"https?://([^\s/@]+@)?(\[[0-9A-Fa-f:.]+\]|[^\s/:@]+)(:(?P<port>[0-9]{1,5}))?(/\S*)?"
)
_TOPIC: Final = re.compile(r"[^\s#+\x00]{1,200}")
_ORIGIN: Final = re.compile(r"https?://[^\s/]+")
TOKEN_MIN: Final = 16
"""Characters of a viewer's token at least."""

Share = Annotated[float, Field(ge=0, le=1)]
"""A part of a whole, 0 to 1."""


class Retention(Block):
    """What makes room for new recordings: the oldest go first, clips of events never."""

    max_bytes: ByteCount | None = None
    """Bytes (``20GB``) that all recordings of the folder may take together."""
    max_days: Annotated[float, Field(gt=0, le=3_650)] | None = None
    """Days after which a recording goes."""
    min_free: ByteCount | None = None
    """Bytes that stay free on the disk."""


class Clips(Block):
    """A video of each event, kept apart from the recordings and out of reach of retention."""

    pre_s: Annotated[float, Field(ge=0, le=60)] = 5.0
    """Seconds before the event; they wait in memory as encoded video, about 0.5 MB each."""
    post_s: Annotated[float, Field(ge=0, le=600)] = 5.0
    """Seconds after its end."""
    max_s: Annotated[float, Field(ge=1, le=3_600)] = 300.0
    """Seconds after which a clip ends even if the event does not."""


Codec = Literal["auto", "h264_nvenc", "h264_vaapi", "libx264", "libsvtav1", "libopenh264", "mpeg4"]


class Record(Block):
    """Video of the fused stream with an index of all pairs."""

    dir: AbsolutePath
    """Folder for the recordings; made if need be."""
    segment_s: Annotated[float, Field(ge=1, le=3_600)] = 60.0
    """Seconds of video per file."""
    codec: Codec = "auto"
    """Video encoder; ``auto`` takes the first that encodes a picture here: NVENC, VAAPI, x264, AV1, …"""
    overlay: bool = False
    """Whether boxes and masks are drawn into the video; they are in the index either way."""
    visible: bool = False
    """Whether the visible stream is recorded beside the fused one."""
    infrared: bool = False
    """Whether the infrared stream is, as it was fused: registered and in 8 bits."""
    raw_infrared: bool = False
    """Whether the infrared camera's own samples are kept, lossless (FFV1), with 16 bits if it has them."""
    subtitles: bool = False
    """Whether the fused video carries the objects of each frame as a subtitle track."""
    continuous: bool = True
    """Whether everything is recorded; false: only clips of events."""
    clips: Clips = Clips()
    """Videos of the pipeline's ``events``."""
    retention: Retention | None = None
    """When old recordings make room; without it they stay."""


class Tls(Block):
    """Encryption of the web page."""

    certificate: AbsolutePath
    """File with the certificate chain (PEM)."""
    key: AbsolutePath
    """File with its secret key (PEM)."""


def _origin(value: Any) -> Any:
    if isinstance(value, str) and not _ORIGIN.fullmatch(value):
        raise expected("an origin such as https://box.example:8090")
    return value


class Viewer(Block):
    """A look at the running pipeline."""

    web: HostPort | None = None
    """``host:port`` of the web page; other than on this machine's own addresses it needs a ``token``."""
    token: str | None = None
    """The password of the web page, 16 characters at least; best as ``${STREAMFUSE_TOKEN}``."""
    tls: Tls | None = None
    """Encrypts the page; without it a token can be read on its way through the network."""
    origins: tuple[Annotated[str, BeforeValidator(_origin)], ...] = ()
    """Further addresses under which browsers know the page, behind a proxy: ``https://box.example``."""
    quality: Annotated[int, Field(ge=1, le=100)] = 80
    """Of the JPEG pictures."""
    max_fps: Annotated[float, Field(gt=0, le=240)] = 30.0
    """Pictures per second that a browser gets at most."""
    window: bool = False
    """A window on the screen of this machine."""

    @model_validator(mode="after")
    def _guarded(self) -> Viewer:
        if self.token is not None and len(self.token) < TOKEN_MIN:
            raise expected(f"a token of {TOKEN_MIN} characters at least")
        address = self.address
        if address is not None and self.token is None and not is_loopback(address[0]):
            raise expected(f"web on 127.0.0.1, or a token: others can reach {self.web}")
        return self

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port of the web page; None without one."""
        return split_host_port(self.web) if self.web is not None else None


Point = Annotated[tuple[Share, Share], Field(strict=False)]
"""x to the right and y down, as shares of the picture's width and height."""


class EventRule(Block):
    """When something that was found is an event."""

    name: Name
    """What the event is called."""
    classes: tuple[str, ...] = ()
    """Names of the objects that count; empty: all."""
    zone: Annotated[tuple[Point, ...], Field(min_length=3)] | None = None
    """Corners of a polygon, as shares of the picture. An object is in it with the middle of its lower
    edge: where a person stands and a car touches the road."""
    confidence: Share = 0.5
    """Objects below this score do not count."""
    min_time_s: Annotated[float, Field(ge=0, le=3_600)] = 0.5
    """Seconds for which such an object must be there before the event begins."""
    gap_s: Annotated[float, Field(ge=0, le=3_600)] = 1.0
    """Seconds without one that do not yet end it."""


What = Literal["pairs", "events", "all"]
"""``pairs``: a message for each fused pair; ``events``: when an event begins and ends; ``all``: both."""


class Told(Block):
    """What every way out has."""

    what: What = "pairs"
    polygons: bool = False
    """Whether masks come as polygons, too."""


class JsonlSink(Told):
    """Lines of JSON in a file."""

    kind: Literal["jsonl"]
    path: AbsolutePath
    """File to append to; its folder is made if need be."""


class Curve(Block):
    """Keys of a socket that other machines may connect to; made by ``streamfuse keys``."""

    own: AbsolutePath
    """File with this machine's secret key."""
    allow: Annotated[tuple[AbsolutePath, ...], Field(min_length=1)]
    """Files with the public keys of those who may listen."""


def _endpoint(value: Any) -> Any:
    if isinstance(value, str):
        match = _ENDPOINT.fullmatch(value)
        try:
            split_host_port(match[1] if match else "")
        except ValueError as error:
            raise expected("an endpoint such as tcp://127.0.0.1:5556") from error
    return value


class ZeromqSink(Told):
    """A ZeroMQ PUB socket: anybody may subscribe, slow subscribers miss messages."""

    kind: Literal["zeromq"]
    bind: Annotated[str, BeforeValidator(_endpoint)]
    """``tcp://host:port`` to listen on; other than on this machine's own addresses it needs ``keys``."""
    keys: Curve | None = None

    @model_validator(mode="after")
    def _guarded(self) -> ZeromqSink:
        host, _ = split_host_port(self.bind.removeprefix("tcp://"))
        if self.keys is None and not is_loopback(host):
            raise expected(f"bind on 127.0.0.1, or keys: others can reach {self.bind}")
        return self


def _topic(value: Any) -> Any:
    if isinstance(value, str) and not _TOPIC.fullmatch(value):
        raise expected("a topic without blanks, # and +")
    return value


class MqttSink(Told):
    """An MQTT broker; messages go to ``TOPIC/pairs`` and ``TOPIC/events``, the state to ``TOPIC/status``."""

    kind: Literal["mqtt"]
    broker: HostPort
    """``host:port``; usually 1883, with TLS 8883."""
    topic: Annotated[str, BeforeValidator(_topic)] = "streamfuse"
    qos: Literal[0, 1, 2] = 1
    """0: at most once; 1: at least once; 2: exactly once."""
    username: str | None = None
    password: str | None = None
    """Best as ``${MQTT_PASSWORD}``."""
    tls: bool = False
    """Encrypted, with a certificate that this machine trusts."""
    ca: AbsolutePath | None = None
    """File with the certificate authority (PEM) to trust instead of the machine's; with ``tls``."""

    @model_validator(mode="after")
    def _whole(self) -> MqttSink:
        if self.password is not None and self.username is None:
            raise expected("a username with the password")
        if self.ca is not None and not self.tls:
            raise expected("tls: true with the ca")
        return self


def _url(value: Any) -> Any:
    if isinstance(value, str):
        match = _URL.fullmatch(value)
        if match is None or int(match["port"] or 0) > 65535:
            raise expected("an address such as https://example.org/hook")
    return value


def _header(value: Any) -> Any:
    if isinstance(value, str) and not (value and value.isascii() and value.isprintable()):
        raise expected("letters, digits and signs of ASCII")
    return value


class WebhookSink(Told):
    """An HTTP server that gets each message as a POST."""

    kind: Literal["webhook"]
    url: Annotated[str, BeforeValidator(_url)]
    token: Annotated[str, BeforeValidator(_header)] | None = None
    """Sent as ``Authorization: Bearer …``; best as ``${HOOK_TOKEN}``."""
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 5.0
    """Seconds the server may take to answer."""
    retry_s: Annotated[float, Field(ge=0, le=86_400)] = 60.0
    """Seconds for which a message is tried again, with growing delays."""
    what: What = "events"


PublishSink = Annotated[JsonlSink | ZeromqSink | MqttSink | WebhookSink, Field(discriminator="kind")]
"""Where messages go."""


class Metrics(Block):
    """Numbers for monitoring."""

    prometheus: HostPort
    """``host:port`` of the Prometheus page; ``0.0.0.0`` lets other machines read it."""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the Prometheus page."""
        return split_host_port(self.prometheus)
