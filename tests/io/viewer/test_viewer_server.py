"""The web viewer, through real sockets: newest picture to everyone, nobody waits for anybody."""

from __future__ import annotations

import contextlib
import io
import signal
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

import httpx
import numpy as np
import PIL.Image
import pytest

from streamfuse.errors import OutputError, UsageError
from streamfuse.frames import Detection
from streamfuse.io.viewer.server import WebViewer
from streamfuse.io.viewer.settings import ViewerSettings

DEADLINE_S = 10.0
TOKEN = "correct-horse-battery"  # noqa: S105 - of the tests


def pixels(jpeg: bytes | None) -> np.ndarray:
    """What a browser makes of a JPEG."""
    assert jpeg is not None
    return np.asarray(PIL.Image.open(io.BytesIO(jpeg)))


def open_descriptors() -> int:
    """How many files and sockets this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_stream_brings_every_picture_to_who_keeps_up(viewer, mjpeg, frame) -> None:
    """A client that reads as fast as pictures come gets each of them as multipart JPEG."""
    browser = mjpeg(viewer)
    browser.open()
    for luma in (40, 80, 120, 160, 200):
        viewer.show(frame(luma, luma=luma))
        assert abs(float(pixels(browser.read()).mean()) - (luma - 16) * 255 / 219) < 2


def test_who_comes_late_sees_the_newest_picture_at_once(viewer, mjpeg, frame) -> None:
    """A new stream starts with the picture shown last, without waiting for the next."""
    for luma in (40, 80, 235):
        viewer.show(frame(luma=luma))
    browser = mjpeg(viewer)
    browser.open()
    assert pixels(browser.read()).mean() > 250


def test_a_browser_that_does_not_read_slows_nobody(viewer, mjpeg, frame) -> None:
    """Beside a stalled browser the run goes on, the other gets all; the stalled one skips to the newest."""
    stalled, quick = mjpeg(viewer, 65_536), mjpeg(viewer)
    stalled.open()
    quick.open()
    slowest_s, pictures = 0.0, []
    for number in range(6):
        shown = frame(number, size_wh=(1920, 1080), noisy=True)  # its JPEG is larger than the socket buffers
        started_s = time.perf_counter()
        viewer.show(shown)
        slowest_s = max(slowest_s, time.perf_counter() - started_s)
        pictures.append(quick.read())
    assert slowest_s < 1.0  # a blocking send to the stalled one would never return
    # What it gets is the picture that was on its way, then the newest: no old one in between.
    assert stalled.read() == pictures[0]
    assert stalled.read() == pictures[-1]


def test_nothing_is_encoded_while_nobody_looks(viewer, client, frame) -> None:
    """Frames cost a copy; the first request makes a JPEG, the second of the same takes that one."""
    for number in range(10):
        viewer.show(frame(number))
    assert viewer.encoded == 0
    first = client.get("/snapshot.jpg").content
    assert client.get("/snapshot.jpg").content == first
    assert viewer.encoded == 1
    client.get("/snapshot.jpg?layer=infrared&overlay=0")
    assert viewer.encoded == 2


def test_a_snapshot_is_any_layer_of_the_newest_frame(viewer, client, frame) -> None:
    """503 before the first frame; then each layer with or without what was found, 404 where there is none."""
    early = client.get("/snapshot.jpg")
    assert (early.status_code, early.headers["retry-after"]) == (503, "1")
    box = Detection(box_xyxy=(8, 8, 40, 40), class_id=0, class_name="person", confidence=0.9)
    viewer.show(frame(luma=16, detections=(box,)))
    assert pixels(client.get("/snapshot.jpg?overlay=0").content).max() < 10
    assert pixels(client.get("/snapshot.jpg").content).max() > 100
    infrared = client.get("/snapshot.jpg?layer=infrared&overlay=0")
    assert infrared.headers["content-type"] == "image/jpeg"
    assert abs(float(pixels(infrared.content).mean()) - 200) < 2
    viewer.show(frame(1, infrared=False))
    assert client.get("/snapshot.jpg?layer=infrared").status_code == 404
    assert client.get("/snapshot.jpg?layer=visible").status_code == 200


@pytest.mark.parametrize("query", ["layer=raw", "layer=", "overlay=2", "layer=../../etc/passwd"])
def test_a_wrong_snapshot_query_is_named(client, query: str) -> None:
    """What a query may say is in the answer."""
    reply = client.get(f"/snapshot.jpg?{query}")
    assert (reply.status_code, "fused|visible|infrared" in reply.text) == (400, True)


def test_the_status_tells_the_newest_numbers(serve, frame) -> None:
    """The status counts pictures, tells their age and the numbers of the newest pair."""
    viewer = serve(pipeline="night")
    first = httpx.get(f"{viewer.url}status.json").json()
    assert (first["frame"], first["age_ms"], first["status"]) == (0, None, {})
    viewer.show(frame(7))
    second = httpx.get(f"{viewer.url}status.json").json()
    assert (second["viewer"], second["frame"]) == (first["viewer"], 1)
    assert 0 <= second["age_ms"] < DEADLINE_S * 1000
    status = second["status"]
    assert (status["pipeline"], status["pair_id"], status["state"]) == ("night", 7, "matched")
    assert (status["skew_ms"], status["latency_ms"], status["detections"]) == (-1.5, 20.0, 0)


def test_the_health_of_the_run_is_what_the_supervisor_wrote(serve, tmp_path: Path) -> None:
    """Health and readiness follow the supervisor's file; without a good one nobody is ready."""
    file = tmp_path / "status.json"
    for content, told in (
        ("", None),
        ("{", None),
        ("[1]", None),
        ('{"ready": false}', {"ready": False}),
        ('{"ready": true}', {"ready": True}),
    ):
        if content:
            file.write_text(content)
        viewer = serve(status_file=file)
        assert httpx.get(f"{viewer.url}api/health").json() == told
        ready = told == {"ready": True}
        reply = httpx.get(f"{viewer.url}readyz")
        assert (reply.status_code, reply.json()) == (200 if ready else 503, {"ready": ready})
        assert httpx.get(f"{viewer.url}healthz").text == "ok\n"


