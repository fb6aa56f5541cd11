"""Lines of JSON: there at once, whatever happens to the process, the file or the disk."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from servers import need_server

from streamfuse.core.messages import Kind, Message
from streamfuse.errors import OutputError
from streamfuse.io.publish.jsonl import JsonlPublisher


def message(number: int, *, nbytes: int = 0) -> Message:
    """A message that is told apart by its number."""
    return Message(kind=Kind.PAIR, body=json.dumps({"pair_id": number, "pad": "é" * nbytes}).encode())


def numbers(path: Path) -> list[Any]:
    """Of all lines."""
    return [json.loads(line)["pair_id"] for line in path.read_text(encoding="utf-8").splitlines()]


def open_descriptors() -> int:
    """How many files and sockets this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of 64 KiB."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    need_server(None if done.returncode == 0 else "a small disk can only be mounted by root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_each_message_is_one_line(tmp_path: Path) -> None:
    """The file holds every message, in order, one per line, and its folders are made."""
    path = tmp_path / "new" / "folder" / "pairs.jsonl"
    with JsonlPublisher(path) as publisher:
        for number in range(3):
            publisher.publish(message(number))
    assert path.read_bytes().splitlines() == [message(number).body for number in range(3)]


def test_a_line_is_there_before_publish_returns(tmp_path: Path) -> None:
    """A reader sees the whole line while the publisher is still open."""
    path = tmp_path / "pairs.jsonl"
    with JsonlPublisher(path) as publisher:
        publisher.publish(message(5))
        assert path.read_bytes().endswith(b"\n")
        assert numbers(path) == [5]


def test_an_existing_file_is_continued(tmp_path: Path) -> None:
    """A second run appends to what the first one wrote."""
    path = tmp_path / "pairs.jsonl"
    for number in (1, 2):
        with JsonlPublisher(path) as publisher:
            publisher.publish(message(number))
    assert numbers(path) == [1, 2]


def test_a_torn_last_line_spoils_no_other(tmp_path: Path) -> None:
    """After a line cut short by a kill, the next message starts on a line of its own."""
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"pair_id": 1}\n{"pair_')
    with JsonlPublisher(path) as publisher:
        publisher.publish(message(2))
    first, torn, last = path.read_text(encoding="utf-8").splitlines()
    assert (json.loads(first)["pair_id"], torn, json.loads(last)["pair_id"]) == (1, '{"pair_', 2)


def test_a_file_that_was_moved_away_is_begun_anew(tmp_path: Path) -> None:
    """What ``logrotate`` moved stays as it is; the next line begins a new file, as after a removal."""
    path = tmp_path / "folder" / "pairs.jsonl"
    with JsonlPublisher(path) as publisher:
        publisher.publish(message(1))
        path.rename(path.with_suffix(".1"))
        publisher.turn()
        publisher.publish(message(2))
        assert (numbers(path.with_suffix(".1")), numbers(path)) == ([1], [2])
        path.unlink()
        path.with_suffix(".1").unlink()
        path.parent.rmdir()
        publisher.turn()
        publisher.publish(message(3))
        assert numbers(path) == [3]
        assert publisher.standing.lost == 0


def test_a_line_that_the_disk_does_not_take_is_counted_and_told_once(tmp_path: Path) -> None:
    """A device that is full loses each line; the standing has the number, and one sentence for people."""
    path = tmp_path / "full"
    path.symlink_to("/dev/full")
    with JsonlPublisher(path) as publisher:
        for number in range(3):
            publisher.publish(message(number))
        assert publisher.standing.lost == 3
        (news,) = publisher.standing.take_news()
        assert news.level == "warning"
        assert news.text == f"{path}: cannot write messages: No space left on device; trying on"


@pytest.mark.fault
def test_a_full_disk_loses_whole_lines_and_comes_back(tmp_path: Path, record_property: Any) -> None:
    """Once there is room again, lines are written by themselves; none is torn but the first that is lost."""
    record_property("room", "operations")
    record_property("fault", "the disk of a JSON-lines file is full, and has room again")
    with small_disk(tmp_path / "disk") as disk:
        path, ballast = disk / "pairs.jsonl", disk / "ballast"
        ballast.write_bytes(b"x" * 32_000)
        with JsonlPublisher(path) as publisher:
            for number in range(10):
                publisher.publish(message(number, nbytes=1_000))
            lost = publisher.standing.lost
            assert 0 < lost < 10
            ballast.unlink()
            publisher.publish(message(10))
            assert publisher.standing.lost == lost
            full, again = publisher.standing.take_news()
        lines = path.read_text(encoding="utf-8").splitlines()
    assert "cannot write messages" in full.text
    assert f"works again after 0.0 s; {lost} message" in again.text
    whole = [line for line in lines if line.endswith("}")]
    assert [json.loads(line)["pair_id"] for line in whole] == [*range(10 - lost), 10]
    assert len(lines) - len(whole) <= 1
    record_property("promise", "the next line")


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    """A path below a file cannot be opened and says so."""
    (tmp_path / "taken").write_text("")
    with pytest.raises(OutputError, match=r"cannot write messages to .*taken/pairs.jsonl"):
        JsonlPublisher(tmp_path / "taken" / "pairs.jsonl")


def test_close_twice_leaves_no_descriptor(tmp_path: Path) -> None:
    """Closing gives the file back, and closing again does nothing."""
    before = open_descriptors()
    publisher = JsonlPublisher(tmp_path / "pairs.jsonl")
    assert open_descriptors() == before + 1
    publisher.close()
    publisher.close()
    assert open_descriptors() == before
