"""What breaks, and how long until it works again: runs every test marked ``fault`` and makes tables of them.

    python benchmarks/faults.py
    python benchmarks/faults.py --report tests.xml     # of a `pytest --junitxml=tests.xml` that has been run

The tests say what they break, what they promise and what they measured (``record_property``: ``fault``,
``promise``, ``recovery_s``), and with ``room`` in which table they stand: ``capture`` (``faults.md``, the
default) or ``operations`` (``faults-operations.md``). A fault whose test was skipped or failed is there too,
as such.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from _common import markdown_table, run, write_results

from streamfuse.errors import PromiseError

ROOT = Path(__file__).parents[1]
CAPTURE = "capture"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault, as the tests that cause it have seen it."""

    what: str
    promise: str
    recovery_s: tuple[float, ...]
    """Of every time that something came back; empty where nothing had to."""
    outcome: str
    """``survived``, ``failed`` or ``not run``."""
    test: str
    room: str = CAPTURE
    """Which table it stands in."""


def main() -> None:
    """Run the tests, write a table and its data for each room."""
    arguments = _parser().parse_args()
    if arguments.report is not None:
        faults = [fault for fault in read_report(arguments.report) if fault.promise or fault.recovery_s]
        commands = ["pytest --junitxml=tests.xml", "python benchmarks/faults.py --report tests.xml"]
        _write(arguments.out, faults, commands)
        return
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-m", "fault", *arguments.tests]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "faults.xml"
        done = subprocess.run(  # noqa: S603 - our own tests
            [*command, f"--junitxml={report}"],
            stdout=sys.stderr,
            cwd=ROOT,
            check=False,
            env=os.environ | {"STREAMFUSE_LONG": "1"},
        )
        faults = read_report(report)
    _write(arguments.out, faults, [f"python benchmarks/faults.py {' '.join(arguments.tests)}".strip()])
    if done.returncode:
        raise PromiseError(f"pytest ended with {done.returncode}: a fault was not survived; see above")


def _write(folder: Path, faults: list[Fault], commands: list[str]) -> None:
    for room in sorted({fault.room for fault in faults}):
        here = [fault for fault in faults if fault.room == room]
        account = {"commands": commands, "faults": [asdict(fault) for fault in here]}
        name = "faults" if room == CAPTURE else f"faults-{room}"
        write_results(folder, name, account=account, text=table(here))


def read_report(report: Path) -> list[Fault]:
    """The faults in a JUnit report of pytest; several tests of one fault are one row."""
    cases: dict[str, list[ET.Element]] = defaultdict(list)
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 - pytest wrote it a moment ago
        cases[_property(case, "fault") or str(case.get("name"))].append(case)
    return [_fault(what, found) for what, found in sorted(cases.items())]


def table(faults: list[Fault]) -> str:
    """The faults as a Markdown table."""
    header = ("fault", "promise", "result", "recovery (s): median", "longest", "times")
    return markdown_table(header, [_row(fault) for fault in faults], words=3)


def _row(fault: Fault) -> tuple[str, ...]:
    times = fault.recovery_s
    numbers = (f"{median(times):.2f}", f"{max(times):.2f}", str(len(times))) if times else ("-", "-", "-")
    return (fault.what, fault.promise or "-", fault.outcome, *numbers)


def _fault(what: str, cases: list[ET.Element]) -> Fault:
    kinds = {child.tag for case in cases for child in case}
    outcome = "failed" if kinds & {"failure", "error"} else "not run" if "skipped" in kinds else "survived"
    promises = dict.fromkeys(promise for case in cases if (promise := _property(case, "promise")))
    return Fault(
        what=what,
        promise="; ".join(promises),
        recovery_s=tuple(float(value) for case in cases for value in _properties(case, "recovery_s")),
        outcome=outcome,
        room=_property(cases[0], "room") or CAPTURE,
        test=", ".join(dict.fromkeys(str(case.get("classname")) for case in cases)),
    )


def _properties(case: ET.Element, name: str) -> list[str]:
    found = case.iterfind(f"properties/property[@name='{name}']")
    return [str(entry.get("value")) for entry in found]


def _property(case: ET.Element, name: str) -> str:
    return next(iter(_properties(case, name)), "")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Run the tests of faults and tabulate how they were survived."
    )
    parser.add_argument("tests", nargs="*", default=[], help="only these test files (default: all)")
    parser.add_argument(
        "--report", type=Path, help="take the results from this file instead of running tests"
    )
    parser.add_argument(
        "--out", type=Path, default=ROOT / "benchmarks" / "results", help="folder of the table"
    )
    return parser


if __name__ == "__main__":
    run(main)
