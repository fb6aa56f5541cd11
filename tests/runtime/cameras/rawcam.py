"""A camera of its own kind for the fault tests: a source plug-in, and the device as a process.

The device (``python rawcam.py PORT WIDTH HEIGHT FORMAT FPS``) gives each client a header and then raw
images with a number in them. The plug-in reads them as ``rawcam://127.0.0.1:PORT``. When the file that its
option ``hang`` names is there, it takes it away and never comes back from that read; with the option
``hang_open`` it never comes back from being opened.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from streamfuse.config.sources import SourceConfig
from streamfuse.errors import SourceError, UsageError
from streamfuse.frames import DropCause, Image, ImageSpec, PixelFormat, StreamName
from streamfuse.io.source import SourceFrame, SourceInfo


class RawCamera:
    """The client: a :class:`streamfuse.io.source.Source`."""

    def __init__(self, config: SourceConfig, *, stream: StreamName) -> None:
        unknown = config.options.keys() - {"hang", "hang_open", "lose", "shutter"}
        if unknown:
            raise UsageError(f"{stream}: rawcam has no option {', '.join(unknown)}")
        if "hang_open" in config.options:
            threading.Event().wait()
        self._config = config
        self._lose = int(config.options.get("lose", 0))
        """Every so many frames, one is told to be corrupt."""
        self._shutter = int(config.options.get("shutter", 0))
        """Every so many frames, the shutter is closed for one."""
        self._count = 0
        place = urlsplit(config.uri)
        try:
            self._socket = socket.create_connection((place.hostname, place.port), config.timeout_s)
        except OSError as error:
            raise SourceError(f"{stream}: {config.uri}: {error}") from error
        try:
            header = json.loads(self._exactly(128))
        except SourceError:
            self.close()
            raise
        spec = ImageSpec(format=PixelFormat(header["format"]), size_wh=tuple(header["size_wh"]))
        self.info = SourceInfo(spec=spec, fps=header["fps"], frame_count=None, live=True)

    def read(self) -> SourceFrame:
        """The next image."""
        hang = Path(self._config.options.get("hang", "/nonexistent"))
        if hang.exists():
            hang.unlink()
            threading.Event().wait()
        spec = self.info.spec
        data = self._exactly(spec.nbytes)
        self._count += 1
        closed = self._shutter > 0 and self._count % self._shutter == 0
        lost = {DropCause.CORRUPT: 1} if self._lose and self._count % self._lose == 0 else {}
        return SourceFrame(
            image=Image.from_buffer(spec, data),
            pts_ns=round(self._count * 1e9 / self.info.fps),
            shutter_closed=closed,
            lost=lost,
        )

    def skip(self, count: int) -> None:
        """Nothing to skip."""

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def _exactly(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            try:
                chunk = self._socket.recv(count - len(data))
            except OSError as error:
                raise SourceError(f"{self._config.uri}: {error}") from error
            if not chunk:
                raise SourceError(f"{self._config.uri}: the device has closed the connection")
            data += chunk
        return bytes(data)


def main() -> None:
    """Be the device until killed."""
    port, width, height, form, fps = sys.argv[1:]
    spec = ImageSpec(format=PixelFormat(form), size_wh=(int(width), int(height)))
    header = json.dumps({"size_wh": spec.size_wh, "format": form, "fps": float(fps)}).ljust(128).encode()
    with socket.create_server(("127.0.0.1", int(port))) as server:
        print(f"ready {server.getsockname()[1]}", flush=True)  # noqa: T201 - tells the test
        while True:
            client, _ = server.accept()
            threading.Thread(target=serve, args=(client, header, spec, float(fps)), daemon=True).start()


def serve(client: socket.socket, header: bytes, spec: ImageSpec, fps: float) -> None:
    """Give one client pictures until it goes away."""
    rng = np.random.default_rng()
    start, number = time.monotonic(), 0
    with client:
        try:
            client.sendall(header)
            while True:
                client.sendall(rng.bytes(spec.nbytes))
                number += 1
                time.sleep(max(0.0, start + number / fps - time.monotonic()))
        except OSError:
            return


if __name__ == "__main__":
    main()
