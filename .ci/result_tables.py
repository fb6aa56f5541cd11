"""Puts the tables of benchmarks/results/ into the documents that quote them; prints the page.

    python .ci/result_tables.py docs/fusion.md > new.md

A quoted table stands between ``<!-- table: NAME.md -->`` and ``<!-- end -->``.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
_QUOTED = re.compile(r"(<!-- table: ([\w.-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(page: str) -> str:
    """The page with every quoted table as the results have it."""

    def table(found: re.Match[str]) -> str:
        text = (ROOT / "benchmarks" / "results" / found[2]).read_text(encoding="utf-8")
        return f"{found[1]}{text.strip()}\n{found[3]}"

    return _QUOTED.sub(table, page)


if __name__ == "__main__":
    sys.stdout.write(filled(Path(sys.argv[1]).read_text(encoding="utf-8")))
