"""Whole runs with a raw thermal camera: shutter, temperatures, palettes, telemetry."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from streamfuse.core.thermal.palette import apply, named_palette
from streamfuse.frames import Image
from streamfuse.io.images import write_png

FPS, PERIOD_S, CLOSED_S = 10, 2.0, 0.9
STREET = f"synthetic://street?seed=7&size=160x120&fps={FPS}"
SHUTTER = f"{STREET}&format=gray16&ffc_every={PERIOD_S}&ffc={CLOSED_S}"
MAX_RECOVERY_S = 0.6
"""Between the opening of the shutter and the first matched pair: six frames, also on a busy machine."""


@pytest.fixture(scope="module")
def yolo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real YOLOv8n weights with random values: they find something everywhere at confidence 0."""
    from streamfuse.engine.tasks.library import ultralytics  # noqa: PLC0415 - quietly, as we load it

    path = tmp_path_factory.mktemp("weights") / "random.pt"
    ultralytics().YOLO("yolov8n.yaml").save(path)
    return path


def write_pipeline(world, mode: str, visible: str, infrared: str, more: str = "") -> None:
    """A pipeline whose infrared source has more keys than a URI."""
    world.pipeline.write_text(
        f'name: thermal\nmode: {mode}\nsources:\n  visible: {{uri: "{visible}"}}\n'
        f"  infrared: {{{infrared}}}\nrecord: {{dir: recordings}}\n{more}"
    )


def index(world) -> list[dict[str, Any]]:
    """The records of all frames."""
    lines = world.recorded()[0].with_suffix(".jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines[1:]]


def balances(summary: dict[str, Any]) -> list[int]:
    """What the account of each stream lacks."""
    return [
        account["captured"] - account["emitted"] - sum(account["dropped"].values()) - account["in_flight"]
        for account in summary["streams"].values()
    ]


def recoveries_s(records: list[dict[str, Any]]) -> list[float]:
    """Seconds of the scene between each opening of the shutter and the first matched frame after it."""
    matched = sorted({r["infrared_seq"] / FPS for r in records if r["state"] == "matched"})
    return [
        after % PERIOD_S
        for before, after in itertools.pairwise(matched)
        if before // PERIOD_S < after // PERIOD_S
    ]


@pytest.mark.fault
def test_a_shutter_that_closes_is_a_state_and_temperatures_go_on(world, yolo, record_property) -> None:
    """Closed for 0.9 s in 2 s: the last image is held, then the visible camera goes on alone, then both."""
    write_pipeline(
        world,
        "realtime",
        STREET,
        f'uri: "{SHUTTER}", format: gray16, agc: {{method: plateau}}, radiometry: {{scale: 0.01}}',
        f'tasks: {{detect: {{weights: "{yolo}", confidence: 0.0, every: 2}}}}\n',
    )
    code, words = world.run("--duration", "7")
    assert code == 0, words
    summary, records = world.summary, index(world)
    assert balances(summary) == [0, 0]
    assert summary["streams"]["infrared"]["dropped"]["frozen"] >= 5
    assert all(summary["states"][state] > 0 for state in ("matched", "held", "visible_only")), summary[
        "states"
    ]
    for record in records:
        heats = [found["temperature_c"] for found in record["detections"]]
        if record["state"] == "visible_only":
            assert not any(heats)
        else:
            assert all(-60 < heat["min"] <= heat["mean"] <= heat["max"] < 120 for heat in heats)
    assert any(record["detections"] for record in records if record["state"] == "held")
    recovered_s = recoveries_s(records)
    assert recovered_s, "no closure was seen"
    usual_s = float(np.median(recovered_s))  # a busy machine may stop everything for a moment
    record_property("fault", "thermal shutter (FFC) closed for 0.9 s of every 2 s, 16-bit infrared")
    record_property("recovery_s", round(usual_s, 3))
    record_property("promise", f"matched within {MAX_RECOVERY_S} s of its opening; held, then visible_only")
    assert usual_s <= MAX_RECOVERY_S


def thermal_folders(world, infrared: list[np.ndarray]) -> None:
    """Two folders of images: flat visible ones, and the given infrared ones."""
    for number, pixels in enumerate(infrared):
        gray = np.full((*pixels.shape[:2], 3), 90, np.uint8)
        for stream, array in (("visible", gray), ("infrared", pixels)):
            (world.folder / stream).mkdir(exist_ok=True)
            image = Image.from_rgb(array) if array.ndim == 3 else Image.from_gray(array)
            write_png(world.folder / stream / f"{number}.png", image)


def ramp() -> np.ndarray:
    """A picture of all intensities from left to right."""
    return np.tile(np.linspace(0, 255, 128).round().astype(np.uint8), (96, 1))


@pytest.mark.slow
def test_painted_infrared_is_fused_as_if_it_were_grey(world) -> None:
    """By name or by a picture of the palette, the fused video is that of the grey original, to 4 levels."""
    ironbow = named_palette("ironbow")
    write_png(world.folder / "bar.png", Image.from_rgb(np.repeat(ironbow[None], 8, axis=0)))
    painted = apply(ramp(), ironbow)
    fused = []
    for infrared, key in (
        (ramp(), ""),
        (painted, ", palette-in: ironbow"),
        (painted, ", palette-in: bar.png"),
    ):
        thermal_folders(world, [infrared] * 2)
        write_pipeline(world, "every_frame", "visible", f"uri: infrared{key}")
        code, words = world.run()
        assert code == 0, words
        with av.open(str(world.recorded()[-1])) as container:
            fused.append(next(container.decode(video=0)).to_ndarray(format="gray").astype(int))
    grey, by_name, by_picture = fused
    assert np.ptp(grey) > 100
    assert np.abs(grey - by_name).mean() < 4
    assert np.abs(grey - by_picture).mean() < 4


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ("format: gray16", "sources.infrared.format: gray16 is wanted, but the source gives gray8"),
        ("radiometry: {scale: 0.01}", "sources.infrared.radiometry: temperatures need the raw 16-bit counts"),
        ("telemetry: lepton", "sources.infrared.telemetry: it comes with raw 16-bit counts"),
    ],
)
def test_what_the_source_does_not_give_is_one_clear_sentence(world, keys: str, sentence: str) -> None:
    """Refused with exit code 2 before anything runs, never guessed."""
    thermal_folders(world, [ramp()] * 2)
    write_pipeline(world, "every_frame", "visible", f"uri: infrared, {keys}")
    code, words = world.run()
    assert code == 2, words
    assert sentence in " ".join(words.split())
