"""Shots from live cameras: taken when they are worth it, stopped by people, and what is said meanwhile."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import numpy as np
import pytest

from streamfuse.config.sources import InfraredSource, SourceConfig, VisibleSource
from streamfuse.errors import CalibrationError, SourceError
from streamfuse.frames import Image, StreamName
from streamfuse.geometry.boards.board import Board
from streamfuse.io.synthetic.board_spec import BoardSpec
from streamfuse.io.synthetic.board_truth import BoardTruth
from streamfuse.jobs.calibrating.clicks import click_points
from streamfuse.jobs.calibrating.live import collect_live
from streamfuse.jobs.calibrating.pictures import Picture

URI = "synthetic://board?seed=3&size=320x240&format=gray16&fps=10&skew_ms=0&hold=4&move=0.5&inside=both"
BOARD = Board.parse(BoardSpec().board)
VISIBLE, INFRARED = StreamName.VISIBLE, StreamName.INFRARED


def cameras(uri: str, *streams: StreamName) -> dict[StreamName, SourceConfig]:
    """The same scene for one camera or both."""
    kinds = {VISIBLE: VisibleSource, INFRARED: InfraredSource}
    return {stream: kinds[stream](uri=uri) for stream in streams or (VISIBLE, INFRARED)}


@contextmanager
def interrupted_when(condition: threading.Event) -> Iterator[None]:
    """Press Ctrl-C once something has happened."""

    def press() -> None:
        if condition.wait(60):
            os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press, name="ctrl-c")
    thread.start()
    try:
        yield
    finally:
        condition.set()
        thread.join()


def test_a_pair_of_cameras_gives_as_many_shots_as_were_asked_for() -> None:
    """Each has the board in both pictures, at its true place, and another pose than those before."""
    lines: list[str] = []
    shots = collect_live(cameras(URI), BOARD, shots=2, tell=lines.append)
    truth = BoardTruth(BoardSpec.from_uri(URI))
    assert [shot.name for shot in shots] == ["shot 1", "shot 2"]
    for shot in shots:
        for stream in (VISIBLE, INFRARED):
            pts_ns = shot.pictures[stream].pts_ns
            assert pts_ns is not None
            pixels = truth.pixels(pts_ns / 1e9, stream)[shot.views[stream].ids]
            off = np.abs(shot.views[stream].pixels - pixels).max(axis=1)
            turned = np.abs(shot.views[stream].pixels - pixels[::-1]).max(axis=1)
            assert min(np.median(off), np.median(turned)) < 0.5
    assert truth.is_held((shots[0].pictures[VISIBLE].pts_ns or 0) / 1e9)
    assert lines[-1].startswith("2 of 2 shots, ")
    assert any("hold the board still" in line for line in lines)


def test_ctrl_c_ends_it_with_what_is_there() -> None:
    """Whoever has enough stops; the shots so far are the result."""
    first = threading.Event()

    def tell(line: str) -> None:
        if line.startswith("1 shot,"):
            first.set()

    with interrupted_when(first):
        shots = collect_live(cameras(URI, VISIBLE), BOARD, tell=tell)
    assert 1 <= len(shots) <= 2


def test_nothing_found_is_refused_with_what_to_look_at() -> None:
    """Another board than the one that is shown: stopped by hand, it says so in one sentence."""
    seen = threading.Event()
    with (
        interrupted_when(seen),
        pytest.raises(CalibrationError, match=r"no shot of circles:4x3:30mm .* is it that board"),
    ):
        collect_live(cameras(URI, VISIBLE), Board.parse("circles:4x3:30mm"), tell=lambda _: seen.set())


def test_a_source_that_is_not_there_is_said_at_once() -> None:
    """Nothing is served and nobody waits."""
    with pytest.raises(SourceError, match=r"nowhere\.mp4"):
        collect_live(cameras("nowhere.mp4", VISIBLE), BOARD, page="127.0.0.1:0", tell=lambda _: None)


def test_the_stop_button_ends_it() -> None:
    """The first line says where the page is; a press there ends the watch."""
    address: list[str] = []
    pressed = threading.Event()

    def tell(line: str) -> None:
        if line.startswith("open "):
            address.append(line.split()[1])
        elif line.startswith("1 of 50 shots") and not pressed.is_set():
            pressed.set()
            assert httpx.get(f"{address[0]}news.json?after=0").json()["wanted"] == 50
            assert httpx.post(f"{address[0]}stop").status_code == 200

    started_s = time.monotonic()
    shots = collect_live(cameras(URI, VISIBLE), BOARD, shots=50, page="127.0.0.1:0", tell=tell)
    assert pressed.is_set()
    assert 1 <= len(shots) <= 2
    assert time.monotonic() - started_s < 60


def picture(level: int) -> Picture:
    """A plain one."""
    return Picture(name="plain", image=Image.from_gray(np.full((48, 64), level, np.uint8)))


def test_clicked_points_come_back_when_they_are_saved() -> None:
    """The page's own words for five pairs are fit and saved; the function returns them."""
    pairs = [[10 + k, 20 + 3 * k * k % 17, 12 + k, 21 + 3 * k * k % 17] for k in range(5)]
    answers: list[httpx.Response] = []

    def click(address: str) -> None:
        with httpx.Client(base_url=address) as client:
            answers.extend(client.post(path, json={"pairs": pairs}) for path in ("fit", "save"))

    threads: list[threading.Thread] = []

    def tell(line: str) -> None:
        threads.append(threading.Thread(target=click, args=(line.split()[1],)))
        threads[-1].start()

    def solve(given: np.ndarray) -> np.ndarray:
        x, y = (given[:, :2] - given[:, 2:]).mean(axis=0)
        return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]])

    saved = click_points(picture(90), picture(30), solve=solve, page="127.0.0.1:0", tell=tell)
    threads[0].join()
    assert saved.tolist() == pairs
    assert answers[0].json()["residual_px"] == pytest.approx([0] * 5, abs=1e-6)


def test_ctrl_c_before_saving_is_refused() -> None:
    """Nothing half-done comes back."""
    served = threading.Event()
    with interrupted_when(served), pytest.raises(CalibrationError, match="no points were saved"):
        click_points(
            picture(90),
            picture(30),
            solve=lambda _: np.eye(3),
            page="127.0.0.1:0",
            tell=lambda _: served.set(),
        )
