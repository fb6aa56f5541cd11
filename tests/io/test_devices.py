"""What is found on a machine: a tree of files laid out as kernel and udev do, and a fake driver."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from v4l2_camera import build_driver, camera_environment, plug_in

from streamfuse.io.cameras.devices import find_v4l2
from streamfuse.io.cameras.v4l2_query import ask


def lay_out(
    root: Path, number: int, *, name: str = "Camera", index: int = 0, by_id: str | None = None
) -> None:
    """One V4L2 node in sysfs, with its stable names; the device itself is for the test to make."""
    node = root / f"sys/class/video4linux/video{number}"
    node.mkdir(parents=True)
    (node / "name").write_text(f"{name}\n")
    (node / "index").write_text(f"{index}\n")
    links = root / "dev/v4l/by-id"
    links.mkdir(parents=True, exist_ok=True)
    if by_id is not None:
        (links / by_id).symlink_to(f"../../video{number}")


def test_a_camera_is_listed_with_its_stable_name_and_modes(tmp_path: Path) -> None:
    """A driver that answers tells its name and modes; the URI is the name that outlives a reboot."""
    lay_out(tmp_path, 3, name="from sysfs", by_id="usb-Fake_1-video-index0")
    node = plug_in(tmp_path / "dev/video3")
    code = (
        "import json, sys; from dataclasses import asdict; from pathlib import Path\n"
        "from streamfuse.io.cameras.devices import find_v4l2\n"
        "print(json.dumps([asdict(camera) for camera in find_v4l2(Path(sys.argv[1]))]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env=camera_environment(build_driver(tmp_path), node),
        check=True,
        capture_output=True,
        text=True,
    )
    (camera,) = json.loads(done.stdout)
    assert camera["name"] == "Fake thermal camera"
    assert camera["device"] == str(node)
    assert camera["uris"] == [str(tmp_path / "dev/v4l/by-id/usb-Fake_1-video-index0")]
    assert camera["modes"][:3] == ["YUYV 64x64 at 50 fps", "YUYV 32x32 at 50 fps", "Y16 64x64 at 50 fps"]
    assert camera["note"] == ""


def test_a_camera_that_cannot_be_asked_is_still_listed(tmp_path: Path) -> None:
    """Its name comes from sysfs, the reason is a note; nodes for metadata are left out; 2 comes before 10."""
    lay_out(tmp_path, 10, name="Second")
    lay_out(tmp_path, 2, name="First", by_id="usb-First-video-index0")
    lay_out(tmp_path, 3, name="First", index=1)
    (tmp_path / "dev/video2").touch()
    found = find_v4l2(tmp_path)
    assert [camera.name for camera in found] == ["First", "Second"]
    assert [camera.note for camera in found] == [
        "cannot be asked (Inappropriate ioctl for device)",
        "cannot be asked (No such file or directory)",
    ]
    assert (len(found[0].uris), found[1].uris) == (1, ())


def test_a_machine_without_cameras(tmp_path: Path) -> None:
    """Nothing there is an empty list; the kinds of sources that work without a camera are told.

    In a process of its own: Aravis keeps a socket from its first search on.
    """
    code = (
        "import json, sys; from dataclasses import asdict; from pathlib import Path\n"
        "from streamfuse.io.cameras.devices import take_inventory\n"
        "print(json.dumps(asdict(take_inventory(Path(sys.argv[1])))))"
    )
    found = json.loads(
        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)], check=True, capture_output=True, text=True
        ).stdout
    )
    assert found["v4l2"] == []
    assert {"rtsp", "rtmp", "udp", "http"} <= set(found["protocols"])
    assert set(found["decoders"]) <= {"cuda", "vaapi"}
    assert found["genicam"]["note"] == "" or "streamfuse[genicam]" in found["genicam"]["note"]


def test_a_file_is_no_device(tmp_path: Path) -> None:
    """The kernel's calls fail on it, and no descriptor is left open."""
    (tmp_path / "file").touch()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with pytest.raises(OSError, match="Inappropriate ioctl"):
            ask(tmp_path / "file")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
