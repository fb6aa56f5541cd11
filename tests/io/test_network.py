"""Streams from real senders on loopback: pictures, times, and every way to have none."""

from __future__ import annotations

import socket
import time
from contextlib import closing

import numpy as np
import pytest
from numbers_in_pictures import number_of
from servers import StartRtsp, StartSender, free_port

from streamfuse.config.sources import VisibleSource
from streamfuse.core.clockfit import TimeSource
from streamfuse.errors import SourceError
from streamfuse.frames import StreamName
from streamfuse.io.cameras.network import NetworkSource
from streamfuse.io.source import SourceFrame

TIMEOUT_S = 2.0


def config(uri: str, **keys: object) -> VisibleSource:
    """A source's block with a short time-out."""
    return VisibleSource.model_validate({"uri": uri, "timeout_s": TIMEOUT_S, **keys})


def opened(uri: str, **keys: object) -> closing[NetworkSource]:
    """A source that is closed in the end."""
    return closing(NetworkSource(config(uri, **keys), stream=StreamName.VISIBLE))


def frames(source: NetworkSource, count: int) -> list[SourceFrame]:
    """The next frames."""
    taken = [source.read() for _ in range(count)]
    return [frame for frame in taken if frame is not None]


def numbers(taken: list[SourceFrame]) -> list[int]:
    """What the pictures say."""
    return [number_of(frame.image.planes[0]) for frame in taken]


def is_by_rtcp(frame: SourceFrame) -> bool:
    """Whether a frame has the camera's own time, or else that of the stream."""
    assert frame.stamp is not None
    assert frame.stamp.source in {TimeSource.RTCP, TimeSource.PTS}
    return frame.stamp.source is TimeSource.RTCP


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_rtsp_gives_every_picture_with_the_cameras_time(rtsp: StartRtsp, transport: str) -> None:
    """Pictures come one by one with even times, and soon with the camera's clock, near their arrival."""
    server = rtsp()
    with opened(server.uri, transport=transport) as source:
        assert source.info.spec.size_wh == (320, 240)
        assert source.info.fps == 25
        assert source.info.live
        taken = frames(source, 30)
        while not is_by_rtcp(taken[-1]) and len(taken) < 250:  # reports come some seconds apart
            taken += frames(source, 1)
        arrival_utc_ns = time.time_ns()
    assert np.all(np.diff(numbers(taken)) == 1)
    np.testing.assert_allclose(np.diff([frame.pts_ns for frame in taken]) / 1e6, 40, atol=25)
    assert [is_by_rtcp(frame) for frame in (taken[0], taken[-1])] == [False, True]
    assert taken[-1].stamp is not None
    assert 0 <= (arrival_utc_ns - taken[-1].stamp.time_ns) / 1e6 < 200


def test_udp_transport_stream(sender: StartSender) -> None:
    """A sender that nobody answers is joined at its next key frame."""
    uri = f"udp://127.0.0.1:{free_port(socket.SOCK_DGRAM)}"
    sender(f"{uri}?pkt_size=1316")
    with opened(uri, timeout_s=5) as source:
        taken = frames(source, 30)
    assert np.all(np.diff(numbers(taken)) == 1)
    assert all(not frame.lost for frame in taken)


def test_frames_that_are_sent_out_of_order_come_in_order(sender: StartSender) -> None:
    """B-frames, which broadcast software sends, are put in order, with even times."""
    uri = f"http://127.0.0.1:{free_port()}/"
    sender(uri, bframes=3)
    with opened(uri) as source:
        taken = frames(source, 60)
    assert np.all(np.diff(numbers(taken)) == 1)
    np.testing.assert_allclose(np.diff([frame.pts_ns for frame in taken]) / 1e6, 40, atol=1)
    assert all(not frame.lost for frame in taken)


@pytest.mark.parametrize(
    ("scheme", "container", "codec"),
    [
        ("http", "mpegts", "libx264"),
        ("http", "mpjpeg", "mjpeg"),
        ("rtmp", "flv", "libx264"),
    ],
)
def test_a_sender_that_serves(sender: StartSender, scheme: str, container: str, codec: str) -> None:
    """HTTP and RTMP streams are read from their first picture on, and their end is an error to try again."""
    uri = f"{scheme}://127.0.0.1:{free_port()}/live/stream"
    sender(uri, container=container, codec=codec, frames=40)
    with opened(uri) as source:
        taken = frames(source, 30)
        assert numbers(taken) == list(range(30))
        with pytest.raises(SourceError, match="the sender ended the stream or the connection broke"):
            frames(source, 11)
