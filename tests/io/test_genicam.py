"""GenICam cameras against Aravis' own fakes: one in this process, one as a GigE Vision server on loopback."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from servers import need_server

from streamfuse.config.sources import InfraredSource, VisibleSource
from streamfuse.errors import MachineError, SourceError, UsageError
from streamfuse.frames import StreamName
from streamfuse.io.cameras.aravis import Library, list_cameras, load
from streamfuse.io.cameras.bayer import demosaic
from streamfuse.io.cameras.genicam import GenicamSource, missing_between
from streamfuse.io.cameras.genicam_pixels import choose_format, image_of
from streamfuse.io.source import SourceFrame
from streamfuse.io.sources import open_source

SERVER = "arv-fake-gv-camera-0.8"
VISIBLE, INFRARED = StreamName.VISIBLE, StreamName.INFRARED
Serve = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture(scope="session")
def library() -> Library:
    """Aravis with its fake interface; its first search opens a socket that it keeps for good."""
    try:
        found = load()
    except MachineError as error:
        need_server(str(error))
        raise
    found.api.enable_interface("Fake")
    list_cameras(found)
    return found


@pytest.fixture
def serve(library: Library) -> Iterator[Serve]:
    """Start fake GigE Vision cameras, and end them with the test."""
    need_server(
        None if shutil.which(SERVER) else f"{SERVER} is not there; `apt install aravis-tools` brings it"
    )
    library.api.disable_interface("Fake")
    started: list[subprocess.Popen[bytes]] = []

    def start(serial: str, *, lost_per_thousand: int = 0) -> subprocess.Popen[bytes]:
        command = [SERVER, "-i", "127.0.0.1", "-s", serial, "-r", str(lost_per_thousand)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        started.append(process)
        deadline = time.monotonic() + 20
        while serial not in {camera.serial for camera in list_cameras(library)}:
            assert time.monotonic() < deadline, f"{SERVER} does not answer"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
    library.api.enable_interface("Fake")


def take(source: GenicamSource, count: int) -> list[SourceFrame]:
    """The next frames."""
    frames = [source.read() for _ in range(count)]
    return [frame for frame in frames if frame is not None]


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(
    ("input_format", "format"),
    [("mono8", "gray8"), ("Mono16".lower(), "gray16"), ("rgb8", "rgb24"), ("bayerrg8", "rgb24")],
)
def test_pixel_formats_arrive(input_format: str, format: str) -> None:
    """Each pixel format becomes its nearest image, with the camera's own time on every frame."""
    config = VisibleSource(uri="genicam://Fake_1", input_format=input_format, size=(128, 96), fps=50.0)
    source = GenicamSource(config, stream=VISIBLE)
    frames = take(source, 4)
    source.close()
    source.close()
    assert (source.info.spec.format, source.info.spec.size_wh) == (format, (128, 96))
    assert source.info.live
    assert source.info.fps == pytest.approx(50)
    assert all(frame.stamp is not None and frame.stamp.source == "device" for frame in frames)
    assert frames[0].pts_ns == 0
    assert np.diff([frame.pts_ns for frame in frames]).min() > 0
    assert not any(frame.lost for frame in frames)


@pytest.mark.usefixtures("library")
def test_infrared_counts_by_one_word() -> None:
    """`format: gray16` takes the deepest grey that the camera has, without a pixel format named."""
    source = GenicamSource(InfraredSource(uri="genicam://Fake_1", format="gray16"), stream=INFRARED)
    frame = take(source, 1)[0]
    source.close()
    assert source.info.spec.format == "gray16"
    assert frame.image.planes[0].max() > 255


