"""The pages of a calibration in a real browser: moving a board, and clicking points."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from threading import Event

import cv2
import httpx
import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from streamfuse.errors import CalibrationError, OutputError, UsageError
from streamfuse.frames import Image, StreamName
from streamfuse.geometry.boards.board import Board
from streamfuse.io.calibrating.click_page import ClickPage, Fitted
from streamfuse.io.calibrating.live_page import LivePage
from streamfuse.io.cameras.camera_news import CameraFrame
from streamfuse.io.synthetic.board_spec import BoardSpec
from streamfuse.io.synthetic.board_truth import BoardTruth
from streamfuse.io.synthetic.source import open_scene
from streamfuse.io.synthetic.spec import Light, StreetSpec
from streamfuse.io.synthetic.street import Street
from streamfuse.jobs.calibrating.clicks import _Fit
from streamfuse.jobs.calibrating.live import LiveShots
from streamfuse.jobs.calibrating.pictures import Picture

URI = "synthetic://board?seed=3&size=480x360&format=gray16&fps=10&skew_ms=0&hold=1.2&move=0.8"
BOARD = Board.parse(BoardSpec().board)
POINTS = ((60, 70), (260, 60), (250, 190), (70, 180), (160, 120), (110, 90))
"""In the infrared picture of the street, pixels."""

Look = Callable[..., Page]


def moments(count: int) -> Iterator[dict[StreamName, CameraFrame]]:
    """What both cameras see, ten times a second."""
    sources = {stream: open_scene(URI, stream=stream) for stream in StreamName}
    for _ in range(count):
        frames = {}
        for stream, source in sources.items():
            frame = source.read()
            assert frame is not None
            frames[stream] = CameraFrame(
                image=frame.image, pts_ns=frame.pts_ns, capture_ns=frame.pts_ns, arrival_ns=frame.pts_ns
            )
        yield frames


def test_the_live_page_guides_through_a_calibration(look: Look) -> None:
    """Pictures with the points found, what is missing, a shot that is taken, and a button that ends it."""
    lines: list[str] = []
    streams = tuple(StreamName)
    with (
        LivePage("127.0.0.1:0") as served,
        LiveShots(streams, BOARD, wanted=None, page=served, tell=lines.append) as live,
    ):
        page = look(served.url)
        for frames in moments(4):
            live.see(frames)
        expect(page.locator("#shots")).to_have_text("1")
        expect(page.locator("#camera-visible circle")).to_have_count(54)
        expect(page.locator("#camera-infrared circle")).to_have_count(54)
        truth = BoardTruth(BoardSpec.from_uri(URI)).pixels(0.3, StreamName.VISIBLE)
        assert np.abs(drawn(page.locator("#camera-visible")) - truth).max() < 0.5
        assert page.locator("#camera-visible rect").count() > 4  # where the board has been
        assert page.locator("#camera-visible img").evaluate("image => image.naturalWidth") == 480
        expect(page.locator("#needs li").first).to_contain_text("the board")
        expect(page.locator("#covered")).not_to_have_text("0 %")
        assert not live.is_done
        page.locator("#stop").click()
        assert served.stopped.wait(5)
        assert live.is_done
        live.finish()
        expect(page.locator("#state")).to_have_text("finished")
        expect(page.locator("#order")).to_have_text("1 shot taken. The result is in the terminal.")
    assert lines[0].startswith("0 shots, 0% covered: hold the board still")
    assert lines[-1].endswith("computing")


def drawn(camera: Locator) -> np.ndarray:
    """Where the page draws points, in pixels of the picture."""
    found = camera.locator("circle").evaluate_all(
        "all => all.map(c => [+c.getAttribute('cx'), +c.getAttribute('cy')])"
    )
    return np.array(found)


@pytest.fixture(scope="module")
def street() -> Street:
    """A street whose homography is known."""
    return Street(StreetSpec(seed=7, light=Light.DAY, size_wh=(320, 240), people=2, cyclists=0, cars=2))


class SlowFit:
    """A fit that waits until it is let go, and remembers how many pairs it was asked for."""

    def __init__(self, fit: _Fit) -> None:
        self.go = Event()
        self.go.set()
        self.asked: list[int] = []
        self._fit = fit

    def __call__(self, pairs: np.ndarray) -> Fitted:
        self.asked.append(len(pairs))
        assert self.go.wait(20)
        return self._fit(pairs)


@pytest.fixture
def fit(street: Street) -> SlowFit:
    """Residuals for pairs of the street."""
    visible = Picture(name="v", image=Image.from_rgb(street.visible(3.0)))
    infrared = Picture(name="i", image=Image.from_gray(street.infrared(3.0)))

    def solve(pairs: np.ndarray) -> np.ndarray:
        found, _ = cv2.findHomography(pairs[:, 2:], pairs[:, :2])
        if found is None:
            raise CalibrationError("these pairs determine nothing")
        return np.asarray(found, np.float64)

    return SlowFit(_Fit(visible, infrared, solve))


@pytest.fixture
def clicks(street: Street, fit: SlowFit) -> Iterator[ClickPage]:
    """The page with both pictures of a moment."""
    pictures = Image.from_rgb(street.visible(3.0)), Image.from_gray(street.infrared(3.0))
    with ClickPage("127.0.0.1:0", *pictures, fit=fit) as page:
        yield page


def click_at(page: Page, side: str, point: tuple[float, float]) -> None:
    """Click a pixel of a picture that is shown whole."""
    box = page.locator(f"#{side}").bounding_box()
    assert box is not None
    scale = min(box["width"] / 320, box["height"] / 240)
    left = box["x"] + (box["width"] - 320 * scale) / 2
    top = box["y"] + (box["height"] - 240 * scale) / 2
    page.mouse.click(left + (point[0] + 0.5) * scale, top + (point[1] + 0.5) * scale)


def in_visible(street: Street, point: tuple[float, float]) -> tuple[float, float]:
    """The visible pixel of an infrared one."""
    x, y, w = street.H_visible_from_infrared @ (*point, 1.0)
    return x / w, y / w


def click_all(page: Page, street: Street) -> None:
    """Every second pair begins in the infrared picture; nothing can be clicked before both are loaded."""
    expect(page.locator("#order")).to_have_text("Click a point that both pictures show: 5 more")
    for number, point in enumerate(POINTS):
        sides = [("visible", in_visible(street, point)), ("infrared", point)]
        for side, place in sides if number % 2 else sides[::-1]:
            click_at(page, side, place)


def colours(page: Page, side: str) -> str:
    """What a pane shows."""
    return str(page.locator(f"#{side}").evaluate("canvas => canvas.toDataURL()"))


def test_points_are_clicked_fitted_and_saved(look: Look, clicks: ClickPage, street: Street) -> None:
    """Six true pairs fit to a pixel, blinking shows the overlay, and what is saved is what was clicked."""
    page = look(clicks.url)
    expect(page.locator("#save")).to_be_disabled()
    click_all(page, street)
    expect(page.locator("#state")).to_contain_text("6 pairs, 0.")
    expect(page.locator("#pairs tbody tr")).to_have_count(6)
    before = colours(page, "visible")
    page.locator("#blink").click()
    assert colours(page, "visible") != before
    page.locator("#save").click()
    assert clicks.saved.wait(5)
    expect(page.locator("#order")).to_have_text("6 pairs are saved. The result is in the terminal.")
    expected = np.array([[*in_visible(street, point), *point] for point in POINTS])
    assert np.abs(clicks.pairs - expected).max() < 0.6


def test_a_wrong_pair_is_seen_and_taken_back(look: Look, clicks: ClickPage, street: Street) -> None:
    """A pair that is far off is marked; without it, and after an undo, the rest fits again."""
    page = look(clicks.url)
    click_all(page, street)
    click_at(page, "visible", (200, 100))
    expect(page.locator("#order")).to_have_text("Click the same point in the infrared picture")
    click_at(page, "infrared", (120, 170))
    bad = page.locator("#pairs tr[data-tone=bad]")
    expect(bad).to_have_count(1)
    expect(page.locator("#state")).to_have_attribute("data-tone", "warn")
    page.locator("#pairs tbody tr").last.locator("button").click()
    expect(page.locator("#state")).to_contain_text("6 pairs, 0.")
    page.keyboard.press("z")
    expect(page.locator("#state")).to_contain_text("5 pairs, 0.")


def test_quick_clicks_wait_for_the_fit_and_are_not_lost(
    look: Look, clicks: ClickPage, fit: SlowFit, street: Street
) -> None:
    """While a fit is under way pairs may be added: the next fit takes all of them, and shows residuals."""
    page = look(clicks.url)
    fit.go.clear()
    click_all(page, street)
    for point in ((200, 90), (90, 150)):
        click_at(page, "visible", in_visible(street, point))
        click_at(page, "infrared", point)
    expect(page.locator("#state")).to_have_text("8 pairs")
    fit.go.set()
    expect(page.locator("#state")).to_contain_text("8 pairs, 0.")
    expect(page.locator("#pairs td.number").first).to_contain_text("0.")
    assert fit.asked == [5, 8]


def test_saving_at_once_is_no_error(look: Look, clicks: ClickPage, fit: SlowFit, street: Street) -> None:
    """Save while a fit is under way waits for it: its residuals stay, nothing more can be clicked."""
    page = look(clicks.url)
    fit.go.clear()
    click_all(page, street)
    page.locator("#save").click()
    expect(page.locator("#save")).to_be_disabled()
    click_at(page, "visible", (200, 100))
    assert not clicks.saved.is_set()
    fit.go.set()
    assert clicks.saved.wait(10)
    assert len(clicks.pairs) == 6
    clicks.close()
    expect(page.locator("#order")).to_have_text("6 pairs are saved. The result is in the terminal.")
    expect(page.locator("#state")).to_have_attribute("data-tone", "good")
    expect(page.locator("#state")).to_contain_text("saved, 0.")
    expect(page.locator("#pairs td.number").last).to_contain_text("0.")


def test_a_zoomed_picture_is_clicked_as_finely_as_it_is_seen(look: Look, clicks: ClickPage) -> None:
    """The wheel keeps the pixel under the pointer; there a click is worth a fraction of a pixel."""
    page = look(clicks.url)
    expect(page.locator("#state")).to_have_text("0 pairs")
    saved = []
    for number in range(5):
        for side in ("visible", "infrared"):
            point = (100.0 + 20 * number, 80.0 + 11 * (number % 2))
            if (number, side) == (2, "visible"):
                click_at(page, side, (5, 5))  # the pointer is in the pane; another place for it comes below
            click_at(page, side, point)
            saved.append(point)
    box = page.locator("#visible").bounding_box()
    assert box is not None
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(*middle)
    page.mouse.wheel(0, -800)
    for right in (0, 10):
        page.mouse.click(middle[0] + right, middle[1])
        click_at(page, "infrared", (160, 120))
    page.mouse.down()
    page.mouse.move(middle[0] + 40, middle[1], steps=4)
    page.mouse.up()  # a drag: no point
    page.locator("#save").click()
    assert clicks.saved.wait(5)
    assert len(clicks.pairs) == 7
    assert np.abs(clicks.pairs[:5].reshape(-1, 2) - saved).max() < 0.6
    assert clicks.pairs[5, :2] == pytest.approx((159.5, 119.5), abs=0.35)
    moved = clicks.pairs[6, :2] - clicks.pairs[5, :2]
    scale = min(box["width"] / 320, box["height"] / 240) * np.exp(2)
    assert moved == pytest.approx((10 / scale, 0), abs=1e-3)


def test_nonsense_is_refused_and_strangers_too(clicks: ClickPage) -> None:
    """Bodies that are no pairs get one sentence; another site's page gets nothing."""
    with httpx.Client(base_url=clicks.url) as client:
        for body in (
            b"",
            b"{}",
            b'{"pairs": 3}',
            b'{"pairs": [[1, 2, 3]]}',
            b'{"pairs": [[NaN, 1, 2, 3]]}',
            b"[" * 70_000,
        ):
            answer = client.post("fit", content=body)
            assert (answer.status_code, answer.text[:8]) == (400, "expected")
        line = [[k, k, k, k] for k in range(5)]
        assert client.post("fit", content=json.dumps({"pairs": line})).status_code == 400
        assert client.post("save", content=b'{"pairs": []}').status_code == 400
        for path in ("save", "fit"):
            origin = {"Origin": "https://evil.example"}
            assert client.post(path, content=json.dumps({"pairs": line}), headers=origin).status_code == 403
        assert client.get("news.json", headers={"Host": "evil.example"}).status_code == 400
        assert client.get("picture.jpg?name=../../etc").status_code == 404
    assert not clicks.saved.is_set()


def test_a_page_for_others_wants_a_token() -> None:
    """Beyond loopback a token is made up, which the login page says is in the terminal."""
    with LivePage("0.0.0.0:0") as page, httpx.Client(base_url=page.url) as client:
        assert page.token is not None
        refused = client.get("/")
        assert refused.status_code == 401
        assert "shown in the terminal" in refused.text
        assert client.post("stop").status_code == 401
        assert not page.stopped.is_set()
        allowed = {"Authorization": f"Bearer {page.token}"}
        assert client.post("stop", headers=allowed).status_code == 200
        assert page.stopped.is_set()


def test_an_address_that_cannot_be_had_is_said() -> None:
    """A port in use, and what is no address at all."""
    with LivePage("127.0.0.1:0") as page:
        taken = page.url.removeprefix("http://").rstrip("/")
        with pytest.raises(OutputError, match=f"no page can be served on {taken} .*choose another"):
            LivePage(taken)
    with pytest.raises(UsageError, match="expected host:port"):
        LivePage("nowhere")
