"""The synthetic street as a source, and its URI."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfuse.errors import SourceError
from streamfuse.frames import ColorRange, PixelFormat, StreamName
from streamfuse.io.synthetic import board_spec, spec
from streamfuse.io.synthetic.source import SyntheticSource
from streamfuse.io.synthetic.spec import Light, StreetSpec

URI = "synthetic://street?seed=4&size=160x120&fps=10&duration=1"


def test_a_uri_says_everything_a_spec_can() -> None:
    """All keys arrive in their fields."""
    spec = StreetSpec.from_uri(
        "synthetic://street?seed=7&light=night&size=320x240&infrared_size=160x120&fps=25&infrared_fps=9"
        "&duration=10&people=1&cyclists=2&cars=3&skew_ms=-2.5&format=gray16&ffc_every=30&ffc=0.6"
        "&bump_at=5&bump_px=-12.5"
    )
    assert spec == StreetSpec(
        seed=7, light=Light.NIGHT, size_wh=(320, 240), infrared_size_wh=(160, 120), fps=25, infrared_fps=9,
        duration_s=10, people=1, cyclists=2, cars=3, skew_ms=-2.5, gray16=True, ffc_every_s=30, ffc_s=0.6,
        bump_at_s=5, bump_px=-12.5,
    )  # fmt: skip


def test_a_bare_uri_is_the_default_street() -> None:
    """No query: all defaults."""
    assert StreetSpec.from_uri("synthetic://street") == StreetSpec()


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("synthetic://beach", "the only synthetic scene is synthetic://street"),
        ("synthetic://street?sede=7", "unknown key 'sede', did you mean 'seed'?"),
        ("synthetic://street?seed=seven", "seed takes a whole number, got 'seven'"),
        ("synthetic://street?light=dawn", "light takes one of day, dusk, night, smoke, got 'dawn'"),
        ("synthetic://street?size=640", "size takes WIDTHxHEIGHT, for example 640x480, got '640'"),
        ("synthetic://street?size=641x480", "size_wh must be even sides within 64..4096, got 641x480"),
        ("synthetic://street?fps=0", "fps must be within 1..1000, got 0"),
        ("synthetic://street?fps=nan", "fps must be within 1..1000, got nan"),
        ("synthetic://street?cars=99", "cars must be within 0..12, got 99"),
        ("synthetic://street?format=rgb", "format takes gray8 or gray16, got 'rgb'"),
        ("synthetic://street?ffc_every=1&ffc=2", "ffc_s must be below ffc_every_s = 1, got 2"),
    ],
)
def test_a_wrong_uri_is_refused_with_one_clear_sentence(uri: str, says: str) -> None:
    """The message names what is wrong and what would be right."""
    with pytest.raises(SourceError, match=re.escape(says)) as caught:
        StreetSpec.from_uri(uri)
    assert "\n" not in str(caught.value)


@given(key=st.text(st.characters(exclude_characters="&;=#", codec="utf-8"), min_size=1))
def test_no_unknown_key_gets_through(key: str) -> None:
    """Any key is either known or refused with a suggestion, never another error."""
    try:
        StreetSpec.from_uri(f"synthetic://street?{key}=1")
    except SourceError as error:
        assert str(error)  # noqa: PT017 - both outcomes are right


def test_the_visible_stream_is_limited_yuv_and_ends_on_time() -> None:
    """Ten frames at ten per second for one second, their times exact, the luma within the video range."""
    source = SyntheticSource(URI, stream=StreamName.VISIBLE)
    frames = [frame for frame in iter(source.read, None) if frame is not None]
    assert [frame.pts_ns for frame in frames] == [i * 100_000_000 for i in range(10)]
    assert source.info.frame_count == 10
    assert source.info.fps == 10
    spec = frames[0].image.spec
    assert spec == source.info.spec
    assert (spec.format, spec.range, spec.size_wh) == (PixelFormat.YUV420P, ColorRange.LIMITED, (160, 120))
    luma = frames[0].image.planes[0]
    assert 14 <= luma.min() < luma.max() <= 236
    source.close()


def test_the_infrared_stream_is_later_by_its_skew() -> None:
    """Infrared times carry the skew, and its image has the format asked for."""
    source = SyntheticSource(URI + "&skew_ms=3.5&format=gray16&infrared_fps=5", stream=StreamName.INFRARED)
    frames = [frame for frame in iter(source.read, None) if frame is not None]
    assert [frame.pts_ns for frame in frames] == [i * 200_000_000 + 3_500_000 for i in range(5)]
    assert frames[0].image.spec.format is PixelFormat.GRAY16
    assert frames[0].image.spec.size_wh == (160, 120)


@pytest.mark.parametrize("stream", StreamName)
def test_skipping_gives_the_frame_that_reading_would(stream: StreamName) -> None:
    """A restarted worker that skips to frame 6 goes on with the very same bytes."""
    whole, restarted = (SyntheticSource(URI, stream=stream) for _ in range(2))
    frames = [whole.read() for _ in range(7)]
    restarted.skip(6)
    frame = restarted.read()
    assert frame is not None
    assert frames[6] is not None
    assert frame.pts_ns == frames[6].pts_ns
    for one, other in zip(frame.image.planes, frames[6].image.planes, strict=True):
        assert np.array_equal(one, other)


def test_nothing_is_read_after_closing() -> None:
    """A closed endless street has ended, and closing twice is harmless."""
    source = SyntheticSource("synthetic://street?size=64x64", stream=StreamName.INFRARED)
    assert source.read() is not None
    source.close()
    source.close()
    assert source.read() is None


def test_the_documents_name_every_key() -> None:
    """The two tables of docs/cameras.md have a row for each key of the scenes, and no other."""
    page = (Path(__file__).parents[2] / "docs" / "cameras.md").read_text(encoding="utf-8")
    for scene, keys in (("street", spec._KEYS), ("board", board_spec._KEYS)):
        table = page.split(f"| key of the {scene} |")[1].split("\n\n")[0]
        cells = re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE)
        assert sorted(re.findall(r"`(\w+)`", " ".join(cells))) == sorted(keys)
