"""Sends numbered pictures with PyAV to an address, or to whoever connects there; runs until killed.

``udp://…`` is sent to. ``http://…`` and ``rtmp://…`` are served to one client after the other, each of
which gets the pictures from number 0 on; RTMP, which PyAV cannot serve, through the ``ffmpeg`` command.
It prints ``ready`` when it begins.
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import time
from fractions import Fraction
from typing import IO, Any, cast
from urllib.parse import urlsplit

import av
from numbers_in_pictures import numbered

CONTENT_TYPE = {"mpegts": "video/mp2t", "mpjpeg": "multipart/x-mixed-replace;boundary=ffmpeg"}


def send(target: str | IO[bytes], arguments: argparse.Namespace) -> None:
    """Encode and send in real time until the other side goes away or ``--frames`` are sent."""
    with av.open(target, "w", format=arguments.format) as container:
        is_jpeg = arguments.codec == "mjpeg"
        delay = {"bf": str(arguments.bframes)} if arguments.bframes else {"tune": "zerolatency"}
        h264 = {"preset": "ultrafast", "g": str(arguments.gop), **delay}
        options = {"qmin": "2", "qmax": "4"} if is_jpeg else h264
        stream: Any = container.add_stream(arguments.codec, rate=arguments.fps, options=options)
        stream.width, stream.height = arguments.size
        stream.pix_fmt = "yuvj420p" if is_jpeg else "yuv420p"
        start_s = time.monotonic()
        for number in range(arguments.frames):
            picture = av.VideoFrame.from_ndarray(numbered(number, arguments.size), format="yuv420p")
            picture = picture.reformat(format=stream.pix_fmt)
            picture.pts, picture.time_base = number, Fraction(1, arguments.fps)
            container.mux(stream.encode(picture))
            time.sleep(max(0.0, start_s + (number + 1) / arguments.fps - time.monotonic()))


def serve_http(arguments: argparse.Namespace) -> None:
    """Answer each request with the stream."""
    with socket.create_server(("127.0.0.1", urlsplit(arguments.url).port or 80)) as server:
        while True:
            client, _ = server.accept()
            with client, cast("IO[bytes]", client.makefile("wb", buffering=0)) as answer:
                client.recv(65_536)
                kind = CONTENT_TYPE[arguments.format]
                answer.write(f"HTTP/1.0 200 OK\r\nContent-Type: {kind}\r\n\r\n".encode())
                send_until_departure(answer, arguments)


def serve_rtmp(arguments: argparse.Namespace) -> None:
    """Let ffmpeg listen and hand the stream on."""
    into = ("-i", "pipe:0", "-c", "copy", "-f", "flv", "-listen", "1", arguments.url)
    arguments.format = "mpegts"
    while True:
        command = ("ffmpeg", "-loglevel", "error", "-probesize", "100000", *into)
        with subprocess.Popen(command, stdin=subprocess.PIPE) as ffmpeg:
            assert ffmpeg.stdin is not None
            send_until_departure(ffmpeg.stdin, arguments)


def send_until_departure(target: IO[bytes], arguments: argparse.Namespace) -> None:
    """Send until all is sent or the client leaves."""
    try:
        send(target, arguments)
    except OSError:
        return


def main() -> None:
    """Send once, or serve for ever."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--format", default="mpegts")
    parser.add_argument("--codec", default="libx264")
    parser.add_argument("--size", type=int, nargs=2, default=(320, 240))
    parser.add_argument("--fps", type=int, default=25)
    parser.add_argument("--gop", type=int, default=25)
    parser.add_argument("--bframes", type=int, default=0)
    parser.add_argument("--frames", type=int, default=1_000_000)
    arguments = parser.parse_args()
    serve = {"http": serve_http, "rtmp": serve_rtmp}.get(urlsplit(arguments.url).scheme)
    print("ready", flush=True)  # noqa: T201 - a protocol of one word
    if serve is None:
        send(arguments.url, arguments)
    else:
        serve(arguments)


if __name__ == "__main__":
    main()
