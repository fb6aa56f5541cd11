"""The viewer of a whole run: live layers, the supervisor's word, and a page that nobody can slow down."""

from __future__ import annotations

import json
import signal
import struct
import time

import httpx
import pytest
from servers import free_port
from websockets.sync.client import connect

STREET = "synthetic://street?seed=7&size=160x120&fps=10"
TOKEN = "correct-horse-battery"  # noqa: S105 - of the tests


def write_pipeline(world, viewer: str) -> None:
    """A pipeline with a viewer and nothing else behind the engine."""
    world.write_pipeline("realtime", STREET, STREET, viewer)
    world.pipeline.write_text(world.pipeline.read_text().replace("record: {dir: recordings}\n", ""))


@pytest.mark.slow
def test_a_run_shows_its_layers_and_its_health(world, wait_until) -> None:
    """All three layers of a pair come over the WebSocket of a real run, with the token only."""
    port = free_port()
    write_pipeline(world, f'viewer: {{web: "127.0.0.1:{port}", token: {TOKEN}}}\n')
    process = world.start()
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    url = f"http://127.0.0.1:{port}"

    def is_live() -> bool:
        try:
            return bool(httpx.get(f"{url}/status.json", headers=bearer).json()["frame"] > 1)
        except httpx.TransportError:
            return False

    wait_until(is_live)
    assert httpx.get(f"{url}/status.json").status_code == 401
    with connect(f"ws://127.0.0.1:{port}/live", additional_headers=bearer, max_size=None) as page:
        page.send(json.dumps({"want": {"layers": ["fused", "visible", "infrared"]}}))
        while isinstance(message := page.recv(20), str):
            pass
        (length,) = struct.unpack_from("<I", message)
        header = json.loads(message[4 : 4 + length])
        assert [layer["name"] for layer in header["layers"]] == ["fused", "visible", "infrared"]
        assert (header["size"], header["status"]["pipeline"]) == ([160, 120], "test")
    process.send_signal(signal.SIGINT)
    words, _ = process.communicate(timeout=30)
    assert process.returncode == 130, words
    assert world.summary["sinks"]["viewer"]["written"] > 0


@pytest.mark.slow
@pytest.mark.fault
def test_a_killed_viewer_comes_back_and_the_run_goes_on(world, wait_until, record_property) -> None:
    """Its worker killed, the page is served again on the same port by another viewer; fusing never stops."""
    record_property("room", "operations")
    record_property("fault", "the viewer's process is killed")
    record_property("promise", "the page is back within 20 s; the run goes on")
    port = free_port()
    write_pipeline(world, f'viewer: {{web: "127.0.0.1:{port}"}}\n')
    process = world.start()
    seen: list[dict[str, object]] = []

    def shows_after(viewer: object) -> bool:
        try:
            told = httpx.get(f"http://127.0.0.1:{port}/status.json").json()
        except httpx.TransportError:
            return False
        seen.append(told)
        return bool(told["viewer"] != viewer and told["frame"] > 1)

    wait_until(lambda: shows_after(None))
    first = seen[-1]
    world.workers(process)["viewer"].kill()
    killed_s = time.monotonic()
    wait_until(lambda: shows_after(first["viewer"]))
    recovery_s = time.monotonic() - killed_s
    record_property("recovery_s", recovery_s)
    assert recovery_s < 20
    assert seen[-1]["status"]["pair_id"] > first["status"]["pair_id"]
    process.send_signal(signal.SIGINT)
    words, _ = process.communicate(timeout=30)
    assert process.returncode == 130, words
    assert world.summary["restarts"]["viewer"] == 1
    assert world.summary["restarts"].get("engine", 0) == 0
