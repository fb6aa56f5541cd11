"""What both pages of a calibration have in common: address, login, files, pictures, the wait for news."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from streamfuse.clock import SystemClock
from streamfuse.config.fields import is_loopback, split_host_port
from streamfuse.core.thermal import agc_percentile
from streamfuse.errors import OutputError, UsageError
from streamfuse.frames import Image, PixelFormat
from streamfuse.io.closing import Closing
from streamfuse.io.viewer.access import Access
from streamfuse.io.viewer.assets import load_assets
from streamfuse.io.viewer.door import Door
from streamfuse.io.viewer.guard import Guard
from streamfuse.io.viewer.hosting import Hosting
from streamfuse.io.viewer.pictures import jpeg_of
from streamfuse.io.viewer.settings import ViewerSettings

__all__ = ["HostedPage", "sync"]

_PAGE: Final = Path(__file__).with_name("page")
_QUALITY: Final = 85
_KEPT: Final = 3
"""Sets of pictures: who asks for one may have heard of it a moment ago."""
_WAIT_S: Final = 5.0
"""How long a browser waits for news before it asks again."""
_LOGIN_HINT: Final = "<code>viewer.token</code> of the pipeline file"


class HostedPage(Closing):
    """One page at an address.

    Args:
        address: ``HOST:PORT``; port 0 takes a free one.
        index: name of its HTML file.
        routes: what it answers besides the files, news and pictures.

    Raises:
        UsageError: that is no address.
        OutputError: it cannot be listened on.
    """

    def __init__(self, address: str, *, index: str, routes: Sequence[BaseRoute] = ()) -> None:
        self.token: str | None = None
        """What a browser must know; None on loopback, where only this machine can ask."""
        self._index = index
        self._routes = routes
        self._assets = {**load_assets(), **load_assets(_PAGE, needed=(index,))}
        self._news: tuple[int, dict[str, Any]] = 0, {}
        self._images: deque[tuple[int, Mapping[str, Image]]] = deque([(0, {})], maxlen=_KEPT)
        self._closed = asyncio.Event()
        self._changed = asyncio.Event()
        self._clock = SystemClock()
        self._hosting = self._host(address)

    def _host(self, address: str) -> Hosting:
        try:
            host, port = split_host_port(address)
        except ValueError as error:
            raise UsageError(str(error)) from error
        self.token = None if is_loopback(host) else secrets.token_urlsafe(9)
        settings = ViewerSettings(host=host, port=port, token=self.token)
        hosting = Hosting(settings, self._app, closed=self._closed, farewell=self._farewell)
        try:
            hosting.start()
        except OutputError as error:
            raise OutputError(
                f"no page can be served on {address} ({error.__cause__}); choose another"
            ) from error
        return hosting

    @property
    def url(self) -> str:
        """Where a browser of this machine finds the page."""
        return self._hosting.url

    def tell(self, news: dict[str, Any], images: Mapping[str, Image] | None = None) -> int:
        """Bring news to all browsers; from any thread. Gives their number.

        Args:
            news: what JSON can say.
            images: by name, with memory of their own; None: as before.
        """
        number = self._news[0] + 1
        self._images.append((number, self._images[-1][1] if images is None else dict(images)))
        self._news = number, news
        self._hosting.call(self._announce)
        return number

    def close(self) -> None:
        """Stop serving; may be called twice."""
        self._hosting.close()

    def _announce(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _farewell(self) -> None:
        self._closed.set()
        self._announce()

    def _app(self, access: Access, cookie: str) -> ASGIApp:
        login = self._assets["login.html"].content.decode().replace(_LOGIN_HINT, "shown in the terminal")
        door = Door(access, cookie, encrypted=False, page=login, clock=self._clock)
        routes: list[BaseRoute] = [
            Route("/", sync(lambda _: HTMLResponse(self._assets[self._index].content))),
            Route("/static/{name}", sync(self._static)),
            Route("/login", door.login, methods=["GET", "POST"]),
            Route("/news.json", self._answer_news),
            Route("/picture.jpg", self._picture),
            *self._routes,
        ]
        return Guard(Starlette(routes=routes), access, cookie=cookie, login_page=login, clock=self._clock)

    def _static(self, request: Request) -> Response:
        asset = self._assets.get(request.path_params["name"])
        if asset is None:
            return PlainTextResponse("not found\n", status_code=404)
        return Response(asset.content, media_type=asset.media_type)

    async def _answer_news(self, request: Request) -> Response:
        """``?after=N``: waits for a while until there are newer ones."""
        after = request.query_params.get("after", "0")
        deadline = asyncio.get_running_loop().time() + _WAIT_S
        while str(self._news[0]) == after and not self._closed.is_set():
            try:
                async with asyncio.timeout_at(deadline):
                    await self._changed.wait()
            except TimeoutError:
                break
        number, news = self._news
        return JSONResponse({"number": number, **news})

    async def _picture(self, request: Request) -> Response:
        """``?name=visible&number=N``: that of the news with this number, or the newest."""
        wanted, kept = request.query_params.get("number"), tuple(self._images)
        images = next((images for number, images in kept if str(number) == wanted), kept[-1][1])
        image = images.get(request.query_params.get("name", ""))
        if image is None:
            return PlainTextResponse("not found\n", status_code=404)
        return Response(await asyncio.to_thread(_jpeg, image), media_type="image/jpeg")


def sync(answer: Callable[[Request], Response]) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint of what is answered at once: in the event loop, where Starlette would take a thread."""

    async def endpoint(request: Request) -> Response:
        return answer(request)

    return endpoint


def _jpeg(image: Image) -> bytes:
    if image.spec.format is PixelFormat.GRAY16:
        image = Image.from_gray(agc_percentile(image.planes[0].astype("uint16", copy=False)))
    return jpeg_of(image, _QUALITY)
