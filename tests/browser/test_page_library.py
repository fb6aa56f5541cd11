"""Events, recordings and health in the side panel, with real files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from streamfuse.frames import FusedFrame
from streamfuse.io.overlay import encode_jpeg
from streamfuse.io.shelf import Track, clip_path, index_path, segment_path
from streamfuse.io.video.writer import VideoWriter

STEM = "street-20261122T065330Z-0001"
EVENT = "person-on-road-20261122T065331Z"
HEALTH = {
    "summary": {
        "states": {"matched": 1200, "held": 7},
        "streams": {
            "visible": {"captured": 1210, "emitted": 1207, "dropped": {"superseded": 3}, "in_flight": 0},
            "infrared": {"captured": 400, "emitted": 399, "dropped": {"frozen": 1}, "in_flight": 0},
        },
        "cameras": {"infrared": {"state": "live", "reconnects": 2}},
        "stages": {"fuse": {"p50_ms": 6.1, "p95_ms": 8.8}},
        "sinks": {"viewer": {"offered": 1207, "written": 1200, "dropped": 7, "failed": 0}},
        "latency_ms": {"p50": 21.0, "p95": 30.0, "p99": 41.0},
    },
    "workers": {"engine": {"state": "restarting", "restarts": 1, "pid": 7, "rss_bytes": 2_100_000_000}},
    "ready": False,
    "reasons": ["engine: starts again"],
    "written_ns": 1,
}


@pytest.fixture
def shelf(tmp_path: Path, street: tuple[FusedFrame, ...]) -> Path:
    """A folder with a segment in two tracks and an event with its clip."""
    (tmp_path / "events").mkdir()
    clip = clip_path(tmp_path, EVENT, ".mp4")
    for path in (
        segment_path(tmp_path, STEM, Track.FUSED),
        segment_path(tmp_path, STEM, Track.VISIBLE),
        clip,
    ):
        with VideoWriter(path, street[0].image.spec, fps=10, codec="libx264") as video:
            for number, frame in enumerate(street):
                video.write(frame.image, number * 100_000_000)
    index_path(tmp_path, STEM).write_text("{}\n")
    clip_path(tmp_path, EVENT, ".jpg").write_bytes(encode_jpeg(street[0].image.planes[0]))
    about = {
        "rule": "person-on-road",
        "began_utc": "2026-11-22T06:53:31.000Z",
        "ended_utc": "2026-11-22T06:53:43.000Z",
        "classes": {"person": 2, "car": 1},
    }
    clip_path(tmp_path, EVENT, ".json").write_text(json.dumps(about))
    return tmp_path


def plays(page: Page) -> None:
    """Wait until the dialog's video has played a little."""
    page.wait_for_function(
        "() => { const video = document.getElementById('player-video');"
        " return video.currentTime > 0.2 && video.videoWidth > 0; }"
    )


def test_an_event_has_a_picture_and_a_clip_that_plays(make_show, look, shelf) -> None:
    """The list shows the thumbnail, when it was and how long; a press plays the clip."""
    show = make_show(recordings=shelf)
    with show.on():
        page = look(show.url)
        card = page.locator("#events .card")
        expect(card).to_contain_text("person on road")
        expect(card).to_contain_text("0:12")
        expect(card).to_contain_text("person (2), car")
        page.wait_for_function("() => document.querySelector('#events img').naturalWidth > 0")
        card.click()
        expect(page.get_by_role("dialog", name="person on road")).to_be_visible()
        plays(page)
        page.keyboard.press("Escape")
        expect(page.locator("#player")).to_be_hidden()
        page.close()


def test_a_recording_plays_in_each_of_its_tracks(make_show, look, shelf) -> None:
    """The list of recordings opens the fused video; the visible one is a press away, the index a download."""
    show = make_show(recordings=shelf)
    with show.on():
        page = look(show.url)
        page.get_by_role("tab", name="Recordings").click()
        page.locator("#recordings .card").click()
        plays(page)
        assert page.locator("#player-video").get_attribute("src").endswith("/fused.mp4")
        page.locator("#player-tracks label", has_text="visible").click()
        plays(page)
        assert page.locator("#player-video").get_attribute("src").endswith("/visible.mp4")
        with page.expect_download() as saved:
            page.get_by_role("link", name="Download index.jsonl").click()
        assert Path(saved.value.path()).read_text() == "{}\n"
        page.close()


def test_the_lossless_track_is_a_download(make_show, look, shelf) -> None:
    """The list tells how long a recording is; its lossless track is a download and not offered to play."""
    raw = segment_path(shelf, STEM, Track.RAW_INFRARED)
    raw.write_bytes(b"lossless")
    index_path(shelf, STEM).write_text('{"pts_ms": 0}\n{"pts_ms": 61900}\n')
    show = make_show(recordings=shelf)
    with show.on():
        page = look(show.url)
        page.get_by_role("tab", name="Recordings").click()
        card = page.locator("#recordings .card")
        expect(card).to_contain_text("1:02 · ")
        expect(card).to_contain_text("raw infrared")
        card.click()
        expect(page.locator("#player-tracks label")).to_have_text(["fused", "visible"])
        with page.expect_download() as saved:
            page.get_by_role("link", name="Download raw_infrared.mkv").click()
        assert Path(saved.value.path()).read_bytes() == b"lossless"
        page.close()


def test_health_tells_what_is_wrong(make_show, look, tmp_path) -> None:
    """Whether the run is ready and why not, cameras, workers and what was dropped, and a mark on the tab."""
    status = tmp_path / "status.json"
    status.write_text(json.dumps(HEALTH))
    show = make_show(status_file=status)
    with show.on():
        page = look(show.url)
        expect(page.locator("#health-mark")).to_be_visible()
        page.get_by_role("tab", name="Health").click()
        health = page.locator("#health")
        for words in (
            "Not ready",
            "engine: starts again",
            "restarting",
            "camera frozen",
            "2.1 GB",
            "Browsers",
        ):
            expect(health).to_contain_text(words)
        page.close()


def test_empty_lists_say_how_to_fill_them(make_show, look) -> None:
    """No events and no recordings: the page names the keys of the pipeline file."""
    show = make_show()
    with show.on():
        page = look(show.url)
        expect(page.locator("#events")).to_contain_text("No events yet")
        page.get_by_role("tab", name="Recordings").click()
        expect(page.locator("#recordings")).to_contain_text("No recordings yet")
        page.close()
