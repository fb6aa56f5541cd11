"""Events and recordings over HTTP: lists, files with ranges, and nothing from outside the folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from streamfuse.frames import Event, EventPhase
from streamfuse.io.shelf import Track, clip_path, index_path, part_of, segment_path
from streamfuse.io.viewer.duration import duration_s

STEMS = ("night-20261122T065330Z-0001", "night-20261122T065430Z-0002", "night-20261122T065530Z-0003")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two closed segments and an open one, and the clip of one event."""
    folder = tmp_path / "recordings"
    (folder / "events").mkdir(parents=True)
    for stem in STEMS[:2]:
        segment_path(folder, stem, Track.FUSED).write_bytes(bytes(range(256)) * 8)
        segment_path(folder, stem, Track.VISIBLE).write_bytes(b"visible")
        index_path(folder, stem).write_text('{"pts_ms": 0}\n')
    part_of(segment_path(folder, STEMS[2], Track.FUSED)).write_bytes(b"open")
    clip_path(folder, "e1", ".mp4").write_bytes(b"clip")
    clip_path(folder, "e1", ".jpg").write_bytes(b"thumbnail")
    about = {"rule": "intruder", "began_utc": "2026-11-22T06:53:40.000Z", "classes": ["person"]}
    clip_path(folder, "e1", ".json").write_text(json.dumps(about))
    (tmp_path / "secret.mp4").write_bytes(b"secret")
    return folder


@pytest.fixture
def get(serve, folder: Path) -> Callable[..., httpx.Response]:
    """Asks a viewer of that folder."""
    url = serve(recordings=folder).url
    return lambda path, **options: httpx.get(f"{url}{path}", **options)


def test_recordings_are_listed_newest_first(get) -> None:
    """Each segment with what of it can be played; the open one is listed and not served."""
    listed = get("api/recordings").json()
    assert [entry["stem"] for entry in listed] == list(reversed(STEMS))
    assert (listed[0]["is_open"], listed[0]["tracks"]) == (True, [])
    assert listed[1] == {
        "stem": STEMS[1],
        "pipeline": "night",
        "begun_utc": "2026-11-22T06:54:30Z",
        "duration_s": 0.0,
        "nbytes": 2048 + 7 + 14,
        "is_open": False,
        "tracks": ["fused", "visible"],
        "has_index": True,
    }
    assert [entry["stem"] for entry in get(f"api/recordings?before={STEMS[1]}").json()] == [STEMS[0]]
    assert get(f"api/recordings/{STEMS[2]}/fused.mp4").status_code == 404


def test_a_player_may_ask_for_a_part_of_a_file(get) -> None:
    """Ranges work, so a video can be wound; each file has its type."""
    whole = get(f"api/recordings/{STEMS[0]}/fused.mp4")
    assert (whole.content, whole.headers["content-type"]) == (bytes(range(256)) * 8, "video/mp4")
    part = get(f"api/recordings/{STEMS[0]}/fused.mp4", headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, bytes(range(10, 20)))
    assert part.headers["content-range"] == "bytes 10-19/2048"
    assert get(f"api/recordings/{STEMS[0]}/fused.mp4", headers={"Range": "bytes=9999-"}).status_code == 416
    assert get(f"api/recordings/{STEMS[0]}/visible.mp4").content == b"visible"
    assert get(f"api/recordings/{STEMS[0]}/infrared.mp4").status_code == 404
    assert get(f"api/recordings/{STEMS[0]}/index.jsonl").text == '{"pts_ms": 0}\n'


def test_events_have_thumbnails_and_clips(get) -> None:
    """An event is listed with what its recorder wrote about it, and its files are served."""
    (event,) = get("api/events").json()
    assert (event["id"], event["rule"], event["classes"]) == ("e1", "intruder", ["person"])
    assert (event["has_clip"], event["has_thumbnail"], event["is_open"]) == (True, True, False)
    assert get("api/events/e1/clip.mp4").content == b"clip"
    thumbnail = get("api/events/e1/thumbnail.jpg")
    assert (thumbnail.content, thumbnail.headers["content-type"]) == (b"thumbnail", "image/jpeg")
    assert get("api/events/e1/about.json").status_code == 404


def test_events_are_listed_without_a_recorder(serve, frame) -> None:
    """Where nothing is recorded, what the live pictures told of events is the list, with its end."""
    viewer = serve()
    for number, phase in enumerate((EventPhase.BEGUN, EventPhase.GOING)):
        event = Event(id="e9", rule="smoke", phase=phase, began_ns=10**9, objects=1)
        viewer.show(frame(number, events=(event,)))
    (going,) = httpx.get(f"{viewer.url}api/events").json()
    assert (going["id"], going["rule"], going["is_open"], going["ended_utc"]) == ("e9", "smoke", True, None)
    viewer.show(frame(2))  # the frame with its end was missed
    (over,) = httpx.get(f"{viewer.url}api/events").json()
    assert (over["is_open"], over["has_clip"]) == (False, False)
    assert over["ended_utc"] > over["began_utc"]


