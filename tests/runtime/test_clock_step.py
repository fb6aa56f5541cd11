"""The wall clock of the machine is set while a run goes on: labels follow, nothing else notices."""

from __future__ import annotations

import itertools
import json
import signal
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from servers import need_server

from streamfuse.clock import NS_PER_S

FAKETIME = next(Path("/usr/lib").glob("**/faketime/libfaketimeMT.so.1"), None)
HOUR_S = 3600
FPS = 10


@pytest.fixture
def set_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets the wall clock of every program started from now on, in seconds from the true time."""
    need_server(None if FAKETIME else "libfaketime (Debian: faketime) is missing")
    path = tmp_path / "faketime"
    monkeypatch.setenv("LD_PRELOAD", str(FAKETIME))
    monkeypatch.setenv("FAKETIME_TIMESTAMP_FILE", str(path))
    monkeypatch.setenv("FAKETIME_CACHE_DURATION", "1")
    monkeypatch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")

    def set_to(seconds: int) -> None:
        fresh = path.with_suffix(".new")
        fresh.write_text(f"{seconds:+d}\n")
        fresh.replace(path)

    set_to(0)
    return set_to


def events_of(world: Any) -> list[dict[str, Any]]:
    """The events that the run has published so far."""
    path = world.folder / "events.jsonl"
    if not path.exists():
        return []
    complete = path.read_text().rpartition("\n")[0]
    return [json.loads(line) for line in complete.splitlines()]


def offsets_h(events: list[dict[str, Any]]) -> list[int]:
    """By how many hours the labels are ahead of the first one, each once, in order."""
    ahead_s = [
        datetime.fromisoformat(event["capture_utc"]).timestamp() - event["capture_ns"] / NS_PER_S
        for event in events
    ]
    return list(dict.fromkeys(round((ahead - ahead_s[0]) / HOUR_S) for ahead in ahead_s))


@pytest.mark.fault
@pytest.mark.slow
def test_a_clock_set_by_an_hour_changes_labels_and_nothing_else(
    world: Any,
    set_clock: Callable[[int], None],
    wait_until: Callable[[Callable[[], bool]], None],
    record_property: Callable[[str, object], None],
) -> None:
    """An hour ahead, then an hour behind: same pairs, no gap, no restart; labels follow, steps are told."""
    # A busy machine delays one camera by more than a frame at times; the pairs wait for it.
    street = f"synthetic://street?seed=7&size=96x64&fps={FPS}"
    world.write_pipeline(
        "realtime",
        street,
        street,
        "publish: [{kind: jsonl, path: events.jsonl}]\nsync: {estimate_offset: off, max_wait_ms: 1000}\n",
    )
    process = world.start()
    for offsets in ([0], [0, 1], [0, 1, -1]):
        set_clock(offsets[-1] * HOUR_S)
        wait_until(lambda wanted=offsets: offsets_h(events_of(world)) == wanted)  # type: ignore[misc]
        enough = len(events_of(world)) + 3 * FPS  # every worker looks at the clock every two seconds
        wait_until(lambda wanted=enough: len(events_of(world)) >= wanted)  # type: ignore[misc]
    process.send_signal(signal.SIGINT)
    words, _ = process.communicate(timeout=60)

    events, summary = events_of(world), world.summary
    captures = [event["capture_ns"] for event in events]
    longest_gap_s = max(later - earlier for earlier, later in itertools.pairwise(captures)) / NS_PER_S
    record_property("fault", "wall clock set 1 h ahead and then 2 h back while running")
    record_property("recovery_s", round(longest_gap_s - 1 / FPS, 3))
    record_property("promise", "no pair is missed, labels follow within 3 s")
    assert process.returncode in {0, 130}
    assert " ".join(words.split()).count("the system's clock was set by") == 2
    assert offsets_h(events) == [0, 1, -1]
    assert longest_gap_s < 1.0
    assert {event["state"] for event in events} == {"matched"}
    assert all(event["visible_seq"] == event["infrared_seq"] for event in events)
    assert set(summary["restarts"].values()) == {0}
    for account in summary["streams"].values():
        assert (
            account["captured"]
            == account["emitted"] + sum(account["dropped"].values()) + account["in_flight"]
        )
        assert not {"late", "worker_lost", "overrun"} & account["dropped"].keys()