@pytest.mark.usefixtures("library")
def test_open_source_knows_the_scheme() -> None:
    """genicam:// without an id is the only camera; features are set by name."""
    config = VisibleSource(uri="genicam://", options={"ExposureTimeAbs": "5000", "gain": "2"})
    source = open_source(config, stream=VISIBLE)
    assert isinstance(source, GenicamSource)
    assert source._camera.get_exposure_time() == 5000
    assert source._camera.get_gain() == 2
    source.close()


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(
    ("keys", "error", "words"),
    [
        ({"input_format": "mono24"}, UsageError, r"mono24 is not offered; choose one of .*Mono8"),
        ({"options": {"Nonsense": "1"}}, UsageError, r"options: this camera has no feature Nonsense"),
        ({"options": {"GainRaw": "much"}}, UsageError, r"options: GainRaw cannot be set to much"),
        ({"transport": "udp"}, UsageError, r"a GenICam camera cannot use transport"),
        ({"uri": "genicam://Fake_9"}, SourceError, r"no such camera answers.*genicam://Fake_1"),
    ],
)
def test_what_the_camera_lacks_is_told(keys: dict[str, object], error: type[Exception], words: str) -> None:
    """What never heals ends the run; a camera that is not there may come."""
    config = VisibleSource.model_validate({"uri": "genicam://Fake_1", **keys})
    with pytest.raises(error, match=words):
        GenicamSource(config, stream=VISIBLE)


def test_gige_vision_over_loopback(serve: Serve) -> None:
    """A GigE Vision camera is found by serial number and by address, and gives 20 frames in a row."""
    serve("GV07")
    for name in ("GV07", "127.0.0.1"):
        config = InfraredSource(uri=f"genicam://{name}", input_format="mono8", fps=50.0)
        source = GenicamSource(config, stream=INFRARED)
        frames = take(source, 20)
        source.close()
        lost = sum(sum(frame.lost.values()) for frame in frames)
        assert len(frames) == 20
        assert lost <= 2  # a busy machine may drop one
        assert source.info.spec.format == "gray8"


@pytest.mark.fault
def test_packets_lost_on_the_way_are_counted(
    serve: Serve, record_property: Callable[[str, object], None]
) -> None:
    """Where packets are lost, a frame is whole or counted, and none is invented.

    Most frames there can have been is told by the camera's clock; a busy fake may send fewer.
    """
    record_property("fault", "GigE Vision: 5 % of the packets are lost")
    serve("GV08", lost_per_thousand=50)
    source = GenicamSource(VisibleSource(uri="genicam://GV08", fps=50.0, size=(128, 96)), stream=VISIBLE)
    frames = take(source, 30)
    source.close()
    lost = sum(sum(frame.lost.values()) for frame in frames[1:])  # what was lost before the first has no time
    most = round(frames[-1].pts_ns / 20e6) + 1
    record_property("promise", "damaged frames are counted, none is shown")
    assert 0 < lost <= most - len(frames) + 2  # the fake's clock is not exact to a frame


@pytest.mark.slow
@pytest.mark.fault
def test_a_camera_that_dies_is_told_and_comes_back(
    serve: Serve, record_property: Callable[[str, object], None]
) -> None:
    """`kill -9` of the camera ends a read within timeout_s; opened anew, it goes on.

    Closing a dead camera takes Aravis some ten seconds: it waits for three answers.
    """
    record_property("fault", "GigE Vision: the camera is killed, then there again")
    server = serve("GV09")
    config = VisibleSource(uri="genicam://GV09", fps=50.0, timeout_s=1.0)
    source = GenicamSource(config, stream=VISIBLE)
    take(source, 3)
    server.send_signal(signal.SIGKILL)
    server.wait()
    began = time.monotonic()
    with pytest.raises(SourceError, match=r"no whole frame came for 1 s|control was lost"):
        take(source, 100)
    assert time.monotonic() - began < 2.5
    source.close()
    with pytest.raises(SourceError, match="no such camera answers"):
        GenicamSource(config, stream=VISIBLE)
    serve("GV09")
    began = time.monotonic()
    source = GenicamSource(config, stream=VISIBLE)
    take(source, 3)
    source.close()
    record_property("recovery_s", time.monotonic() - began)
    record_property("promise", "frames within 5 s of the first attempt")
    assert time.monotonic() - began < 5


