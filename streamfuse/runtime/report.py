"""What the workers have told the supervisor so far, beyond the counters on their boards."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from streamfuse.core.clockfit import ClockReport, TimeSource
from streamfuse.core.pair_record import count_of
from streamfuse.core.stats import Histogram
from streamfuse.frames import Count

__all__ = ["Report"]


class Report:
    """Collects the ``stats``, ``recording`` and ``enough`` events of all workers of a pipeline.

    A worker's ``stats`` are cumulative for its life; those of earlier lives are kept and added.
    """

    def __init__(self) -> None:
        self.backend = ""
        self.device = ""
        self.finds: frozenset[str] = frozenset()
        """Names of the objects that the engine's networks find."""
        self.enough = False
        """The engine has fused as many pairs as were asked for."""
        self.finished = False
        """The engine has nothing left to fuse."""
        self.recordings: list[str] = []
        self.clocks: dict[str, ClockReport] = {}
        """How each camera's clock stood when it was last told, by stream."""
        self._current: dict[str, dict[str, Any]] = {}
        self._earlier: dict[str, list[dict[str, Any]]] = defaultdict(list)

    def hear(self, role: str, event: Mapping[str, Any]) -> None:
        """Take in one event of a worker; events of other kinds are no concern of the report."""
        match event["event"]:
            case "lane_ready":
                self.backend = event.get("backend", self.backend)
                self.device = event.get("device", self.device)
                self.finds = frozenset(event.get("finds", self.finds))
            case "stats":
                self._current[role] = dict(event)
                if "clock" in event:
                    clock = event["clock"]
                    self.clocks[role] = ClockReport(**{**clock, "source": TimeSource(clock["source"])})
            case "lost" | "lane_lost" | "replaced":
                if role in self._current:
                    self._earlier[role].append(self._current.pop(role))
            case "recording":
                self.recordings.append(str(event["path"]))
            case "enough":
                self.enough = True
            case "lane_done":
                self.finished = True

    @property
    def fps(self) -> float:
        """Fused frames per second over the life of the engine."""
        rates = [stats["fps"] for stats in self._all() if "fps" in stats]
        return float(rates[-1]) if rates else 0.0

    @property
    def offset(self) -> Mapping[str, float | None]:
        """What the engine last said about the offset between the streams; empty when it does not look."""
        found = [stats["offset"] for stats in self._all() if "offset" in stats]
        return dict(found[-1]) if found else {}

    @property
    def registration(self) -> Mapping[str, Any]:
        """What the engine last said about how the images fit; empty when it does not look."""
        found = [stats["registration"] for stats in self._all() if "registration" in stats]
        return dict(found[-1]) if found else {}

    @property
    def device_memory_bytes(self) -> int | None:
        """What the engine last said it has taken of its device's memory; None when it says nothing."""
        found = [stats["device_memory_bytes"] for stats in self._all() if "device_memory_bytes" in stats]
        return int(found[-1]) if found else None

    @property
    def tracks(self) -> int:
        """Objects that the engine followed when it last said so."""
        found = [stats["tracks"] for stats in self._all() if "tracks" in stats]
        return int(found[-1]) if found else 0

    @property
    def counts(self) -> tuple[Count, ...]:
        """What the rules of the tasks had counted when the engine last said so."""
        found = [stats["counts"] for stats in self._all() if "counts" in stats]
        return tuple(map(count_of, found[-1])) if found else ()

    def histogram(self, name: str) -> Histogram:
        """A histogram that workers send under ``name``, over all of them."""
        return _merged(stats[name] for stats in self._all() if name in stats)

    def stages(self) -> dict[str, Histogram]:
        """The times of each stage in milliseconds, by the stage's name."""
        found: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for stats in self._all():
            for name, histogram in stats.get("stages", {}).items():
                found[name].append(histogram)
        return {name: _merged(histograms) for name, histograms in found.items()}

    def _all(self) -> list[dict[str, Any]]:
        earlier = [stats for lives in self._earlier.values() for stats in lives]
        return [*earlier, *self._current.values()]


def _merged(plain: Any) -> Histogram:
    total = Histogram()
    for histogram in plain:
        total.merge(Histogram.from_dict(histogram))
    return total
