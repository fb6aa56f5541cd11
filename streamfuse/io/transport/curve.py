"""Who may talk to whom beyond this machine: CURVE keys, the allow-list, and how a connection stands.

With ``bus.py`` the only file that knows ZeroMQ. CURVE (CurveZMQ, RFC 26) encrypts and authenticates a
connection with the key pairs of both ends; the producer asks its :class:`Gate` about each key (ZAP, RFC 27).
A key file is one line of text: what it is, and 40 characters of Z85.
"""

from __future__ import annotations

import contextlib
import enum
import logging
import os
import stat
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import zmq
from zmq.utils import z85
from zmq.utils.monitor import parse_monitor_message

from streamfuse.errors import OutputError, UsageError

__all__ = [
    "ClientKeys",
    "Gate",
    "Link",
    "LinkWatch",
    "ServerKeys",
    "load_client_keys",
    "load_server_keys",
    "make_keys",
]

_LOG = logging.getLogger(__name__)

Socket = zmq.Socket[bytes]

_SECRET: Final = "streamfuse-curve-secret"  # noqa: S105 - a label, not a secret
_PUBLIC: Final = "streamfuse-curve-public"
_ZAP_ENDPOINT: Final = "inproc://zeromq.zap.01"
_DOMAIN: Final = b"streamfuse"
_REFUSALS_MAX: Final = 64
"""So many refused keys are remembered, to name each of them once in the log."""
_KEY_FILE_MAX_BYTES: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerKeys:
    """What a capture node needs: its own secret key and the public keys of those it serves."""

    secret: bytes = field(repr=False)
    """Z85, 40 bytes."""
    allowed: Mapping[bytes, str]
    """Public keys, raw, 32 bytes, with the name of the file each came from."""

    def apply(self, socket: Socket) -> None:
        """Make ``socket`` a CURVE server that lets nobody in whom the :class:`Gate` does not know."""
        socket.set(zmq.CURVE_SERVER, 1)
        socket.set(zmq.CURVE_SECRETKEY, self.secret)
        socket.set(zmq.ZAP_DOMAIN, _DOMAIN)
        socket.set(zmq.ZAP_ENFORCE_DOMAIN, 1)  # without a gate nobody gets in, rather than everybody


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientKeys:
    """What a consumer needs: its own secret key and the public key of the node."""

    secret: bytes = field(repr=False)
    """Z85, 40 bytes."""
    server: bytes
    """Z85, 40 bytes."""

    def apply(self, socket: Socket) -> None:
        """Make ``socket`` a CURVE client that talks to nobody but the holder of the node's key."""
        socket.set(zmq.CURVE_SECRETKEY, self.secret)
        socket.set(zmq.CURVE_PUBLICKEY, zmq.curve_public(self.secret))
        socket.set(zmq.CURVE_SERVERKEY, self.server)


def make_keys(name: str, folder: Path) -> tuple[Path, Path]:
    """Make a key pair: ``NAME.key`` for its owner alone, ``NAME.pub`` for everybody it talks to.

    Raises:
        OutputError: one of the files is there already, or cannot be written.
    """
    key, pub = folder / f"{name}.key", folder / f"{name}.pub"
    public, secret = zmq.curve_keypair()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_new(key, f"{_SECRET} {secret.decode()}\n", mode=0o600)
        try:
            _write_new(pub, f"{_PUBLIC} {public.decode()}\n", mode=0o644)
        except OSError:
            key.unlink()
            raise
    except FileExistsError as error:
        raise OutputError(
            f"{error.filename}: is there already, and keys are never overwritten; choose another name"
        ) from error
    except OSError as error:
        raise OutputError(f"{folder}: cannot write keys there ({error.strerror})") from error
    return key, pub


def load_client_keys(own: Path, node: Path) -> ClientKeys:
    """The keys of a consumer.

    Raises:
        UsageError: a file is missing, damaged, of the wrong kind, or a secret that others can read.
    """
    return ClientKeys(secret=_load_secret(own), server=_load(node, _PUBLIC))


def load_server_keys(own: Path, allowed: Iterable[Path]) -> ServerKeys:
    """The keys of a node; a folder among ``allowed`` stands for all ``*.pub`` in it.

    Raises:
        UsageError: a file is missing, damaged, of the wrong kind, or a secret that others can read; or
            nobody is allowed.
    """
    files = [file for path in allowed for file in (sorted(path.glob("*.pub")) if path.is_dir() else [path])]
    if not files:
        raise UsageError(
            f"{own}: nobody is allowed to connect; name the public keys (*.pub) of the fusing machines"
        )
    return ServerKeys(
        secret=_load_secret(own), allowed={z85.decode(_load(file, _PUBLIC)): file.stem for file in files}
    )


