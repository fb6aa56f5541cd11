"""`streamfuse sources`: what the machine has, for people and for programs."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import typer
from typer.testing import CliRunner

from streamfuse.cli.sources import sources
from streamfuse.io.cameras import devices
from streamfuse.io.cameras.aravis import GenicamCamera

app = typer.Typer()
app.command()(sources)

THERMAL = devices.V4l2Camera(
    device="/dev/video0",
    name="FLIR [Boson]",
    uris=("/dev/v4l/by-id/usb-FLIR_Boson_47324-video-index0", "/dev/v4l/by-path/pci-0-video-index0"),
    modes=("Y16 640x512 at 60 fps",),
    note="",
)
NAMELESS = devices.V4l2Camera(
    device="/dev/video4", name="Grabber", uris=(), modes=(), note="cannot be asked (Device or resource busy)"
)
GIGE = GenicamCamera(
    id="Maker-Model-7", vendor="Maker", model="Model", serial="7", address="10.0.0.9", protocol="GigEVision"
)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> devices.Inventory:
    """A machine with two V4L2 cameras, one on the network, and a plug-in."""
    inventory = devices.Inventory(
        v4l2=(THERMAL, NAMELESS),
        genicam=devices.GenicamList(cameras=(GIGE,), note=""),
        plugins=(devices.Plugin(scheme="ramp", package="ramp-camera 1.2", target="ramp_camera:RampSource"),),
        protocols=("rtsp", "udp"),
        decoders=("cuda",),
    )
    monkeypatch.setattr(devices, "take_inventory", lambda: inventory)
    return inventory


@pytest.mark.usefixtures("machine")
def test_people_see_what_to_write() -> None:
    """Each camera comes with the line for the pipeline file; brackets in a name are no markup."""
    result = CliRunner().invoke(app, [], env={"COLUMNS": "160"})
    assert result.exit_code == 0
    for words in (
        "FLIR [Boson]",
        "Y16 640x512 at 60 fps",
        "uri: /dev/v4l/by-id/usb-FLIR_Boson_47324-video-index0",
        "uri: /dev/video4",
        "force_index: true",
        "cannot be asked (Device or resource busy)",
        "uri: genicam://Maker-Model-7",
        "uri: ramp://…",
        "Network: rtsp://, udp://",
        "Hardware decoding: cuda",
    ):
        assert words in result.output, words


@pytest.mark.usefixtures("machine")
def test_programs_get_json() -> None:
    """All of it, with stable keys."""
    found = json.loads(CliRunner().invoke(app, ["--json"]).output)
    assert set(found) == {"v4l2", "genicam", "plugins", "protocols", "decoders"}
    assert found["v4l2"][0]["uris"][0] == THERMAL.uris[0]
    assert found["genicam"]["cameras"][0]["uri"] == "genicam://Maker-Model-7"
    assert found["plugins"][0]["scheme"] == "ramp"


def test_a_bare_machine_is_told(machine: devices.Inventory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a camera and without Aravis there is a sentence for each, and the exit code is 0."""
    note = "GenICam cameras need Aravis; `pip install 'streamfuse[genicam]'`"
    bare = replace(
        machine, v4l2=(), plugins=(), decoders=(), genicam=devices.GenicamList(cameras=(), note=note)
    )
    monkeypatch.setattr(devices, "take_inventory", lambda: bare)
    result = CliRunner().invoke(app, [], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert "No camera is attached to this machine." in result.output
    assert "pip install 'streamfuse[genicam]'" in result.output
    assert "Hardware decoding: none, software does it" in result.output
