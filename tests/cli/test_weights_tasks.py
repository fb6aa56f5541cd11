"""``streamfuse weights`` with detectors: import, list, verify, and the one that goes to the network."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner, Result

from streamfuse.cli.weights import app
from streamfuse.engine.store import user_dir
from streamfuse.engine.tasks.networks import load_task_network
from streamfuse.engine.tasks.saved import build_task_network
from streamfuse.engine.tasks.semantic import ARCHITECTURE
from streamfuse.engine.weights import write_weights
from streamfuse.errors import SourceError, UsageError, WeightsError
from streamfuse.nets.segmentation import BilateralAttentionNet

NAMES = {0: "person", 1: "bicycle", 2: "car"}


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Serve files; ``/moved/NAME`` sends on, ``/short/NAME`` ends in the middle."""
        if self.path.startswith("/moved/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/moved"))
            self.end_headers()
        elif self.path.startswith("/short/"):
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"x" * 10)
        else:
            super().do_GET()


@pytest.fixture(scope="module")
def offered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a detector as Ultralytics publishes them, and a page."""
    folder = tmp_path_factory.mktemp("offered")
    torch.manual_seed(0)
    torch.save({"model": build_task_network("yolov8n-seg", NAMES)}, folder / "yolov8n-seg.pt")
    (folder / "page.pt").write_text("<html>log in first</html>")
    return folder


@pytest.fixture
def address(offered: Path) -> Iterator[str]:
    """A server that offers the folder."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(offered))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _empty_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data-home"))


def call(*words: str) -> Result:
    """Call the command; errors of ours are kept in the result."""
    return CliRunner().invoke(app, list(words))


def test_a_detector_is_imported_listed_and_verified(offered: Path) -> None:
    """A .pt file becomes weights with a name that a pipeline can use."""
    path = offered / "yolov8n-seg.pt"
    made = call("import", str(path), "--as", "coco-seg", "--json")
    assert made.exit_code == 0, made.output
    (card,) = json.loads(made.stdout)
    assert (card["name"], card["architecture"]) == ("coco-seg", "yolov8n-seg")
    assert card["classes"] == list(NAMES.values())
    assert "coco-seg  (yolov8n-seg, sha256" in call("list").stdout
    assert "classes: person, bicycle, car" in call("list").stdout
    for words in (("coco-seg",), ("coco-seg", "--model", "detector"), (card["path"],)):
        assert "ok: as its card says, and fits the network" in call("verify", *words).stdout
    assert load_task_network("coco-seg", kind="segment", where="--weights").names == NAMES


def test_the_list_marks_what_default_stands_for() -> None:
    """For each model, and for the detector; weights that are no default have no mark."""
    cards = json.loads(call("list", "--json").stdout)
    marked = {model: card["name"] for card in cards for model in card["default_of"]}
    assert marked == {
        "grdb": "grdb-fine",
        "grdb-edge": "grdb-fine",
        "grdb-quarter": "grdb-quarter-fine",
        "detector": "detector",
    }
    shown = call("list").stdout
    assert shown.count("the default of: ") == 3
    assert "the default of: grdb, grdb-edge\n" in shown


def test_the_default_weights_are_those_of_the_fusion_and_of_the_detector() -> None:
    """Whoever asks whether the defaults are sound means all that a pipeline uses."""
    shown = call("verify").stdout
    assert "grdb-fine  (grdb-edge, sha256" in shown
    assert "detector  (yolov8n-seg, sha256" in shown


def test_segmentation_weights_are_verified_as_such(tmp_path: Path) -> None:
    """The card says which network to try."""
    facts = {"data": "none", "licence": "MIT", "made_by": "a test", "source": "nothing"}
    path = tmp_path / "a-segmentation.safetensors"
    state = BilateralAttentionNet(2).state_dict()
    write_weights(path, state, architecture=ARCHITECTURE, classes=("background", "car"), **facts)
    assert "ok: as its card says" in call("verify", str(path)).stdout
    wrong = call("verify", str(path), "--model", "detector")
    assert isinstance(wrong.exception, WeightsError)
    assert "'banet' is no network for detection" in str(wrong.exception)


@pytest.mark.parametrize("folder", ["", "/moved"])
def test_a_download_ends_in_the_store(offered: Path, address: str, folder: str) -> None:
    """The file is fetched, its sha256 told, and imported under its own name; nothing else is left."""
    done = call("download", "yolov8n-seg.pt", "--from", f"{address}{folder}")
    assert done.exit_code == 0, done.output
    digest = hashlib.sha256((offered / "yolov8n-seg.pt").read_bytes()).hexdigest()
    assert f"fetched {address}{folder}/yolov8n-seg.pt, sha256 {digest}" in done.stderr
    assert f"from: {address}{folder}/yolov8n-seg.pt, sha256 {digest}" in done.stdout
    assert "licence: unknown" in done.stdout
    names = sorted(path.name for path in user_dir().iterdir())
    assert names == ["yolov8n-seg.json", "yolov8n-seg.safetensors"]
    assert load_task_network("yolov8n-seg", kind="segment", where="--weights").names == NAMES


@pytest.mark.parametrize(
    ("file", "folder", "words"),
    [
        ("nothing.pt", "", "the server answers 404"),
        ("yolov8n.pt", "/short", "cannot fetch"),
        ("page.pt", "", "a web page; fetch the file itself"),
    ],
)
def test_what_cannot_be_fetched_is_told(address: str, file: str, folder: str, words: str) -> None:
    """One sentence, and nothing in the store."""
    done = call("download", file, "--from", f"{address}{folder}")
    assert isinstance(done.exception, SourceError | WeightsError)
    assert words in str(done.exception)
    assert len(str(done.exception).splitlines()) == 1
    assert not user_dir().exists()


def test_a_server_that_is_not_there_is_told() -> None:
    """With the address that was asked."""
    done = call("download", "yolov8n.pt", "--from", "http://127.0.0.1:9")
    assert isinstance(done.exception, SourceError)
    assert str(done.exception).startswith("cannot fetch http://127.0.0.1:9/yolov8n.pt: ")


@pytest.mark.parametrize("words", [("../x.pt",), ("yolov8n",), ("yolov8n.pt", "--as", "default")])
def test_names_are_checked_before_anything_is_fetched(words: tuple[str, ...]) -> None:
    """Neither a path nor a name that cannot be taken."""
    done = call("download", *words, "--from", "http://127.0.0.1:9")
    assert isinstance(done.exception, UsageError)