def test_palettes_are_256_colours_each(client) -> None:
    """The page can paint infrared in any palette that streamfuse knows."""
    palettes = client.get("/api/palettes").json()
    assert {"white-hot", "ironbow"} <= palettes.keys()
    assert {(len(colors), len(colors[0])) for colors in palettes.values()} == {(256, 3)}
    assert (palettes["white-hot"][0], palettes["white-hot"][255]) == ([0, 0, 0], [255, 255, 255])


def test_the_page_and_its_files_need_nothing_from_elsewhere(client) -> None:
    """Every file that the page names is served with its type, and the policy allows its own server only."""
    reply = client.get("/")
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert client.get("/static/style.css").headers["content-type"] == "text/css; charset=utf-8"
    assert client.get("/static/main.js").headers["content-type"].startswith("text/javascript")
    assert client.get("/static/nothing.js").status_code == 404


@pytest.mark.parametrize(
    "path", ["/", "/status.json", "/snapshot.jpg", "/healthz", "/nowhere", "/api/events"]
)
def test_every_answer_forbids_caching_sniffing_and_embedding(client, path: str) -> None:
    """The security headers are on every answer, errors too."""
    headers = client.get(path).headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "server" not in headers


def test_head_of_the_stream_ends(client) -> None:
    """Asking for the headers of the endless stream comes back."""
    assert client.head("/stream.mjpg").headers["content-type"].startswith("multipart/x-mixed-replace")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "example.org", ""])  # noqa: S104 - refused here
def test_other_hosts_than_loopback_need_a_token(host: str) -> None:
    """Without a token the viewer does not listen on a network, and says how to mend it."""
    with pytest.raises(UsageError, match=r"needs a token.*ssh -L"):
        ViewerSettings(host=host, port=8090)


@pytest.mark.parametrize(("key", "value"), [("port", 70_000), ("quality", 0), ("max_fps", 0.0)])
def test_settings_out_of_range_are_refused(key: str, value: float) -> None:
    """A number that cannot be meant is named with its range."""
    with pytest.raises(UsageError, match=rf"{key} must be .* got {value}"):
        ViewerSettings(**{key: value})


def test_a_host_that_does_not_exist_is_one_sentence() -> None:
    """An address that is not this machine's is an OutputError before anything is served."""
    for host in ("192.0.2.1", "no-such-host.invalid"):
        with pytest.raises(OutputError, match=rf"cannot listen on {host}:0: "):
            WebViewer(ViewerSettings(host=host, token=TOKEN)).start()


def test_a_certificate_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    """A wrong or missing certificate is an OutputError that names it; nothing is left behind."""
    before = open_descriptors()
    (tmp_path / "wrong.pem").write_text("no certificate")
    for name in ("wrong.pem", "missing.pem"):
        settings = ViewerSettings(certificate=tmp_path / name, key=tmp_path / name)
        with pytest.raises(OutputError, match=rf"viewer.tls: .*{name}"):
            WebViewer(settings).start()
    assert open_descriptors() == before


