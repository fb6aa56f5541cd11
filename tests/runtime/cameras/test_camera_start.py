"""Before a run: cameras are looked at from outside, may be absent, and never hang who starts it."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from streamfuse.config.pipeline import load_pipeline
from streamfuse.config.rig import load_rig
from streamfuse.errors import SourceError, UsageError
from streamfuse.frames import ColorRange, ImageSpec, PixelFormat, StreamName
from streamfuse.runtime.plan import Plan
from streamfuse.runtime.planning import make_plan
from streamfuse.runtime.preflight import check_pipeline
from streamfuse.runtime.prober import probe_cameras
from streamfuse.runtime.survey import survey

STREET = 'uri: "synthetic://street?seed=7&size=64x64&fps=20"'
VISIBLE, INFRARED = StreamName.VISIBLE, StreamName.INFRARED
RIG = """\
visible: {size_wh: [128, 96]}
infrared: {size_wh: [64, 48]}
planes: [{distance_m: inf, H_visible_from_infrared: [[2, 0, 0], [0, 2, 0], [0, 0, 1]]}]
"""


@pytest.fixture
def site(rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plug-in, for this process and those that it starts."""
    folder = str(rig.folder / "site")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", folder)
    monkeypatch.delitem(sys.modules, "rawcam", raising=False)


def pipeline(folder: Path, visible: str, infrared: str, more: str = "") -> Any:
    """A checked configuration; the sources are the insides of YAML's braces."""
    path = folder / "pipeline.yaml"
    path.write_text(
        f"sources:\n  visible: {{{visible}, timeout_s: 1}}\n  infrared: {{{infrared}, timeout_s: 1}}\n{more}"
    )
    return load_pipeline(path)


def cameras(config: Any) -> dict[StreamName, Any]:
    """Both source blocks."""
    return {VISIBLE: config.sources.visible, INFRARED: config.sources.infrared}


@pytest.mark.usefixtures("site")
def test_both_cameras_are_looked_at_from_other_processes(rig, tmp_path) -> None:
    """One is there and says what it is; the other is not, and the reason is told."""
    there, away = rig.device(), rig.device(there=False)
    config = pipeline(tmp_path, f'uri: "{there.uri}"', f'uri: "{away.uri}"')
    found = probe_cameras(cameras(config))
    assert found[VISIBLE].spec == ImageSpec(format=PixelFormat.GRAY8, size_wh=(64, 64))
    assert isinstance(found[INFRARED], SourceError)
    assert "refused" in str(found[INFRARED])
    assert "rawcam" not in sys.modules


@pytest.mark.usefixtures("site")
def test_an_option_that_no_attempt_can_heal_is_an_error_at_once(rig, tmp_path) -> None:
    """The plug-in's own sentence reaches the person, with the exit code of a wrong configuration."""
    config = pipeline(tmp_path, STREET, f'uri: "{rig.device().uri}", options: {{zoom: "2"}}')
    with pytest.raises(UsageError, match="infrared: rawcam has no option zoom"):
        make_plan(config, run_dir=tmp_path)


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize(
    ("more", "rig_file", "expected"),
    [
        (", size: [160, 120], fps: 9", None, (PixelFormat.GRAY8, (160, 120), 9.0)),
        (", size: [160, 120], format: gray16", None, (PixelFormat.GRAY16, (160, 120), 20.0)),
        (", radiometry: {scale: 0.01}", None, (PixelFormat.GRAY16, (64, 64), 20.0)),
        (", palette-in: ironbow", None, (PixelFormat.YUV420P, (64, 64), 20.0)),
        ("", RIG, (PixelFormat.GRAY8, (64, 48), 20.0)),
        ("", None, (PixelFormat.GRAY8, (64, 64), 20.0)),
    ],
)
def test_what_is_not_known_of_an_absent_camera_is_assumed(rig, tmp_path, more, rig_file, expected) -> None:
    """Its own declarations first, then the rig's sizes, then the other stream's."""
    away = rig.device(there=False)
    key = ""
    if rig_file is not None:
        (tmp_path / "rig.yaml").write_text(rig_file)
        key = "rig: rig.yaml\n"
    config = pipeline(tmp_path, STREET, f'uri: "{away.uri}"{more}', key)
    found = survey(config, load_rig(config.rig), say=None)
    info = found.infos[INFRARED]
    assert (info.spec.format, info.spec.size_wh, info.fps) == expected
    assert list(found.absent) == [INFRARED]


