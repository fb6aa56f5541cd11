"""What the viewer answers to a browser.

* ``/`` the page · ``/static/NAME`` its files · ``/live`` its WebSocket (:mod:`~streamfuse.io.viewer.live`)
* ``/login`` takes a form with ``token`` and gives a cookie
* ``/stream.mjpg`` the fused pictures with overlay, for whatever shows MJPEG
* ``/snapshot.jpg?layer=fused|visible|infrared&overlay=0|1`` the newest picture; 503 before the first one,
  404 where the pair has no such image
* ``/status.json`` ``{"viewer": id of this server, "frame": pictures shown so far, "age_ms": age of the newest
  or null, "status": …}``
* ``/api/health`` how the run is · ``/healthz`` whether the server lives · ``/readyz`` whether the run is
* ``/api/palettes`` the colours of each palette, 256 times [red, green, blue]
* events and recordings: :mod:`~streamfuse.io.viewer.library`
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import BaseRoute, Route, WebSocketRoute

from streamfuse.clock import NS_PER_MS, Clock
from streamfuse.core.thermal.palette import NAMES, named_palette
from streamfuse.io.viewer.access import Access
from streamfuse.io.viewer.assets import load_assets
from streamfuse.io.viewer.door import Door
from streamfuse.io.viewer.guard import Guard
from streamfuse.io.viewer.health import HealthFile
from streamfuse.io.viewer.library import Library
from streamfuse.io.viewer.live import Live
from streamfuse.io.viewer.pictures import Look
from streamfuse.io.viewer.screen import Screen
from streamfuse.io.viewer.settings import ViewerSettings
from streamfuse.io.viewer.stream import BOUNDARY, parts

__all__ = ["MAX_VIEWERS", "viewer_app"]

MAX_VIEWERS: Final = 100
"""Browsers that may look at live pictures at once."""
_LOOKS: Final = tuple(look.value for look in Look)


def viewer_app(
    settings: ViewerSettings,
    screen: Screen,
    library: Library,
    *,
    access: Access,
    cookie: str,
    viewer_id: str,
    clock: Clock,
) -> Guard:
    """The application, with its guard around it.

    Args:
        settings: of the viewer.
        screen: has the pictures.
        library: has events and recordings.
        access: judges requests.
        cookie: name of the cookie that stands for the token.
        viewer_id: tells this server from the one before.
        clock: tells ages.
    """
    assets = load_assets()
    health = HealthFile(settings.status_file, clock)
    live = Live(
        screen,
        health,
        viewer_id=viewer_id,
        max_fps=settings.max_fps,
        max_viewers=MAX_VIEWERS,
        clock=clock,
    )
    login_page = assets["login.html"].content.decode()
    pages = _Pages(settings, screen, health, viewer_id=viewer_id, clock=clock)
    door = Door(access, cookie, encrypted=settings.encrypted, page=login_page, clock=clock)

    def static(request: Request) -> Response:
        asset = assets.get(request.path_params["name"])
        return _not_found() if asset is None else Response(asset.content, media_type=asset.media_type)

    routes: list[BaseRoute] = [
        Route("/", _sync(lambda _: HTMLResponse(assets["index.html"].content))),
        Route("/static/{name}", _sync(static)),
        Route("/login", door.login, methods=["GET", "POST"]),
        WebSocketRoute("/live", live.serve),
        *pages.routes,
        *library.routes,
    ]
    return Guard(Starlette(routes=routes), access, cookie=cookie, login_page=login_page, clock=clock)


def _sync(answer: Callable[[Request], Response]) -> Callable[[Request], object]:
    """An endpoint of what is answered at once: in the event loop, where Starlette would take a thread."""

    async def endpoint(request: Request) -> Response:
        return answer(request)

    return endpoint


class _Pages:
    """The live picture and the state of the run."""

    def __init__(
        self, settings: ViewerSettings, screen: Screen, health: HealthFile, *, viewer_id: str, clock: Clock
    ) -> None:
        self._max_fps = settings.max_fps
        self._screen = screen
        self._health = health
        self._viewer_id = viewer_id
        self._clock = clock
        self._palettes = {name: named_palette(name).tolist() for name in NAMES}
        self.routes = [
            Route("/stream.mjpg", self.stream),
            Route("/snapshot.jpg", self.snapshot),
            Route("/status.json", self.status),
            Route("/api/health", self.health),
            Route("/api/palettes", self.palettes),
            Route("/healthz", self.healthz),
            Route("/readyz", self.readyz),
        ]

    async def stream(self, request: Request) -> Response:
        media_type = f"multipart/x-mixed-replace; boundary={BOUNDARY}"
        if request.method == "HEAD":
            return Response(media_type=media_type)
        if self._screen.viewers >= MAX_VIEWERS:
            return PlainTextResponse(
                f"{MAX_VIEWERS} browsers look already\n", status_code=503, headers={"Retry-After": "10"}
            )
        return StreamingResponse(parts(self._screen, self._max_fps, self._clock), media_type=media_type)

    async def snapshot(self, request: Request) -> Response:
        query = request.query_params
        layer, overlay = query.get("layer", "fused"), query.get("overlay", "1")
        if layer not in _LOOKS or overlay not in {"0", "1"}:
            known = "|".join(_LOOKS)
            return PlainTextResponse(f"expected ?layer={known}&overlay=0|1\n", status_code=400)
        picture = self._screen.picture
        if picture is None:
            return PlainTextResponse("no picture yet\n", status_code=503, headers={"Retry-After": "1"})
        jpeg = await picture.jpeg(Look(layer), overlay=overlay == "1")
        return _not_found() if jpeg is None else Response(jpeg, media_type="image/jpeg")

    async def status(self, _: Request) -> Response:
        picture = self._screen.picture
        if picture is None:
            return JSONResponse({"viewer": self._viewer_id, "frame": 0, "age_ms": None, "status": {}})
        age_ms = round((self._clock.now_ns() - picture.shown_ns) / NS_PER_MS, 1)
        told = {"viewer": self._viewer_id, "frame": picture.number, "age_ms": age_ms}
        return JSONResponse({**told, "status": dict(picture.status)})

    async def health(self, _: Request) -> Response:
        return JSONResponse(await self._health.read())

    async def palettes(self, _: Request) -> Response:
        return JSONResponse(self._palettes)

    async def healthz(self, _: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(self, _: Request) -> Response:
        content = await self._health.read()
        ready = bool(content and content.get("ready"))
        return JSONResponse({"ready": ready}, status_code=200 if ready else 503)


def _not_found() -> Response:
    return PlainTextResponse("not found\n", status_code=404)
