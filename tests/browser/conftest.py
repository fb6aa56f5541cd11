"""A drawn street in the real viewer, and a real browser that looks at it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from servers import need_server

from streamfuse.clock import SystemClock
from streamfuse.core.masks import encode_mask
from streamfuse.frames import Detection, FusedFrame, Image, Layer, PairState
from streamfuse.io.synthetic.spec import Light, StreetSpec
from streamfuse.io.synthetic.street import Street
from streamfuse.io.viewer.server import WebViewer
from streamfuse.io.viewer.settings import ViewerSettings

CHROMIUM = "/usr/bin/chromium"
SIZE_WH = (320, 240)
FPS = 10.0
DESKTOP = (1440, 900)
PHONE = (390, 844)


@pytest.fixture(scope="session")
def street() -> tuple[FusedFrame, ...]:
    """One second of a smoky street, with what there is in it."""
    drawn = Street(StreetSpec(seed=7, light=Light.SMOKE, size_wh=SIZE_WH, fps=FPS))
    return tuple(_frame(drawn, number) for number in range(round(FPS)))


def _frame(street: Street, number: int) -> FusedFrame:
    t_s = 3 + number / FPS
    visible, infrared = street.visible(t_s), street.infrared(t_s)
    fused = np.maximum(visible // 2, infrared[..., None]).astype(np.uint8)
    objects = [thing for thing in street.truth(t_s) if np.count_nonzero(thing.mask) > 300]
    return FusedFrame(
        pair_id=number,
        state=PairState.MATCHED,
        image=Image.from_rgb(fused),
        capture_ns=round(t_s * 1e9),
        fused_ns=round(t_s * 1e9) + 21_000_000,
        skew_ms=-3.4,
        infrared_age_ms=4.1,
        visible_seq=number,
        infrared_seq=number,
        detections=tuple(
            Detection(
                box_xyxy=thing.box_xyxy,
                class_id={"person": 0, "bicycle": 1, "car": 2}[thing.class_name],
                class_name=thing.class_name,
                confidence=0.87,
                track_id=track,
                mask_rle=encode_mask(thing.mask),
            )
            for track, thing in enumerate(objects, start=1)
        ),
        layers={Layer.VISIBLE: Image.from_rgb(visible), Layer.INFRARED: Image.from_gray(infrared)},
    )


@dataclass
class Show:
    """A viewer that shows the street again and again, as long as nobody stops it."""

    frames: tuple[FusedFrame, ...]
    settings: ViewerSettings
    change: Callable[[FusedFrame], FusedFrame] = field(default=lambda frame: frame)
    """What is done to each frame before it is shown."""

    @property
    def url(self) -> str:
        """Of the page."""
        return f"http://127.0.0.1:{self.settings.port}/"

    @contextmanager
    def on(self, *, pictures: bool = True) -> Iterator[None]:
        """Serve; with ``pictures`` off nothing new is shown. The port stays the same each time."""
        viewer, stop = WebViewer(self.settings, clock=SystemClock()), threading.Event()
        viewer.start()
        self.settings = replace(self.settings, port=viewer.port)
        feeder = threading.Thread(target=self._feed, args=(viewer, stop), name="feeder")
        if pictures:
            feeder.start()
        try:
            yield
        finally:
            stop.set()
            if pictures:
                feeder.join()
            viewer.close()

    def _feed(self, viewer: WebViewer, stop: threading.Event) -> None:
        number, clock = 0, SystemClock()
        while not stop.wait(1 / FPS):
            frame = self.change(self.frames[number % len(self.frames)])
            now_ns = clock.now_ns()
            lag_ns = frame.fused_ns - frame.capture_ns
            viewer.show(replace(frame, pair_id=number, capture_ns=now_ns - lag_ns, fused_ns=now_ns))
            number += 1


MakeShow = Callable[..., Show]
Look = Callable[..., Page]


@pytest.fixture
def make_show(street: tuple[FusedFrame, ...]) -> MakeShow:
    """Prepare a viewer; the arguments are those of :class:`ViewerSettings`."""

    def make(**settings: Any) -> Show:
        return Show(street, ViewerSettings(pipeline="street", **settings))

    return make


@pytest.fixture
def browser() -> Iterator[Browser]:
    """Chromium without a screen."""
    need_server(None if shutil.which(CHROMIUM) else "chromium is not installed")
    with sync_playwright() as playwright:
        # Without its own sandbox, because tests run as root in containers.
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def look(browser: Browser) -> Iterator[Look]:
    """Open an address on a screen of some size. What the page complains of fails the test."""
    complaints: list[str] = []

    def look_at(url: str, size_wh: tuple[int, int] = DESKTOP, *, scale: float = 1.0) -> Page:
        width, height = size_wh
        page = browser.new_page(
            viewport={"width": width, "height": height}, device_scale_factor=scale, has_touch=size_wh == PHONE
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console", lambda line: complaints.append(line.text) if "Content Security" in line.text else None
        )
        page.goto(url)
        return page

    yield look_at
    assert not complaints