@pytest.mark.usefixtures("site")
def test_an_absent_visible_camera_is_assumed_to_send_video(rig, tmp_path) -> None:
    """4:2:0 in video range, or RGB where the sides are odd; the plan survives the way to the workers."""
    away = rig.device(there=False)
    config = pipeline(tmp_path, f'uri: "{away.uri}"', STREET)
    plan = make_plan(config, run_dir=tmp_path)
    spec = ImageSpec(format=PixelFormat.YUV420P, size_wh=(64, 64), range=ColorRange.LIMITED)
    assert plan.visible.spec == spec
    assert Plan.from_json(plan.to_json()) == plan


@pytest.mark.usefixtures("site")
def test_check_tells_of_an_absent_camera_in_one_sentence(rig, tmp_path) -> None:
    """With the reason, and what the run begins with; where nothing is known, what to declare."""
    away, other = rig.device(there=False), rig.device(there=False)
    found = {f.what: f for f in check_pipeline(pipeline(tmp_path, STREET, f'uri: "{away.uri}"'))}
    assert found["infrared"].ok
    assert found["infrared"].text.startswith("absent (rawcam://127.0.0.1:")
    assert found["infrared"].text.endswith("the run begins without it, as 64x64 gray8 at 20 fps")
    unknown = pipeline(tmp_path, f'uri: "{other.uri}"', f'uri: "{away.uri}"')
    found = {f.what: f for f in check_pipeline(unknown)}
    assert (found["sources"].ok, found["sources"].exit_code) == (False, 3)
    assert "declare sources.visible.size" in found["sources"].text


@pytest.mark.usefixtures("site")
def test_a_camera_of_unknown_size_is_waited_for_and_ctrl_c_works(rig, world, wait_until, tmp_path) -> None:
    """One message says how not to wait; the run begins when it comes, or ends when told to."""
    away, other = rig.device(there=False), rig.device(there=False)
    pipeline(tmp_path, f'uri: "{other.uri}"', f'uri: "{away.uri}", retry: {{first_s: 0.1, max_s: 0.2}}')
    process = world.start()
    words = ""
    while words.count("the run can begin without it") < 2:
        words += f"{process.stdout.readline().strip()} "
    wait_until(lambda: len(_probers(process.pid)) == 2)  # it tries again, without a word
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    more, _ = process.communicate(timeout=30)
    words += " ".join(more.split())
    assert time.monotonic() - started < 3
    assert process.returncode == 130, words
    assert words.count("waiting for it (declare sources.visible.size") == 1
    assert "Traceback" not in words


@pytest.mark.usefixtures("site")
def test_the_table_at_the_end_tells_of_the_cameras(rig, world, tmp_path) -> None:
    """State, reconnects and the clock by which its frames were timed."""
    pipeline(tmp_path, rig.visible(), f'uri: "{rig.device().uri}"')
    code, words = world.run("--duration", "1.5")
    assert code == 0, words
    (line,) = [line for line in words.splitlines() if line.strip().startswith("infrared camera")]
    assert "live, 0 reconnects, time from arrival" in line