class Gate:
    """Answers ZeroMQ's question whether a key may come in, from the thread that owns the socket.

    Args:
        socket: A REP socket in the context of the server socket; bound here, closed by its owner.
        allowed: Raw public keys, with a name for each.
    """

    def __init__(self, socket: Socket, allowed: Mapping[bytes, str]) -> None:
        self.refused = 0
        """Connections turned away because of their key."""
        self.socket = socket
        self._allowed = allowed
        self._named: set[bytes] = set()
        self.socket.bind(_ZAP_ENDPOINT)

    def serve(self) -> None:
        """Answer what has been asked; never blocks."""
        while True:
            try:
                version, request, _domain, address, _identity, mechanism, *credentials = (
                    self.socket.recv_multipart(zmq.DONTWAIT)
                )
            except zmq.Again:
                return
            key = credentials[0] if mechanism == b"CURVE" and credentials else b""
            name = self._allowed.get(key)
            if name is None:
                self._refuse(key, address)
            verdict = (b"400", b"this key is not allowed here", b"") if name is None else (b"200", b"", b"")
            self.socket.send_multipart([version, request, *verdict, b""])

    def _refuse(self, key: bytes, address: bytes) -> None:
        self.refused += 1
        if key in self._named or len(self._named) >= _REFUSALS_MAX:
            return
        self._named.add(key)
        shown = z85.encode(key).decode() if len(key) == 32 else "none"
        _LOG.warning(
            "refused a consumer at %s: its public key %s is not among those allowed",
            address.decode("ascii", "replace"),
            shown,
        )


class Link(enum.StrEnum):
    """How a consumer's connection to its producer stands."""

    SILENT = "silent"
    """Nobody answers at the address."""
    UNPROVEN = "unproven"
    """Somebody answers, but has not proven to be who was expected: a wrong key, or it hangs."""
    REFUSED = "refused"
    """The producer does not allow our key."""
    UP = "up"
    """Connected."""


_MEANING: Final[Mapping[int, Link | None]] = {
    zmq.EVENT_CONNECTED: Link.UNPROVEN,
    zmq.EVENT_HANDSHAKE_SUCCEEDED: Link.UP,
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: Link.REFUSED,
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: Link.UNPROVEN,
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: Link.UNPROVEN,
    zmq.EVENT_DISCONNECTED: None,
    zmq.EVENT_CLOSED: Link.SILENT,
}


class LinkWatch:
    """Follows what ZeroMQ says about the connection of a socket."""

    def __init__(self, socket: Socket) -> None:
        self._watched = socket
        self._monitor = socket.get_monitor_socket(sum(_MEANING))
        self._state = Link.SILENT

    def state(self) -> Link:
        """How it stands now; never blocks."""
        while True:
            try:
                event = parse_monitor_message(self._monitor.recv_multipart(zmq.DONTWAIT))["event"]
            except zmq.Again:
                return self._state
            meaning = _MEANING[event]
            if meaning is not None:
                self._state = meaning
            elif self._state is Link.UP:
                self._state = Link.SILENT

    def close(self) -> None:
        """Stop following; before the socket is closed."""
        self._watched.disable_monitor()
        self._monitor.close(linger=0)


def _write_new(path: Path, text: str, *, mode: int) -> None:
    """Write a file that must not be there, with these rights from its first moment."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with open(fd, "w", encoding="ascii") as file:  # noqa: PTH123 - a file descriptor, not a path
        file.write(text)


def _load_secret(path: Path) -> bytes:
    secret = _load(path, _SECRET)
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise UsageError(
            f"{path}: a secret key that others can read (mode {mode:04o}, expected 0600): `chmod 600 {path}`"
        )
    return secret


def _load(path: Path, label: str) -> bytes:
    """The key in a file of this label, Z85."""
    kind = label.rpartition("-")[2]
    try:
        with path.open("rb") as file:
            data = file.read(_KEY_FILE_MAX_BYTES)
    except OSError as error:
        raise UsageError(
            f"{path}: cannot read the {kind} key ({error.strerror}); `streamfuse keys NAME` makes a pair"
        ) from error
    got, _, key = data.strip().partition(b" ")
    if got != label.encode() and got in {_SECRET.encode(), _PUBLIC.encode()}:
        raise UsageError(f"{path}: expected a {kind} key, got a {got.decode().rpartition('-')[2]} one")
    with contextlib.suppress(ValueError, KeyError, struct.error):
        if got == label.encode() and len(key) == 40 and len(z85.decode(key)) == 32:
            return key
    raise UsageError(
        f'{path}: expected one line "{label} " and 40 characters, got something else; '
        "copy the file again or make new keys with `streamfuse keys`"
    )
