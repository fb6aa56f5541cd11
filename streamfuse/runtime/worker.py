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
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import setproctitle

from streamfuse.clock import SystemClock
from streamfuse.errors import StreamfuseError
from streamfuse.frames import StreamName
from streamfuse.io.quick import quick_process
from streamfuse.io.transport.board import Board
from streamfuse.io.transport.rundir import RunDir
from streamfuse.runtime.context import Context
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
    role = str(order["role"])
    setproctitle.setproctitle(f"streamfuse {'capture ' if role in set(StreamName) else ''}{role}")
    signal.signal(signal.SIGTERM, lambda *_: link.request_stop())
    plan = Plan.from_json(order["plan"])
    run_dir = RunDir.join(Path(plan.run_dir))
    board = Board.open(run_dir.board(role))
    clock = SystemClock()
    board.set("pid", os.getpid())
    link.start(lambda: board.beat(clock.now_ns()))
    threading.Thread(target=_leave_if_orphaned, args=(link, run_dir), daemon=True).start()
    context = Context(
        role=role,
        plan=plan,
        run_dir=run_dir,
        board=board,
        link=link,
        clock=clock,
        restarts=int(order["restarts"]),
    )
    run: Callable[[Context], None] = import_module(_stage_of(role)).run
    status = _run_reported(run, context)
    link.end()
    board.close()
    run_dir.close()
    sys.exit(status)


def _stage_of(role: str) -> str:
    """The module of a role: one for both captures, otherwise the one of its name."""
    return f"streamfuse.runtime.stages.{'capture' if role in set(StreamName) else role}"


def _run_reported(run: Callable[[Context], Any], context: Context) -> int:
    try:
        run(context)
    except StreamfuseError as error:
        context.link.send("error", text=str(error), exit_code=error.exit_code)
        return error.exit_code
    except Exception:  # noqa: BLE001 - the outermost frame of a process: reported, then it dies
        traceback.print_exc()
        return 70
    context.link.send("done")
    return 0


def _leave_if_orphaned(link: Link, run_dir: RunDir) -> None:
    """See to it that the process goes even when its stage hangs after the supervisor died."""
    link.wait_until_orphaned()
    if not link.wait_until_ended(ORPHAN_GRACE_S):
        run_dir.close()
        os._exit(71)


if __name__ == "__main__":
    main()
