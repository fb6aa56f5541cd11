"""A capture node as a process, and fusing machines that listen to it."""

import itertools
import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamfuse.config.sources import SourceConfig
from streamfuse.frames import DropCause, Image, StreamName
from streamfuse.io.cameras.node import NodeSource
from streamfuse.io.source import SourceFrame
from streamfuse.io.synthetic.source import SyntheticSource

SCENE = "synthetic://street?seed=7&size=64x64&fps=25&format=gray16&people=2&cars=1&cyclists=0"
PIPELINE = """name: test
mode: realtime
sources:
  visible: {{uri: "{visible}"}}
  infrared: {{uri: "{infrared}"{more}}}
"""


class Site:
    """A folder with keys and a pipeline, and the processes started on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[subprocess.Popen[str]] = []
        self.readers: list[threading.Thread] = []
        self.words: list[str] = []
        (folder / "camera.yaml").write_text(PIPELINE.format(visible=SCENE, infrared=SCENE, more=""))
        for name in ("node", "host"):
            assert self.run("keys", name, "--dir", str(folder)).returncode == 0

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command to its end."""
        command = [sys.executable, "-m", "streamfuse", *arguments]
        return subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=120, cwd=self.folder
        )

    def node(
        self, *options: str, stream: str = "infrared", port: int = 0
    ) -> tuple[subprocess.Popen[str], str]:
        """Start a node; it tells where it listens."""
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "streamfuse", "capture", "camera.yaml", "--stream", stream),
                *("--bind", f"tcp://127.0.0.1:{port}", "--key", "node.key", "--allow", "host.pub"),
                *("--summary", "node.json", *options),
            ],
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=self.folder,
        )
        self.started.append(process)
        assert process.stderr is not None
        for line in process.stderr:
            self.words.append(line)
            found = re.search(r"serving at (tcp://\S+)", line)
            if found:
                thread = threading.Thread(target=lambda: self.words.extend(process.stderr or ()))
                thread.start()
                self.readers.append(thread)
                return process, found[1]
        raise AssertionError(f"the node did not start: {self.words}")

    def source(self, uri: str, *, stream: str = "infrared", **more: Any) -> NodeSource:
        """A consumer with the host's keys."""
        keys = {"own": str(self.folder / "host.key"), "node": str(self.folder / "node.pub")}
        config = SourceConfig.model_validate({"uri": uri, "keys": keys, "timeout_s": 20.0, **more})
        return NodeSource(config, stream=StreamName(stream))

    @property
    def account(self) -> dict[str, Any]:
        """What the node wrote at its end; every sum in it agrees."""
        summary: dict[str, Any] = json.loads((self.folder / "node.json").read_text())
        for book in (*summary["streams"].values(), *summary["consumers"].values()):
            assert book["captured"] == book["emitted"] + sum(book["dropped"].values()) + book["in_flight"]
        return summary

    def close(self) -> None:
        """End what still runs."""
        for process in self.started:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait(timeout=10)
        for thread in self.readers:
            thread.join()
        for process in self.started:
            for pipe in (process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A fresh one."""
    made = Site(tmp_path)
    yield made
    made.close()


def take(source: NodeSource, count: int) -> list[SourceFrame]:
    """The next frames."""
    frames = []
    for _ in range(count):
        frame = source.read()
        assert frame is not None
        frames.append(frame)
    return frames


def scene(stream: str, count: int) -> list[Image]:
    """The first pictures of the scene."""
    with closing(SyntheticSource(SCENE, stream=StreamName(stream))) as source:
        frames = (source.read() for _ in range(count))
        return [frame.image for frame in frames if frame is not None]


def test_sixteen_bits_arrive_exactly_and_both_ends_agree(site: Site) -> None:
    """Lossless infrared is the camera's to the bit; each of its frames is accounted for on both ends."""
    process, uri = site.node("--compress", "lossless", "--duration", "4")
    with closing(site.source(uri)) as source:
        frames = take(source, 40)
    assert process.wait(timeout=20) == 0
    known = {image.planes[0].tobytes(): number for number, image in enumerate(scene("infrared", 110))}
    numbers = [known[frame.image.planes[0].tobytes()] for frame in frames]
    missing = sum((Counter(frame.lost) for frame in frames[1:]), Counter())
    assert set(missing) <= {DropCause.NETWORK}
    assert numbers[-1] - numbers[0] + 1 == len(frames) + missing.total()
    account = site.account
    assert account["streams"]["infrared"]["in_flight"] == 0
    (book,) = account["consumers"].values()
    assert book["emitted"] >= len(frames)
    assert book["bytes"] > 0


@pytest.mark.parametrize(("codec", "least_db"), [("jpeg", 36.0), ("h264", 30.0)])
def test_lossy_pictures_stay_close_to_the_camera(site: Site, codec: str, least_db: float) -> None:
    """JPEG and H.264 of the visible stream, against the pictures as they were captured."""
    _, uri = site.node("--compress", codec, stream="visible")
    with closing(site.source(uri, stream="visible")) as source:
        frames = take(source, 5)
    truth = [image.planes[0].astype(float) for image in scene("visible", 250)]
    for frame in frames:
        error = min(float(np.mean((frame.image.planes[0] - image) ** 2)) for image in truth)
        assert 10 * np.log10(255**2 / error) > least_db


@pytest.mark.fault
def test_a_killed_node_that_comes_back_goes_on(site: Site, record_property) -> None:
    """Kill -9 and a new node at the same port: the open consumer gets its frames, once each."""
    record_property("fault", "kill -9 of a capture node, started again at once")
    record_property("promise", "the open consumer goes on within 10 s of the new node's start, no duplicates")
    first, uri = site.node("--compress", "lossless")
    with closing(site.source(uri)) as source:
        before = take(source, 10)
        first.kill()
        first.wait()
        site.node("--compress", "lossless", port=int(uri.rpartition(":")[2]))
        started_s = time.monotonic()
        after = take(source, 15)
        record_property("recovery_s", round(time.monotonic() - started_s, 2))
    assert time.monotonic() - started_s < 10
    times = [frame.pts_ns for frame in before + after]
    assert all(later > earlier for earlier, later in itertools.pairwise(times))


@pytest.mark.fault
def test_a_killed_consumer_does_not_disturb_the_node(site: Site, record_property) -> None:
    """Kill -9 of one consumer: the other goes on, what the dead one held is lost with it, the books agree."""
    record_property("fault", "kill -9 of a consumer of a capture node")
    record_property(
        "promise", "other consumers go on; frames it held are counted; a new one is served at once"
    )
    process, uri = site.node("--compress", "none")
    script = (
        "import sys; from streamfuse.config.sources import SourceConfig\n"
        "from streamfuse.io.cameras.node import NodeSource\n"
        "source = NodeSource(SourceConfig.model_validate_json(sys.argv[1]), stream='infrared')\n"
        "sys.stdout.write('on\\n'); sys.stdout.flush()\n"
        "while True: source.read()"
    )
    with closing(site.source(uri, options={"consumer": "other"})) as other:
        keys = {"own": str(site.folder / "host.key"), "node": str(site.folder / "node.pub")}
        config = json.dumps({"uri": uri, "keys": keys, "options": {"consumer": "victim"}})
        victim = subprocess.Popen([sys.executable, "-c", script, config], stdout=subprocess.PIPE, text=True)
        site.started.append(victim)
        assert victim.stdout is not None
        assert victim.stdout.readline() == "on\n"
        victim.kill()
        victim.wait()
        started_s = time.monotonic()
        with closing(site.source(uri, options={"consumer": "victim"})) as again:
            take(again, 3)
        record_property("recovery_s", round(time.monotonic() - started_s, 2))
        take(other, 20)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 0
    assert set(site.account["consumers"]) == {"other", "victim"}


@pytest.mark.fault
def test_a_node_that_hangs_is_noticed(site: Site, record_property) -> None:
    """A stopped process (as a cut network) gives an error after timeout_s, and frames after it goes on."""
    record_property("fault", "SIGSTOP of a capture node: the connection stays, nothing comes")
    record_property("promise", "an error after timeout_s (here 2 s); frames again within 5 s of its return")
    process, uri = site.node("--compress", "none")
    with closing(site.source(uri, timeout_s=2.0)) as source:
        take(source, 3)
        process.send_signal(signal.SIGSTOP)
        started_s = time.monotonic()
        with pytest.raises(Exception, match=r"sends nothing|hangs|nobody answers"):
            take(source, 100)
        assert 1.5 < time.monotonic() - started_s < 4
    process.send_signal(signal.SIGCONT)
    started_s = time.monotonic()
    with closing(site.source(uri)) as source:
        take(source, 3)
    recovery_s = time.monotonic() - started_s
    record_property("recovery_s", round(recovery_s, 2))
    assert recovery_s < 5


def test_ctrl_c_ends_a_node_within_three_seconds(site: Site) -> None:
    """Exit code 130, with the account written."""
    process, uri = site.node("--compress", "none")
    with closing(site.source(uri)) as source:
        take(source, 3)
        process.send_signal(signal.SIGINT)
        started_s = time.monotonic()
        assert process.wait(timeout=10) == 130
        assert time.monotonic() - started_s < 3
    assert site.account["streams"]["infrared"]["captured"] > 0


def test_a_camera_that_is_not_there_is_waited_for(site: Site) -> None:
    """The node lives without its camera and says so to whoever asks."""
    _, uri = site.node(
        "--set", "sources.infrared.uri=tcp://127.0.0.1:9", "--set", "sources.infrared.timeout_s=1.0"
    )
    with pytest.raises(Exception, match="has no camera at the moment"):
        site.source(uri, timeout_s=3.0)


@pytest.mark.parametrize(
    ("options", "code", "complaint"),
    [
        (["--bind", "tcp://0.0.0.0:5555"], 2, "keys are needed"),
        (["--bind", "tcp://127.0.0.1"], 2, "expected tcp://ADDRESS:PORT"),
        (["--bind", "tcp://127.0.0.1:0", "--key", "node.key"], 2, "nobody is allowed to connect"),
        (["--bind", "tcp://127.0.0.1:0", "--allow", "host.pub"], 2, "--allow needs --key"),
        (
            ["--bind", "tcp://127.0.0.1:0", "--key", "none.key", "--allow", "host.pub"],
            2,
            "cannot read the secret key",
        ),
        (["--bind", "tcp://127.0.0.1:0", "--compress", "h264"], 2, "use --compress lossless or none"),
        (["--bind", "tcp://127.0.0.1:0", "--set", "sources.infrared.uri=gone.mp4"], 3, "gone.mp4"),
        (
            ["--bind", "tcp://192.0.2.1:5555", "--key", "node.key", "--allow", "host.pub"],
            3,
            "this machine has no such address",
        ),
    ],
)
def test_a_node_that_cannot_work_says_why(site: Site, options: list[str], code: int, complaint: str) -> None:
    """One line, with the exit code of its kind."""
    done = site.run("capture", "camera.yaml", "--stream", "infrared", *options)
    assert complaint in done.stderr
    assert done.returncode == code
    assert "Traceback" not in done.stderr


def test_keys_are_not_overwritten_and_have_plain_names(site: Site) -> None:
    """The command says what is wrong."""
    again = site.run("keys", "node")
    assert (again.returncode, "never overwritten" in again.stderr) == (3, True)
    odd = site.run("keys", "../node")
    assert (odd.returncode, "letters, digits" in odd.stderr) == (2, True)
    assert not (site.folder.parent / "node.key").exists()


@pytest.mark.slow
def test_a_run_reads_its_infrared_camera_from_a_node(site: Site) -> None:
    """`streamfuse run` with tcp:// as one of its sources: pairs match, the books balance."""
    _, uri = site.node("--compress", "lossless")
    keys = f', keys: {{own: "{site.folder / "host.key"}", node: "{site.folder / "node.pub"}"}}'
    (site.folder / "host.yaml").write_text(PIPELINE.format(visible=SCENE, infrared=uri, more=keys))
    done = site.run("run", "host.yaml", "--duration", "6", "--summary", "run.json")
    assert done.returncode == 0, done.stderr
    summary = json.loads((site.folder / "run.json").read_text())
    assert summary["states"]["matched"] > 20
    for stream in summary["streams"].values():
        assert stream["captured"] == stream["emitted"] + sum(stream["dropped"].values()) + stream["in_flight"]
