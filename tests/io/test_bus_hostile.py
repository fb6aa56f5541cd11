"""Strangers on the bus port: whatever they send, the legitimate stream goes on."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import psutil
import pytest
import zmq

from streamfuse.core.packet import Codec
from streamfuse.errors import SourceError
from streamfuse.frames import StreamName
from streamfuse.io.cameras.node import NodeSource
from streamfuse.io.transport.bus import Hub, Spoke
from streamfuse.io.transport.netbus import NodeHub

CONNECTIONS = 500
MEMORY_LIMIT = 100 * 2**20
RECOVERY_S = 5.0
"""Strangers that do not finish the handshake are cut off after two seconds."""


def address(endpoint: str) -> tuple[str, int]:
    """Host and port of a node."""
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    return host, int(port)


def eventually(condition: Callable[[], bool], limit_s: float) -> float:
    """How long it took to come true."""
    started_s = time.monotonic()
    while not condition():
        assert time.monotonic() - started_s < limit_s, f"it did not come true in {limit_s} s"
        time.sleep(0.05)  # polls the system's view of this process
    return time.monotonic() - started_s


@pytest.mark.fault
def test_500_connections_and_garbage_leave_the_stream_alone(local_node, key_ring, record_property) -> None:
    """While they talk, the allowed consumer gets its frames; then descriptors and memory are back."""
    record_property("fault", f"{CONNECTIONS} connections with garbage on the port of a capture node (CURVE)")
    record_property(
        "promise", f"the stream goes on; descriptors back within {RECOVERY_S:g} s, memory < 100 MB"
    )
    node = local_node(keys=key_ring.server)
    process = psutil.Process()
    with closing(NodeSource(node.config(keys=key_ring.client()), stream=StreamName.INFRARED)) as source:
        source.read()
        fds, memory = process.num_fds(), process.memory_info().rss
        with ExitStack() as stack:
            strangers = [
                stack.enter_context(socket.create_connection(address(node.endpoint), timeout=10))
                for _ in range(CONNECTIONS)
            ]
            started_s = time.monotonic()
            for number, stranger in enumerate(strangers):
                stranger.setblocking(False)
                garbage = (
                    os.urandom(4096),
                    b"\xff" + bytes(8) + b"\x7f\x03\x00CURVE" + bytes(50),
                    b"GET / HTTP/1.1\r\n",
                )
                try:
                    stranger.send(garbage[number % 3])
                except OSError:
                    continue  # cut off already
            frames = [source.read() for _ in range(50)]
            took_s = time.monotonic() - started_s
            grown = process.memory_info().rss - memory
        recovery_s = eventually(lambda: process.num_fds() <= fds, RECOVERY_S)
    assert all(frame is not None for frame in frames)
    assert took_s < 10
    assert grown < MEMORY_LIMIT
    record_property("recovery_s", round(recovery_s, 2))


@pytest.mark.fault
@pytest.mark.parametrize("who", ["a key that is not allowed", "the wrong key of the node", "no key"])
def test_who_has_the_wrong_key_gets_nothing_and_hears_why(
    local_node, key_ring, record_property, who: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The message names the key; the allowed consumer does not notice."""
    record_property("fault", f"a consumer of a capture node comes with {who}")
    record_property("promise", "nothing is delivered, the message says why, the allowed consumer goes on")
    keys, complaint = {
        "a key that is not allowed": (
            key_ring.client("stranger"),
            r"refuses our key .*stranger\.pub; give it to",
        ),
        "the wrong key of the node": (
            key_ring.client("host", "stranger"),
            r"does not prove the key .*stranger\.pub",
        ),
        "no key": (None, "does not prove that it is a node without keys"),
    }[who]
    node = local_node(keys=key_ring.server)
    config = node.config(keys=key_ring.client())
    with closing(NodeSource(config, stream=StreamName.INFRARED)) as source, reading(source) as counts:
        wrong = node.config(keys=keys, timeout_s=1.5, options={"consumer": "intruder"})
        with pytest.raises(SourceError, match=complaint):
            NodeSource(wrong, stream=StreamName.INFRARED)
        before = counts[0]
        record_property("recovery_s", round(eventually(lambda: counts[0] > before + 20, 5.0), 2))
    assert "intruder" not in node.audience.books()
    assert ("its public key" in caplog.text) == (who == "a key that is not allowed")