def test_two_cameras_have_to_be_named(serve: Serve, library: Library) -> None:
    """Without an id, and with two cameras, it is unclear which one is meant."""
    serve("GV11")
    library.api.enable_interface("Fake")
    with pytest.raises(SourceError, match=r"fits several cameras \(.*GV11.*name one of them"):
        GenicamSource(VisibleSource(uri="genicam://"), stream=VISIBLE)


def test_without_aravis_the_way_to_install_is_told() -> None:
    """One sentence with the commands, from a Python without `gi`."""
    code = (
        "import sys; sys.modules['gi'] = None\n"
        "from streamfuse.io.sources import open_source\n"
        "from streamfuse.frames import StreamName\n"
        "open_source('genicam://x', stream=StreamName.VISIBLE)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert re.search(
        r"MachineError: .*apt install gir1.2-aravis-0.8 .*pip install 'streamfuse\[genicam\]'", done.stderr
    )


@given(width=st.integers(1, 9), height=st.integers(1, 9), seed=st.integers(0, 99))
def test_counts_keep_their_value(width: int, height: int, seed: int) -> None:
    """Mono10 to Mono16 are little-endian counts, taken as they are; padding behind them is left out."""
    counts = np.random.default_rng(seed).integers(0, 1 << 14, (height, width), dtype=np.uint16)
    image = image_of(counts.astype("<u2").tobytes() + b"pad", 0x01100025, (width, height))
    assert np.array_equal(image.planes[0], counts)


@pytest.mark.parametrize(
    ("code", "order"), [(0x01080009, "RG"), (0x01080008, "GR"), (0x0108000A, "GB"), (0x0108000B, "BG")]
)
def test_a_mosaic_of_one_colour_is_that_colour(code: int, order: str) -> None:
    """Whichever of the four mosaics a sensor has, red, green and blue come out as they are."""
    colour = {"R": 200, "G": 100, "B": 50}
    rows = {"RG": ("RG", "GB"), "GR": ("GR", "BG"), "GB": ("GB", "RG"), "BG": ("BG", "GR")}[order]
    mosaic = np.array([[colour[c] for c in row * 4] for row in rows * 4], np.uint8)
    image = image_of(mosaic.tobytes(), code, (8, 8))
    assert image.planes[0][2:-2, 2:-2].reshape(-1, 3).tolist() == [[200, 100, 50]] * 16
    assert demosaic(mosaic, order).shape == (8, 8, 3)  # type: ignore[arg-type]  # one of the four


def test_bgr_is_turned() -> None:
    """BGR8 becomes R, G, B."""
    assert image_of(bytes([1, 2, 3]), 0x02180015, (1, 1)).planes[0].ravel().tolist() == [3, 2, 1]


@pytest.mark.parametrize(("data", "code"), [(b"1234", 0x01080001), (bytes(99), 0x010C0006)])
def test_what_is_no_image_is_refused(data: bytes, code: int) -> None:
    """Too little data, and packed formats, are errors and not pictures."""
    with pytest.raises(ValueError, match=r"need 9 bytes, got 4|0x010C0006 is not one of Mono8"):
        image_of(data, code, (3, 3))


def test_the_deepest_grey_is_chosen() -> None:
    """Names are matched in any spelling; without depth there is a sentence."""
    offered = ["Mono8", "Mono12", "Mono14", "BayerRG8"]
    assert choose_format(None, offered, raw=True) == "Mono14"
    assert choose_format("bayer_rg8", offered, raw=True) == "BayerRG8"
    assert choose_format(None, offered, raw=False) is None
    with pytest.raises(ValueError, match=r"16-bit counts are not offered; choose one of Mono8"):
        choose_format(None, ["Mono8"], raw=True)


@given(start=st.integers(1, 65_535), steps=st.lists(st.integers(1, 50), min_size=1, max_size=20))
def test_missing_frames_over_the_turn_of_the_counter(start: int, steps: list[int]) -> None:
    """Frame numbers that turn from 65535 to 1 lose and invent nothing."""
    numbers = [start]
    for step in steps:
        numbers.append((numbers[-1] + step - 1) % 65_535 + 1)
    found = [missing_between(a, b) for a, b in pairwise(numbers)]
    assert found == [step - 1 for step in steps]
