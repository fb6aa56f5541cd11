"""The main function of every worker process: ``python -m streamfuse.runtime.worker``.

It takes its order from standard input, joins the run's folder in shared memory, runs its stage and
reports how that ended. If the supervisor disappears, it finishes, and the last worker to leave
takes the folder with it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import setproctitle

from streamfuse.clock import Clock, SystemClock
from streamfuse.errors import StreamfuseError
from streamfuse.frames import StreamName
from streamfuse.io.quick import quick_process
from streamfuse.io.transport.board import Board
from streamfuse.io.transport.rundir import RunDir
from streamfuse.runtime.context import Context
from streamfuse.runtime.counters import ENGINE
from streamfuse.runtime.link import Link
from streamfuse.runtime.plan import Plan

__all__ = ["ORPHAN_GRACE_S", "main"]

ORPHAN_GRACE_S: Final = 3.0
"""How long a worker whose supervisor died may take to finish what it holds."""


def main() -> None:
    """Run one worker from order to end; the process exits with its status."""
    with quick_process():
        _work()


def _work() -> None:
    for number in (signal.SIGINT, signal.SIGHUP):  # the supervisor acts on them
        signal.signal(number, signal.SIG_IGN)
    link, order = Link.claim_stdio()
    role, lanes = str(order["role"]), order["lanes"]
    setproctitle.setproctitle(_title(role, prefix=lanes[0]["prefix"]))
    signal.signal(signal.SIGTERM, lambda *_: link.request_stop())
    clock = SystemClock()
    contexts = [_context(role, lane, link, clock, restarts=int(order["restarts"])) for lane in lanes]
    link.start(lambda: _beat(contexts))
    folders = [context.run_dir for context in contexts]
    threading.Thread(target=_leave_if_orphaned, args=(link, folders), daemon=True).start()
    run = import_module(_stage_of(role)).run
    status = _run_reported(partial(run, contexts if role == ENGINE else contexts[0]), link)
    link.end()
    for context in contexts:
        context.board.close()
        context.run_dir.close()
    sys.exit(status)


def _title(role: str, *, prefix: str) -> str:
    """What people and tools find the process by; the engine belongs to all pipelines."""
    pipeline = "" if role == ENGINE else prefix.replace("/", " ")
    return f"streamfuse {pipeline}{'capture ' if role in set(StreamName) else ''}{role}"


def _context(role: str, lane: dict[str, Any], link: Link, clock: Clock, *, restarts: int) -> Context:
    plan = Plan.from_json(lane["plan"])
    run_dir = RunDir.join(Path(plan.run_dir))
    board = Board.open(run_dir.board(role))
    board.set("pid", os.getpid())
    return Context(
        role=role,
        plan=plan,
        run_dir=run_dir,
        board=board,
        link=link.lane(plan.config.name, prefix=lane["prefix"]),
        clock=clock,
        restarts=restarts,
    )


def _beat(contexts: Sequence[Context]) -> None:
    for context in contexts:
        context.board.beat(context.clock.now_ns())


def _stage_of(role: str) -> str:
    """The module of a role: one for both captures, otherwise the one of its name."""
    return f"streamfuse.runtime.stages.{'capture' if role in set(StreamName) else role}"


def _run_reported(run: Callable[[], Any], link: Link) -> int:
    try:
        run()
    except StreamfuseError as error:
        link.send("error", text=str(error), exit_code=error.exit_code)
        return error.exit_code
    except Exception:  # noqa: BLE001 - the outermost frame of a process: reported, then it dies
        traceback.print_exc()
        return 70
    link.send("done")
    return 0


def _leave_if_orphaned(link: Link, folders: Sequence[RunDir]) -> None:
    """See to it that the process goes even when its stage hangs after the supervisor died."""
    link.wait_until_orphaned()
    if not link.wait_until_ended(ORPHAN_GRACE_S):
        for folder in folders:
            folder.close()
        os._exit(71)


if __name__ == "__main__":
    main()
