"""Publishers: one line of JSON per fused frame, there at once, whatever happens to the process."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from streamfuse.clock import UtcLabel
from streamfuse.core.pair_record import pair_record
from streamfuse.errors import OutputError, UsageError
from streamfuse.frames import Detection, FusedFrame, Image, PairState
from streamfuse.io.publish import JsonlPublisher, Publisher, open_publisher

LABEL = UtcLabel(monotonic_ns=0, utc_ns=1_700_000_000_000_000_000)


def fused(pair_id: int) -> FusedFrame:
    """A frame with one detection, told apart by its pair number."""
    found = Detection(box_xyxy=(0, 0, 2, 2), class_id=0, class_name="piéton", confidence=0.5)
    return FusedFrame(
        pair_id=pair_id,
        state=PairState.VISIBLE_ONLY,
        image=Image.from_rgb(np.zeros((2, 2, 3), np.uint8)),
        capture_ns=pair_id * 1_000_000,
        fused_ns=pair_id * 1_000_000,
        skew_ms=None,
        infrared_age_ms=None,
        visible_seq=pair_id,
        infrared_seq=None,
        detections=(found,),
    )


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Publisher]:
    """A JSONL publisher with a fixed label, closed at the end."""
    with contextlib.closing(open_publisher("jsonl", path, utc=LABEL)) as publisher:
        yield publisher


def open_descriptors() -> int:
    """How many files and sockets this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def pair_ids(path: Path) -> list[int]:
    """Pair numbers of all lines."""
    return [json.loads(line)["pair_id"] for line in path.read_text(encoding="utf-8").splitlines()]


def test_each_frame_is_one_line(tmp_path: Path) -> None:
    """The file holds the record of each frame, in order, one per line, and its folders are made."""
    path = tmp_path / "new" / "folder" / "events.jsonl"
    with opened(path) as publisher:
        for pair_id in range(3):
            publisher.publish(fused(pair_id))
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [
        pair_record(fused(pair_id), LABEL) for pair_id in range(3)
    ]


def test_a_line_is_there_before_publish_returns(tmp_path: Path) -> None:
    """A reader sees the whole line while the publisher is still open."""
    path = tmp_path / "events.jsonl"
    with opened(path) as publisher:
        publisher.publish(fused(5))
        assert path.read_bytes().endswith(b"\n")
        assert pair_ids(path) == [5]


def test_an_existing_file_is_continued(tmp_path: Path) -> None:
    """A second run appends to what the first one wrote."""
    path = tmp_path / "events.jsonl"
    for pair_id in (1, 2):
        with opened(path) as publisher:
            publisher.publish(fused(pair_id))
    assert pair_ids(path) == [1, 2]


def test_a_torn_last_line_spoils_no_other(tmp_path: Path) -> None:
    """After a line cut short by a kill, the next record starts on a line of its own."""
    path = tmp_path / "events.jsonl"
    path.write_text('{"pair_id": 1}\n{"pair_')
    with opened(path) as publisher:
        publisher.publish(fused(2))
    first, torn, last = path.read_text(encoding="utf-8").splitlines()
    assert (json.loads(first)["pair_id"], torn, json.loads(last)["pair_id"]) == (1, '{"pair_', 2)


def test_capture_time_is_labelled_with_the_clock_of_now(tmp_path: Path) -> None:
    """Without a label given, the publisher reads both clocks when it opens."""
    before, path = UtcLabel.read(), tmp_path / "events.jsonl"
    frame = fused(1)
    with contextlib.closing(JsonlPublisher(path)) as publisher:
        publisher.publish(frame)
    written = json.loads(path.read_text(encoding="utf-8"))["capture_utc"]
    assert str(pair_record(frame, before)["capture_utc"])[:16] <= written[:16]
    assert written[:16] <= str(pair_record(frame, UtcLabel.read())["capture_utc"])[:16]


def test_a_full_disk_is_one_sentence() -> None:
    """A write that the disk refuses is an OutputError with the file and the reason, and close still works."""
    with opened(Path("/dev/full")) as publisher, pytest.raises(OutputError, match="/dev/full: No space left"):
        publisher.publish(fused(1))


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    """A path below a file cannot be opened and says so."""
    (tmp_path / "taken").write_text("")
    with pytest.raises(OutputError, match=r"cannot write events to .*taken/events.jsonl"):
        JsonlPublisher(tmp_path / "taken" / "events.jsonl")


def test_an_unknown_kind_lists_the_known(tmp_path: Path) -> None:
    """A kind nobody wrote is a usage error that names those there are, and nothing is made."""
    with pytest.raises(UsageError, match="must be one of jsonl, got 'pigeon'"):
        open_publisher("pigeon", tmp_path / "out" / "events")
    assert list(tmp_path.iterdir()) == []


def test_close_twice_leaves_no_descriptor(tmp_path: Path) -> None:
    """Closing gives the file back, and closing again does nothing."""
    before = open_descriptors()
    publisher = open_publisher("jsonl", tmp_path / "events.jsonl")
    assert open_descriptors() == before + 1
    publisher.close()
    publisher.close()
    assert open_descriptors() == before
