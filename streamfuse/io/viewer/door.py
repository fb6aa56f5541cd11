"""The login: takes the token and gives the cookie."""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from streamfuse.clock import Clock
from streamfuse.io.viewer.access import Access, Refusal

__all__ = ["Door"]

_FORM_BYTES: Final = 4096
_FORM_S: Final = 10.0
"""Seconds in which a form has to arrive."""
_COOKIE_DAYS: Final = 30
_WHY: Final = "<!-- why -->"
"""Where the login page says why a token was refused."""


class Door:
    """Takes the token and gives the cookie."""

    def __init__(self, access: Access, cookie: str, *, encrypted: bool, page: str, clock: Clock) -> None:
        self._access = access
        self._cookie = cookie
        self._encrypted = encrypted
        self._page = page
        self._clock = clock

    async def login(self, request: Request) -> Response:
        """Answer ``/login``: ask for the token, or judge it."""
        if not self._access.wants_token:
            return RedirectResponse("./", status_code=303)
        if request.method != "POST":
            if self._access.knows_cookie(request.cookies.get(self._cookie, "")):
                return RedirectResponse("./", status_code=303)  # nobody who is in is asked again
            return HTMLResponse(self._page)
        try:
            async with asyncio.timeout(_FORM_S):
                token = await _token_of(request)
        except TimeoutError:
            token = None
        if token is None:
            return PlainTextResponse('expected a form with "token"\n', status_code=400)
        peer = request.client.host if request.client else ""
        refusal = self._access.login(token, peer, self._clock.now_ns())
        if refusal is not None:
            return self._refused(refusal)
        answer = RedirectResponse("./", status_code=303)
        answer.set_cookie(
            self._cookie,
            self._access.cookie,
            max_age=_COOKIE_DAYS * 86_400,
            secure=self._encrypted,
            httponly=True,
            samesite="strict",
        )
        return answer

    def _refused(self, refusal: Refusal) -> Response:
        why = f'<p role="alert">{refusal.words[0].upper()}{refusal.words[1:]}.</p>'
        return HTMLResponse(self._page.replace(_WHY, why), status_code=refusal.status)


async def _token_of(request: Request) -> str | None:
    """The ``token`` of a form; None when it is another form, or a large one."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _FORM_BYTES:
            return None
    try:
        return parse_qs(body.decode("ascii"), strict_parsing=True, max_num_fields=4)["token"][0]
    except (ValueError, KeyError):
        return None
