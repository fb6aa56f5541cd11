"""What the engine promises of speed, judged by the rounds of a benchmark."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Final

import numpy as np

from streamfuse.jobs.benching.fusion_round import Entry, Rounds
from streamfuse.jobs.benching.fusion_turns import Opened, Turn
from streamfuse.jobs.benching.machine import Target

__all__ = ["PUBLISHED", "Name", "exponents", "fusion_targets", "pair_times_ms", "ratio", "steady"]

Name = tuple[str, str, str, str]
"""Architecture, weights, backend and precision."""

PUBLISHED: Final = "grdb"
"""The architecture of the published network."""
_HOME: Final = (640, 480)
_MB: Final = 1e6
_LEAST_RATIO: Final = {"published": 10.0, "edge": 50.0}
"""On a CPU, over the reference: of the published layers, and of the networks made for live work."""
_LEAST_ON_GPU: Final = {"pairs_per_s": 1500.0, "ratio": 8.0}
"""Of the published layers with eight pairs in a batch."""
_MOST_GPU_MB: Final = 1000.0
_MOST_GPU_MS: Final = 2.0
"""For a pair alone, on the device; what is measured is the whole call, which takes longer."""
_LEAST_DB: Final = {"float": 50.0, "int8": 38.0}
_MOST_EXPONENT: Final = 1.05
"""Time goes as pixels to this power; 1 is linear."""
_MOST_MEMORY: Final = 1.02
"""After fifty calls, over that after five."""


def ratio(entry: Entry, batch: int) -> float:
    """Time of a pair on the reference over that on a contestant: the median over the rounds."""
    both = zip(entry.reference, entry.turns, strict=True)
    return median(_pair_ms(one, entry.reference_batch) / _pair_ms(two, batch) for one, two in both)


def pair_times_ms(turns: Sequence[Turn], batch: int) -> list[float]:
    """Of every call, for one pair of its batch."""
    return [ms / batch for turn in turns for ms in turn.took_ms]


def fusion_targets(rounds: Sequence[Rounds]) -> Iterator[Target]:
    """What is promised, as far as it was measured."""
    for each in rounds:
        if each.size_wh == _HOME:
            yield from _of_cpu(each)
            for entry in each.entries:
                if entry.opened.on_gpu:
                    yield from _of_gpu(entry, each.batch)
    yield from _parity(rounds)
    for name, exponent in exponents(rounds):
        what = f"time as pixels to the power of, {' '.join(name)}"
        yield Target(what=what, limit=_MOST_EXPONENT, got=exponent)
    for opened, (few, many) in steady(rounds).items():
        on = f"{opened.architecture} {opened.weights} {opened.backend}"
        yield Target(
            what=f"memory after 50 calls, times that after 5, {on}", limit=_MOST_MEMORY, got=many / few
        )


def exponents(rounds: Sequence[Rounds]) -> Iterator[tuple[Name, float]]:
    """How time grows from the smallest to the largest size, at the first batch."""
    times: dict[Name, dict[int, float]] = defaultdict(dict)
    for each in rounds:
        if each.batch != rounds[0].batch:
            continue
        pixels = each.size_wh[0] * each.size_wh[1]
        for entry in each.entries:
            opened = entry.opened
            name = (opened.architecture, opened.weights, opened.backend, opened.precision)
            times[name][pixels] = float(np.median(pair_times_ms(entry.turns, each.batch)))
    for name, by_pixels in times.items():
        least, most = min(by_pixels), max(by_pixels)
        if most > least:
            yield name, math.log(by_pixels[most] / by_pixels[least]) / math.log(most / least)


def steady(rounds: Sequence[Rounds]) -> Mapping[Opened, tuple[int, int]]:
    """Memory in bytes after few calls and after many, where somebody looked."""
    return {opened: both for each in rounds for opened, both in each.steady.items()}


def _parity(rounds: Sequence[Rounds]) -> Iterator[Target]:
    found: dict[str, list[float]] = defaultdict(list)
    for each in rounds:
        for entry in each.entries:
            found["int8" if entry.opened.precision == "int8" else "float"].append(entry.psnr_db)
    for kind, values in found.items():
        what = f"PSNR to plain float32 torch, dB, worst of all {kind}"
        yield Target(what=what, limit=_LEAST_DB[kind], got=min(values), at_least=True)


def _of_cpu(rounds: Rounds) -> Iterator[Target]:
    """Of each network what the engine chooses by itself; where that did not take part, the fastest."""
    if rounds.batch != 1:
        return
    best: dict[str, Entry] = {}
    for entry in sorted(rounds.entries, key=lambda each: (each.is_default, ratio(each, 1))):
        if not entry.opened.on_gpu:
            best[entry.opened.architecture] = entry  # the last one stays
    for architecture, entry in best.items():
        kind = "published" if architecture == PUBLISHED else "edge"
        what = f"times the reference, {architecture} on {entry.opened.backend}"
        yield Target(what=what, limit=_LEAST_RATIO[kind], got=ratio(entry, 1), at_least=True)


def _of_gpu(entry: Entry, batch: int) -> Iterator[Target]:
    if not entry.is_default or entry.opened.architecture != PUBLISHED:
        return
    on = f"{PUBLISHED} on {entry.opened.backend}, batch {batch}"
    if batch == 1:
        middle_ms = float(np.median(pair_times_ms(entry.turns, batch)))
        yield Target(what=f"ms, the whole call, {on}", limit=_MOST_GPU_MS, got=middle_ms)
    if batch != 8:
        return
    rate = 1e3 / float(np.median(pair_times_ms(entry.turns, batch)))
    yield Target(what=f"pairs/s, {on}", limit=_LEAST_ON_GPU["pairs_per_s"], got=rate, at_least=True)
    over = ratio(entry, batch)
    yield Target(
        what=f"times eager float32 on the GPU, {on}", limit=_LEAST_ON_GPU["ratio"], got=over, at_least=True
    )
    device_mb = max(turn.device_nbytes or 0 for turn in entry.turns) / _MB
    yield Target(what=f"GPU memory, MB, {on}", limit=_MOST_GPU_MB, got=device_mb)


def _pair_ms(turn: Turn, batch: int) -> float:
    return median(turn.took_ms) / batch
