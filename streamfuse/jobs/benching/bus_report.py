"""What the benchmark of the bus found: medians over the rounds, and whether our bus keeps its promises."""

from __future__ import annotations

import math
import mmap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import Any, Final

from streamfuse.io.transport.ring import ring_nbytes
from streamfuse.jobs.benching.bus_load import WINDOW, Stream
from streamfuse.jobs.benching.bus_measure import StreamSample
from streamfuse.jobs.benching.bus_ours import slots_of
from streamfuse.jobs.benching.bus_transports import OURS, RIVAL
from streamfuse.jobs.benching.machine import Target, machine_facts, versions

__all__ = ["BusReport", "Measured"]

Samples = Mapping[str, StreamSample]
"""By the name of the stream."""

_PACKAGES: Final = ("streamfuse", "numpy", "pyzmq", "imagezmq", "vidgear")
_MB: Final = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One round of one transport; the last three are measured of our bus only."""

    paced: Samples
    flat: Samples
    paced_for_two: Samples = field(default_factory=dict)
    flat_for_two: Samples = field(default_factory=dict)
    speck: StreamSample | None = None
    """Frames without pixels to speak of."""

    @property
    def pairs_per_s(self) -> float:
        """How often one frame of each stream can be moved, one after the other."""
        return 1 / sum(1 / sample.received_fps[0] for sample in self.flat.values())

    @property
    def second_consumer_pct(self) -> float:
        """What a second consumer adds to the producers' processor time at 60 frames/s, in per cent."""
        one = sum(sample.producer_cpu_us for sample in self.paced.values())
        two = sum(sample.producer_cpu_us for sample in self.paced_for_two.values())
        return 100 * (two / one - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class BusReport:
    """All measurements of a run."""

    seconds: float
    streams: Sequence[Stream]
    rounds: Mapping[str, Sequence[Measured]]
    """By transport."""
    load_before: float
    """Processes that wanted a core, on average over the minute before."""
    missing: Mapping[str, str]
    """Transports without numbers, and why."""

    @property
    def _names(self) -> tuple[str, ...]:
        return tuple(stream.name.value for stream in self.streams)

    def middle(self, transport: str, value: Callable[[Measured], float]) -> float:
        """Median of a number over the rounds of a transport."""
        return median(value(measured) for measured in self.rounds[transport])

    def targets(self) -> tuple[Target, ...]:
        """What our bus promises; nothing when it, or what it is measured by, has no numbers."""
        if not {OURS, RIVAL} <= set(self.rounds):
            return ()
        hops = tuple(
            Target(what=f"p99 hop of {name}, ms", limit=3.0, got=self._hop_ms(OURS, name, "p99"))
            for name in self._names
        )
        ours, rival = (self.middle(name, lambda m: m.pairs_per_s) for name in (OURS, RIVAL))
        return (
            *hops,
            Target(what=f"flat-out pairs/s, times {RIVAL}", limit=1.5, got=ours / rival, at_least=True),
            Target(
                what="second consumer, % of producer CPU",
                limit=10.0,
                got=self.middle(OURS, lambda m: m.second_consumer_pct),
            ),
            Target(what="descriptor, µs of producer CPU", limit=60.0, got=self._descriptor_us()),
            Target(
                what="shared memory, times what was known at the start",
                limit=1.0,
                got=self._shared_nbytes() / self._ring_nbytes(),
            ),
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "machine": {**machine_facts(), "load_before": round(self.load_before, 2)},
            "versions": versions(_PACKAGES),
            "seconds": self.seconds,
            "streams": [_described(stream) for stream in self.streams],
            "results": [
                *(self._result(name) for name in self.rounds),
                *({"transport": name, "installed": False, "why": why} for name, why in self.missing.items()),
            ],
            "targets": [target.as_dict() for target in self.targets()],
        }

    def _result(self, transport: str) -> dict[str, Any]:
        result: dict[str, Any] = {
            "transport": transport,
            "installed": True,
            "rounds": len(self.rounds[transport]),
            "flat_out_pairs_per_s": round(self.middle(transport, lambda m: m.pairs_per_s), 1),
            "streams": {name: self._of_stream(transport, name) for name in self._names},
        }
        if transport == OURS:
            result["descriptor_us"] = round(self._descriptor_us(), 1)
            result["memory_known_at_start_mb"] = round(
                (self._ring_nbytes() + WINDOW * sum(stream.spec.nbytes for stream in self.streams)) / _MB, 1
            )
            result["second_consumer"] = {
                "producer_cpu_pct": round(self.middle(OURS, lambda m: m.second_consumer_pct), 1),
                "flat_out_fps": {
                    name: round(self.middle(OURS, partial(_rate_for_two, name)), 1) for name in self._names
                },
            }
        return result

    def _of_stream(self, transport: str, name: str) -> dict[str, Any]:
        def middle(value: Callable[[Measured], float]) -> float:
            return round(self.middle(transport, value), 1)

        return {
            "hop_ms": {
                quantile: round(self._hop_ms(transport, name, quantile), 3)
                for quantile in ("p50", "p95", "p99")
            },
            "flat_out_fps": middle(lambda m: m.flat[name].received_fps[0]),
            "producer_cpu_us": middle(lambda m: m.paced[name].producer_cpu_us),
            "flat_out_producer_cpu_us": middle(lambda m: m.flat[name].producer_cpu_us),
            "memory_used_mb": middle(lambda m: m.paced[name].memory_nbytes / _MB),
        }

    def _hop_ms(self, transport: str, name: str, quantile: str) -> float:
        return self.middle(transport, lambda m: m.paced[name].hop_ms[quantile])

    def _descriptor_us(self) -> float:
        return self.middle(OURS, lambda m: m.speck.producer_cpu_us if m.speck else math.nan)

    def _ring_nbytes(self) -> int:
        """In whole pages, as a file system gives memory."""
        sizes = (ring_nbytes(slots_of(1), stream.spec.nbytes) for stream in self.streams)
        return sum(-(-size // mmap.PAGESIZE) * mmap.PAGESIZE for size in sizes)

    def _shared_nbytes(self) -> float:
        return self.middle(OURS, lambda m: sum(sample.extra["shared_nbytes"] for sample in m.paced.values()))


def _rate_for_two(name: str, measured: Measured) -> float:
    return measured.flat_for_two[name].sent_fps


def _described(stream: Stream) -> dict[str, Any]:
    return {
        "name": stream.name.value,
        "format": stream.spec.format.value,
        "size_wh": list(stream.spec.size_wh),
        "fps": stream.fps,
        "frame_nbytes": stream.spec.nbytes,
    }
