"""`streamfuse bench fusion`: the engine's backends beside the published network in plain torch, in one run.

Each contestant, the reference too, is a process of its own, so that none has the threads, settings or memory
of another; for another size they begin afresh. They take turns, in another order in every round. What is
compared are ratios within a round: whatever else the machine does falls on all of them. A call is what the
pipeline calls: images in memory to fused images in memory, whatever device works in between.

A combination that does not work here has no numbers, and its reason instead of them.
"""

from __future__ import annotations

import multiprocessing as mp
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Final

from streamfuse.engine.backends.base import Precision
from streamfuse.engine.backends.choosing import BACKEND_NAMES
from streamfuse.engine.store import list_weights, resolve, shipped_dir
from streamfuse.errors import UsageError
from streamfuse.jobs.benching.child import Child, answers
from streamfuse.jobs.benching.fusion_report import FusionReport
from streamfuse.jobs.benching.fusion_roofline import Roofline, survey
from streamfuse.jobs.benching.fusion_round import PATIENCE_S, Field, Missing, Rounds
from streamfuse.jobs.benching.fusion_turns import Contestant, Setting
from streamfuse.jobs.benching.street import check_size, street_pairs
from streamfuse.nets.registry import network_names, network_spec, serves

__all__ = ["GROWTH", "HOME", "FusionBench", "bench_fusion", "shipped_networks"]

SizeWH = tuple[int, int]

HOME: Final[SizeWH] = (640, 480)
"""Where the promises of speed are measured."""
GROWTH: Final[tuple[SizeWH, ...]] = ((320, 240), HOME, (1280, 720), (1920, 1080))
_AUTO: Final = "auto"
_ALL: Final = "all"
_PICTURES: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class FusionBench:
    """What to measure.

    Raises:
        UsageError: a number, size, model, backend or precision that makes no sense.
        WeightsError: weights that are not there, or of another network.
    """

    models: tuple[str, ...] = ("grdb",)
    weights: tuple[str, ...] = ()
    """Of each model; none: of every network that ships."""
    backends: tuple[str, ...] = (_AUTO,)
    """Names of the engine, or ``all``."""
    precisions: tuple[str, ...] = (_AUTO,)
    batches: tuple[int, ...] = (1,)
    sizes: tuple[SizeWH, ...] = (HOME,)
    """Of the pictures; even sides."""
    rounds: int = 7
    roofline: bool = False
    """Whether to measure what the machine can give."""
    growth: bool = False
    """Whether to look at the memory over many calls, too."""

    def __post_init__(self) -> None:
        if not self.batches or not all(1 <= batch <= 64 for batch in self.batches):
            raise UsageError(f"batches must be within 1..64, got {list(self.batches)}")
        if not 1 <= self.rounds <= 1000:
            raise UsageError(f"rounds must be within 1..1000, got {self.rounds}")
        for size_wh in self.sizes:
            check_size(size_wh)
        _check_words("backend", self.backends, (*BACKEND_NAMES, _ALL))
        _check_words("precision", self.precisions, (_AUTO, *Precision))
        for model in self.models:
            network_spec(model)
            for weights in self.weights:
                resolve(weights, model=model)

    def contestants(self) -> Iterator[Contestant]:
        """Everyone who may take part, ``auto`` before those whom it may have chosen."""
        named = BACKEND_NAMES if _ALL in self.backends else self.backends
        backends = sorted(set(named), key=lambda name: (name != _AUTO, named.index(name)))
        for model in self.models:
            for weights in self._named_weights(model):
                for precision in self.precisions:
                    for backend in backends:
                        yield Contestant(model=model, weights=weights, backend=backend, precision=precision)

    def _named_weights(self, model: str) -> Iterator[str]:
        """By the names that results have, so that those who have none are found by the same."""
        for weights in self.weights or shipped_networks(model):
            yield resolve(weights, model=model).card.name if weights == "default" else weights


def bench_fusion(bench: FusionBench, *, on_progress: Callable[[int, int, str], None]) -> FusionReport:
    """Measure everything; ``on_progress`` is told how many turns are done, of how many, and whose is next.

    Raises:
        UsageError, WeightsError, MachineError: nothing of what was asked for works here.
        PromiseError: the reference failed, or a process did not come to its end.
    """
    load_before = os.getloadavg()[0]
    threads = len(os.sched_getaffinity(0))
    total = len(bench.sizes) * len(bench.batches) * bench.rounds
    rounds: list[Rounds] = []
    missing: list[Missing] = []

    def say(note: str, turned: int = 0) -> None:
        on_progress(len(rounds) * bench.rounds + turned, total, note)

    for size_wh in bench.sizes:
        say(f"drawing {size_wh[0]}x{size_wh[1]}")
        setting = Setting(pictures=street_pairs(size_wh, _PICTURES), threads=threads)
        absent = {gone.contestant for gone in missing if gone.batch is None}
        contestants = [each for each in bench.contestants() if each not in absent]
        with ExitStack() as stack:
            field = Field(setting, contestants, stack, say=say)
            steady = field.memory_over_calls() if bench.growth and size_wh == HOME else {}
            for batch in bench.batches:
                entries = field.turns(batch, bench.rounds, say=say)
                rounds.append(Rounds(size_wh=size_wh, batch=batch, entries=entries, steady=steady))
            field.dismiss()
        missing += field.missing
    on_progress(total, total, "")
    return FusionReport(
        rounds=tuple(rounds),
        missing=tuple(missing),
        roofline=_roofline(rounds, bench, threads) if bench.roofline else None,
        threads=threads,
        load_before=load_before,
    )


def shipped_networks(model: str) -> tuple[str, ...]:
    """Shipped weights that serve a model, one for each network: the default, then by name."""
    found = {(default := resolve("default", model=model).card).architecture: default.name}
    for each in list_weights():
        architecture = each.card.architecture
        is_fusion = architecture in network_names() and serves(architecture, model)
        if each.path.parent == shipped_dir() and is_fusion:
            found.setdefault(architecture, each.card.name)
    return tuple(found.values())


def _roofline(rounds: list[Rounds], bench: FusionBench, threads: int) -> Roofline:
    architectures = {entry.opened.architecture: None for each in rounds for entry in each.entries}
    arguments = (tuple(architectures), bench.sizes, threads)
    with closing(Child(mp.get_context("spawn"), "roofline", survey, arguments)) as child:
        (found,) = answers([child], timeout_s=PATIENCE_S)
        child.tell(None)
    if not isinstance(found, Roofline):
        raise TypeError(f"expected a roofline, got {found!r}")
    return found


def _check_words(what: str, words: tuple[str, ...], known: tuple[str, ...]) -> None:
    for word in words:
        if word not in known:
            raise UsageError(f"{what} must be one of {', '.join(known)}; got {word!r}")
