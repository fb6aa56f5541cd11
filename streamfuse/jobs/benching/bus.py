"""`streamfuse bench bus`: our bus beside the others, in one run, on this machine.

Every transport takes its turn in every round, each time in fresh processes, so that whatever else the machine
does falls on all of them; what is reported is the median over the rounds.

*Hop*: both cameras at 60 frames/s at once; from before the producer writes a frame until after the consumer
has its pixels in memory of its own. *Flat out*: each stream alone, as fast as it goes without losing a frame;
pairs/s are reckoned from the time that one frame of each takes. *Descriptor*: the producer's whole processor
time per frame when it goes flat out with frames of 1 KiB. *Second consumer*: what it adds to the processor
time of the producers at 60 frames/s.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from streamfuse.errors import StreamfuseError, UsageError
from streamfuse.frames import PixelFormat
from streamfuse.jobs.benching.bus_load import SPECK, Load, Stream, streams
from streamfuse.jobs.benching.bus_measure import StreamSample, measure
from streamfuse.jobs.benching.bus_report import BusReport, Measured
from streamfuse.jobs.benching.bus_transports import OURS, TRANSPORTS

__all__ = ["BusBench", "bench_bus"]

COLOURS: Final = (PixelFormat.YUV420P, PixelFormat.RGB24)


@dataclass(frozen=True, slots=True, kw_only=True)
class BusBench:
    """What to measure.

    Raises:
        UsageError: a time, number or format that makes no sense.
    """

    seconds: float = 3.0
    """Of each single measurement."""
    rounds: int = 3
    colour: PixelFormat = PixelFormat.YUV420P
    """Of the visible camera: ``yuv420p`` or ``rgb24``."""
    transports: tuple[str, ...] = tuple(TRANSPORTS)
    """Names of those to compare."""

    def __post_init__(self) -> None:
        if not 0.1 <= self.seconds <= 600:
            raise UsageError(f"seconds must be within 0.1..600, got {self.seconds:g}")
        if not 1 <= self.rounds <= 100:
            raise UsageError(f"rounds must be within 1..100, got {self.rounds}")
        if self.colour not in COLOURS:
            raise UsageError(f"colour must be one of {', '.join(COLOURS)}, got {self.colour}")
        if unknown := set(self.transports) - set(TRANSPORTS):
            raise UsageError(f"transports are {', '.join(TRANSPORTS)}; got {min(unknown)!r}")


def bench_bus(bench: BusBench, *, on_progress: Callable[[int, int, str], None]) -> BusReport:
    """Measure everything; ``on_progress`` is told how many turns are done, of how many, and whose is next.

    A transport that is not installed has no numbers; one that fails keeps its reason instead of them.
    """
    names = [name for name in bench.transports if TRANSPORTS[name].installed]
    absent = {name: "not installed" for name in bench.transports if name not in names}
    load_before = os.getloadavg()[0]
    found: dict[str, list[Measured]] = defaultdict(list)
    failed: dict[str, str] = {}
    turns = [names[turn % len(names) :] + names[: turn % len(names)] for turn in range(bench.rounds)]
    total = bench.rounds * len(names)
    for done, name in enumerate(name for turn in turns for name in turn):
        on_progress(done, total, name)
        if name in failed:
            continue
        try:
            found[name].append(_measured(name, bench))
        except StreamfuseError as error:
            failed[name] = str(error)
    on_progress(total, total, "")
    rounds = {name: tuple(found[name]) for name in names if name not in failed}
    return BusReport(
        seconds=bench.seconds,
        streams=streams(bench.colour),
        rounds=rounds,
        load_before=load_before,
        missing={**absent, **failed},
    )


def _measured(name: str, bench: BusBench) -> Measured:
    """One round of one transport."""
    both = streams(bench.colour)

    def run(of: Sequence[Stream], **how: bool | int) -> dict[str, StreamSample]:
        return measure(Load(transport=name, streams=of, seconds=bench.seconds, **{"paced": False, **how}))  # type: ignore[arg-type]

    paced = run(both, paced=True)
    flat = {stream.name.value: run([stream])[stream.name] for stream in both}
    if name != OURS:
        return Measured(paced=paced, flat=flat)
    return Measured(
        paced=paced,
        flat=flat,
        paced_for_two=run(both, paced=True, consumers=2),
        flat_for_two={stream.name.value: run([stream], consumers=2)[stream.name] for stream in both},
        speck=run([SPECK])[SPECK.name],
    )
