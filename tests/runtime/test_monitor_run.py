"""A real run as those see it who watch it: Prometheus, an orchestrator, its own viewer."""

from __future__ import annotations

import json
import signal
import socket
import time
from pathlib import Path

import httpx
import pytest

STREET = "synthetic://street?seed=7&size=160x120&fps=20"


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def reasons_at(address: str) -> list[str] | None:
    """What a probe has against the run; None while it does not answer."""
    try:
        answer = httpx.get(address)
    except httpx.TransportError:
        return None
    plain = answer.json()
    assert answer.status_code == (200 if plain["ok"] else 503)
    reasons: list[str] = plain["reasons"]
    return reasons


@pytest.mark.slow
@pytest.mark.fault
def test_a_worker_that_dies_is_told_until_it_is_back(world, wait_until, record_property) -> None:
    """Not ready and still healthy; the file for the viewer, the probes and the numbers agree."""
    port = free_port()
    ready, healthy = f"http://127.0.0.1:{port}/readyz", f"http://127.0.0.1:{port}/healthz"
    world.pipeline.write_text(
        f'sources: {{visible: {{uri: "{STREET}"}}, infrared: {{uri: "{STREET}"}}}}\n'
        f'publish: [{{kind: jsonl, path: pairs.jsonl}}]\nmetrics: {{prometheus: "127.0.0.1:{port}"}}\n'
    )
    process = world.start()
    wait_until(lambda: reasons_at(ready) == [])

    publisher = world.workers(process)["publisher"]
    status = json.loads((world.run_dir(process) / "status.json").read_text())
    assert status["workers"]["publisher"]["pid"] == publisher.pid
    assert status["workers"]["publisher"]["rss_bytes"] > 1 << 20
    publisher.send_signal(signal.SIGKILL)
    killed_s = time.monotonic()
    wait_until(lambda: reasons_at(ready) == ["publisher: restarting"])
    assert reasons_at(healthy) == []
    wait_until(lambda: reasons_at(ready) == [])
    recovery_s = time.monotonic() - killed_s
    numbers = httpx.get(f"http://127.0.0.1:{port}/metrics").text

    process.send_signal(signal.SIGINT)
    words, _ = process.communicate(timeout=30)
    assert process.returncode == 130, words
    record_property("room", "operations")
    record_property("fault", "kill -9 of a sink: /readyz says which, until its successor works")
    record_property("recovery_s", round(recovery_s, 2))
    record_property("promise", "30 s")
    assert recovery_s < 30
    assert 'streamfuse_worker_restarts_total{worker="publisher"} 1.0' in numbers
    assert 'streamfuse_worker_up{worker="publisher"} 1.0' in numbers
    assert 'streamfuse_stage_seconds_count{stage="fuse"}' in numbers
    assert not Path(f"/proc/{publisher.pid}").exists()
