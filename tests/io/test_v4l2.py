"""V4L2 cameras: FFmpeg's true demuxer and our source against a fake driver, in a process of their own."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from v4l2_camera import FPS, build_driver, camera_environment, plug_in

from streamfuse.config.sources import InfraredSource, VisibleSource
from streamfuse.errors import SourceError, UsageError
from streamfuse.frames import StreamName
from streamfuse.io.cameras.v4l2 import V4l2Source
from streamfuse.io.cameras.v4l2_query import stable_names
from streamfuse.io.cameras.v4l2_request import failure
from streamfuse.io.sources import open_source

HERE = Path(__file__).parent
Read = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fake driver as a library to preload."""
    return build_driver(tmp_path_factory.mktemp("fake_v4l2"))


@pytest.fixture
def read(driver: Path, tmp_path: Path) -> Read:
    """Read the fake camera: its block's keys, the driver's fault, and the number of frames."""
    node = plug_in(tmp_path / "camera")

    def run(
        *, count: int = 5, fault: str = "", jpeg: Path | None = None, **block: Any
    ) -> list[dict[str, Any]]:
        wanted = json.dumps({"uri": str(node), "count": count, "timeout_s": 0.5, **block})
        done = subprocess.run(
            [sys.executable, str(HERE / "v4l2_reader.py"), wanted],
            env=camera_environment(driver, node, fault=fault, jpeg=jpeg),
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return [*map(json.loads, done.stdout.splitlines()), {"told": done.stderr}]

    return run


@pytest.fixture
def jpeg(tmp_path: Path) -> Path:
    """A grey picture as the fake camera sends it in MJPEG."""
    path = tmp_path / "grey.jpg"
    with av.open(path, "w", format="mjpeg") as container:
        stream = container.add_stream("mjpeg", rate=25, width=64, height=64, pix_fmt="yuvj422p")
        gray = av.VideoFrame.from_ndarray(np.full((64, 64), 90, np.uint8), format="gray")
        container.mux(stream.encode(gray.reformat(format="yuvj422p", dst_color_range="JPEG")))
        container.mux(stream.encode())
    return path


def test_y16_counts_travel_as_they_are(read: Read) -> None:
    """`format: gray16` asks for Y16 by itself; counts, order and the kernel's stamps arrive exactly."""
    info, *frames, told = read(format="gray16", count=8)
    assert info == {"format": "gray16", "size": [64, 64], "fps": FPS, "live": True}
    assert [frame["value"] for frame in frames] == list(range(20_000, 20_008))
    pts_ns = [frame["pts_ns"] for frame in frames]
    assert pts_ns[0] == 0
    assert np.diff(pts_ns).min() >= 1e9 / FPS * 0.9
    assert all(frame["stamp"][0] == "driver" and 0 <= frame["stamp"][1] < 1e9 for frame in frames)
    assert told == {"told": ""}


@pytest.mark.parametrize(
    ("input_format", "format", "values"),
    [
        ("yuyv422", "yuv420p", [0, 1, 2]),
        ("grey", "gray8", [0, 1, 2]),
        ("y16", "gray16", [20_000, 20_001, 20_002]),
    ],
)
def test_what_is_asked_for_comes(read: Read, input_format: str, format: str, values: list[int]) -> None:
    """Each form of pixels arrives in its nearest form, in the kernel's and in FFmpeg's words."""
    info, *frames, _ = read(input_format=input_format, count=3, size=(32, 32))
    assert (info["format"], info["size"]) == (format, [32, 32])
    assert [frame["value"] for frame in frames] == values


def test_mjpeg_is_decoded(read: Read, jpeg: Path) -> None:
    """A compressed stream keeps its full range and the kernel's stamps."""
    info, *frames, _ = read(input_format="mjpeg", jpeg=jpeg, count=4)
    assert info["format"] == "yuv420p"
    assert all(abs(frame["value"] - 90) <= 1 and frame["stamp"][0] == "driver" for frame in frames)


def test_stamps_of_another_clock_are_not_taken(read: Read) -> None:
    """A driver that stamps in wall-clock time gives no stamp, and times that rise."""
    _, *frames, _ = read(fault="realtime", count=4)
    assert [frame["stamp"] for frame in frames] == [None] * 4
    assert np.diff([frame["pts_ns"] for frame in frames]).min() > 0


def test_what_the_driver_gives_instead_is_told(read: Read) -> None:
    """Another size and rate than asked for is one sentence, and the picture is what the driver gives."""
    info, _, told = read(fault="tiny", size=(64, 64), fps=30.0, count=1)
    assert info["size"] == [32, 32]
    assert "the driver gives 32x32 instead of 64x64 and 50 instead of 30 fps" in told["told"]
    assert told["told"].count("\n") == 1


@pytest.mark.fault
def test_damaged_buffers_are_counted(read: Read, record_property: Callable[[str, object], None]) -> None:
    """A buffer that the driver marks as damaged is not shown; the frame after it tells of it."""
    record_property("fault", "V4L2: every third buffer is damaged")
    _, *frames, _ = read(fault="corrupt:3", format="gray16", count=10)
    numbers = [frame["value"] - 20_000 for frame in frames]
    assert numbers == [n for n in range(numbers[-1] + 1) if n % 3 != 1]
    lost = sum(frame["lost"].get("corrupt", 0) for frame in frames)
    record_property("promise", "captured = emitted + corrupt")
    assert numbers[-1] + 1 == len(frames) + lost


@pytest.mark.fault
@pytest.mark.parametrize(("stall", "got"), [(0, 0), (3, 4)])
@pytest.mark.parametrize("input_format", ["y16", "mjpeg"])
def test_a_silent_driver_ends_in_time(
    read: Read,
    jpeg: Path,
    stall: int,
    got: int,
    input_format: str,
    record_property: Callable[[str, object], None],
) -> None:
    """A driver that delivers nothing, from the start or from some frame on, is an error within the limit."""
    record_property("fault", "V4L2: the driver delivers nothing any more")
    *before, error, _ = read(fault=f"stall:{stall}", input_format=input_format, jpeg=jpeg, count=9)
    assert len(before) == got
    assert error["error"] == "SourceError"
    assert "no whole frame came for 0.5 s; check cable and power" in error["text"]
    record_property("recovery_s", error["waited_s"])
    record_property("promise", "error within timeout_s (0.5 s) and 1 s")
    assert 0.45 <= error["waited_s"] < 1.5


def test_nothing_but_damage_ends_in_time(read: Read) -> None:
    """Damaged buffers do not count as a sign of life for ever."""
    *_, error, _ = read(fault="corrupt:1", format="gray16", count=9)
    assert "no whole frame came for 0.5 s, " in error["text"]
    assert "damaged ones did" in error["text"]


@pytest.mark.fault
def test_unplugged_in_the_middle(read: Read, record_property: Callable[[str, object], None]) -> None:
    """A camera that is pulled out is an error that may heal, at once."""
    record_property("fault", "V4L2: unplugged while it runs")
    info, *frames, error, _ = read(fault="unplug:4", format="gray16", count=20)
    assert info["live"]
    assert 1 <= len(frames) <= 4
    assert error["error"] == "SourceError"
    assert "was unplugged" in error["text"]
    record_property("recovery_s", error["waited_s"])
    record_property("promise", "error within timeout_s (0.5 s)")
    assert error["waited_s"] < 0.5


def test_busy_names_the_reason(read: Read) -> None:
    """A device in use is told as such, and may heal."""
    error, _ = read(fault="busy")
    assert (error["error"], "another program uses it" in error["text"]) == ("SourceError", True)


def test_a_format_that_is_not_offered_is_refused_with_the_list(read: Read) -> None:
    """FFmpeg would take any other format; thermal counts must not turn into a picture unnoticed."""
    error, _ = read(input_format="nv12")
    assert error["error"] == "SourceError"
    assert "does not send nv12 but yuyv422" in error["text"]
    assert "Y16 64x64 at 50 fps" in error["text"]


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    """A slip in input_format never heals."""
    with pytest.raises(UsageError, match=r"input_format: y61 is unknown; try y16"):
        V4l2Source(VisibleSource(uri=str(tmp_path), input_format="y61"), stream=StreamName.VISIBLE)


def test_an_absent_camera_may_come(tmp_path: Path) -> None:
    """A path with nothing there is a source that may heal."""
    with pytest.raises(SourceError, match=r"visible: .*/gone: there is no such device; plug the camera in"):
        V4l2Source(VisibleSource(uri=str(tmp_path / "gone")), stream=StreamName.VISIBLE)


@pytest.mark.parametrize(
    ("name", "words"), [("file", "this is no capture device"), ("folder", "this is a folder")]
)
def test_what_is_no_camera_is_told(tmp_path: Path, name: str, words: str) -> None:
    """A file or a folder is not mistaken for a device."""
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(SourceError, match=words):
        V4l2Source(VisibleSource(uri=str(tmp_path / name)), stream=StreamName.VISIBLE)


def test_no_permission_names_the_group() -> None:
    """Who may not open the device learns of the group."""
    refused = PermissionError(errno.EACCES, "Permission denied")
    text = str(failure(refused, uri="/dev/video0", label="visible: /dev/video0"))
    assert text.startswith("visible: /dev/video0: this user may not open it; `sudo usermod -aG video $USER`")


def test_a_bare_index_is_refused_with_its_stable_names(tmp_path: Path) -> None:
    """The message says why, and which names of the same device to use."""
    for folder, name, node in [
        ("by-id", "usb-FLIR_Boson_1-video-index0", "/dev/video7"),
        ("by-path", "pci-0-usb-1-video-index0", "/dev/video7"),
        ("by-id", "usb-Other-video-index0", "/dev/video8"),
    ]:
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).symlink_to(node)
    config = InfraredSource(uri="/dev/video7")
    with pytest.raises(UsageError) as caught:
        V4l2Source(config, stream=StreamName.INFRARED, links=tmp_path)
    text = str(caught.value)
    assert "after a reboot its number may belong to the other camera" in text
    assert f"use {tmp_path}/by-id/usb-FLIR_Boson_1-video-index0 or {tmp_path}/by-path/pci-0-usb-1" in text
    assert "force_index: true" in text
    assert "Other" not in text
    assert stable_names("/dev/video9", links=tmp_path) == ()


def test_a_forced_index_is_tried(tmp_path: Path) -> None:
    """With force_index the number is opened: here, nothing is there."""
    config = VisibleSource(uri="/dev/video4711", force_index=True)
    with pytest.raises(SourceError, match="/dev/video4711: there is no such device"):
        V4l2Source(config, stream=StreamName.VISIBLE, links=tmp_path)


def test_a_device_path_opens_this_kind() -> None:
    """open_source knows /dev/…; the refusal comes from this source."""
    with pytest.raises(UsageError, match=r"/dev/video4711: after a reboot .* see `streamfuse sources`"):
        open_source("/dev/video4711", stream=StreamName.VISIBLE)


@pytest.mark.parametrize("key", [{"transport": "udp"}, {"loop": True}, {"decode": "cuda"}])
def test_keys_that_mean_nothing_here_are_refused(key: dict[str, Any]) -> None:
    """Nobody shall trust in a key that does nothing."""
    config = VisibleSource(uri="/dev/v4l/by-id/gone", **key)
    with pytest.raises(UsageError, match=f"a V4L2 camera cannot use {next(iter(key))}"):
        V4l2Source(config, stream=StreamName.VISIBLE)
