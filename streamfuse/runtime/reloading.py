"""Takes a changed pipeline file over into a run that goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from streamfuse.config.pipeline import PipelineConfig
from streamfuse.config.reload import Reload, plan_reload
from streamfuse.config.rig import load_rig
from streamfuse.config.several import check_together
from streamfuse.errors import ConfigError, UsageError
from streamfuse.runtime.counters import ENGINE
from streamfuse.runtime.message import Level
from streamfuse.runtime.pipeline import Pipeline
from streamfuse.runtime.rigging import check_distance
from streamfuse.runtime.stages.looking import check_rules
from streamfuse.runtime.supervisor import Supervisor

__all__ = ["reload_pipeline"]


def reload_pipeline(
    pipeline: Pipeline,
    read: Callable[[], PipelineConfig],
    supervisor: Supervisor,
    *,
    others: Sequence[PipelineConfig],
    engine_order: Callable[[], dict[str, Any]],
) -> None:
    """Read the file again, and change what can be changed; a file that is wrong changes nothing.

    Args:
        pipeline: what goes on.
        read: reads its file and overrides; raises ConfigError.
        supervisor: of its workers.
        others: what the pipelines beside it work with, whose addresses and files are not for this one.
        engine_order: the engine's order with all pipelines as they are by then.
    """

    def say(text: str, level: Level = "info") -> None:
        pipeline.tell_all("reload", text, level=level)

    try:
        change = plan_reload(pipeline.plan.config, read())
        check_rules(change.config, pipeline.report.finds)
        check_together([*others, change.config])
        check_distance(load_rig(change.config.rig), change.config.registration)
    except (ConfigError, UsageError) as error:
        say(f"nothing was reloaded, the pipeline file is wrong: {error}", "error")
        return
    for refusal in change.refused:
        say(f"not reloaded: {refusal}", "warning")
    if change.applied:
        pipeline.plan = replace(pipeline.plan, config=change.config)
        for role in _missed(change, pipeline, supervisor):
            say(f"the {role} has ended: start again for its changes", "warning")
        _hand_on(change, pipeline, supervisor, engine_order=engine_order)
        say(f"reloaded: {', '.join(change.applied)}")
    elif not change.refused:
        say("reloaded: nothing has changed")


def _missed(change: Reload, pipeline: Pipeline, supervisor: Supervisor) -> list[str]:
    """Roles of workers that would have to take over changes, and have ended."""
    concerned = change.told | change.replaced
    return [
        role for role, name in pipeline.workers.items() if role in concerned and supervisor.workers[name].done
    ]


def _hand_on(
    change: Reload,
    pipeline: Pipeline,
    supervisor: Supervisor,
    *,
    engine_order: Callable[[], dict[str, Any]],
) -> None:
    config = change.config.model_dump_json()
    for role, name in pipeline.workers.items():
        order = engine_order() if role == ENGINE else pipeline.order(role)
        if role in change.replaced:
            supervisor.replace(name, order)
            continue
        supervisor.brief(name, order)
        if role in change.told:
            supervisor.tell(name, "config", lane=pipeline.name, config=config)
