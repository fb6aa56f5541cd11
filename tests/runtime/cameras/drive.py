"""Runs a pipeline as the command does and writes down, with times, all that it tells.

``python drive.py PIPELINE DIARY DURATION_S STALL_TIMEOUT_S``; each line of the diary is one JSON object.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from streamfuse.config.pipeline import load_pipeline
from streamfuse.errors import StreamfuseError
from streamfuse.runtime.run import RunOptions, run_pipelines


def main() -> None:
    """Run to the end; the exit code is the run's."""
    pipeline, diary, duration, stall = sys.argv[1:]
    with Path(diary).open("w", buffering=1) as lines:

        def note(kind: str, value: Any) -> None:
            lines.write(json.dumps({"at_s": time.monotonic(), "kind": kind, "value": value}) + "\n")

        try:
            result = run_pipelines(
                [load_pipeline(Path(pipeline))],
                RunOptions(duration_s=float(duration), stall_timeout_s=float(stall)),
                on_status=lambda statuses: [
                    note("status", status.summary.as_dict()) for status in statuses.values()
                ],
                on_message=lambda message: note("message", str(message)),
            )
        except StreamfuseError as error:
            note("error", str(error))
            sys.exit(error.exit_code)
        for problem in result.problems:
            note("problem", problem)
        for summary in result.summaries.values():
            note("summary", summary.as_dict())
    sys.exit(result.exit_code)


if __name__ == "__main__":
    main()
