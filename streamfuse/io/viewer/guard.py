"""Stands before the application: asks the access who may come in, and puts the safe headers on."""

from __future__ import annotations

from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streamfuse.clock import Clock
from streamfuse.io.viewer.access import Access, Knock, Refusal

__all__ = ["Guard"]

_CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": _CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",  # with no-referrer browsers send the login form with "Origin: null"
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Guard:
    """ASGI middleware around everything.

    Args:
        app: what is guarded.
        access: judges.
        cookie: name of our cookie.
        login_page: HTML that asks for the token.
        clock: tells when a wrong token came.
    """

    def __init__(self, app: ASGIApp, access: Access, *, cookie: str, login_page: str, clock: Clock) -> None:
        self._app = app
        self._access = access
        self._cookie = cookie
        self._login_page = login_page
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""

        async def send_dressed(message: Message) -> None:
            if message["type"] in {"http.response.start", "websocket.http.response.start"}:
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._access.refusal(self._knock(scope), self._clock.now_ns())
        if refusal is None:
            await self._app(scope, receive, send_dressed)
            return
        await self._answer(refusal, scope["path"])(scope, receive, send_dressed)

    def _answer(self, refusal: Refusal, path: str) -> Response:
        """The refusal in words; whoever opens the page without a token is asked for it."""
        headers = {"WWW-Authenticate": "Bearer"} if refusal.status == 401 else None
        if refusal.status == 401 and path == "/":
            return HTMLResponse(self._login_page, status_code=401, headers=headers)
        return PlainTextResponse(f"{refusal.words}\n", status_code=refusal.status, headers=headers)

    def _knock(self, scope: Scope) -> Knock:
        connection = HTTPConnection(scope)
        headers = connection.headers
        hosts = headers.getlist("host")
        return Knock(
            path=scope["path"],
            host=hosts[0] if len(hosts) == 1 else "",
            origin=headers.get("origin", ""),
            fetch_site=headers.get("sec-fetch-site", ""),
            fetch_mode=headers.get("sec-fetch-mode", ""),
            authorization=headers.get("authorization", ""),
            cookie=connection.cookies.get(self._cookie, ""),
            peer=connection.client.host if connection.client else "",
        )
