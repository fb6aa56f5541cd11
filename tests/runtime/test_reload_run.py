"""A run whose pipeline file changes under it, and one whose terminal goes away."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from bright_network import save_bright_network

from streamfuse.frames import Image
from streamfuse.io.images import write_png

STREET = "synthetic://street?seed=7&size=160x120&fps=20"
SOURCES = f'sources: {{visible: {{uri: "{STREET}"}}, infrared: {{uri: "{STREET}"}}}}\n'
LAP = 24
"""Pictures in which somebody bright walks through the picture from left to right, once, for ever."""
ROUND_AND_ROUND = "sources: {visible: {uri: visible, loop: true}, infrared: {uri: infrared, loop: true}}\n"
MIDDLE = "{name: middle, line: [[0.5, 1], [0.5, 0]]}"
BESIDE = "{name: beside, line: [[0.7, 1], [0.7, 0]]}"


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A service manager: everything that the service tells it, word by word."""
    heard: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(0.1)
        over = threading.Event()

        def listen() -> None:
            while not over.is_set():
                try:
                    heard.extend(listener.recv(4096).decode().splitlines())
                except TimeoutError:
                    continue

        thread = threading.Thread(target=listen)
        thread.start()
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "2000000")
        yield heard
        over.set()
        thread.join()


def lines_in(path: Path) -> int:
    """How many messages are in a file; 0 when it is not there."""
    return len(path.read_text().splitlines()) if path.is_file() else 0


@pytest.mark.slow
def test_a_changed_file_is_taken_over_while_the_run_goes_on(world, wait_until, systemd) -> None:
    """Wrong files change nothing, impossible changes are undone, possible ones made; systemd hears of all."""

    def publish(path: str, more: str = "") -> None:
        world.pipeline.write_text(f"{SOURCES}publish: [{{kind: jsonl, path: {path}}}]\n{more}")

    def hang_up() -> None:
        reloads = systemd.count("RELOADING=1")
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: systemd.count("RELOADING=1") > reloads)

    one, two = world.folder / "one.jsonl", world.folder / "two.jsonl"
    publish("one.jsonl")
    process = world.start()
    wait_until(lambda: lines_in(one) > 5)
    wait_until(lambda: "READY=1" in systemd)

    publish("two.jsonl", "fusoin: {}\n")
    hang_up()
    before = lines_in(one)
    wait_until(lambda: lines_in(one) > before + 20)  # the first publisher is still at work
    assert not two.exists()

    (world.folder / "folder.jsonl").mkdir()
    publish("folder.jsonl")
    hang_up()
    before = lines_in(one)
    wait_until(lambda: lines_in(one) > before + 60)  # its successor failed and it was taken up again

    publish("two.jsonl", "fusion: {batch: 1}\n")
    hang_up()
    wait_until(lambda: lines_in(two) > 5)
    wait_until(lambda: systemd.count("READY=1") == 4)

    process.send_signal(signal.SIGTERM)
    words, _ = process.communicate(timeout=30)
    assert process.returncode == 130, words
    assert "the pipeline file is wrong" in words
    assert 'did you mean "fusion"' in words
    assert "[publisher] goes on as before, as the changes cannot be made: " in words
    assert "not reloaded: fusion.batch stays as it was: the network is loaded when the run begins" in words
    assert "reloaded: publish" in words
    assert set(world.summary["restarts"].values()) == {0}
    assert all(account["in_flight"] == 0 for account in world.summary["streams"].values())
    assert systemd.count("WATCHDOG=1") > 5
    assert systemd[-1] == "STOPPING=1"
    numbers = [json.loads(line)["pair_id"] for path in (one, two) for line in path.read_text().splitlines()]
    assert numbers == sorted(set(numbers)), "no message comes twice, or in the wrong order"


def messages_in(path: Path) -> list[dict[str, Any]]:
    """The whole messages in a file that somebody else may be writing."""
    lines = path.read_text().splitlines(keepends=True) if path.is_file() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def walk_past(folder: Path) -> None:
    """The pictures of one lap; in the last ones nobody is there."""
    for number in range(LAP):
        gray = np.zeros((64, 96), np.uint8)
        gray[24:40, 4 * number : 4 * number + 16] = 255 if number < LAP - 4 else 0
        for stream, image in (
            ("visible", Image.from_rgb(np.repeat(gray[..., None], 3, axis=2))),
            ("infrared", Image.from_gray(gray)),
        ):
            (folder / stream).mkdir(exist_ok=True)
            write_png(folder / stream / f"{number:02}.png", image)


