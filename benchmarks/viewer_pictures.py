"""The pictures in docs/viewer.md: a real run on the drawn street in smoke, in a real browser.

    python benchmarks/viewer_pictures.py

Needs Chromium (``.ci/servers``).
"""

from __future__ import annotations

import argparse
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from _common import run
from playwright.sync_api import Browser, Page, expect, sync_playwright

from streamfuse.errors import MachineError

ROOT = Path(__file__).parents[1]
STREET = "synthetic://street?seed=7&light=smoke&fps=10"
PIPELINE = """\
name: smoke
sources: {{visible: {{uri: "{street}"}}, infrared: {{uri: "{street}"}}}}
rig: "{root}/calibration/synthetic.yaml"
tasks:
  detect: {{weights: "{weights}", track: true, every: 2}}
  segment: {{weights: "{weights}", every: 2}}
  rules:
    - {{name: across, line: [[0.5, 0.45], [0.5, 1.0]]}}
    - {{name: ahead, zone: [[0.35, 0.45], [0.65, 0.45], [0.9, 1.0], [0.1, 1.0]], classes: [person, bicycle]}}
events: [{{name: person-ahead, classes: [person], confidence: 0.3, min_time_s: 0.2, gap_s: 2}}]
record: {{dir: recordings, segment_s: 5, visible: true, infrared: true, clips: {{pre_s: 2, post_s: 2}}}}
viewer: {{web: "127.0.0.1:{port}", quality: 92}}
"""
DESKTOP, PHONE = (1440, 900), (390, 844)
READY_MS = 120_000


def desktop(page: Page) -> None:
    """The fused picture and the events."""
    expect(page.locator("#events li")).not_to_have_count(0, timeout=READY_MS)
    expect(page.locator("#events img").first).to_be_visible(timeout=READY_MS)


def health(page: Page) -> None:
    """Both cameras side by side, and how the run is."""
    page.keyboard.press("4")
    page.locator("#tab-health").click()
    expect(page.locator("#health")).to_contain_text("Workers")


def inset(page: Page) -> None:
    """Infrared in a palette, within the fused picture; the recordings."""
    page.keyboard.press("7")
    page.locator("[name=palette]").select_option("ironbow")
    page.locator("#tab-recordings").click()
    expect(page.locator("#recordings li")).not_to_have_count(0, timeout=READY_MS)


def phone(page: Page) -> None:
    """Blended, on a small screen."""
    page.keyboard.press("5")


PICTURES: Mapping[str, tuple[tuple[int, int], int, Callable[[Page], None]]] = MappingProxyType(
    {
        "viewer-desktop": (DESKTOP, 1, desktop),
        "viewer-health": (DESKTOP, 1, health),
        "viewer-inset": (DESKTOP, 1, inset),
        "viewer-phone": (PHONE, 2, phone),
    }
)


def wait_until_served(port: int) -> None:
    """Wait until the run has loaded its networks and its viewer listens."""
    deadline_s = time.monotonic() + READY_MS / 1000
    while time.monotonic() < deadline_s:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.5)  # another program's port offers no event
        else:
            return
    raise MachineError(f"no viewer on port {port} after {READY_MS / 1000:.0f} s; see the messages above")


@contextmanager
def running(folder: Path, weights: str) -> Iterator[str]:
    """A run of the pipeline; the address of its page."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    pipeline = folder / "smoke.yaml"
    text = PIPELINE.format(
        street=STREET,
        root=ROOT,
        weights=Path(weights).resolve() if Path(weights).exists() else weights,
        port=port,
    )
    pipeline.write_text(text, encoding="utf-8")
    process = subprocess.Popen([sys.executable, "-m", "streamfuse", "run", str(pipeline), "--log", "json"])  # noqa: S603
    try:
        wait_until_served(port)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def take(browser: Browser, url: str, name: str, out: Path) -> None:
    """One picture, at a moment in which something is found."""
    (width, height), scale, prepare = PICTURES[name]
    page = browser.new_page(
        viewport={"width": width, "height": height}, device_scale_factor=scale, has_touch=scale > 1
    )
    page.goto(url)
    page.wait_for_function(
        "() => Number(document.getElementById('picture')?.dataset.frame) > 0", timeout=READY_MS
    )
    prepare(page)
    page.wait_for_function(
        "() => Number(document.getElementById('detections').textContent) > 0", timeout=READY_MS
    )
    page.screenshot(path=out / f"{name}.png")
    page.close()


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--weights", default="default", help="of a detector that knows people: a name or a path"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    args = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Path(folder), args.weights) as url,
        sync_playwright() as playwright,
        playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"], timeout=READY_MS
        ) as browser,
    ):
        for name in PICTURES:
            take(browser, url, name, args.out)


if __name__ == "__main__":
    run(main)
