"""What a stage is given to work with, and the shared run of events every stage goes through."""

from __future__ import annotations

from dataclasses import dataclass

from streamfuse.clock import Clock
from streamfuse.config.pipeline import PipelineConfig
from streamfuse.io.transport.board import Board
from streamfuse.io.transport.rundir import RunDir
from streamfuse.runtime.link import LaneLink
from streamfuse.runtime.plan import Plan

__all__ = ["Context"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """A pipeline's plan, a worker's place in its shared memory, its counters and its line to the supervisor.

    An engine that several pipelines share has one for each.
    """

    role: str
    """Worker name: a stream name, ``engine`` or a sink's name."""
    plan: Plan
    run_dir: RunDir
    board: Board
    link: LaneLink
    clock: Clock
    restarts: int
    """How often the supervisor has started this worker again."""

    def beat(self) -> None:
        """Say that the stage's loop moves; called in every turn, idle or not."""
        self.board.add("progress")

    def fresh_config(self) -> PipelineConfig | None:
        """The configuration as the user has changed it while the run goes on; once after each change."""
        text = self.link.take_config()
        return None if text is None else PipelineConfig.model_validate_json(text)

    @property
    def hurried(self) -> bool:
        """Told to give up what is under way."""
        stop = self.link.stop
        return stop is not None and not stop.drain
