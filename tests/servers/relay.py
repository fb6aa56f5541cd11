"""What stands between a sender and us: it flips bytes in bursts, or lets nothing through."""

from __future__ import annotations

import random
import select
import socket
import threading
import time
from typing import Final

__all__ = ["TcpRelay", "UdpRelay"]

_POLL_S: Final = 0.05
_SHARE: Final = 0.1
"""Of the bytes that a burst flips."""
_CLEAN_HEAD: Final = 4_096
"""Bytes at the start of a TCP connection that are never damaged: the head of the answer."""


class _Relay:
    """Forwards in a thread of its own; while ``silent`` it holds back everything."""

    def __init__(self, target_port: int) -> None:
        self._burst_end_s = 0.0
        self.silent = False
        self._target = ("127.0.0.1", target_port)
        self._random = random.Random(5)  # noqa: S311 - noise
        self._stop = threading.Event()
        self._socket = self._open()
        self.port = int(self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._forward, name=f"relay-{self.port}")
        self._thread.start()

    def burst(self, seconds: float) -> None:
        """Flip a tenth of all bytes from now on for so long."""
        self._burst_end_s = time.monotonic() + seconds

    def close(self) -> None:
        """Stop forwarding."""
        self._stop.set()
        self._thread.join()
        self._socket.close()

    def _open(self) -> socket.socket:
        raise NotImplementedError

    def _forward(self) -> None:
        raise NotImplementedError

    def _spoilt(self, data: bytes) -> bytes:
        if time.monotonic() >= self._burst_end_s:
            return data
        spoilt = bytearray(data)
        for place in self._random.sample(range(len(data)), round(len(data) * _SHARE)):
            spoilt[place] ^= self._random.randrange(1, 256)
        return bytes(spoilt)


class UdpRelay(_Relay):
    """From :attr:`port` to the target port, datagram by datagram."""

    def _open(self) -> socket.socket:
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        opened.bind(("127.0.0.1", 0))
        opened.settimeout(_POLL_S)
        return opened

    def _forward(self) -> None:
        while not self._stop.is_set():
            try:
                data = self._socket.recv(65_536)
            except (TimeoutError, ConnectionRefusedError):  # refused: nobody listened to the datagram before
                continue
            if not self.silent:
                self._socket.sendto(self._spoilt(data), self._target)


class TcpRelay(_Relay):
    """Whoever connects to :attr:`port` talks to the target; what the target sends is damaged."""

    def _open(self) -> socket.socket:
        opened = socket.create_server(("127.0.0.1", 0))
        opened.settimeout(_POLL_S)
        return opened

    def _forward(self) -> None:
        while not self._stop.is_set():
            try:
                client, _ = self._socket.accept()
            except TimeoutError:
                continue
            with client, socket.create_connection(self._target) as target:
                self._talk(client, target)

    def _talk(self, client: socket.socket, target: socket.socket) -> None:
        passed = 0
        while not self._stop.is_set():
            ends = [client] if self.silent else [client, target]
            for end in select.select(ends, [], [], _POLL_S)[0]:
                try:
                    data = end.recv(65_536)
                    if not data:
                        return
                    if end is client:
                        target.sendall(data)
                        continue
                    client.sendall(self._spoilt(data) if passed > _CLEAN_HEAD else data)
                    passed += len(data)
                except OSError:  # one of them is gone
                    return
