"""Fails when a file outgrows the limits of docs/contributing.md."""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

MAX_LINES = 500
MAX_MEDIAN = 250


def main() -> int:
    """Measure the package's files; the exit status is 1 when a limit is broken."""
    listed = subprocess.run(
        ["git", "ls-files", "*.py"],  # noqa: S607
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    lines = {name: len(Path(name).read_text(encoding="utf-8").splitlines()) for name in listed}
    over = {name: count for name, count in lines.items() if count > MAX_LINES}
    long = [f"{name}: {count} lines, at most {MAX_LINES}" for name, count in over.items()]
    median = statistics.median(lines.values())
    if median > MAX_MEDIAN:
        long.append(f"the median file has {median} lines, at most {MAX_MEDIAN}")
    sys.stderr.writelines(f"{line}\n" for line in long)
    return 1 if long else 0


if __name__ == "__main__":
    sys.exit(main())
