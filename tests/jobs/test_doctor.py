"""The doctor, on machines that lack something: real limits, full disks, taken ports."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from servers import free_port, need_server

from streamfuse.errors import MachineError
from streamfuse.jobs.doctor.compute import look_at_cuda, try_backend
from streamfuse.jobs.doctor.examine import examine, looks
from streamfuse.jobs.doctor.finding import Finding, Level
from streamfuse.jobs.doctor.machine import (
    look_at_cache,
    look_at_disk,
    look_at_memory,
    look_at_ports,
    look_at_python,
    look_at_shared_memory,
)
from streamfuse.jobs.doctor.media import look_at_cameras, look_at_encoders, look_at_network_video
from streamfuse.jobs.doctor.timekeeping import ClockState, judge_clock, look_at_clock, read_clock_state

PRINT = "; print(*(f'{f.level}: {f.text} -> {f.fix}' for f in found), sep='\\n')"


def elsewhere(code: str, *, prefix: tuple[str, ...] = (), **environment: str) -> str:
    """What a fresh process says, which may be limited as this one must not be."""
    done = subprocess.run(
        [*prefix, sys.executable, "-c", code + PRINT],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("level", "fix"), [(Level.OK, "do this"), (Level.WARNING, ""), (Level.FAIL, "")])
def test_every_trouble_comes_with_its_remedy(level: Level, fix: str) -> None:
    """A warning without a fix, or a fix without a trouble, cannot be made."""
    with pytest.raises(ValueError, match="part: a fix goes with"):
        Finding(what="part", level=level, text="found", fix=fix)


def test_a_broken_part_does_not_hide_the_next(tmp_path: Path) -> None:
    """A library that does not load, or may not look, is a failure of its part alone."""

    def raising(error: Exception) -> Iterator[Finding]:
        yield Finding(what="half", level=Level.OK, text="as far as it went")
        raise error

    broken = [
        ("one", lambda: raising(ImportError("libGL.so.1: cannot open"))),
        ("two", lambda: raising(MachineError("the device is gone"))),
        ("three", lambda: raising(PermissionError(13, "Permission denied"))),
        next(look for look in looks(tmp_path) if look[0] == "disk"),
    ]
    found = [finding for finding in examine(broken) if finding.what != "half"]
    assert [finding.what for finding in found] == ["one", "two", "three", "disk"]
    assert [finding.level for finding in found[:3]] == [Level.FAIL] * 3
    assert "libGL.so.1" in found[0].text


def test_this_python_has_everything() -> None:
    """The interpreter of the tests is fit, and is named."""
    (found,) = look_at_python()
    assert found.level is Level.OK, found
    assert sys.prefix in found.text


def test_a_package_that_is_missing_is_named(tmp_path: Path) -> None:
    """What streamfuse depends on and is not installed is a failure; what an extra wants is not."""
    about = tmp_path / "streamfuse-9.9.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: streamfuse\nVersion: 9.9\nRequires-Python: >=3.11\n"
        "Requires-Dist: numpy>=2\nRequires-Dist: no-such-package>=1\n"
        'Requires-Dist: not-needed; extra == "more"\n'
    )
    code = "from streamfuse.jobs.doctor.machine import look_at_python; found = look_at_python()"
    said = elsewhere(code, PYTHONPATH=str(tmp_path))
    assert said.startswith("fail: ")
    assert "without no-such-package ->" in said


@pytest.mark.parametrize(("free_kb", "level"), [(500_000, Level.WARNING), (9_000_000, Level.OK)])
def test_little_memory_is_a_warning(tmp_path: Path, free_kb: int, level: Level) -> None:
    """The kernel's own count of what new programs can have decides."""
    (tmp_path / "meminfo").write_text(
        f"MemTotal:  16000000 kB\nMemAvailable:  {free_kb} kB\nHugetlb:  0 kB\n"
    )
    (found,) = look_at_memory(tmp_path / "meminfo")
    assert found.level is level


@pytest.mark.parametrize(("size", "level"), [("20m", "fail"), ("100m", "warning"), ("400m", "ok")])
def test_shared_memory_of_a_container_is_seen(tmp_path: Path, size: str, level: str) -> None:
    """Too little is a failure, less than the largest pipeline needs a warning; --shm-size is the remedy."""
    said = in_a_small_place(tmp_path, size, "look_at_shared_memory")
    assert said.startswith(f"{level}: ")
    assert ("--shm-size" in said) is (level != "ok")


def test_no_shared_memory_is_a_failure(tmp_path: Path) -> None:
    """A folder that is not there."""
    (found,) = look_at_shared_memory(tmp_path / "shm")
    assert found.level is Level.FAIL


def test_a_full_disk_is_seen(tmp_path: Path) -> None:
    """Too little room for recordings is a failure; retention is the remedy."""
    said = in_a_small_place(tmp_path, "20m", "look_at_disk")
    assert said.startswith("fail: ")
    assert "record.retention" in said


def in_a_small_place(folder: Path, size: str, function: str) -> str:
    """What the doctor says of a memory file system of ``size``, mounted where only that process sees it."""
    shell = ("unshare", "--mount", "--map-root-user", "sh", "-ec")
    mount = f"mount -t tmpfs -o size={size} tmpfs {folder}"
    can = shutil.which("unshare") and not subprocess.run([*shell, mount], check=False).returncode
    need_server(None if can else "users may not mount in a namespace of their own")
    code = (
        f"from pathlib import Path; from streamfuse.jobs.doctor.machine import {function}; "
        f"found = {function}(Path({str(folder)!r}))"
    )
    return elsewhere(code, prefix=(*shell, f'{mount}; exec "$@"', "sh"))