@pytest.mark.slow
def test_rules_change_live_and_counts_outlive_the_engine(world, wait_until, systemd) -> None:
    """A new line counts, a wrong one changes nothing, a killed engine loses no total, a removed one goes."""
    weights, events = save_bright_network(world.folder / "bright.pt", side=96), world.folder / "events.jsonl"
    walk_past(world.folder)

    def rules(*lines: str, confidence: float = 0.5) -> None:
        world.pipeline.write_text(
            f"mode: every_frame\n{ROUND_AND_ROUND}tasks:\n"
            f"  detect: {{weights: {weights}, overlap: 0.1, track: true, confidence: {confidence}}}\n"
            f"  rules: [{', '.join(lines)}]\n  backend: torch\n"
            "publish: [{kind: jsonl, path: events.jsonl}]\n"
        )

    def hang_up() -> None:
        reloads = systemd.count("READY=1")
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: systemd.count("READY=1") > reloads)

    def counted() -> dict[str, int]:
        heard = messages_in(events)
        return {count["rule"]: count["forward"] for count in heard[-1]["counts"]} if heard else {}

    rules(MIDDLE)
    process = world.start()
    wait_until(lambda: counted().get("middle", 0) >= 2)
    assert counted().keys() == {"middle"}

    rules(MIDDLE, BESIDE)
    hang_up()
    wait_until(lambda: counted().get("beside", 0) >= 2)
    assert counted()["middle"] >= 4

    rules("{name: typo, line: [[0.5, 1], [0.5, 0]], classes: [persn]}", confidence=0.99)
    hang_up()
    at_kill, engine = counted(), world.workers(process)["engine"]
    engine.kill()
    wait_until(lambda: counted()["middle"] >= at_kill["middle"] + 3)
    assert world.workers(process)["engine"].pid != engine.pid

    rules(BESIDE, confidence=0.99)
    hang_up()
    wait_until(lambda: counted().keys() == {"beside"})
    heard = len(messages_in(events))
    wait_until(lambda: len(messages_in(events)) > heard + 2 * LAP)

    process.send_signal(signal.SIGTERM)
    words, _ = process.communicate(timeout=30)
    assert process.returncode == 130, words
    assert "nothing was reloaded, the pipeline file is wrong: tasks.rules.typo.classes: no network" in words
    assert "finds persn; they find person" in words
    assert world.summary["restarts"]["engine"] == 1
    told = messages_in(events)
    for name in ("middle", "beside"):
        totals = [count["forward"] for each in told for count in each["counts"] if count["rule"] == name]
        assert totals == sorted(totals)
    *_, last = [each for each in told if each["counts"][0]["rule"] == "middle"]
    laps = last["visible_seq"] // LAP
    assert laps - 2 <= last["counts"][0]["forward"] <= laps + 1, "only the lap of the kill may be missing"
    assert not any(each["detections"] for each in told[-LAP:]), "nobody new is that sure"
    assert world.summary["counts"].keys() == {"beside"}


@pytest.mark.slow
def test_a_run_whose_terminal_is_closed_ends_in_good_order(world, wait_until) -> None:
    """SIGHUP means reload only as long as somebody could still press Ctrl-C."""
    world.pipeline.write_text(f"{SOURCES}publish: [{{kind: jsonl, path: one.jsonl}}]\n")
    owner, terminal = pty.openpty()
    process = subprocess.Popen(
        [
            *("setsid", "--ctty", sys.executable, "-m", "streamfuse", "run", str(world.pipeline)),
            *("--summary", str(world.folder / "summary.json")),
        ],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        text=True,
    )
    world.started.append(process)
    os.close(terminal)
    wait_until(lambda: lines_in(world.folder / "one.jsonl") > 5)
    workers = [psutil.Process(process.pid), *psutil.Process(process.pid).children()]
    os.kill(process.pid, signal.SIGHUP)  # a reload: the terminal is there
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=2)
    os.close(owner)
    assert process.wait(timeout=20) == 130
    assert not [worker for worker in workers if worker.is_running()]
    assert world.summary["fused"] > 0


def test_a_reload_that_comes_too_early_ends_nothing(world, wait_until) -> None:
    """From the moment a run listens to SIGHUP at all, also before it has read its file, it goes on."""
    world.pipeline.write_text(SOURCES)
    process = world.start("--max-frames", "2")
    status = Path(f"/proc/{process.pid}/status")

    def listens() -> bool:
        (caught,) = [line for line in status.read_text().splitlines() if line.startswith("SigCgt")]
        return bool(int(caught.split()[1], 16) >> (signal.SIGHUP - 1) & 1)

    wait_until(listens)
    process.send_signal(signal.SIGHUP)
    words, _ = process.communicate(timeout=120)
    assert process.returncode == 0, words
