"""Takes a changed pipeline file over into a run that goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from streamfuse.config.pipeline import PipelineConfig
from streamfuse.config.reload import Reload, plan_reload
from streamfuse.config.rig import load_rig
from streamfuse.errors import ConfigError, UsageError
from streamfuse.runtime.message import Level, Message
from streamfuse.runtime.plan import Plan
from streamfuse.runtime.rigging import check_distance
from streamfuse.runtime.stages.looking import check_rules
from streamfuse.runtime.supervisor import Supervisor

__all__ = ["Reloader"]


class Reloader:
    """Knows what the run works with, and hands on what changes.

    Args:
        plan: What the run began with.
        read: Reads the pipeline file and its overrides again; raises ConfigError.
        finds: Names of the objects that the networks of the run find.
        say: Told what became of it.
    """

    def __init__(
        self,
        plan: Plan,
        read: Callable[[], PipelineConfig],
        *,
        finds: Callable[[], frozenset[str]],
        say: Callable[[Message], None],
    ) -> None:
        self._plan = plan
        self._read = read
        self._finds = finds
        self._send = say

    def reload(self, supervisor: Supervisor) -> None:
        """Read the file, and change what can be changed; a file that is wrong changes nothing."""
        try:
            change = plan_reload(self._plan.config, self._read())
            check_rules(change.config, self._finds())
            check_distance(load_rig(change.config.rig), change.config.registration)
        except (ConfigError, UsageError) as error:
            self._say(f"nothing was reloaded, the pipeline file is wrong: {error}", level="error")
            return
        for refusal in change.refused:
            self._say(f"not reloaded: {refusal}", level="warning")
        if change.applied:
            self._plan = replace(self._plan, config=change.config)
            self._hand_on(change, supervisor)
            self._say(f"reloaded: {', '.join(change.applied)}")
        elif not change.refused:
            self._say("reloaded: nothing has changed")

    def _hand_on(self, change: Reload, supervisor: Supervisor) -> None:
        config = change.config.model_dump_json()
        for role, worker in supervisor.workers.items():
            order = {"role": role, "plan": self._plan.to_json()}
            if worker.done and role in change.told | change.replaced:
                self._say(f"the {role} has ended: start again for its changes", level="warning")
            elif role in change.replaced:
                supervisor.replace(role, order)
            else:
                supervisor.brief(role, order)
                if role in change.told:
                    supervisor.tell(role, "config", config=config)

    def _say(self, text: str, *, level: Level = "info") -> None:
        self._send(Message(text=text, event="reload", level=level))
