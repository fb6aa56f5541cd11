"""What the rules have counted, kept where a killed engine leaves it to its successor.

It lies in the run's folder in shared memory, beside the boards, and goes with the run. The boards themselves
cannot hold it: their cells are named when the run begins, and rules come and go while it goes on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from streamfuse.config.tasks import Rule
from streamfuse.core.pair_record import count_of, count_record
from streamfuse.errors import OutputError
from streamfuse.frames import Count
from streamfuse.io.files import write_text

__all__ = ["Tally"]


class Tally:
    """Writes the counts whenever one has changed; what is read is at most one picture behind.

    Args:
        folder: of the run.
        warn: told once when the counts cannot be written, for example because the memory is full.
    """

    def __init__(self, folder: Path, *, warn: Callable[[str], None]) -> None:
        self._path = folder / "counts.json"
        self._warn = warn
        self._kept: list[tuple[Rule, Count]] = []
        self._warned = False

    def read(self) -> dict[Rule, Count]:
        """What a predecessor had counted, by rule; empty for the first engine of a run."""
        if not self._path.exists():
            return {}
        entries = json.loads(self._path.read_text())
        return {Rule.model_validate_json(rule): count_of(count) for rule, count in entries}

    def write(self, rules: Sequence[Rule], counts: Sequence[Count]) -> None:
        """Keep the counts of a picture.

        Args:
            rules: what was counted.
            counts: in the order of the rules.
        """
        # How long somebody has been there begins anew with the tracks, and would change with each picture.
        kept = [(rule, replace(count, longest_s=0.0)) for rule, count in zip(rules, counts, strict=True)]
        if kept == self._kept:
            return
        entries = [(rule.model_dump_json(), count_record(count)) for rule, count in kept]
        try:
            write_text(self._path, json.dumps(entries))
        except OutputError as error:
            if not self._warned:
                self._warn(f"the counts would not outlive a restart of the engine: {error}")
            self._warned = True
        self._kept = kept