def test_a_folder_that_cannot_be_written_is_seen(tmp_path: Path) -> None:
    """The remedy names the key of the pipeline file."""
    (tmp_path / "file").touch()
    (found,) = look_at_disk(tmp_path / "file" / "recordings")
    assert found.level is Level.WARNING
    assert "record.dir" in found.fix


def test_a_cache_that_cannot_be_written_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it would lie is said, and nothing is made by looking; the remedy names the variable."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (found,) = look_at_cache()
    assert found.level is Level.OK
    assert str(tmp_path / "cache" / "streamfuse") in found.text
    assert not (tmp_path / "cache").exists()
    (tmp_path / "cache").touch()
    (found,) = look_at_cache()
    assert found.level is Level.WARNING
    assert f"{tmp_path / 'cache'}: is a file" in found.text
    assert "XDG_CACHE_HOME" in found.fix


def test_a_port_that_is_taken_is_named() -> None:
    """It is a warning: a run that goes on has it."""
    port = free_port()
    assert [found.level for found in look_at_ports((("viewer", port),))] == [Level.OK]
    with socket.create_server(("127.0.0.1", port)):
        (found,) = look_at_ports((("viewer", port),))
    assert found.level is Level.WARNING
    assert f"{port} (viewer)" in found.text


@pytest.mark.parametrize(
    ("limit", "level", "words"),
    [
        ("RLIMIT_NOFILE, (128, 128)", "fail", "ulimit -n 1024"),
        ("RLIMIT_NOFILE, (512, 512)", "warning", "ulimit -n 1024"),
        ("RLIMIT_FSIZE, (10**9, 10**9)", "warning", "size of a file limited"),
        ("RLIMIT_NOFILE, (2048, 2048)", "ok", "2048 open files"),
    ],
)
def test_limits_of_the_process_are_seen(limit: str, level: str, words: str) -> None:
    """Few open files, and files that may not grow, which would end a recording."""
    said = elsewhere(
        f"import resource; resource.setrlimit(resource.{limit}); "
        "from streamfuse.jobs.doctor.machine import look_at_limits; found = look_at_limits()"
    )
    assert said.startswith(f"{level}: ")
    assert words in said


@pytest.mark.parametrize(
    ("synchronised", "max_error_ms", "level"),
    [(True, 3.0, Level.OK), (True, 5_000.0, Level.WARNING), (False, 16_000.0, Level.WARNING)],
)
def test_a_clock_that_nobody_keeps_is_a_warning(
    synchronised: bool, max_error_ms: float, level: Level
) -> None:
    """The run does not depend on it, but its labels do."""
    assert judge_clock(ClockState(synchronised=synchronised, max_error_ms=max_error_ms)).level is level


def test_the_kernel_tells_of_its_clock() -> None:
    """The structure is read where the kernel writes it: the numbers make sense together."""
    state = read_clock_state()
    assert 0 <= state.max_error_ms <= 16_000
    assert not (state.synchronised and state.max_error_ms >= 16_000)
    (found,) = look_at_clock()
    assert found.what == "clock"


def test_encoders_are_tried_and_refusals_explained() -> None:
    """What works is named first; what does not comes with the reason."""
    (found,) = look_at_encoders(("auto", "mpeg4", "no_such_codec", "ffv1"))
    assert found.level is Level.OK
    assert "mpeg4" in found.text
    assert "no_such_codec (not in this FFmpeg)" in found.text


def test_no_encoder_at_all_is_a_failure() -> None:
    """And without the lossless one there is a warning: 16-bit infrared cannot be kept."""
    (found,) = look_at_encoders(("no_such_codec",))
    assert found.level is Level.FAIL
    assert "no_such_codec" in found.text


def test_network_video_is_listed() -> None:
    """RTSP is what it stands or falls with."""
    (found,) = look_at_network_video()
    assert found.level is Level.OK
    assert "rtsp" in found.text


def test_a_camera_that_does_not_answer_is_a_warning(tmp_path: Path) -> None:
    """It is in the kernel's list, and cannot be opened."""
    node = tmp_path / "sys/class/video4linux/video7"
    node.mkdir(parents=True)
    (node / "name").write_text("Boson\n")
    found = next(iter(look_at_cameras(tmp_path)))
    assert found.level is Level.WARNING
    assert "/dev/video7 Boson: cannot be asked" in found.text


def test_the_speed_of_a_backend_names_the_network() -> None:
    """With what a number depends on, and what spoils it."""
    said = try_backend("openvino")
    assert re.search(r" fuses 640x480 with grdb-edge \(grdb-fine\) in \d+\.\d ms at best, in \w+;", said), (
        said
    )
    assert said.endswith("; longer on a busy machine")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU, so none can be missed")
def test_a_gpu_out_of_reach_is_a_warning_and_none_at_all_is_not(tmp_path: Path) -> None:
    """A driver without a device that computes has to be mended; a machine without a GPU has not."""
    (found,) = look_at_cuda((tmp_path / "nvidiactl",))
    assert found.level is Level.OK
    (tmp_path / "nvidiactl").touch()
    (found,) = look_at_cuda((tmp_path / "nvidiactl",))
    assert found.level is Level.WARNING
    assert "nvidia-smi" in found.fix
