"""Shared memory that is too small: said before the start, with the size that is needed."""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streamfuse.errors import MachineError
from streamfuse.frames import ImageSpec, PixelFormat
from streamfuse.io.transport.ring import RingWriter, preflight, ring_nbytes

SPEC = ImageSpec(format=PixelFormat.YUV420P, size_wh=(1920, 1080))
MIB = 2**20


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A memory file system of 8 MiB, as a container's own shared memory may be."""
    folder = tmp_path / "shm"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "streamfuse-test", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small tmpfs needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.fault
def test_too_small_shared_memory_is_said_before_the_start(
    small: Path, record_property: Callable[[str, object], None]
) -> None:
    """The check names what is needed, what is free and the option that gives enough; the option is right."""
    record_property("fault", "shared memory of 8 MiB for a ring of eight 1080p frames")
    record_property("promise", "refused before the start, with the size needed")
    nbytes = ring_nbytes(8, SPEC.nbytes)
    with pytest.raises(MachineError) as refused:
        preflight(small, nbytes)
    text = str(refused.value)
    assert f"{nbytes / MIB:.1f} MiB of shared memory needed, 8.0 MiB free" in text
    advised = int(re.search(r"--shm-size=(\d+)m", text)[1])  # type: ignore[index]
    subprocess.run(["mount", "-o", f"remount,size={advised}m", str(small)], check=True)
    preflight(small, nbytes)
    RingWriter.create(small / "visible.ring", slots=8, slot_nbytes=SPEC.nbytes).close()


@pytest.mark.fault
def test_a_ring_that_does_not_fit_is_not_begun(
    small: Path, record_property: Callable[[str, object], None]
) -> None:
    """Without the check the error comes when the ring is made, not when a frame is written."""
    record_property("fault", "shared memory is full when a ring is made")
    record_property("promise", "one clear error, no SIGBUS, nothing left behind")
    with pytest.raises(MachineError, match="MiB of shared memory needed"):
        RingWriter.create(small / "visible.ring", slots=8, slot_nbytes=SPEC.nbytes)
    assert list(small.iterdir()) == []
    RingWriter.create(small / "visible.ring", slots=2, slot_nbytes=SPEC.nbytes).close()
