"""The page for clicking the same points in both pictures."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from streamfuse.errors import StreamfuseError
from streamfuse.frames import Image
from streamfuse.io.calibrating.hosted import HostedPage

__all__ = ["ClickPage", "Fit", "Fitted", "Pairs"]

Pairs = npt.NDArray[np.float64]
"""Nx4: x and y in the visible picture, x and y in the infrared one, in pixels, centres at integers."""

_BODY_BYTES: Final = 64 * 1024
_MOST_PAIRS: Final = 500
_LEAST: Final = 5
"""Four pairs fit any homography without a residual."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fitted:
    """What point pairs lead to."""

    residual_px: npt.NDArray[np.float64]
    """(N,): how far each infrared point comes to lie from its visible one."""
    warped: Image
    """The infrared picture where the fit puts it, in the size of the visible one."""


Fit = Callable[[Pairs], Fitted]
"""Raises a StreamfuseError where the pairs determine nothing."""


class ClickPage(HostedPage):
    """Serves the page until pairs are saved.

    Args:
        address: ``HOST:PORT``; port 0 takes a free one.
        visible: picture of any format.
        infrared: picture of any format.
        fit: judges five pairs or more; called in a thread of the server, one call at a time.
    """

    def __init__(self, address: str, visible: Image, infrared: Image, *, fit: Fit) -> None:
        self.saved = Event()
        """Set when somebody has pressed the button; :attr:`pairs` are final then."""
        self.pairs: Pairs = np.zeros((0, 4))
        self._pictures = {"visible": visible, "infrared": infrared}
        self._fit = fit
        self._fitting = asyncio.Lock()
        routes = [
            Route("/fit", self._answer_fit, methods=["POST"]),
            Route("/save", self._save, methods=["POST"]),
        ]
        super().__init__(address, index="click.html", routes=routes)
        self.tell(self._told, self._pictures)

    @property
    def _told(self) -> dict[str, Any]:
        return {
            "least": _LEAST,
            "sizes": {name: image.spec.size_wh for name, image in self._pictures.items()},
        }

    async def _answer_fit(self, request: Request) -> Response:
        """``{"pairs": [[x, y, x, y], …]}`` to ``{"residual_px": […], "rms_px": …, "number": …}``."""
        pairs = await _pairs_of(request)
        if pairs is None or len(pairs) < _LEAST:
            return _refusal(f"expected {_LEAST} to {_MOST_PAIRS} pairs of four numbers")
        async with self._fitting:
            try:
                fitted = await asyncio.to_thread(self._fit, pairs)
            except StreamfuseError as error:
                return _refusal(str(error))
            number = self.tell(self._told, {**self._pictures, "warped": fitted.warped})
        rms_px = float(np.sqrt(np.mean(fitted.residual_px**2)))
        answer = {"residual_px": fitted.residual_px.round(2).tolist(), "rms_px": round(rms_px, 2)}
        return JSONResponse({**answer, "number": number})

    async def _save(self, request: Request) -> Response:
        pairs = await _pairs_of(request)
        if pairs is None or not len(pairs):
            return _refusal(f"expected 1 to {_MOST_PAIRS} pairs of four numbers")
        self.pairs = pairs
        self.saved.set()
        return JSONResponse({"saved": len(pairs)})


async def _pairs_of(request: Request) -> Pairs | None:
    """The pairs in the body of a request; None where it holds something else, or too much."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _BODY_BYTES:
            return None
    try:
        pairs = np.array(json.loads(body)["pairs"], np.float64).reshape(-1, 4)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return pairs if len(pairs) <= _MOST_PAIRS and np.isfinite(pairs).all() else None


def _refusal(why: str) -> Response:
    return PlainTextResponse(f"{why}\n", status_code=400)
