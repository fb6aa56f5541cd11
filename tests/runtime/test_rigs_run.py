"""Several pipelines in one run of the program: one engine, and everything else of their own."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

STREET = "synthetic://street?seed={seed}&size=160x120&fps=20"


def write(
    world: Any, name: str, more: str = "", *, mode: str = "realtime", end: str = "", seed: int = 7
) -> Path:
    """A pipeline file with a recorder; ``end`` goes to the address of both streams."""
    path: Path = world.folder / f"{name}.yaml"
    street = STREET.format(seed=seed) + end
    path.write_text(
        f"name: {name}\nmode: {mode}\n"
        f'sources:\n  visible: {{uri: "{street}"}}\n  infrared: {{uri: "{street}"}}\n'
        f"record: {{dir: {name}}}\n{more}"
    )
    return path


def start(world: Any, *paths: Path) -> subprocess.Popen[str]:
    """Start the program on several files."""
    world.pipeline.write_text(paths[0].read_text())
    process: subprocess.Popen[str] = world.start(*map(str, paths[1:]))
    return process


def summaries(world: Any) -> dict[str, Any]:
    """Of each pipeline; every frame is on its books, and the sums are sums."""
    joint = json.loads((world.folder / "summary.json").read_text())
    for name, plain in joint["pipelines"].items():
        for stream, account in plain["streams"].items():
            settled = account["emitted"] + sum(account["dropped"].values()) + account["in_flight"]
            assert account["captured"] == settled, (name, stream, account)
    parts: dict[str, Any] = joint["pipelines"]
    for key in ("pairs", "fused", "detections"):
        assert joint[key] == sum(part[key] for part in parts.values())
    assert joint["recordings"] == [path for part in parts.values() for path in part["recordings"]]
    return parts


def records(world: Any, name: str) -> bool:
    """Whether a pipeline has begun to record."""
    return any(path.stat().st_size for path in (world.folder / name).glob("*.mp4.part"))


def test_two_pipelines_run_to_their_ends_on_one_engine(world) -> None:
    """Nothing of either is lost; each has its own workers, recording and summary."""
    front = write(world, "front", mode="every_frame", end="&duration=1")
    rear = write(world, "rear", mode="every_frame", end="&duration=2", seed=8)
    process = start(world, front, rear)
    words, _ = process.communicate(timeout=120)
    assert process.returncode == 0, words
    done = summaries(world)
    assert {name: part["fused"] for name, part in done.items()} == {"front": 20, "rear": 40}
    for name, part in done.items():
        assert all(not account["dropped"] for account in part["streams"].values())
        assert part["sinks"]["recorder"]["written"] == part["fused"]
        assert set(part["restarts"]) == {"visible", "infrared", "engine", "recorder"}
        assert [Path(path).parent.name for path in part["recordings"]] == [name]
    assert words.count("running with") == 1


def test_a_pipeline_that_ends_leaves_the_other_alone(world, wait_until) -> None:
    """Its workers go and are not waited for; the engine stays, and so does the live one; Ctrl-C ends that."""
    front = write(world, "front", mode="every_frame", end="&duration=1")
    process = start(world, front, write(world, "rear"))
    ours = {"front capture visible", "front capture infrared", "front recorder"}
    wait_until(lambda: ours <= set(world.workers(process)))
    wait_until(lambda: ours.isdisjoint(world.workers(process)))
    wait_until(lambda: records(world, "rear"))
    assert set(world.workers(process)) == {
        *("engine", "rear capture visible", "rear capture infrared", "rear recorder")
    }
    workers = world.workers(process)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    words, _ = process.communicate(timeout=30)
    assert time.monotonic() - began < 3.0, words
    assert process.returncode == 130, words
    assert not [worker for worker in workers.values() if worker.is_running()]
    done = summaries(world)
    assert done["front"]["fused"] == 20
    assert done["rear"]["fused"] > 0
    assert all(not sum(part["restarts"].values()) for part in done.values()), words


@pytest.mark.parametrize("role", ["front capture visible", "engine"])
def test_a_killed_worker_is_replaced_and_both_go_on(world, wait_until, role) -> None:
    """A capture concerns its own pipeline only, the engine's successor serves both; the books balance."""
    process = start(world, write(world, "front"), write(world, "rear", seed=8))
    wait_until(lambda: records(world, "front") and records(world, "rear"))
    victim = world.workers(process)[role]
    others = {name: each.pid for name, each in world.workers(process).items() if name != role}
    victim.kill()
    wait_until(lambda: (w := world.workers(process).get(role)) is not None and w.pid != victim.pid)
    successor = world.workers(process)[role]
    wait_until(lambda: successor.cpu_times().user > 0.3 and not process.poll())
    recordings = {
        name: sum(p.stat().st_size for p in (world.folder / name).iterdir()) for name in ("front", "rear")
    }
    wait_until(
        lambda: all(
            sum(p.stat().st_size for p in (world.folder / name).iterdir()) > size
            for name, size in recordings.items()
        )
    )
    assert others.items() <= {name: each.pid for name, each in world.workers(process).items()}.items()
    process.send_signal(signal.SIGINT)
    words, _ = process.communicate(timeout=30)
    assert process.returncode == 130, words
    done = summaries(world)
    restarts = {
        (name, worker): count
        for name, part in done.items()
        for worker, count in part["restarts"].items()
        if count
    }
    expected = [("front", "engine"), ("rear", "engine")] if role == "engine" else [("front", "visible")]
    assert restarts == dict.fromkeys(expected, 1), words
    assert words.count("ended by signal 9") == 1


