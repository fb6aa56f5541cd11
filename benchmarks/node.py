"""What a capture node costs: bandwidth, processor time and latency on the loopback, for each codec.

``python benchmarks/node.py [--seconds 8]`` codes and decodes the synthetic street (640x480) in this
process for the processor time per frame. Then it starts ``streamfuse capture`` on it, at 30 frames per
second, and listens with CURVE: latency is from the capture time that the node stamps to the decoded
picture on the host. Both are one machine with one clock, and the drawing of the scene competes for it.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import numpy as np

from streamfuse.config.sources import SourceConfig
from streamfuse.core.packet import Codec
from streamfuse.frames import StreamName
from streamfuse.io.codec import PacketDecoder, PacketEncoder
from streamfuse.io.curve import make_keys
from streamfuse.io.node import NodeSource
from streamfuse.io.synthetic.source import SyntheticSource

SCENE = "synthetic://street?seed=7&format=gray16&people=2&cars=1&cyclists=0"
_FRAMES = 30
WAYS = (
    *(("visible", codec) for codec in ("none", "jpeg", "h264", "lossless")),
    *(("infrared", codec) for codec in ("none", "lossless")),
)


def measure(folder: Path, stream: str, codec: str, seconds: float) -> str:
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
    return f"{len(latencies_ms) / took_s:5.1f} fps, latency p50 {p50:5.1f} p95 {p95:5.1f} ms"


def cost(stream: str, codec: str) -> str:
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
    return (
        f"{stream:9}{codec:9}{nbytes / 1e3:7.1f} kB/frame {nbytes * 240 / 1e6:6.1f} Mbit/s at 30 fps, "
        f"encode {encode_ms:5.2f} ms, decode {decode_ms:5.2f} ms"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=8.0)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for owner in ("node", "host"):
            make_keys(owner, folder)
        (folder / "camera.yaml").write_text(
            f'name: node\nsources:\n  visible: {{uri: "{SCENE}"}}\n  infrared: {{uri: "{SCENE}"}}\n'
        )
        for stream, codec in WAYS:
            sys.stdout.write(f"{cost(stream, codec)}, {measure(folder, stream, codec, seconds)}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
