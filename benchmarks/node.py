"""What a capture node costs: bandwidth, processor time and latency on the loopback, for each codec.

``python benchmarks/node.py [--seconds 8]`` codes and decodes the synthetic street (640x480) in this
process for the processor time per frame. Then it starts ``streamfuse capture`` on it, at 30 frames per
second, and listens with CURVE: latency is from the capture time that the node stamps to the decoded
picture on the host. Both are one machine with one clock, and the drawing of the scene competes for it.
"""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from _common import markdown_table, run, write_results

from streamfuse.config.sources import SourceConfig
from streamfuse.core.packet import Codec
from streamfuse.frames import StreamName
from streamfuse.io.cameras.node import NodeSource
from streamfuse.io.synthetic.source import SyntheticSource
from streamfuse.io.transport.codec import PacketDecoder, PacketEncoder
from streamfuse.io.transport.curve import make_keys

SCENE = "synthetic://street?seed=7&format=gray16&people=2&cars=1&cyclists=0"
_FRAMES = 30
WAYS = (
    *(("visible", codec) for codec in ("none", "jpeg", "h264", "lossless")),
    *(("infrared", codec) for codec in ("none", "lossless")),
)


def measure(folder: Path, stream: str, codec: str, seconds: float) -> dict[str, float]:
    """Rate and latency of a node's stream."""
    command = [
        *(sys.executable, "-m", "streamfuse", "capture", "camera.yaml", "--stream", stream),
        *("--bind", "tcp://127.0.0.1:0", "--key", "node.key", "--allow", "host.pub"),
        *("--compress", codec),
    ]
    # Our own command with our own files.
    with subprocess.Popen(  # noqa: S603
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, cwd=folder
    ) as node:
        assert node.stderr is not None
        found = re.search(r"serving at (\S+)", node.stderr.readline())
        assert found is not None
        keys = {"own": str(folder / "host.key"), "node": str(folder / "node.pub")}
        config = SourceConfig.model_validate({"uri": found[1], "keys": keys})
        latencies_ms = []
        with closing(NodeSource(config, stream=StreamName(stream))) as source:
            source.read()
            started_s = time.monotonic()
            while (took_s := time.monotonic() - started_s) < seconds:
                frame = source.read()
                assert frame is not None
                assert frame.stamp is not None
                latencies_ms.append((time.monotonic_ns() - frame.stamp.time_ns) / 1e6)
        node.terminate()
        node.wait(timeout=10)
    p50, p95 = np.percentile(latencies_ms, [50, 95])
    return {"fps": len(latencies_ms) / took_s, "p50_ms": float(p50), "p95_ms": float(p95)}


def cost(stream: str, codec: str) -> dict[str, float]:
    """Bandwidth, and processor time at both ends."""
    with closing(SyntheticSource(SCENE, stream=StreamName(stream))) as source:
        images = [frame.image for frame in (source.read() for _ in range(_FRAMES)) if frame is not None]
    encoder = PacketEncoder(Codec(codec), images[0].spec, fps=30)
    decoder = PacketDecoder(Codec(codec), images[0].spec)
    encoder.encode(images[0])  # what is made once
    began_s = time.process_time()
    payloads = [encoder.encode(image)[0] for image in images]
    coded_s = time.process_time()
    if codec == "h264":
        payloads[0] = PacketEncoder(Codec.H264, images[0].spec, fps=30).encode(images[0])[0]
    started_s = time.process_time()
    for payload in payloads:
        decoder.decode(payload)
    decode_ms = (time.process_time() - started_s) * 1e3 / _FRAMES
    encode_ms = (coded_s - began_s) * 1e3 / _FRAMES
    nbytes = sum(map(len, payloads)) / _FRAMES
    return {
        "kb": nbytes / 1e3,
        "mbit_s": nbytes * 8 * 30 / 1e6,
        "encode_ms": encode_ms,
        "decode_ms": decode_ms,
    }


def main() -> None:
    """Measure every way, write ``node.md`` and ``node.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for owner in ("node", "host"):
            make_keys(owner, folder)
        (folder / "camera.yaml").write_text(
            f'name: node\nsources:\n  visible: {{uri: "{SCENE}"}}\n  infrared: {{uri: "{SCENE}"}}\n'
        )
        for stream, codec in WAYS:
            measured = {**cost(stream, codec), **measure(folder, stream, codec, arguments.seconds)}
            rows.append({"stream": stream, "codec": codec, **measured})
    commands = [shlex.join(["python", *sys.argv])]
    write_results(arguments.results, "node", account={"commands": commands, "rows": rows}, text=table(rows))


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The measurements in Markdown."""
    numbers = {
        "kB a frame": "kb",
        "Mbit/s at 30 fps": "mbit_s",
        "encode ms": "encode_ms",
        "decode ms": "decode_ms",
        "latency p50 ms": "p50_ms",
        "p95": "p95_ms",
    }
    lines = ([row["stream"], row["codec"], *(f"{row[key]:.1f}" for key in numbers.values())] for row in rows)
    return markdown_table(["640x480", "`--compress`", *numbers], lines, words=2)


if __name__ == "__main__":
    run(main)