def test_a_changed_file_of_one_is_taken_over_while_both_go_on(world, wait_until) -> None:
    """SIGHUP reads all files; a wrong one changes nothing, whatever the others say."""
    front = write(world, "front")
    process = start(world, front, rear := write(world, "rear", "publish: [{kind: jsonl, path: one.jsonl}]\n"))
    wait_until(lambda: (world.folder / "one.jsonl").is_file() and records(world, "front"))
    world.pipeline.write_text(front.read_text() + "fusoin: {}\n")
    rear.write_text(rear.read_text().replace("one.jsonl", "two.jsonl"))
    process.send_signal(signal.SIGHUP)
    wait_until((world.folder / "two.jsonl").is_file)
    process.send_signal(signal.SIGINT)
    words, _ = process.communicate(timeout=30)
    assert "[front] nothing was reloaded, the pipeline file is wrong" in words or (
        '"source": "front", "event": "reload", "message": "nothing was reloaded' in words
    )
    assert "reloaded: publish" in words
    assert all(not sum(part["restarts"].values()) for part in summaries(world).values()), words


@pytest.mark.parametrize(
    ("name", "more", "sentence", "code"),
    [
        ("front", "", 'the pipeline is called "front", as that of', 2),
        ("rear", "fusion: {backend: torch}\n", 'fusion.backend is "auto" in front and "torch" in rear', 2),
        ("rear", "rig: nowhere.yaml\n", "rear: ", 2),
    ],
)
def test_what_cannot_run_together_is_refused_in_one_sentence(world, name, more, sentence, code) -> None:
    """Before anything is started."""
    front = write(world, "front")
    other = world.folder / "other.yaml"
    other.write_text(write(world, name, more).read_text())
    process = start(world, front, other)
    words, _ = process.communicate(timeout=60)
    assert process.returncode == code, words
    assert sentence in words
    assert not psutil.pid_exists(process.pid)


def test_a_changed_file_that_wants_what_another_has_is_refused(world, wait_until) -> None:
    """Two publishers never write one file, neither from the start nor after SIGHUP; the old settings stay."""
    publish = "publish: [{{kind: jsonl, path: {name}.jsonl}}]\n"
    front = write(world, "front", publish.format(name="one"))
    rear = write(world, "rear", publish.format(name="two"))
    process = start(world, front, rear)
    wait_until((two := world.folder / "two.jsonl").is_file)
    wait_until(lambda: records(world, "front"))
    rear.write_text(rear.read_text().replace("two.jsonl", "one.jsonl"))
    process.send_signal(signal.SIGHUP)
    assert process.stdout is not None
    refusal = next(line for line in process.stdout if "nothing was reloaded" in line)
    assert "publish.0.path of front and publish.0.path of rear are both " in refusal
    size = two.stat().st_size
    wait_until(lambda: two.stat().st_size > size)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
