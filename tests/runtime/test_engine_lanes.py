"""The lanes of an engine: which of them end, begin again, or end the process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from streamfuse.clock import SystemClock
from streamfuse.engine.fusion import FusionEngine
from streamfuse.errors import UsageError
from streamfuse.runtime.context import Context
from streamfuse.runtime.stages import engine as stage
from streamfuse.runtime.stages.shared import SharedCompute

Said = list[tuple[str | None, str]]
Live = Callable[[SharedCompute, Callable[[], None]], None]


class Line:
    """A lane's line to the supervisor, which remembers what was said."""

    def __init__(self, name: str | None, said: Said) -> None:
        self.name = name
        self._said = said
        self.process = self if name is None else Line(None, said)

    def send(self, event: str, **_fields: object) -> None:
        """An event of the lane, or of the process."""
        self._said.append((self.name, event))

    def wait_for_stop(self, _timeout_s: float) -> bool:
        """Nobody says stop; no time passes."""
        return False


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """Runs an engine whose lanes live the lives that are given, one after the other."""

    def run(lives: dict[str, Sequence[Live]], *, restarts: int = 0) -> Said:
        said: Said = []
        left = {name: iter(each) for name, each in lives.items()}
        looking = SimpleNamespace(looking=None, engine=SimpleNamespace(backend="fake", device="paper"))

        def run_lane(context: Any, shared: SharedCompute, *, on_ready: Callable[[Any], None]) -> None:
            next(left[context.link.name])(shared, lambda: on_ready(looking))

        fake = SimpleNamespace(__enter__=lambda: fake, close=lambda: None)
        monkeypatch.setattr(stage, "run_lane", run_lane)
        contexts: list[Any] = [SimpleNamespace(link=Line(name, said), restarts=restarts) for name in lives]
        shared = SharedCompute(cast("FusionEngine", fake), SystemClock())
        try:
            stage.run_lanes(cast("Sequence[Context]", contexts), shared)
        finally:
            shared.close()
        return said

    return run


def fine(_shared: SharedCompute, ready: Callable[[], None]) -> None:
    """Runs to its end."""
    ready()


def wrong(_shared: SharedCompute, ready: Callable[[], None]) -> None:
    """Fails for a reason of its own."""
    ready()
    raise UsageError("the rig knows one plane only")


def bug(_shared: SharedCompute, ready: Callable[[], None]) -> None:
    """Breaks down."""
    ready()
    raise ValueError("nobody has thought of this")


def stillborn(_shared: SharedCompute, _ready: Callable[[], None]) -> None:
    """Breaks down before it was ready."""
    raise ValueError("nobody has thought of this")


def until(event: threading.Event) -> Live:
    """Goes on until then."""

    def live(_shared: SharedCompute, ready: Callable[[], None]) -> None:
        ready()
        assert event.wait(10)

    return live


def releasing(event: threading.Event) -> Live:
    """Runs to its end, and says so."""

    def live(_shared: SharedCompute, ready: Callable[[], None]) -> None:
        ready()
        event.set()

    return live


def of(said: Said, name: str | None) -> list[str]:
    """What one lane has said, or the process."""
    return [event for who, event in said if who == name]


def test_the_process_is_ready_once_all_lanes_are(run: Callable[..., Said]) -> None:
    """And each says when it is done."""
    said = run({"front": [fine], "rear": [fine]})
    assert of(said, "front") == of(said, "rear") == ["lane_ready", "lane_done"]
    assert of(said, None) == ["ready"]
    assert said.index((None, "ready")) > max(said.index((name, "lane_ready")) for name in ("front", "rear"))


def test_a_lane_that_breaks_down_begins_again_beside_the_others(run: Callable[..., Said]) -> None:
    """Its third life is a good one; the other never notices."""
    over = threading.Event()
    said = run({"front": [bug, stillborn, releasing(over)], "rear": [until(over)]})
    assert of(said, "front") == ["lane_ready", "lane_lost", "lane_lost", "lane_ready", "lane_done"]
    assert of(said, "rear") == ["lane_ready", "lane_done"]
    assert of(said, None) == ["ready"]


@pytest.mark.parametrize(("end", "restarts"), [(wrong, 0), (stillborn, 0), (wrong, 3)])
def test_a_lane_that_fails_ends_alone(run: Callable[..., Said], end: Live, restarts: int) -> None:
    """For a reason of its own, or because it cannot even begin."""
    over = threading.Event()

    def failing(shared: SharedCompute, ready: Callable[[], None]) -> None:
        try:
            end(shared, ready)
        finally:
            over.set()

    said = run({"front": [failing], "rear": [slowly(over, said_by="front")]}, restarts=restarts)
    assert of(said, "front")[-1] == "lane_error"
    assert of(said, "rear") == ["lane_ready", "lane_done"]
    assert of(said, None) == ["ready"]


def slowly(event: threading.Event, *, said_by: str) -> Live:
    """Goes on until the lane of that name is gone."""

    def live(_shared: SharedCompute, ready: Callable[[], None]) -> None:
        ready()
        assert event.wait(10)
        (other,) = [thread for thread in threading.enumerate() if thread.name == said_by] or [None]
        if other is not None:
            other.join(10)

    return live


@pytest.mark.parametrize(("end", "error"), [(wrong, UsageError), (bug, ValueError), (stillborn, ValueError)])
def test_what_the_last_lane_raises_ends_the_process(
    run: Callable[..., Said], end: Live, error: type[Exception]
) -> None:
    """As in a run of one pipeline: the supervisor sees to the rest."""
    with pytest.raises(error):
        run({"front": [end]})


def test_a_network_that_is_broken_ends_the_process(run: Callable[..., Said]) -> None:
    """No lane goes on with it, whoever else is there."""
    broken = RuntimeError("an illegal memory access was encountered")
    over = threading.Event()

    def front(shared: SharedCompute, ready: Callable[[], None]) -> None:
        ready()
        shared.error = broken
        over.set()
        raise broken

    def rear(_shared: SharedCompute, ready: Callable[[], None]) -> None:
        ready()
        assert over.wait(10)
        raise broken

    with pytest.raises(RuntimeError, match="illegal memory access"):
        run({"front": [front], "rear": [rear]})
