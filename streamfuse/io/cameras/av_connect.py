"""Connecting to a stream on the network with PyAV: options, time-outs, and errors in words.

No credential of a URI gets out: FFmpeg's errors carry the whole URI, so they are not chained.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

import av
from av.codec.hwaccel import HWAccel
from av.container import InputContainer

from streamfuse.clock import NS_PER_S, Clock
from streamfuse.config.sources import SourceConfig
from streamfuse.errors import SourceError, StreamfuseError, UsageError

__all__ = ["Deadline", "broken", "connect", "silent"]

# Enough to see the form of the stream; the size comes from the first decoded picture. Not FFmpeg's
# `nobuffer`: it throws away what is read meanwhile, and with it the first key frame.
_LOW_LATENCY: Final = {"probesize": "262144", "analyzeduration": "500000"}
_BY_SCHEME: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        # Sound would make FFmpeg shift the times of the pictures when the first sender report comes.
        "rtsp": {"allowed_media_types": "video"},
        "rtsps": {"allowed_media_types": "video"},
        # A burst that does not fit the buffer is loss, not the end.
        "udp": {"overrun_nonfatal": "1", "fifo_size": "50000", "buffer_size": "4194304"},
        "rtp": {"buffer_size": "4194304"},
        "rtmp": {"rtmp_live": "live", "rtmp_buffer": "100"},
        "rtmps": {"rtmp_live": "live", "rtmp_buffer": "100"},
    }
)
_WORDS: Final[tuple[tuple[type[av.FFmpegError], str], ...]] = (
    (av.HTTPUnauthorizedError, "it refuses user and password (401); check them in the uri"),
    (av.HTTPForbiddenError, "it forbids this stream to this user (403); check the user's rights"),
    (av.HTTPNotFoundError, "it has no stream of this name (404); check the path in the uri"),
    (av.ConnectionRefusedError, "nothing listens there (connection refused); check address, port and camera"),
    (av.InvalidDataError, "what it sends is no video that FFmpeg knows; check the uri"),
    (av.EOFError, "it ends before its first picture; check the sender"),
)


class Deadline:
    """What is left of a number of seconds, as the number that PyAV takes for a time-out.

    PyAV reads the number anew for each of its steps, so that several steps share one limit, and the
    limit of a read can be set after the stream was opened.
    """

    def __init__(self, limit_s: float, *, clock: Clock) -> None:
        self._clock = clock
        self._limit_ns = round(limit_s * NS_PER_S)
        self.restart()

    def restart(self) -> None:
        """The whole number of seconds is left again."""
        self._end_ns = self._clock.now_ns() + self._limit_ns

    @property
    def is_over(self) -> bool:
        """Whether nothing is left."""
        return self._clock.now_ns() >= self._end_ns

    def __float__(self) -> float:
        return max(0.0, (self._end_ns - self._clock.now_ns()) / NS_PER_S)


def connect(
    config: SourceConfig, *, label: str, deadline: Deadline, hwaccel: HWAccel | None
) -> InputContainer:
    """Open the stream that ``config`` names; opening and each later read end at ``deadline``.

    Args:
        config: Its ``transport``, ``timeout_s`` and ``options`` are used; options win.
        label: What error messages start with; without credentials.
        deadline: For all of the opening; whoever reads restarts it before.
        hwaccel: What decodes; None for software.

    Raises:
        SourceError: it cannot be reached, or sends no video.
        UsageError: this FFmpeg lacks the protocol or an option.
    """
    timeout: Any = (deadline, deadline)
    try:
        container = av.open(config.uri, options=_options(config), timeout=timeout, hwaccel=hwaccel)
    except (av.FFmpegError, OSError) as error:
        if deadline.is_over:  # whatever FFmpeg calls it
            raise silent(label=label, timeout_s=config.timeout_s) from None
        raise _refused(error, label=label, config=config) from None
    except UnicodeError:
        raise UsageError(f"{label}: the host name cannot be encoded; check the uri") from None
    if not container.streams.video:
        container.close()
        raise SourceError(f"{label}: it sends no pictures; check the uri")
    return container


def broken(error: Exception | None, *, label: str, timeout_s: float) -> SourceError:
    """The error to raise when a stream that ran stops with PyAV's ``error``; None: it came to its end."""
    if isinstance(error, av.ExitError | TimeoutError):
        return silent(label=label, timeout_s=timeout_s)
    reason = "" if error is None else f" ({_reason(error)})"
    return SourceError(f"{label}: the sender ended the stream or the connection broke{reason}")


def _refused(error: Exception, *, label: str, config: SourceConfig) -> StreamfuseError:
    """The error to raise for one of PyAV's at the opening."""
    if isinstance(error, av.ProtocolNotFoundError):
        scheme = urlsplit(config.uri).scheme
        return UsageError(
            f"{label}: this build of FFmpeg lacks {scheme}://; install PyAV against an FFmpeg that has it, "
            "or let a gateway turn the stream into rtsp:// or udp://"
        )
    if isinstance(error, av.ExitError | TimeoutError):
        return silent(label=label, timeout_s=config.timeout_s)
    for kind, words in _WORDS:
        if isinstance(error, kind):
            return SourceError(f"{label}: {words}")
    return SourceError(f"{label}: cannot be reached ({_reason(error)}); check host name, network and camera")


def silent(*, label: str, timeout_s: float) -> SourceError:
    """The error to raise when nothing came within the time-out."""
    return SourceError(
        f"{label}: nothing came for {timeout_s:g} s (timeout_s); check the camera and the network"
    )


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or type(error).__name__)


def _options(config: SourceConfig) -> dict[str, str]:
    scheme = urlsplit(config.uri).scheme.lower()
    options = {**_LOW_LATENCY, **_BY_SCHEME.get(scheme, {})}
    limit_us = str(round(config.timeout_s * 1e6))
    if scheme in {"rtsp", "rtsps"}:
        options["rtsp_transport"] = config.transport
        options["timeout"] = limit_us  # of its socket, so that the farewell at closing ends, too
    else:
        options["rw_timeout"] = limit_us
    return {**options, **config.options}
