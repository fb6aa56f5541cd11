"""The page's WebSocket: what is wanted, as fast as it is drawn, one encoding for all."""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from websockets.exceptions import ConnectionClosed

from streamfuse.frames import Detection, Event, EventPhase


def mean(jpeg: bytes) -> float:
    """Brightness of a JPEG."""
    return float(np.asarray(PIL.Image.open(io.BytesIO(jpeg))).mean())


def test_a_page_gets_the_layers_it_wants_with_the_record(serve, live, frame) -> None:
    """Each wanted layer comes as a JPEG, with the pair's record and the numbers; wishes may change."""
    viewer = serve(pipeline="night")
    browser = live(viewer)
    browser.want("fused", "infrared")
    person = Detection(box_xyxy=(1, 2, 3, 4), class_id=0, class_name="person", confidence=0.5)
    viewer.show(frame(4, luma=235, detections=(person,)))
    message = browser.picture()
    assert list(message.jpegs) == ["fused", "infrared"]
    assert mean(message.jpegs["fused"]) > 250
    assert abs(mean(message.jpegs["infrared"]) - 200) < 2
    header = message.header
    assert (header["frame"], header["size"], header["record"]["pair_id"]) == (1, [64, 48], 4)
    assert header["record"]["detections"][0]["box"] == [1, 2, 3, 4]
    assert (header["status"]["pipeline"], header["status"]["detections"]) == ("night", 1)
    browser.want("visible")
    browser.news()
    viewer.show(frame(5, luma=16))
    message = browser.picture()
    while message.number == 1:
        message = browser.picture()
    assert list(message.jpegs) == ["visible"]


def test_a_layer_that_the_pair_lacks_is_left_out(viewer, live, frame) -> None:
    """Without an infrared image the page still gets the numbers of the pair."""
    browser = live(viewer)
    browser.want("infrared")
    viewer.show(frame(infrared=False))
    message = browser.picture()
    assert (message.jpegs, message.header["record"]["state"]) == ({}, "visible_only")


def test_a_page_that_draws_gets_every_picture(viewer, live, frame) -> None:
    """Who says ready after each picture gets the next one, each once."""
    browser = live(viewer)
    browser.want("fused")
    numbers = []
    for number in range(20):
        viewer.show(frame(number))
        numbers.append(browser.picture().number)
    assert numbers == list(range(1, 21))


def test_a_page_that_does_not_draw_gets_two_pictures(viewer, live, frame) -> None:
    """Without a word from the page two pictures are on the way and no more; then comes the newest."""
    browser = live(viewer)
    browser.want("fused")
    for number in range(2):
        viewer.show(frame(number))
        assert browser.picture(ready=False).number == number + 1
    for number in range(2, 30):
        viewer.show(frame(number))
    with pytest.raises(TimeoutError):
        browser.picture(timeout_s=0.3)
    browser.say({"ready": 2})
    assert browser.picture().number == 30


def test_a_page_that_wants_nothing_gets_no_picture(viewer, live, frame) -> None:
    """Nothing is encoded for a page before it has said what it wants, or when it wants nothing any more."""
    browser = live(viewer)
    viewer.show(frame())
    with pytest.raises(TimeoutError):
        browser.picture(timeout_s=0.2)
    assert viewer.encoded == 0


def test_twenty_viewers_cost_one_encoding_per_layer(viewer, live, frame) -> None:
    """However many look, each layer that anybody wants is encoded once a frame."""
    browsers = [live(viewer) for _ in range(20)]
    for number, browser in enumerate(browsers):
        browser.want(*(("fused", "infrared") if number % 2 else ("fused",)))
    frames = 5
    with ThreadPoolExecutor(len(browsers)) as pool:
        for number in range(frames):
            viewer.show(frame(number))
            messages = list(pool.map(lambda browser: browser.picture(), browsers))
            assert {message.number for message in messages} == {number + 1}
            assert len({message.jpegs["fused"] for message in messages}) == 1
    assert viewer.encoded == 2 * frames


def test_a_page_hears_how_the_run_is(serve, live, tmp_path: Path) -> None:
    """Once a second the page gets what the supervisor has written, pictures or not."""
    status = {"ready": True, "reasons": [], "workers": {"engine": {"state": "running"}}}
    (tmp_path / "status.json").write_text(json.dumps(status))
    viewer = serve(status_file=tmp_path / "status.json")
    browsers = [live(viewer) for _ in range(2)]
    browsers[0].news()
    assert browsers[0].news() == {"health": status, "viewers": 2}