def test_an_event_that_has_just_begun_goes_by_its_rule(serve, frame, folder: Path) -> None:
    """While its clip lies there without its about, the live pictures tell the rule; then the about does."""
    part_of(clip_path(folder, "e9", ".mp4")).write_bytes(b"open")
    clip_path(folder, "e8", ".jpg").write_bytes(b"thumbnail")
    viewer = serve(recordings=folder)
    events = (
        Event(id="e8", rule="smoke", phase=EventPhase.BEGUN, began_ns=10**9, objects=1),
        Event(id="e9", rule="smoke", phase=EventPhase.BEGUN, began_ns=2 * 10**9, objects=1),
    )
    viewer.show(frame(0, events=events))
    listed = {event["id"]: event for event in httpx.get(f"{viewer.url}api/events").json()}
    assert [listed[name]["rule"] for name in ("e8", "e9", "e1")] == ["smoke", "smoke", "intruder"]
    assert (listed["e8"]["is_open"], listed["e8"]["has_thumbnail"]) == (True, True)
    assert (listed["e9"]["is_open"], listed["e9"]["has_clip"], listed["e9"]["nbytes"]) == (True, False, 4)
    began = (
        datetime.fromisoformat(listed["e9"]["began_utc"]),
        datetime.fromisoformat(listed["e8"]["began_utc"]),
    )
    assert (began[0] - began[1]).total_seconds() == 1
    clip_path(folder, "e9", ".json").write_text(json.dumps({"rule": "fire"}))
    later = serve(recordings=folder)
    later.show(frame(0, events=events))
    assert "fire" in [event["rule"] for event in httpx.get(f"{later.url}api/events").json()]


def test_the_lossless_track_can_be_downloaded(get, folder: Path) -> None:
    """The infrared camera's own samples are served as Matroska, with ranges; an open one is not."""
    raw = segment_path(folder, STEMS[0], Track.RAW_INFRARED)
    raw.write_bytes(bytes(range(100)))
    part_of(segment_path(folder, STEMS[2], Track.RAW_INFRARED)).write_bytes(b"open")
    assert get("api/recordings").json()[-1]["tracks"] == ["fused", "visible", "raw_infrared"]
    whole = get(f"api/recordings/{STEMS[0]}/raw_infrared.mkv")
    assert (whole.content, whole.headers["content-type"]) == (raw.read_bytes(), "video/x-matroska")
    part = get(f"api/recordings/{STEMS[0]}/raw_infrared.mkv", headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, bytes(range(10, 20)))
    assert get(f"api/recordings/{STEMS[2]}/raw_infrared.mkv").status_code == 404


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"pts_ms": 0}\n{"pts_ms": 59966.7}\n', 59.967),
        ("x" * 100_000 + '\n{"pts_ms": 1500}\n', 1.5),
        ('{"pts_ms": 1500, "objects": "' + "x" * 100_000 + '"}\n', None),
        ('{"pts_ms": 1500}\n{"pts_', None),
        ('{"pts_ms": "long"}\n', None),
        ('{"pts_ms": Infinity}\n', None),
        ("[]\n", None),
        ("{}\n", None),
        ("", None),
        (None, None),
    ],
)
def test_a_recording_is_as_long_as_its_index_says(
    tmp_path: Path, text: str | None, expected: float | None
) -> None:
    """The last line tells it; where that is missing or broken, the length is not known."""
    index = index_path(tmp_path, STEMS[0])
    if text is not None:
        index.write_text(text)
    assert duration_s(index) == expected


def test_an_index_outside_the_folder_is_not_read(get, folder: Path) -> None:
    """A link that leads out of the folder tells no length."""
    (folder.parent / "secret.jsonl").write_text('{"pts_ms": 5000}\n')
    stem = "linked-20261122T065730Z-0001"
    index_path(folder, stem).symlink_to(folder.parent / "secret.jsonl")
    (linked,) = [entry for entry in get("api/recordings").json() if entry["stem"] == stem]
    assert linked["duration_s"] is None


def test_a_folder_that_is_not_there_is_empty(serve, tmp_path: Path) -> None:
    """Before the recorder has made its folder the lists are empty."""
    url = serve(recordings=tmp_path / "later").url
    assert httpx.get(f"{url}api/events").json() == httpx.get(f"{url}api/recordings").json() == []


@pytest.mark.fault
@pytest.mark.parametrize(
    "path",
    [
        "api/recordings/..%2f/secret.mp4",
        "api/recordings/../secret.mp4",
        "api/recordings/%2e%2e/secret.mp4",
        "api/recordings/..%2f..%2fsecret/fused.mp4",
        f"api/recordings/{STEMS[0]}/..%2f..%2fsecret.mp4",
        f"api/recordings/{STEMS[0]}%00/fused.mp4",
        "api/recordings/linked-20261122T065330Z-0001/fused.mp4",
        "api/events/../secret/clip.mp4",
        "api/events/..%2f..%2fsecret/clip.mp4",
        "api/events/linked/clip.mp4",
        "static/..%2fserver.py",
        "static/%2e%2e/server.py",
        "static//etc/passwd",
    ],
)
def test_no_path_leads_out_of_the_folder(get, folder: Path, record_property, path: str) -> None:
    """Neither dots nor codes nor links lead to a file that is no recording."""
    record_property("room", "operations")
    record_property("fault", "path traversal in requests of the viewer")
    record_property("promise", "not found; no file outside the recordings is read")
    segment_path(folder, "linked-20261122T065330Z-0001", Track.FUSED).symlink_to(folder.parent / "secret.mp4")
    clip_path(folder, "linked", ".mp4").symlink_to(folder.parent / "secret.mp4")
    reply = get(path)
    assert reply.status_code == 404
    assert b"secret" not in reply.content
