"""Telemetry rows of a Lepton: golden rows built word by word from the documented layout."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfuse.core.thermal.telemetry import FfcState, LeptonTelemetry, lepton_image_wh, lepton_telemetry
from streamfuse.errors import SourceError, UsageError

Counts = npt.NDArray[np.uint16]

# Row A of the datasheet: word: value. 32-bit values are low word, high word.
ROW_A = {
    0: 0x0E0E,  # revision 14.14
    1: 0x86A0,  # 100 000 ms since it was switched on
    2: 0x0001,
    3: 0x0030,  # status: FFC complete (bits 4 and 5)
    4: 0x0000,
    20: 0x0002,  # frame 65 538
    21: 0x0001,
    22: 29_700,  # mean of the frame
    23: 8_000,  # sensor temperature, raw
    24: 30_315,  # sensor temperature: 30.00 °C
    29: 30_215,  # at the last FFC: 29.00 °C
    30: 0x1388,  # the last FFC was at 5000 ms
    31: 0x0000,
}


def frame(words: dict[int, int] = ROW_A, *, lepton: int = 3, header: bool = False) -> tuple[Counts, Counts]:
    """A frame with telemetry, and its image alone: counts in hundredths of a kelvin."""
    shape, rows = ((120, 160), 2) if lepton == 3 else ((60, 80), 3)
    image = np.random.default_rng(5).integers(29_000, 30_500, shape, np.uint16)
    telemetry = np.zeros(rows * shape[1], np.uint16)
    for word, value in words.items():
        telemetry[word] = value
    parts = (image, telemetry.reshape(rows, shape[1]))
    return np.vstack(parts[::-1] if header else parts), image


@pytest.mark.parametrize("lepton", [2, 3])
@pytest.mark.parametrize("header", [False, True])
def test_a_golden_frame_is_parted_and_read(lepton: int, header: bool) -> None:
    """Footer or header, 80x60 or 160x120: the image comes back untouched and every word is understood."""
    counts, image = frame(lepton=lepton, header=header)
    parted, said = lepton_telemetry(counts)
    assert np.array_equal(parted, image)
    assert np.shares_memory(parted, counts)
    assert said == LeptonTelemetry(
        revision=0x0E0E,
        uptime_ms=100_000,
        frame=65_538,
        ffc=FfcState.COMPLETE,
        fpa_c=30.0,
        last_ffc_c=29.0,
        last_ffc_ms=5_000,
    )


@pytest.mark.parametrize(
    ("status", "state", "closed"),
    [
        (0x00, FfcState.NEVER, False),
        (0x18, FfcState.IMMINENT, False),  # with "FFC desired", bit 3
        (0x20, FfcState.RUNNING, True),
        (0x30, FfcState.COMPLETE, False),
    ],
)
def test_the_shutter_is_closed_while_the_correction_runs(status: int, state: FfcState, closed: bool) -> None:
    """Bits 4 and 5 of the status tell; an announced correction still shows the scene."""
    _, said = lepton_telemetry(frame({**ROW_A, 3: status, 4: 0x0010})[0])
    assert (said.ffc, said.shutter_closed) == (state, closed)


def test_the_clock_may_roll_over() -> None:
    """After 49 days the time of the last correction is a larger number than the time."""
    _, said = lepton_telemetry(frame({**ROW_A, 2: 0, 30: 0xFFFF, 31: 0xFFFF})[0])
    assert said.uptime_ms < said.last_ffc_ms


@pytest.mark.parametrize("size_wh", [(160, 120), (80, 60), (640, 512), (122, 160)])
def test_a_frame_of_another_size_is_one_clear_sentence(size_wh: tuple[int, int]) -> None:
    """It names the sizes that are possible, the one that came, and the way out."""
    sentence = rf"are 80x63 and 160x122, but the camera sends {size_wh[0]}x{size_wh[1]}; switch telemetry on"
    with pytest.raises(UsageError, match=sentence):
        lepton_telemetry(np.zeros(size_wh[::-1], np.uint16))
    with pytest.raises(UsageError, match="telemetry: none"):
        lepton_image_wh(size_wh)


@pytest.mark.parametrize(("word", "value"), [(0, 0xA000), (0, 0), (24, 0xA000), (24, 0), (31, 0x7000)])
def test_rows_that_make_no_sense_are_refused(word: int, value: int) -> None:
    """A revision, a sensor temperature or a time that cannot be: the frame is damaged."""
    with pytest.raises(SourceError, match="no telemetry in the last or the first rows"):
        lepton_telemetry(frame({**ROW_A, word: value})[0])


@given(st.integers(0, 2**32 - 1), st.floats(0.02, 500))
def test_pixels_are_not_taken_for_telemetry(seed: int, spread: float) -> None:
    """A radiometric image of ordinary scenes, telemetry switched off in the middle of a run, is refused."""
    rng = np.random.default_rng(seed)
    counts = np.clip(rng.normal(29_500, spread, (122, 160)), 20_000, 65_535).astype(np.uint16)
    with pytest.raises(SourceError):
        lepton_telemetry(counts)
