"""Kinds of sources of other packages: the example of the page as an installed package, and broken ones."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from streamfuse.config.sources import SourceConfig
from streamfuse.errors import SourceError, UsageError
from streamfuse.frames import StreamName
from streamfuse.io.cameras.devices import find_plugins
from streamfuse.io.sources import open_source

PAGE = (Path(__file__).parents[2] / "docs" / "cameras.md").read_text(encoding="utf-8")
(EXAMPLE,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Lay a package as pip would, into a folder that this process and its children import from."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", str(site))

    def lay(package: str, module: str, code: str, *, entry: str) -> Path:
        (site / f"{module}.py").write_text(code, encoding="utf-8")
        info = site / f"{package.replace('-', '_')}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[streamfuse.sources]\n{entry}\n")
        importlib.invalidate_caches()
        monkeypatch.delitem(sys.modules, module, raising=False)
        return site

    return lay


def test_the_example_of_the_page_is_a_source(install: Install) -> None:
    """What docs/cameras.md shows works as it stands: frames, times, and a mistake in the URI."""
    install("ramp-camera", "ramp_camera", EXAMPLE, entry="ramp = ramp_camera:RampSource")
    source = open_source(SourceConfig(uri="ramp://64x48", fps=100.0), stream=StreamName.INFRARED)
    frames = [source.read() for _ in range(3)]
    source.close()
    assert source.info.spec.size_wh == (64, 48)
    assert [int(frame.image.planes[0][0, 0]) for frame in frames if frame] == [0, 1, 2]
    assert [frame.pts_ns for frame in frames if frame] == [0, 10_000_000, 20_000_000]
    with pytest.raises(SourceError, match="infrared: ramp://wide is no size"):
        open_source("ramp://wide", stream=StreamName.INFRARED)
    plugin = next(plugin for plugin in find_plugins() if plugin.scheme == "ramp")
    assert (plugin.package, plugin.target) == ("ramp-camera 1.2", "ramp_camera:RampSource")


def test_a_worker_finds_it_too(install: Install) -> None:
    """A process that is started anew, as the workers are, opens the same kind."""
    install("ramp-camera", "ramp_camera", EXAMPLE, entry="ramp = ramp_camera:RampSource")
    code = (
        "from streamfuse.io.sources import open_source, is_live\n"
        "from streamfuse.frames import StreamName\n"
        "source = open_source('ramp://32x24', stream=StreamName.VISIBLE)\n"
        "print(is_live('ramp://32x24'), source.read().image.spec.size_wh)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout.strip() == "True (32, 24)"


@pytest.mark.parametrize(
    ("code", "target", "words"),
    [
        (
            "import no_such_sdk",
            "Source",
            r"cannot be imported \(ModuleNotFoundError: No module named 'no_such_sdk'\)",
        ),
        ("raise RuntimeError('no licence')", "Source", r"cannot be imported \(RuntimeError: no licence\)"),
        ("", "Source", r"cannot be imported \(AttributeError: "),
        ("Source = 4", "Source", r"is int, wanted a class or function"),
        ("def Source(config): ...", "Source", r"takes \(config\), wanted \(config, \*, stream\)"),
        ("class Source:\n    def __init__(self, *, uri): ...", "Source", r"takes \(\*, uri\), wanted"),
    ],
)
def test_a_broken_package_is_named(install: Install, code: str, target: str, words: str) -> None:
    """One sentence: which package brings the scheme, what is wrong with it, and what to do."""
    install("broken-cam", "broken_cam", code, entry=f"broken = broken_cam:{target}")
    pattern = (
        r"visible: broken://x: broken:// comes from the package broken-cam 1\.2, but its broken_cam:Source "
    )
    with pytest.raises(UsageError, match=pattern + words) as caught:
        open_source("broken://x", stream=StreamName.VISIBLE)
    assert "\n" not in str(caught.value)


def test_two_packages_with_one_scheme_are_both_named(install: Install) -> None:
    """Which of them would win is chance, so neither does."""
    install("ramp-camera", "ramp_camera", EXAMPLE, entry="ramp = ramp_camera:RampSource")
    install("other-ramp", "other_ramp", EXAMPLE, entry="ramp = other_ramp:RampSource")
    with pytest.raises(
        UsageError, match=r"other-ramp 1.2 and ramp-camera 1.2 both bring ramp://; uninstall one"
    ):
        open_source("ramp://64x48", stream=StreamName.VISIBLE)


def test_a_package_cannot_take_a_built_in_scheme(install: Install) -> None:
    """rtsp:// stays what it is, whatever is installed."""
    install("ramp-camera", "ramp_camera", EXAMPLE, entry="genicam = ramp_camera:RampSource")
    with pytest.raises(UsageError, match="a GenICam camera cannot use transport"):
        open_source(SourceConfig(uri="genicam://1x1", transport="udp"), stream=StreamName.VISIBLE)
