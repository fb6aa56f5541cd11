"""``streamfuse bench bus``: real processes, all transports side by side."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from streamfuse.errors import PromiseError, UsageError
from streamfuse.frames import PixelFormat
from streamfuse.jobs.benching.bus import BusBench
from streamfuse.jobs.benching.bus_load import Stamped, stamp_of, streams
from streamfuse.jobs.benching.bus_transports import OURS, RIVAL, TRANSPORTS

QUEUE = "multiprocessing.Queue"


def bench(*options: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does: a process of its own, whose children end with it."""
    command = [sys.executable, "-m", "streamfuse", "bench", "bus", *options]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=280)


def by_transport(values: dict[str, Any]) -> dict[str, Any]:
    """The results by name."""
    return {result["transport"]: result for result in values["results"]}


def test_a_short_run_compares_transports(tmp_path: Path) -> None:
    """JSON and table have what was asked for, and ours moves 1080p at least twice as fast as a Queue."""
    out = tmp_path / "bus.json"
    wanted = [OURS, QUEUE, RIVAL]
    options = [word for name in wanted for word in ("--transport", name)]
    table = bench("--seconds", "0.3", "--rounds", "1", "--out", str(out), *options).stdout
    values = json.loads(out.read_text(encoding="utf-8"))
    results = by_transport(values)
    assert list(results) == wanted
    assert values["machine"]["cores"] >= 1
    assert values["versions"]["pyzmq"]
    for word in ("p99", "flat-out", "streamfuse", "descriptor", "limit"):
        assert word in table
    for result in results.values():
        assert set(result["streams"]) == {"visible", "infrared"}
        for stream in result["streams"].values():
            hop_ms = stream["hop_ms"]
            assert 0 < hop_ms["p50"] <= hop_ms["p95"] <= hop_ms["p99"]
            assert stream["flat_out_fps"] > 0
            assert stream["producer_cpu_us"] > 0
    ours, queue = (results[name]["streams"]["visible"] for name in (OURS, QUEUE))
    assert ours["flat_out_fps"] > 2 * queue["flat_out_fps"]
    assert {"limit", "at_least", "got", "met", "what"} == set(values["targets"][0])
    memory = next(target for target in values["targets"] if "shared memory" in target["what"])
    assert memory["met"]


def test_a_torn_frame_is_noticed() -> None:
    """A transport that mixed two frames would end the benchmark with an error, not with good times."""
    visible, _ = streams(PixelFormat.YUV420P)
    frame = Stamped(visible, 0)
    frame.stamp(7, 123)
    assert stamp_of(frame.image.planes) == (7, 123)
    frame.image.planes[-1][-1, -8:] = 1
    with pytest.raises(PromiseError, match="frame 7 arrived with the end of frame"):
        stamp_of(frame.image.planes)


@pytest.mark.parametrize(
    "wrong",
    [{"seconds": 0.0}, {"rounds": 0}, {"colour": PixelFormat.GRAY8}, {"transports": ("carrier pigeon",)}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_nonsense_is_refused(wrong: dict[str, Any]) -> None:
    """What makes no sense is an error of usage that names the option."""
    with pytest.raises(UsageError, match=next(iter(wrong))):
        BusBench(**wrong)


def test_the_rival_is_there_always() -> None:
    """What our rate is measured by needs nothing that streamfuse itself does not."""
    assert TRANSPORTS[RIVAL].installed
