"""The table at the end of a run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.table import Table

from streamfuse.core.bracket import AGREE

__all__ = ["summary_table"]

_COUNTED = ("forward", "backward", "inside", "entered", "left")
"""What lines and zones count, in the words of a record."""


def summary_table(plain: dict[str, Any], *, title: str | None = None) -> Table:
    """The summary of a pipeline, as :meth:`~streamfuse.runtime.summary.Summary.as_dict` gives it."""
    table = Table(title=title, title_justify="left", show_header=False, box=None, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    states = ", ".join(f"{count} {state}" for state, count in plain["states"].items() if count)
    table.add_row("pairs", f"{plain['pairs']} ({states})" if states else "0")
    rate = f"{plain['fps']:.1f}" if plain["fps"] else "-"  # it takes two pairs to have one
    table.add_row("fused", f"{plain['fused']} at {rate} fps")
    for name, stream in plain["streams"].items():
        dropped = ", ".join(f"{count} {cause}" for cause, count in stream["dropped"].items()) or "0"
        table.add_row(
            name,
            f"captured {stream['captured']} = emitted {stream['emitted']} + dropped {dropped}"
            f" + in flight {stream['in_flight']}",
        )
    for name, camera in plain["cameras"].items():
        table.add_row(f"  {name} camera", _camera(camera))
    for key, words, unit in (("latency_ms", "latency", "ms"), ("skew_ms", "skew", "ms")):
        values = "  ".join(f"{name} {value:.1f}" for name, value in plain[key].items() if value is not None)
        table.add_row(words, f"{values} {unit}" if values else "-")
    if plain["offset"]:
        table.add_row("offset", _offset(plain["offset"]))
    if plain["registration"]:
        table.add_row("registration", _registration(plain["registration"]))
    for row in (*_found(plain), *_stages(plain)):
        table.add_row(*row)
    for name, sink in plain["sinks"].items():
        table.add_row(
            name,
            f"offered {sink['offered']}, written {sink['written']}, dropped {sink['dropped']}"
            + (f", failed {sink['failed']}" if sink["failed"] else ""),
        )
    restarts = ", ".join(f"{name} {count}" for name, count in plain["restarts"].items() if count)
    table.add_row("restarts", restarts or "none")
    table.add_row("engine", f"{plain['backend']} on {plain['device']}" if plain["backend"] else "-")
    for path in plain["recordings"]:
        table.add_row("recording", str(path))
    return table


def _offset(plain: dict[str, float | None]) -> str:
    estimate_ms, applied_ms = plain["estimate_ms"], plain["applied_ms"]
    if estimate_ms is None:
        return "unknown: too little moves in both pictures, or for too short a time"
    return f"infrared times seem {-estimate_ms:.0f} ms off, {applied_ms:.0f} ms were added to them"


def _registration(plain: dict[str, Any]) -> str:
    if plain["shift_px"] is None:
        seen = f"{plain['evidence']} of {plain['looks']} looks showed it"
        return f"unknown: {seen}, and {AGREE} that agree are needed"
    x_px, y_px = plain["shift_px"]
    corrected = plain["corrected_px"]
    said = f"the rig is {x_px:+.1f}, {y_px:+.1f} px off" + (": bumped" if plain["bumped"] else "")
    return said + (f"; {corrected[0]:+.1f}, {corrected[1]:+.1f} px were corrected" if corrected else "")


def _stages(plain: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What each stage took, and how many pairs were fused at once."""
    for name, stage in plain["stages"].items():
        yield f"  {name}", f"p50 {stage['p50_ms']:.1f}  p95 {stage['p95_ms']:.1f} ms"
    if (mean := plain["batch"]["mean"]) is not None:
        yield "  batch", f"{mean:.1f} pairs on average, {plain['batch']['max']:.0f} at most"


def _found(plain: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What the tasks have found and counted."""
    if plain["detections"] or plain["events"]:
        yield "found", f"{_times(plain['detections'], 'object')} and {_times(plain['events'], 'event')}"
    if plain["left_out"]:
        yield "left out", f"{_times(plain['left_out'], 'object')} beyond the `most` of a task"
    for rule, count in plain["counts"].items():
        yield f"  {rule}", _rule(count)


def _rule(plain: dict[str, Any]) -> str:
    """What a line or a zone has counted."""
    return ", ".join(f"{number} {name}" for name, number in plain.items() if name in _COUNTED)


def _camera(plain: dict[str, Any]) -> str:
    words = f"{plain['state']}, {_times(plain['reconnects'], 'reconnect')}"
    clock = plain["clock"]
    if clock is None:
        return words
    return (
        f"{words}, time from {clock['source']}, drift {clock['drift_ppm']:.1f} ppm, "
        f"jitter {clock['jitter_ms']:.1f} ms"
    )


def _times(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