@contextmanager
def reading(source: NodeSource) -> Iterator[list[int]]:
    """Reads frames in another thread and counts them."""
    counts, stop = [0], threading.Event()

    def read() -> None:
        while not stop.is_set():
            assert source.read() is not None
            counts[0] += 1

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield counts
    finally:
        stop.set()
        thread.join()


NONSENSE = (
    [b""],
    [b"", b"", b""],
    [b"x"] * 1000,
    [os.urandom(150)],
    [b"SFBM\1\3" + bytes(52)],
    [b"SFBM\1\4" + bytes(100), os.urandom(1000)],
    [bytes(10_000)],
)


@contextmanager
def raw_peer(kind: int, endpoint: str, *, bind: bool) -> Iterator[zmq.Socket[bytes]]:
    """A ZeroMQ socket of somebody else."""
    with zmq.Context() as context, context.socket(kind) as peer:
        peer.set(zmq.LINGER, 0)
        (peer.bind if bind else peer.connect)(endpoint)
        yield peer


def test_multi_part_nonsense_does_not_stop_a_node(local_node) -> None:
    """A real ZeroMQ peer that says anything but grants is counted; parts too long end its connection."""
    node = local_node(codec=Codec.NONE)
    with (
        raw_peer(zmq.DEALER, node.endpoint, bind=False) as peer,
        closing(NodeSource(node.config(), stream=StreamName.INFRARED)) as source,
    ):
        for parts in NONSENSE:
            peer.send_multipart(parts)
            assert source.read() is not None
        eventually(lambda: node.audience.refused >= 5, 5.0)
        assert all(source.read() is not None for _ in range(20))
    assert len(node.audience.books()) == 1


def test_multi_part_nonsense_does_not_stop_a_local_hub(tmp_path: Path) -> None:
    """The hub of the local bus hands on what it cannot judge, never more than its limit in a part."""
    with Hub(f"ipc://{tmp_path}/x") as hub, raw_peer(zmq.DEALER, hub.endpoint, bind=False) as peer:
        for parts in NONSENSE[:-1]:
            peer.send_multipart(parts[:5])
        heard = []
        while len(heard) < 5:
            hub.poll(5_000)
            message = hub.receive()
            assert message is not None
            heard.append(message[1])
        assert all(len(data) <= 1_000 for data in heard)


def test_a_node_that_talks_nonsense_is_an_error_after_the_timeout(local_node) -> None:
    """A consumer of a peer that is no node says what it got; the local spoke likewise hands on parts."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        endpoint = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    config = local_node().config(uri=endpoint, timeout_s=1.5)
    with raw_peer(zmq.ROUTER, endpoint, bind=True) as peer:
        stop = threading.Event()
        thread = threading.Thread(target=_talk, args=(peer, stop))
        thread.start()
        try:
            with pytest.raises(SourceError, match=r"cannot be used: a message"):
                NodeSource(config, stream=StreamName.INFRARED)
        finally:
            stop.set()
            thread.join()


def _talk(peer: zmq.Socket[bytes], stop: threading.Event) -> None:
    """Answer every grant with everything."""
    while not stop.is_set():
        if peer.poll(50):
            route = peer.recv_multipart()[0]
            for parts in NONSENSE:
                peer.send_multipart([route, *parts])


def test_a_spoke_takes_parts_up_to_its_limit_only(tmp_path: Path) -> None:
    """Messages of any number of parts are read; the local spoke connects to whatever is there."""
    endpoint = f"ipc://{tmp_path}/y"
    with raw_peer(zmq.ROUTER, endpoint, bind=True) as peer, Spoke(endpoint, window=2) as spoke:
        assert spoke.send(b"hello")
        route = peer.recv_multipart()[0]
        for parts in NONSENSE[:3]:
            peer.send_multipart([route, *parts])
        got = []
        while len(got) < 3:
            spoke.socket.poll(5_000)
            parts = spoke.receive()
            assert parts is not None
            got.append(len(parts))
        assert got == [1, 3, 1000]


def test_two_nodes_in_one_process_have_their_own_gates(key_ring) -> None:
    """One context has one gate: each node has its own."""
    with (
        NodeHub("tcp://127.0.0.1:0", keys=key_ring.server) as one,
        NodeHub("tcp://127.0.0.1:0", keys=key_ring.server) as two,
    ):
        assert one.endpoint != two.endpoint
