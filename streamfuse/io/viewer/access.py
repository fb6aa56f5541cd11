"""Who may see the page: host names, origins, the token. Decisions without a socket.

Three doors, and a request has to pass each of them:

* **Host.** A foreign web page can give its own name the address of this machine (DNS rebinding) and then
  counts as the same site for the browser. So only names are answered that nobody else can own: addresses,
  this machine's own name, and what ``origins`` names.
* **Origin.** Browsers let any page open a WebSocket to anywhere, and tell where the page came from. Only our
  own page and ``origins`` are let in.
* **Token**, where one is set: as ``Authorization: Bearer …``, or as the cookie that ``/login`` gives for it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import socket
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from streamfuse.clock import NS_PER_S

__all__ = ["Access", "Attempts", "Knock", "Refusal", "own_names"]

_HOST: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9._-]{1,253}))(?::[0-9]{1,5})?")
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_OPEN_PATHS: Final = frozenset({"/login", "/healthz", "/readyz"})
"""Without a token, like all of ``/static/``: they tell nothing of the run."""
_SALT: Final = b"streamfuse viewer session 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Knock:
    """What is known of a request before it is answered; headers are empty when they are missing."""

    path: str
    host: str
    origin: str = ""
    fetch_site: str = ""
    """``Sec-Fetch-Site``: how the page that asks is related to us, in the browser's words."""
    fetch_mode: str = ""
    """``Sec-Fetch-Mode``: ``navigate`` when a person follows a link."""
    authorization: str = ""
    cookie: str = ""
    """The value of our cookie."""
    peer: str = ""
    """Address of the other side."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A status of HTTP and one sentence."""

    status: int
    words: str


class Attempts:
    """Counts wrong tokens, so that nobody can try many.

    Args:
        most: wrong ones that an address has free.
        window_s: seconds after which one is forgiven.
        peers: addresses remembered; beyond it the oldest is forgotten.
    """

    def __init__(self, *, most: int = 5, window_s: float = 60.0, peers: int = 1024) -> None:
        self._most = most
        self._each_ns = round(window_s * NS_PER_S / most)
        self._peers = peers
        self._paid_until_ns: OrderedDict[str, int] = OrderedDict()

    def wait_ns(self, peer: str, now_ns: int) -> int:
        """How long an address has to wait before it may try again; 0: it may."""
        full_ns = self._paid_until_ns.get(peer, now_ns) - now_ns
        return max(0, full_ns - (self._most - 1) * self._each_ns)

    def failed(self, peer: str, now_ns: int) -> None:
        """An address had a wrong token."""
        self._paid_until_ns[peer] = max(self._paid_until_ns.get(peer, 0), now_ns) + self._each_ns
        self._paid_until_ns.move_to_end(peer)
        if len(self._paid_until_ns) > self._peers:
            self._paid_until_ns.popitem(last=False)


class Access:
    """Judges requests.

    Args:
        token: what a browser must know; None: nothing.
        names: further host names by which this machine may be called.
        origins: further addresses of the page, such as ``https://box.example``.
        encrypted: whether the page is https.
        addresses: whether any address is a good host, or only those of loopback.
    """

    def __init__(
        self,
        token: str | None,
        *,
        names: Iterable[str] = (),
        origins: Iterable[str] = (),
        encrypted: bool = False,
        addresses: bool = False,
    ) -> None:
        self._token = None if token is None else token.encode()
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins)
        behind = {urlsplit(origin).hostname or "" for origin in self._origins}
        self._names = _LOOPBACK | {name.lower() for name in names} | behind
        self._scheme = "https" if encrypted else "http"
        self._addresses = addresses
        self._attempts = Attempts()

    @property
    def wants_token(self) -> bool:
        """Whether a browser must know something."""
        return self._token is not None

    @property
    def cookie(self) -> str:
        """What the cookie of a browser that knows the token holds.

        It is made from the token alone, so it outlives a restart of the server and dies with the token.
        """
        assert self._token is not None, "asked for the cookie of a page without a token"
        return hmac.new(self._token, _SALT, hashlib.sha256).hexdigest()

    def refusal(self, knock: Knock, now_ns: int) -> Refusal | None:
        """Why a request is not answered; None when it is."""
        if not self._knows_host(knock.host):
            return Refusal(
                400, "this viewer does not go by that name; use its address, or list it in viewer.origins"
            )
        if not self._trusts_site(knock):
            return Refusal(403, "another site's page asks; list its address in viewer.origins if it may")
        if self._token is None or knock.path in _OPEN_PATHS or knock.path.startswith("/static/"):
            return None
        if self.knows_cookie(knock.cookie):
            return None
        kind, _, token = knock.authorization.partition(" ")
        if kind.lower() != "bearer":
            return Refusal(401, "a token is needed: log in, or send it as Authorization: Bearer")
        return self.login(token.strip(), knock.peer, now_ns)

    def knows_cookie(self, value: str) -> bool:
        """Whether a browser with this cookie has shown the token before."""
        return hmac.compare_digest(value.encode(), self.cookie.encode())

    def login(self, token: str, peer: str, now_ns: int) -> Refusal | None:
        """Whether an address knows the token: None, or why it is refused."""
        if self._token is None:
            return None
        if wait_ns := self._attempts.wait_ns(peer, now_ns):
            return Refusal(429, f"too many wrong tokens; try again in {-(-wait_ns // NS_PER_S)} s")
        if hmac.compare_digest(token.encode(), self._token):
            return None
        self._attempts.failed(peer, now_ns)
        return Refusal(401, "that is not the token of this viewer")

    def _knows_host(self, header: str) -> bool:
        match = _HOST.fullmatch(header)
        if match is None:
            return False
        host = (match[1] or match[2]).lower()
        return host in self._names or (self._addresses and _is_address(host))

    def _trusts_site(self, knock: Knock) -> bool:
        if knock.origin:
            origin = knock.origin.lower()
            return origin == f"{self._scheme}://{knock.host.lower()}" or origin in self._origins
        # No Origin: a plain request. Only a link that somebody follows may come from elsewhere.
        return knock.fetch_site not in {"cross-site", "same-site"} or knock.fetch_mode == "navigate"


def own_names() -> frozenset[str]:
    """What this machine is called in its network."""
    name = socket.gethostname().lower()
    short = name.partition(".")[0]
    return frozenset({name, short, f"{short}.local"})


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
