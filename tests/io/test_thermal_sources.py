"""What an infrared source is declared to be: 16-bit counts, painted colours, frames with telemetry."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from streamfuse.config.sources import InfraredSource
from streamfuse.errors import SourceError, UsageError
from streamfuse.frames import DropCause, Image, ImageSpec, PixelFormat, StreamName
from streamfuse.io.cameras.lepton import LeptonSource
from streamfuse.io.images import write_png
from streamfuse.io.source import SourceFrame, SourceInfo
from streamfuse.io.sources import open_source

STREET = "synthetic://street?size=64x64&infrared_size=64x64"
Counts = npt.NDArray[np.uint16]


def opened(uri: str, **keys: Any) -> Any:
    """An infrared source with these keys."""
    return open_source(InfraredSource(uri=uri, **keys), stream=StreamName.INFRARED)


@pytest.mark.parametrize(
    ("given", "declared", "works"),
    [
        ("gray16", "gray16", True),
        ("gray16", "auto", True),
        ("gray8", "gray8", True),
        ("gray8", "auto", True),
        ("gray16", "gray8", False),
        ("gray8", "gray16", False),
    ],
)
def test_the_declared_format_is_what_the_source_gives_or_refused(
    given: str, declared: Any, works: bool
) -> None:
    """Counts are never taken for grey, nor grey for counts; the sentence names both and the way out."""
    uri = f"{STREET}&format={given}"
    if works:
        with closing(opened(uri, format=declared)) as source:
            assert source.info.spec.format == given
        return
    sentence = rf"format: {declared} is wanted, but the source gives {given}; switch the camera .* or set"
    with pytest.raises(UsageError, match=sentence):
        opened(uri, format=declared)


def test_colours_and_temperatures_need_the_pixels_that_have_them() -> None:
    """A palette of grey pixels, or temperatures of 8 bits: the sentence names the key."""
    with pytest.raises(UsageError, match=r"palette-in: the source gives gray16, which has no colours"):
        opened(f"{STREET}&format=gray16", palette_in="lava")
    with pytest.raises(
        UsageError, match=r"radiometry: temperatures need the raw 16-bit counts, but .* gray8"
    ):
        opened(f"{STREET}&format=gray8", radiometry={})


@pytest.mark.parametrize("palette", [None, "ironbow"])
def test_colours_are_kept_where_a_palette_is_declared(tmp_path: Path, palette: Any) -> None:
    """Images of the infrared stream are read as grey, but with palette-in as they are stored."""
    write_png(tmp_path / "0.png", Image.from_rgb(np.zeros((8, 8, 3), np.uint8)))
    with closing(opened(str(tmp_path), palette_in=palette)) as source:
        wanted = PixelFormat.GRAY8 if palette is None else PixelFormat.RGB24
        assert source.info.spec.format is wanted
        assert source.read().image.spec.format is wanted


# --- telemetry -----------------------------------------------------------------------------------


def lepton_frame(number: int, *, running: bool = False, damaged: bool = False) -> Counts:
    """An image of one count with telemetry rows below it."""
    frame = np.full((122, 160), 30_000 + number, np.uint16)
    frame[120:] = 0
    words = {0: 0x0E0E, 1: 1000, 3: 0x20 if running else 0x30, 20: number, 24: 0 if damaged else 30_000}
    for word, value in words.items():
        frame[120, word] = value
    return frame


@dataclass
class Frames:
    """A source of given frames."""

    frames: list[Counts]
    size_wh: tuple[int, int] = (160, 122)
    live: bool = True
    calls: list[str] = field(default_factory=list)

    @property
    def info(self) -> SourceInfo:
        """16-bit frames at the rate of a Lepton."""
        spec = ImageSpec(format=PixelFormat.GRAY16, size_wh=self.size_wh)
        return SourceInfo(spec=spec, fps=9.0, frame_count=None, live=self.live)

    def read(self) -> SourceFrame | None:
        """The next frame; each tells of one that the network lost."""
        if not self.frames:
            return None
        image = Image.from_gray(self.frames.pop(0))
        return SourceFrame(image=image, pts_ns=len(self.frames), lost={DropCause.NETWORK: 1})

    def skip(self, count: int) -> None:
        """Note it."""
        self.calls.append(f"skip {count}")

    def close(self) -> None:
        """Note it."""
        self.calls.append("close")


def test_telemetry_is_cut_off_and_tells_of_the_shutter() -> None:
    """The stream has the size of the image, and a frame behind the shutter says so."""
    source = LeptonSource(Frames([lepton_frame(0), lepton_frame(1, running=True), lepton_frame(2)]))
    assert source.info.spec.size_wh == (160, 120)
    read = [source.read() for _ in range(3)]
    assert [frame.shutter_closed for frame in read if frame] == [False, True, False]
    assert [frame.image.planes[0].shape for frame in read if frame] == [(120, 160)] * 3
    assert source.read() is None


def test_a_damaged_frame_is_left_out_and_counted() -> None:
    """Its place is told by the next frame, with what the source itself has lost."""
    source = LeptonSource(Frames([lepton_frame(0, damaged=True), lepton_frame(1)]))
    frame = source.read()
    assert frame is not None
    assert frame.image.planes[0][0, 0] == 30_001
    assert frame.lost == {DropCause.CORRUPT: 1, DropCause.NETWORK: 2}


def test_telemetry_that_never_makes_sense_breaks_the_source() -> None:
    """A second of it, and the camera is opened anew; nothing is shown with telemetry in the picture."""
    source = LeptonSource(Frames([lepton_frame(number, damaged=True) for number in range(20)]))
    with pytest.raises(SourceError, match="no telemetry in the last or the first rows"):
        source.read()


def test_a_camera_without_telemetry_rows_is_refused() -> None:
    """The size tells before a frame is read."""
    with pytest.raises(UsageError, match="but the camera sends 160x120"):
        LeptonSource(Frames([], size_wh=(160, 120)))


def test_skipping_and_closing_reach_the_source() -> None:
    """It belongs to the wrapper."""
    frames = Frames([])
    source = LeptonSource(frames)
    source.skip(3)
    source.close()
    assert frames.calls == ["skip 3", "close"]


def test_frames_of_a_lepton_in_files_are_parted_too(tmp_path: Path) -> None:
    """Telemetry is declared for a stream, whatever brings it: here recorded 16-bit images."""
    write_png(tmp_path / "0.png", Image.from_gray(lepton_frame(5)))
    with closing(opened(str(tmp_path), telemetry="lepton", format="gray16")) as source:
        assert source.read().image.spec.size_wh == (160, 120)