def test_with_a_certificate_the_page_is_https(serve, tmp_path: Path) -> None:
    """The page is encrypted with the user's own certificate."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=localhost",
            ),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate),
        ],
        check=True,
        capture_output=True,
    )
    viewer = serve(certificate=certificate, key=key, token=TOKEN)
    assert viewer.url.startswith("https://")
    trusted = ssl.create_default_context(cafile=str(certificate))
    reply = httpx.post(f"{viewer.url}login", data={"token": TOKEN}, verify=trusted)
    assert "Secure" in reply.headers["set-cookie"]


@pytest.mark.fault
def test_two_instances_on_one_port_are_one_sentence(serve, record_property) -> None:
    """A port that somebody else has is an OutputError before anything is served; nothing is left behind."""
    record_property("room", "operations")
    record_property("fault", "two viewers on one port")
    record_property("promise", "one sentence that names the port; the first one goes on")
    first = serve()
    before = threading.active_count()
    second = WebViewer(ViewerSettings(port=first.port))
    with pytest.raises(
        OutputError, match=rf"127.0.0.1:{first.port}: Address already in use; stop what"
    ) as caught:
        second.start()
    second.close()
    assert "\n" not in str(caught.value)
    assert threading.active_count() == before
    assert httpx.get(f"{first.url}healthz").status_code == 200


def test_close_ends_every_stream_and_leaves_nothing(mjpeg, frame) -> None:
    """With a reading and a stalled browser connected, close is quick and leaves no thread or socket."""
    threads, descriptors = threading.active_count(), open_descriptors()
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    viewer = WebViewer(ViewerSettings())
    viewer.start()
    reading, stalled = mjpeg(viewer), mjpeg(viewer, 4096)
    reading.open()
    stalled.open()
    viewer.show(frame(size_wh=(1920, 1080), noisy=True))
    assert reading.read() is not None
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    started_s = time.perf_counter()
    viewer.close()
    assert time.perf_counter() - started_s < 4.0
    assert reading.read() is None
    assert threading.active_count() == threads
    reading.close()
    stalled.close()
    assert open_descriptors() == descriptors
    viewer.close()
    viewer.show(frame(2))


def test_a_stream_that_is_read_ends_properly(viewer, client) -> None:
    """On close the server ends a live stream as HTTP wants it; the connection is not just cut."""
    with client.stream("GET", "/stream.mjpg") as reply:
        chunks = reply.iter_raw()
        assert next(chunks) == b"\r\n--streamfuse-picture\r\n"
        viewer.close()
        assert list(chunks) == []  # a cut stream would raise RemoteProtocolError


def test_the_port_is_free_again_after_close() -> None:
    """A restarted viewer gets its port back at once, and browsers can tell it from the one before."""
    seen, port = set(), 0
    for _ in range(2):
        with WebViewer(ViewerSettings(host="localhost", port=port)) as viewer:
            viewer.start()
            port = viewer.port
            seen.add(httpx.get(f"{viewer.url}status.json").json()["viewer"])
    assert len(seen) == 2


def test_what_is_shown_before_start_is_there_after_it(frame) -> None:
    """Showing needs no running server; closing one that never ran does nothing."""
    viewer = WebViewer(ViewerSettings())
    viewer.close()
    viewer.show(frame(3))
    viewer.check()
    viewer.start()
    with contextlib.closing(viewer):
        assert httpx.get(f"{viewer.url}status.json").json()["status"]["pair_id"] == 3


def test_the_memory_of_a_frame_belongs_to_its_owner_again(viewer, client, frame) -> None:
    """What is shown is what the frame held when it was shown, whatever is written there later."""
    shown = frame(luma=16)
    viewer.show(shown)
    shown.image.planes[0].fill(235)
    assert pixels(client.get("/snapshot.jpg?overlay=0").content).max() < 10


def test_a_browser_that_leaves_is_forgotten(viewer, client, mjpeg, wait_for) -> None:
    """A closed stream ends at the server too, though no new picture comes: its descriptor is given back."""
    client.get("/healthz")
    before = open_descriptors()
    browser = mjpeg(viewer)
    browser.open()
    wait_for(lambda: viewer.viewers == 1)
    browser.close()
    wait_for(lambda: viewer.viewers == 0 and open_descriptors() == before)


def test_a_server_that_died_is_noticed(viewer) -> None:
    """The stage learns that its page is gone, and can be started again."""
    viewer.check()
    viewer._hosting._serving._server.should_exit = True
    viewer._hosting._thread.join(DEADLINE_S)
    with pytest.raises(OutputError, match=r"viewer on http://127.0.0.1:\d+/ has stopped"):
        viewer.check()


def test_serving_prints_nothing(viewer, client, capfd: pytest.CaptureFixture[str]) -> None:
    """The terminal belongs to the command line: requests, bad ones too, leave no trace there."""
    client.get("/")
    client.get("/nowhere")
    with socket.create_connection(("127.0.0.1", viewer.port)) as stranger:
        stranger.sendall(b"\x16\x03\x01 not HTTP\r\n\r\n")
        stranger.recv(100)
    viewer.close()
    assert capfd.readouterr() == ("", "")
