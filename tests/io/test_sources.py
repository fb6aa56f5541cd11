"""From a URI to a source."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfuse.errors import SourceError, UsageError
from streamfuse.frames import Image, StreamName
from streamfuse.io.images import ImageFolderSource, write_png
from streamfuse.io.media import VideoSource
from streamfuse.io.sources import open_source, redact
from streamfuse.io.video.writer import VideoWriter

GRAY = Image.from_gray(np.full((48, 64), 90, np.uint8))


def fill(folder: Path, *stems: str) -> str:
    """A folder of images; its path as a URI."""
    folder.mkdir()
    for stem in stems:
        write_png(folder / f"{stem}.png", GRAY)
    return str(folder)


def test_a_file_opens_as_video(tmp_path: Path) -> None:
    """A path to a file is a video."""
    path = tmp_path / "v.mp4"
    with VideoWriter(path, GRAY.spec, fps=30) as writer:
        writer.write(GRAY, 0)
    source = open_source(str(path), stream=StreamName.VISIBLE)
    assert isinstance(source, VideoSource)
    source.close()


@pytest.mark.parametrize("stream", list(StreamName))
def test_two_folders_open_with_the_images_they_share(tmp_path: Path, stream: StreamName) -> None:
    """Whichever side opens, both read the same stems in the same order."""
    uris = {
        StreamName.VISIBLE: fill(tmp_path / "v", "1", "2", "10"),
        StreamName.INFRARED: fill(tmp_path / "i", "2", "10", "11"),
    }
    source = open_source(uris[stream], stream=stream, partner_uri=uris[stream.other])
    assert isinstance(source, ImageFolderSource)
    assert source.info.frame_count == 2


def test_a_folder_alone_or_beside_a_video_opens_whole(tmp_path: Path) -> None:
    """Without a partner folder there is nothing to match."""
    uri = fill(tmp_path / "v", "1", "2")
    for partner in (None, "synthetic://street", str(tmp_path / "video.mp4")):
        source = open_source(uri, stream=StreamName.VISIBLE, partner_uri=partner)
        assert source.info.frame_count == 2


def test_an_unknown_kind_says_which_there_are() -> None:
    """The message names what works and how to add more, and keeps the password."""
    with pytest.raises(UsageError, match=r"infrared: .*no source of the kind gopher://.*rtsp://") as caught:
        open_source("gopher://u:secret@cam/live", stream=StreamName.INFRARED)
    assert "secret" not in str(caught.value)


def test_a_single_image_is_no_stream(tmp_path: Path) -> None:
    """A path to one image is a likely slip for its folder."""
    with pytest.raises(SourceError, match="is a single image"):
        open_source(str(tmp_path / "x.PNG"), stream=StreamName.VISIBLE)


def test_a_missing_path_is_told(tmp_path: Path) -> None:
    """What is neither file nor folder is a missing file."""
    with pytest.raises(SourceError, match="there is no such file"):
        open_source(str(tmp_path / "gone"), stream=StreamName.VISIBLE)


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("rtsp://cam:554/live", "rtsp://cam:554/live"),
        ("rtsp://cam/live@main", "rtsp://cam/live@main"),
        ("rtsp://user:pass@cam:554/live", "rtsp://***@cam:554/live"),
        ("rtsp://user@cam/live", "rtsp://***@cam/live"),
        ("rtsp://user:p@ss/w?rd@cam/live", "rtsp://***@cam/live"),
        ("http://cam/x?user=me&password=a&n=1", "http://cam/x?user=me&password=***&n=1"),
        ("/data/v.mp4", "/data/v.mp4"),
        ("connect rtsp://a:b@cam failed", "connect rtsp://***@cam failed"),
    ],
)
def test_redact(uri: str, shown: str) -> None:
    """Users and passwords go, the rest stays readable."""
    assert redact(uri) == shown


@given(
    password=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=4, max_size=20),
    path=st.from_regex(r"[a-z/]{0,10}", fullmatch=True),
)
def test_no_password_is_ever_shown(password: str, path: str) -> None:
    """Whatever characters a password has, raw or not, it is not in the redacted URI."""
    assert redact(f"rtsp://admin:{password}@10.0.0.1:554/{path}") == f"rtsp://***@10.0.0.1:554/{path}"
