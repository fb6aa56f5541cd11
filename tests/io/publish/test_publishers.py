"""All ways out together: what is seen before they are opened, and what people are told of them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from pydantic import TypeAdapter
from servers import free_port, need_server

from streamfuse.clock import UtcLabel
from streamfuse.config.outputs import PublishSink
from streamfuse.core.masks import encode_mask
from streamfuse.errors import OutputError, UsageError
from streamfuse.frames import Detection, FusedFrame, Image, PairState
from streamfuse.io.publish.publishers import Publishers, check_publisher

PAGE = Path(__file__).parents[3] / "docs" / "messages.md"


def sink(kind: str, **keys: Any) -> PublishSink:
    """A way out, as a pipeline file would give it."""
    made: PublishSink = TypeAdapter(PublishSink).validate_python({"kind": kind, **keys})
    return made


def test_a_check_makes_and_contacts_nothing(tmp_path: Path) -> None:
    """Folders that will be made, receivers that are away and ports in use are no reason to refuse."""
    nobody = f"127.0.0.1:{free_port()}"
    check_publisher(sink("jsonl", path=str(tmp_path / "new" / "folder" / "pairs.jsonl")))
    check_publisher(sink("zeromq", bind=f"tcp://{nobody}"))
    check_publisher(sink("mqtt", broker=nobody, tls=True))
    check_publisher(sink("webhook", url=f"http://{nobody}/"))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_stays_as_it_was(tmp_path: Path) -> None:
    """Checking a file that will be appended to does not change it."""
    path = tmp_path / "pairs.jsonl"
    path.write_text("torn")
    check_publisher(sink("jsonl", path=str(path)))
    assert path.read_text() == "torn"


def test_what_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    """A folder in the file's place, a file in the folder's, a bad authority, absent keys, a bad url."""
    (tmp_path / "taken").write_text("")
    with pytest.raises(OutputError, match="is a folder, and a file is wanted"):
        check_publisher(sink("jsonl", path=str(tmp_path)))
    with pytest.raises(OutputError, match="is a file, and a folder is wanted"):
        check_publisher(sink("jsonl", path=str(tmp_path / "taken" / "pairs.jsonl")))
    with pytest.raises(UsageError, match="taken: cannot be used as certificate authority"):
        check_publisher(sink("mqtt", broker="127.0.0.1:1", tls=True, ca=str(tmp_path / "taken")))
    keys = {"own": str(tmp_path / "absent.key"), "allow": (str(tmp_path / "absent.pub"),)}
    with pytest.raises(UsageError, match="absent"):
        check_publisher(sink("zeromq", bind="tcp://127.0.0.1:5556", keys=keys))
    with pytest.raises(UsageError, match="cannot post to the webhook's url"):
        check_publisher(sink("webhook", url="http://é-.org/"))


def test_a_folder_that_takes_no_files_is_refused() -> None:
    """Where the system lets nobody write, not even root."""
    folder = Path("/proc/self/fdinfo")
    need_server(None if folder.is_dir() else "there is no /proc")
    with pytest.raises(OutputError, match="cannot write there"):
        check_publisher(sink("jsonl", path=str(folder / "pairs.jsonl")))


def test_each_way_has_polygons_or_not(tmp_path: Path) -> None:
    """One frame goes to two files; only in the one that asked for it masks are polygons, too."""
    plain, drawn = (tmp_path / name for name in ("plain.jsonl", "drawn.jsonl"))
    mask = np.zeros((30, 40), bool)
    mask[10:20, 5:25] = True
    found = Detection(
        box_xyxy=(5, 10, 25, 20), class_id=2, class_name="car", confidence=0.9, mask_rle=encode_mask(mask)
    )
    frame = FusedFrame(
        pair_id=3,
        state=PairState.VISIBLE_ONLY,
        image=Image.from_rgb(np.zeros((30, 40, 3), np.uint8)),
        capture_ns=0,
        fused_ns=0,
        skew_ms=None,
        infrared_age_ms=None,
        visible_seq=3,
        infrared_seq=None,
        detections=(found,),
    )
    sinks = [sink("jsonl", path=str(plain)), sink("jsonl", path=str(drawn), polygons=True)]
    with Publishers(sinks, pipeline="gate", utc=UtcLabel(monotonic_ns=0, utc_ns=0)) as publishers:
        publishers.publish(frame)
        publishers.finish()
    without, with_them = (json.loads(path.read_text())["detections"][0] for path in (plain, drawn))
    (polygon,) = with_them.pop("polygons")
    assert sorted(polygon) == [[5, 10], [5, 20], [25, 10], [25, 20]]
    assert with_them == without


def test_the_page_has_every_key_with_its_default() -> None:
    """The table of docs/messages.md says what config/outputs.py does."""
    table = PAGE.read_text("utf-8").partition("## Keys")[2].partition("\n## ")[0]
    said: dict[tuple[str, str], str] = {}
    way = ""
    for first, keys, default in re.findall(r"^\| (?:`(\w+)`)? ?\| (`.+?`) \| (\S*) ?\|", table, re.MULTILINE):
        way = first or way
        said |= {(way, key): default.strip("`") for key in re.findall(r"`(\w+)`", keys)}
    union, _ = get_args(PublishSink)
    known: dict[tuple[str, str], str] = {}
    for kind in get_args(union):
        (name,) = get_args(kind.model_fields["kind"].annotation)
        for key, field in kind.model_fields.items():
            default = "" if field.is_required() else str(field.default)
            known[name, key] = {"None": "none", "False": "false"}.get(default, default)
    assert said == {at: default for at, default in known.items() if at[1] != "kind"}
