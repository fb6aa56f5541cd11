"""An RTSP server of GStreamer's, which shows a running number in every frame; for /usr/bin/python3.

It prints ``ready PORT`` once it listens. It runs until its standard input ends, and takes lines on it:

- ``size W H``: from the next client on, the picture has this size.
- ``drop``: close the connection to every client.
- ``lose SHARE``: from now on lose this share of the packets on their way.

The number of a frame is burnt in as 16 squares in its top left corner: a white one is a 1, most
significant first (:func:`servers.number_of` reads it).
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import threading

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # type: ignore[import-untyped]  # noqa: E402 - needs the versions

BITS = 16
SQUARE = 16


class Feed:
    """Pushes numbered grey frames into one client's pipeline, at its request."""

    def __init__(self, size_wh: tuple[int, int], fps: int) -> None:
        self.size_wh = size_wh
        self.fps = fps
        self.number = 0

    def push(self, appsrc: Gst.Element, _length: int) -> None:
        """Give ``appsrc`` the next frame."""
        width, height = self.size_wh
        luma = bytearray(numbered_rows(self.number, width) + ramp(self.number, width) * (height - SQUARE))
        buffer = Gst.Buffer.new_wrapped(bytes(luma) + b"\x80" * (width * height // 2))
        buffer.pts = self.number * Gst.SECOND // self.fps
        buffer.duration = Gst.SECOND // self.fps
        self.number += 1
        appsrc.emit("push-buffer", buffer)


def numbered_rows(number: int, width: int) -> bytes:
    """The rows that hold the number."""
    bits = [number >> bit & 1 for bit in reversed(range(BITS))]
    row = b"".join((b"\xe0" if bit else b"\x20") * SQUARE for bit in bits)
    return row.ljust(width, b"\x60")[:width] * SQUARE


def ramp(number: int, width: int) -> bytes:
    """One row of the rest: a ramp that moves, so that frames lean on those before."""
    period = bytes(abs(column - 160) + 40 for column in range(320))
    shift = 4 * number % len(period)
    return (period * (width // len(period) + 2))[shift : shift + width]


class Factory(GstRtspServer.RTSPMediaFactory):
    """Makes a new encoder for every client (or one for all, when shared)."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        super().__init__()
        self.arguments = arguments
        self.set_shared(False)

    def do_create_element(self, _url: object) -> Gst.Element:
        """The pipeline of one client."""
        width, height = self.arguments.size
        fps = self.arguments.fps
        text = (
            f"appsrc name=feed is-live=true format=time do-timestamp=true "
            f"caps=video/x-raw,format=I420,width={width},height={height},framerate={fps}/1 "
            f"! identity sync=true ! x264enc tune=zerolatency speed-preset=ultrafast bitrate=4000 "
            f"key-int-max={self.arguments.gop} ! video/x-h264,profile=baseline "
            f"! rtph264pay name=pay0 pt=96 config-interval=1"
        )
        return Gst.parse_launch(f"( {text} )")

    def do_configure(self, media: GstRtspServer.RTSPMedia) -> None:
        """Feed it."""
        GstRtspServer.RTSPMediaFactory.do_configure(self, media)
        feed = Feed(tuple(self.arguments.size), self.arguments.fps)
        appsrc = media.get_element().get_by_name_recurse_up("feed")
        appsrc.connect("need-data", feed.push)
        media.feed = feed
        pad = media.get_element().get_by_name_recurse_up("pay0").get_static_pad("src")
        pad.add_probe(Gst.PadProbeType.BUFFER | Gst.PadProbeType.BUFFER_LIST, self.lose)

    def lose(self, pad: Gst.Pad, info: Gst.PadProbeInfo) -> Gst.PadProbeReturn:
        """Lose packets, also some of a list of them, which are the packets of one picture."""
        if not info.type & Gst.PadProbeType.BUFFER_LIST:
            lost = random.random() < self.arguments.lose  # noqa: S311 - noise
            return Gst.PadProbeReturn.DROP if lost else Gst.PadProbeReturn.OK
        packets = info.get_buffer_list()
        kept = Gst.BufferList.new()
        for index in range(packets.length()):
            if random.random() >= self.arguments.lose:  # noqa: S311 - noise
                kept.insert(-1, packets.get(index))
        if kept.length() == packets.length():
            return Gst.PadProbeReturn.OK
        pad.get_peer().chain_list(kept)
        return Gst.PadProbeReturn.HANDLED


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="a numbered RTSP stream at rtsp://127.0.0.1:PORT/live")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--size", type=int, nargs=2, default=(320, 240), metavar=("W", "H"))
    parser.add_argument("--fps", type=int, default=25)
    parser.add_argument("--gop", type=int, default=25, help="frames from key frame to key frame")
    parser.add_argument("--password", help="of the user camera; none: open to all")
    parser.set_defaults(lose=0.0)
    return parser.parse_args()


def protect(server: GstRtspServer.RTSPServer, factory: Factory, password: str) -> None:
    """Let in the user ``camera`` with ``password`` alone."""
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "user")
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic("camera", password), token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("user", "media.factory.access", True)
    permissions.add_permission_for_role("user", "media.factory.construct", True)
    factory.set_permissions(permissions)


def main() -> None:
    """Serve until standard input ends."""
    arguments = parse()
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(arguments.port))
    factory = Factory(arguments)
    if arguments.password:
        protect(server, factory, arguments.password)
    server.get_mount_points().add_factory("/live", factory)
    loop = GLib.MainLoop()

    def obey() -> None:
        for line in sys.stdin:
            word, *numbers = line.split()
            if word == "size":
                arguments.size = tuple(map(int, numbers))
            elif word == "lose":
                arguments.lose = float(numbers[0])
            elif word == "drop":
                GLib.idle_add(server.client_filter, lambda *_: GstRtspServer.RTSPFilterResult.REMOVE)
        os._exit(0)  # GStreamer's threads do not end by themselves

    server.attach(None)
    print(f"ready {server.get_bound_port()}", flush=True)  # noqa: T201 - a protocol of one line
    threading.Thread(target=obey, daemon=True).start()
    loop.run()


if __name__ == "__main__":
    main()
