"""The cache of exported networks: made once, whole or not at all, and never needed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from streamfuse.engine.backends.exports import KEPT, Exports
from streamfuse.engine.tasks.backends.openvino_runner import OpenVinoRunner
from streamfuse.engine.tasks.graph import TaskGraph
from streamfuse.engine.tasks.networks import TaskNetwork, load_task_network


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh cache folder; gives where exports lie."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "streamfuse" / "exports"


@pytest.fixture(scope="module")
def network(weights: dict[str, str]) -> TaskNetwork:
    """A detector."""
    return load_task_network(weights["yolov8n"], kind="detect", where="test")


def _note(folder: Path) -> None:
    (folder / "made").write_text(folder.name)


def test_an_export_is_made_once_for_content_and_shape(cache: Path) -> None:
    """Other content or another shape is another export."""
    made: list[Path] = []

    def make(folder: Path) -> None:
        made.append(folder)
        _note(folder)

    first = Exports("a" * 64, runtime="openvino").find((1, 2), make)
    assert Exports("a" * 64, runtime="openvino").find((1, 2), make) == first
    assert len(made) == 1
    others = {Exports("b" * 64, runtime="openvino").find((1, 2), make)}
    others |= {Exports("a" * 64, runtime="openvino").find((2, 1), make)}
    assert len({first, *others}) == len(made) == 3
    assert sorted(path.parent for path in cache.glob("*/made")) == sorted({first, *others})


def test_a_failed_export_leaves_nothing_behind(cache: Path) -> None:
    """The next one begins afresh."""

    def fail(folder: Path) -> None:
        _note(folder)
        raise ValueError("half way")

    exports = Exports("c" * 64, runtime="openvino")
    with pytest.raises(ValueError, match="half way"):
        exports.find((1,), fail)
    assert list(cache.iterdir()) == []


def test_two_processes_may_make_the_same(cache: Path) -> None:
    """Whoever is later takes what the first one made."""
    exports = Exports("d" * 64, runtime="openvino")

    def slower(folder: Path) -> None:
        _note(folder)
        exports.find((1,), _note)  # the other one, meanwhile

    place = exports.find((1,), slower)
    assert (place / "made").read_text() != place.name
    assert list(cache.iterdir()) == [place]


def test_the_cache_does_not_grow_for_ever(cache: Path) -> None:
    """Those used last are kept."""
    exports = Exports("e" * 64, runtime="openvino")
    places = []
    for number in range(KEPT + 3):
        places.append(exports.find((number,), _note))
        os.utime(places[-1], ns=(number, number))
    kept = [*places[4:], exports.find((-1,), _note)]
    assert sorted(cache.iterdir()) == sorted(kept)


@pytest.mark.slow
def test_a_network_is_converted_once_and_a_damaged_export_replaced(cache: Path, network: TaskNetwork) -> None:
    """The second start reads what the first has written, and says the same; a damaged file is no end."""
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)

    def look() -> np.ndarray:
        runner = OpenVinoRunner(lambda: TaskGraph(network, masks=False), content=network.sha256)
        (raw,) = (one.predictions.copy() for one in runner.run([image]))
        runner.close()
        return raw

    fresh = look()
    (xml,) = cache.glob("*/network.xml")
    written_ns = xml.stat().st_mtime_ns
    assert np.array_equal(look(), fresh)
    assert xml.stat().st_mtime_ns == written_ns
    xml.write_text("not a network")
    assert np.array_equal(look(), fresh)
    assert xml.read_text() != "not a network", "it is written anew"


def test_a_damaged_export_is_made_again_and_said(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file that was cut, changed, taken away or added is noticed, however little of it."""

    def make(folder: Path) -> None:
        (folder / "weights.bin").write_bytes(bytes(1000))

    exports = Exports("f" * 64, runtime="openvino")
    damages: list[Callable[[Path], object]] = [
        lambda file: file.write_bytes(bytes(999)),
        lambda file: file.write_bytes(bytes(999) + b"\x01"),
        lambda file: file.unlink(),
        lambda file: (file.parent / "sha256.json").unlink(),
    ]
    for damage in damages:
        file = exports.find((1,), make) / "weights.bin"
        damage(file)
        assert exports.find((1,), make) == file.parent
        assert file.read_bytes() == bytes(1000)
    assert [record.levelname for record in caplog.records] == ["WARNING"] * len(damages)
    assert "is damaged: it is made again" in caplog.text
    assert len(list(cache.iterdir())) == 1


def test_a_cache_that_cannot_be_written_costs_only_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: TaskNetwork
) -> None:
    """The network is converted in memory."""
    (tmp_path / "streamfuse").write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    runner = OpenVinoRunner(lambda: TaskGraph(network, masks=False), content=network.sha256)
    assert len(list(runner.run([np.zeros((32, 32, 3), np.uint8)] * 2))) == 2
    runner.close()
