"""Whole runs of the program: real processes, sockets, shared memory and files."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest

SHM = Path("/dev/shm")  # noqa: S108 - shared memory, looked at
STREET = "synthetic://street?seed=7&size=160x120&fps=20"


def balance(account: dict[str, object]) -> int:
    """What an account of a stream lacks."""
    dropped = account["dropped"]
    assert isinstance(dropped, dict)
    numbers = [account["emitted"], *dropped.values(), account["in_flight"]]
    return int(str(account["captured"])) - sum(int(str(number)) for number in numbers)


class Done(NamedTuple):
    """A run that has ended."""

    world: Any
    words: str
    left: Path
    """What an earlier run had left in shared memory."""


@pytest.fixture(scope="module")
def done(new_world) -> Done:
    """A run over two folders that has ended, after one that crashed and left its shared memory."""
    left = SHM / "streamfuse-deadbeef"
    left.mkdir(mode=0o700)
    (left / "lock").touch()
    (left / "visible.ring").write_bytes(b"x" * 4096)
    with new_world() as world:
        world.images(23)
        world.write_pipeline("every_frame", "visible", "infrared")
        code, words = world.run()
    assert code == 0, words
    return Done(world, words, left)


def test_every_frame_of_two_folders_is_fused_and_recorded(done) -> None:
    """Nothing is dropped, every pair has skew 0, and the recording holds them all."""
    world, summary = done.world, done.world.summary
    assert (summary["pairs"], summary["fused"], summary["states"]["matched"]) == (23, 23, 23)
    for account in summary["streams"].values():
        assert account == {"captured": 23, "emitted": 23, "dropped": {}, "in_flight": 0}
    assert summary["skew_ms"]["max"] == 0
    assert world.recorded_frames() == 23
    index = [json.loads(line) for line in world.recorded()[0].with_suffix(".jsonl").read_text().splitlines()]
    assert [line["pair_id"] for line in index[1:]] == list(range(23))


def test_the_summary_has_its_stable_keys(done) -> None:
    """Programs that read the summary find what is documented."""
    world = done.world
    assert world.summary.keys() >= {
        *("pairs", "fused", "states", "streams", "fps", "latency_ms", "skew_ms", "stages"),
        *("detections", "recordings", "restarts", "backend", "device"),
    }
    assert set(world.summary["latency_ms"]) == {"p50", "p95", "p99"}
    assert set(world.summary["skew_ms"]) == {"p50", "p95", "max"}
    assert set(world.summary["states"]) == {"matched", "held", "visible_only", "infrared_only"}
    assert set(world.summary["restarts"]) == {"visible", "infrared", "engine", "recorder"}
    assert {"capture", "pair", "fuse", "recorder"} <= set(world.summary["stages"])


def test_max_frames_takes_no_more_than_it_needs(world) -> None:
    """With the same rate on both sides nothing is captured in vain."""
    world.images(30)
    world.write_pipeline("every_frame", "visible", "infrared")
    code, words = world.run("--max-frames", "7")
    assert code == 0, words
    for account in world.summary["streams"].values():
        assert account == {"captured": 7, "emitted": 7, "dropped": {}, "in_flight": 0}
    assert world.recorded_frames() == 7


def test_a_realtime_run_ends_on_time_and_its_account_adds_up(world) -> None:
    """Live sources are cut off after the duration; every frame is emitted or has a cause."""
    world.write_pipeline("realtime", STREET, STREET)
    code, words = world.run("--duration", "2")
    assert code == 0, words
    summary = world.summary
    assert summary["fused"] > 0
    assert world.recorded_frames() == summary["fused"]
    for account in summary["streams"].values():
        assert 30 <= account["captured"] <= 60
        assert balance(account) == 0


def test_ctrl_c_stops_within_three_seconds_and_leaves_nothing(world, wait_until) -> None:
    """The recording is readable, and processes, sockets and shared memory are gone."""
    world.write_pipeline("realtime", STREET, STREET)
    process = world.start()
    wait_until(world.is_recording)
    workers, run_dir = world.workers(process), world.run_dir(process)
    assert set(workers) == {"capture visible", "capture infrared", "engine", "recorder"}
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    words, _ = process.communicate(timeout=30)
    assert time.monotonic() - started < 3.0, words
    assert process.returncode == 130, words
    assert not [title for title, worker in workers.items() if worker.is_running()]
    assert not run_dir.exists()
    assert world.recorded_frames() == world.summary["fused"]
    assert all(balance(account) == 0 for account in world.summary["streams"].values())


@pytest.mark.parametrize("moment", ["as soon as it has a worker", "once all workers are there"])
def test_ctrl_c_while_starting_ends_at_once(world, wait_until, moment) -> None:
    """Nobody holds anything yet, so nobody is waited for; no traceback, nothing left."""
    world.write_pipeline("realtime", STREET, STREET)
    process = world.start()
    enough = 1 if moment == "as soon as it has a worker" else 4
    wait_until(lambda: len(psutil.Process(process.pid).children()) >= enough)
    children = psutil.Process(process.pid).children()
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    words, _ = process.communicate(timeout=30)
    assert time.monotonic() - started < 1.5, words
    assert process.returncode == 130, words
    assert "Traceback" not in words
    assert not [child for child in children if child.is_running()]


# Beside a live camera each is killed in turn: tests/runtime/cameras.
@pytest.mark.parametrize("role", ["capture visible", "engine"])
def test_a_killed_worker_is_replaced_and_the_account_still_adds_up(world, wait_until, role) -> None:
    """A kill -9 of any worker costs frames that are counted, and nothing else."""
    world.write_pipeline("realtime", STREET, STREET)
    process = world.start()
    wait_until(world.is_recording)
    victim, run_dir = world.workers(process)[role], world.run_dir(process)
    victim.kill()
    wait_until(lambda: (w := world.workers(process).get(role)) is not None and w.pid != victim.pid)
    successor = world.workers(process)[role]
    wait_until(lambda: successor.cpu_times().user > 0.3 and not process.poll())
    process.send_signal(signal.SIGINT)
    words, _ = process.communicate(timeout=30)
    assert process.returncode == 130, words
    restarts = world.summary["restarts"]
    assert sum(restarts.values()) == 1, words
    assert all(balance(account) == 0 for account in world.summary["streams"].values()), words
    assert world.recorded_frames() > 0
    assert not run_dir.exists()


def test_every_frame_survives_a_killed_capture_without_repeating(world, wait_until) -> None:
    """The successor goes on where the killed worker was; what it held is counted, not repeated."""
    world.write_pipeline("every_frame", f"{STREET}&duration=15", f"{STREET}&duration=15")
    process = world.start()
    wait_until(world.is_recording)
    world.workers(process)["capture visible"].kill()
    words, _ = process.communicate(timeout=120)
    assert world.summary["restarts"]["visible"] == 1, words
    for account in world.summary["streams"].values():
        assert account["captured"] == 300, words
        assert balance(account) == 0, words
        assert account["in_flight"] == 0, words
    visible = world.summary["streams"]["visible"]
    assert visible["emitted"] == 300 - visible["dropped"].get("worker_lost", 0)
    assert visible["emitted"] >= 290


def test_workers_leave_when_the_supervisor_is_killed(world, wait_until) -> None:
    """After kill -9 of the supervisor nothing stays: no process, no socket, no shared memory."""
    world.write_pipeline("realtime", STREET, STREET)
    process = world.start()
    wait_until(world.is_recording)
    workers, run_dir = list(world.workers(process).values()), world.run_dir(process)
    process.kill()
    process.communicate()
    gone, alive = psutil.wait_procs(workers, timeout=10)
    assert len(gone) == 4
    assert not alive
    assert not run_dir.exists()
    assert world.recorded_frames() > 0


def test_a_run_sweeps_up_after_a_crashed_one(done) -> None:
    """Shared memory that nobody uses any more is removed at the next start, and that is said."""
    assert not done.left.exists()
    assert done.left.name in done.words