@pytest.mark.fault
@pytest.mark.usefixtures("site")
def test_an_opening_that_hangs_does_not_hang_ctrl_c(
    rig, world, wait_until, tmp_path, record_property
) -> None:
    """The camera is opened by another process, which goes with the run."""
    pipeline(tmp_path, STREET, f'uri: "{rig.device().uri}", options: {{hang_open: "1"}}')
    process = world.start()
    wait_until(lambda: len(_probers(process.pid)) == 1)
    (prober,) = _probers(process.pid)
    wait_until(lambda: psutil.Process(prober.pid).status() == psutil.STATUS_SLEEPING)
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    words, _ = process.communicate(timeout=30)
    took_s = time.monotonic() - started
    record_property("fault", "opening a camera hangs, then Ctrl-C")
    record_property("recovery_s", took_s)
    record_property("promise", "3 s")
    assert took_s < 3
    assert process.returncode == 130, words
    assert not prober.is_running()


@pytest.mark.fault
@pytest.mark.usefixtures("site")
def test_shared_memory_that_is_too_small_is_found_before_the_start(rig, tmp_path, record_property) -> None:
    """In a namespace with 1 MiB of it: one sentence with the size needed, and no worker was started."""
    mount = "mount -t tmpfs -o size=1m tmpfs /dev/shm"
    namespace = ("unshare", "--mount", "--map-root-user", "sh", "-c")
    if shutil.which("unshare") is None or subprocess.run([*namespace, mount], check=False).returncode:
        pytest.skip("this machine does not let its users mount in a namespace of their own")
    size = "size: [1280, 1024]"
    away, other = rig.device(there=False), rig.device(there=False)
    pipeline(tmp_path, f'uri: "{other.uri}", {size}', f'uri: "{away.uri}", {size}, format: gray16')
    command = f"{mount} && exec {sys.executable} -m streamfuse run {tmp_path}/pipeline.yaml"
    done = subprocess.run([*namespace, command], capture_output=True, text=True, timeout=60, check=False)
    words = " ".join((done.stdout + done.stderr).split())
    record_property("fault", "shared memory too small")
    record_property("promise", "one sentence with the size needed, before the start")
    assert done.returncode == 3, words
    assert "MiB of shared memory needed, 1.0 MiB free" in words
    assert "--shm-size=" in words
    assert "Traceback" not in words


def _probers(pid: int) -> list[psutil.Process]:
    found = []
    for child in psutil.Process(pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if "streamfuse.runtime.prober" in child.cmdline():
                found.append(child)
    return found


@pytest.mark.usefixtures("site")
def test_an_absent_lepton_is_planned_without_its_telemetry(rig, tmp_path) -> None:
    """The declared size is what the camera sends; its lines of telemetry are cut off before the run."""
    away = rig.device(there=False)
    config = pipeline(
        tmp_path,
        'uri: "synthetic://street?size=160x120&fps=20"',
        f'uri: "{away.uri}", size: [160, 122], format: gray16, telemetry: lepton',
    )
    found = survey(config, load_rig("identity"), say=None)
    assert found.infos[INFRARED].spec == ImageSpec(format=PixelFormat.GRAY16, size_wh=(160, 120))


@pytest.mark.usefixtures("site")
def test_a_camera_of_another_package_cannot_be_made_to_wait(rig, tmp_path) -> None:
    """That a plug-in is live is known only when it is open; `every_frame` is refused then."""
    config = pipeline(tmp_path, STREET, f'uri: "{rig.device().uri}"', "mode: every_frame\n")
    with pytest.raises(UsageError, match="the infrared source is live"):
        make_plan(config, run_dir=tmp_path)


@pytest.mark.usefixtures("site")
def test_a_camera_of_unknown_size_is_not_waited_for_beyond_the_duration(rig, tmp_path) -> None:
    """A run that should last a second does not hang where its cameras are never there."""
    away, other = rig.device(there=False), rig.device(there=False)
    config = pipeline(tmp_path, f'uri: "{away.uri}"', f'uri: "{other.uri}"')
    said: list[str] = []
    with pytest.raises(SourceError, match=r"declare sources\.visible\.size"):
        survey(config, load_rig("identity"), say=said.append, wait_s=1.0)
    assert len(said) == 2