def test_events_of_the_frame_are_in_the_record(viewer, live, frame) -> None:
    """What the rules say of a frame travels with it."""
    browser = live(viewer)
    browser.want("fused")
    event = Event(id="e1", rule="intruder", phase=EventPhase.BEGUN, began_ns=1, objects=2)
    viewer.show(frame(events=(event,)))
    (told,) = browser.picture().header["record"]["events"]
    assert (told["id"], told["rule"], told["phase"], told["objects"]) == ("e1", "intruder", "begun", 2)


def test_a_page_gets_no_more_pictures_than_allowed(serve, live, frame) -> None:
    """The page's wish for more pictures a second than the viewer allows is cut to that."""
    viewer = serve(max_fps=2.0)
    browser = live(viewer)
    browser.want("fused", fps=1000)
    for number in range(2):
        viewer.show(frame(number))
        if number == 0:
            browser.picture()
    with pytest.raises(TimeoutError):
        browser.picture(timeout_s=0.2)
    assert browser.picture().number == 2


@pytest.mark.fault
@pytest.mark.parametrize(
    ("message", "code", "reason"),
    [
        ("x" * 2000, 1009, "exceeds limit"),
        (b"\x00" * 5000, 1009, "exceeds limit"),
        (b"binary", 1008, ""),
        ("no json", 1008, "Expecting value"),
        ("[" * 1000, 1008, ""),
        ("[]", 1008, 'expected an object with "want" or "ready"'),
        ('{"shout": 1}', 1008, 'expected an object with "want" or "ready"'),
        ('{"want": 1}', 1008, 'expected "want" with'),
        ('{"want": {"layers": "fused"}}', 1008, 'expected "layers" out of fused, visible, infrared'),
        ('{"want": {"layers": ["raw_infrared"]}}', 1008, 'expected "layers"'),
        ('{"want": {"layers": [{}]}}', 1008, 'expected "layers"'),
        ('{"want": {"fps": 0}}', 1008, 'expected "fps" above 0'),
        ('{"want": {"fps": NaN}}', 1008, 'expected "fps" above 0'),
        ('{"want": {"fps": Infinity}}', 1008, 'expected "fps" above 0'),
        ('{"ready": "1"}', 1008, 'expected "ready" with the number'),
        ('{"ready": true}', 1008, 'expected "ready" with the number'),
    ],
)
def test_a_message_that_makes_no_sense_ends_its_connection_only(
    viewer, live, frame, record_property, message, code, reason
) -> None:
    """Oversized or malformed messages close the socket that sent them with a reason; others go on."""
    record_property("room", "operations")
    record_property("fault", "oversized and malformed WebSocket messages")
    record_property("promise", "the sender is cut off with a reason, nobody else notices")
    good, bad = live(viewer), live(viewer)
    good.want("fused")
    bad.socket.send(message)
    with pytest.raises(ConnectionClosed) as caught:
        bad.picture()
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == code
    assert reason in caught.value.rcvd.reason
    viewer.show(frame())
    assert good.picture().number == 1


def test_a_wish_beyond_all_floats_is_just_much(viewer, live, frame) -> None:
    """A number of pictures with hundreds of digits is cut like any other."""
    browser = live(viewer)
    browser.socket.send('{"want": {"layers": ["fused"], "fps": 1' + "0" * 600 + "}}")
    viewer.show(frame())
    assert browser.picture().number == 1


def test_pages_are_told_when_the_viewer_stops(viewer, live) -> None:
    """On close each socket ends with "going away" or "restart", so that pages try again."""
    browser = live(viewer)
    browser.news()
    viewer.close()
    with pytest.raises(ConnectionClosed) as caught:
        browser.picture()
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code in {1001, 1012}


def test_too_many_pages_are_asked_to_come_later(viewer, live) -> None:
    """Beyond the limit a page is turned away with "try again later"."""
    for _ in range(100):
        live(viewer).news()
    late = live(viewer)
    with pytest.raises(ConnectionClosed) as caught:
        late.picture()
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1013
