"""Labels beside the images: YOLO boxes and class maps."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as PillowImage

from streamfuse.core.boxes import Box, box_iou
from streamfuse.errors import SourceError
from streamfuse.io.labels import IGNORE, find_label, read_box_union, read_boxes, read_label_map, read_outlines

CLASSES = 3
SETS = ("labels_fused", "labels_infrared", "labels_visible")
IDS = np.array([[0, 1, 2], [8, 4, IGNORE]], np.uint8)


def store(path: Path, text: str | bytes) -> Path:
    """Write a label file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_boxes_are_read_in_the_order_of_the_file(tmp_path: Path) -> None:
    """Centre and size become corners; blank lines, spaces, CR LF and a missing last newline do not matter."""
    path = store(tmp_path / "a.txt", "2 0.5 0.5 0.5 0.25\r\n\r\n  0  0.25 0.75   0.5 0.5  ")
    assert read_boxes(path, classes=CLASSES) == (Box(2, 0.25, 0.375, 0.75, 0.625), Box(0, 0.0, 0.5, 0.5, 1.0))


@given(
    st.lists(st.tuples(st.integers(0, 2), *[st.integers(0, 40)] * 2, *[st.integers(1, 40)] * 2), max_size=5)
)
def test_rounded_boxes_come_back(
    tmp_path_factory: pytest.TempPathFactory, made: list[tuple[int, ...]]
) -> None:
    """Boxes that touch the edge and were written with 4 decimals are read, at most the rounding away."""
    truth = [
        Box(class_id, x / 80, y / 80, (x + width) / 80, (y + height) / 80)
        for class_id, x, y, width, height in made
    ]
    lines = [
        f"{b.class_id} {(b.x1 + b.x2) / 2:.4f} {(b.y1 + b.y2) / 2:.4f} {b.x2 - b.x1:.4f} {b.y2 - b.y1:.4f}"
        for b in truth
    ]
    path = store(tmp_path_factory.mktemp("labels") / "a.txt", "\n".join(lines))
    found = read_boxes(path, classes=CLASSES, allow_empty=True)
    assert [box.class_id for box in found] == [box.class_id for box in truth]
    for box, expected in zip(found, truth, strict=True):
        assert box.corners == pytest.approx(expected.corners, abs=1.1e-4)


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_an_empty_file_is_a_mistake_unless_allowed(tmp_path: Path, text: str) -> None:
    """A file without boxes is refused with its name, and read as "nothing to see" on demand."""
    path = store(tmp_path / "empty.txt", text)
    with pytest.raises(SourceError, match=r"empty\.txt: holds no box; label the image"):
        read_boxes(path, classes=CLASSES)
    assert read_boxes(path, classes=CLASSES, allow_empty=True) == ()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0.5 0.5 0.5", r"wanted 'class x_centre y_centre width height', got '0 0\.5 0\.5 0\.5'"),
        ("0 0.5 0.5 0.5 0.5 0.9", "wanted 'class x_centre"),
        ("person 0.5 0.5 0.5 0.5", "wanted 'class x_centre"),
        ("1.5 0.5 0.5 0.5 0.5", "wanted 'class x_centre"),
        ("3 0.5 0.5 0.5 0.5", "class 3 is not one of 0 to 2"),
        ("-1 0.5 0.5 0.5 0.5", "class -1 is not one of 0 to 2"),
        ("0 320 240 40 90", r"the box spans 300, 195, 340, 285, outside the image's 0\.\.1; .*not pixels"),
        ("0 0.1 0.5 0.21 0.5", r"the box spans -0\.005, 0\.25, 0\.205, 0\.75, outside"),
        ("0 nan 0.5 0.1 0.5", "outside the image's"),
        ("0 0.5 0.5 0 0.5", "left < right"),
        ("0 0.1 0.1 0.2 0.2 0.3 0.3 0.4", "wanted 'class x y x y x y ...', got '0 0.1"),
        ("0 0.1 0.1 0.2 0.1 0.3 0.1", "left < right and top < bottom"),
        ("0 1 1 20 10 30 10", r"the outline spans 1, 1, 20, 10, 30, 10, outside the image's"),
        ("0 0.5 0.5 -0.1 0.5", "left < right"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    """The error has the file, the line's number as editors count it, what was got and what was wanted."""
    path = store(tmp_path / "a.txt", f"0 0.5 0.5 0.5 0.5\n\n{line}\n")
    with pytest.raises(SourceError, match=rf"a\.txt:3: .*{message}") as caught:
        read_boxes(path, classes=CLASSES)
    assert "\n" not in str(caught.value)


def test_outlines_are_read_as_such_and_as_their_boxes(tmp_path: Path) -> None:
    """A little beyond the edge is cut; a box is no outline."""
    path = store(tmp_path / "a.txt", "1 0.1 0.2 0.9 0.2 1.0005 0.8\n\n0 0 0 0.5 0 0.5 0.5 0 0.5\n")
    first, second = read_outlines(path, classes=CLASSES)
    assert (first.class_id, first.corners) == (1, ((0.1, 0.2), (0.9, 0.2), (1.0, 0.8)))
    assert len(second.corners) == 4
    assert read_boxes(path, classes=CLASSES) == (first.box, second.box)
    assert read_outlines(store(tmp_path / "b.txt", ""), classes=CLASSES) == ()
    with pytest.raises(SourceError, match=r"c\.txt:1: wanted 'class x y x y x y \.\.\.', got '0 0\.5 0\.5"):
        read_outlines(store(tmp_path / "c.txt", "0 0.5 0.5 0.5 0.5"), classes=CLASSES)


def test_files_that_are_no_text_are_refused(tmp_path: Path) -> None:
    """A missing file, a folder and an image each give one sentence with the path."""
    with pytest.raises(SourceError, match=r"lost\.txt: cannot be read \(No such file"):
        read_boxes(tmp_path / "lost.txt", classes=CLASSES)
    with pytest.raises(SourceError, match="cannot be read"):
        read_boxes(tmp_path, classes=CLASSES)
    with pytest.raises(SourceError, match="is not text"):
        read_boxes(store(tmp_path / "b.txt", b"\x89PNG\xff"), classes=CLASSES)


def test_the_union_of_the_annotators_of_an_image(tmp_path: Path) -> None:
    """Boxes of all folders, one for each object; who saw nothing adds nothing, who is missing is named."""
    folders = [tmp_path / name for name in ("a", "b", "c")]
    for folder, text in zip(
        folders, ("0 0.5 0.5 0.5 0.5", "0 0.5 0.5 0.5 0.25\n1 0.1 0.1 0.1 0.1", ""), strict=True
    ):
        store(folder / "x.txt", text)
    union = read_box_union(folders, "x", classes=CLASSES)
    assert [box.class_id for box in union] == [0, 1]
    assert union[0] == Box(0, 0.25, 0.3125, 0.75, 0.6875)
    assert find_label(folders[0], "x") == folders[0] / "x.txt"
    with pytest.raises(SourceError, match=r"holds no label file y\.txt"):
        read_box_union(folders, "y", classes=CLASSES)


def test_all_real_boxes_are_read(data_dir: Path) -> None:
    """Every label file of the data; the union holds all that anybody saw, and less than all drawn."""
    stems = sorted(path.stem for path in (data_dir / "msrs" / SETS[0]).glob("*.txt"))
    assert len(stems) == 235
    drawn = objects = 0
    for stem in stems:
        folders = [data_dir / "msrs" / name for name in SETS]
        sets = [read_boxes(find_label(f, stem), classes=CLASSES, allow_empty=True) for f in folders]
        union = read_box_union(folders, stem, classes=CLASSES)
        drawn, objects = drawn + sum(map(len, sets)), objects + len(union)
        assert max(map(len, sets)) <= len(union)
        for box in (box for own in sets for box in own):
            assert max(box_iou(box, other) for other in union if other.class_id == box.class_id) > 0.4
    assert objects < 0.6 * drawn


@pytest.mark.parametrize("mode", ["L", "P"])
def test_grey_levels_and_palette_indices_are_ids(tmp_path: Path, mode: str) -> None:
    """A grey map and one with colours for the eye give the same ids; 255 is nobody's."""
    image = PillowImage.fromarray(IDS, "L")
    if mode == "P":
        image = PillowImage.frombytes("P", image.size, IDS.tobytes())
        image.putpalette(np.random.default_rng(1).integers(0, 256, 768, np.uint8).tobytes())
    image.save(tmp_path / "m.png")
    found = read_label_map(tmp_path / "m.png", classes=9)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, IDS)
    found[0, 0] = 1  # the array is the caller's own


def test_wrong_ids_are_named(tmp_path: Path) -> None:
    """Ids beyond the classes are listed with what was wanted."""
    assert cv2.imwrite(str(tmp_path / "m.png"), IDS)
    with pytest.raises(SourceError, match=r"m\.png: has the class ids 4, 8, wanted 0 to 3 or 255"):
        read_label_map(tmp_path / "m.png", classes=4)


@pytest.mark.parametrize(
    "pixels", [np.zeros((4, 5, 3), np.uint8), np.zeros((4, 5, 4), np.uint8), np.zeros((4, 5), np.uint16)]
)
def test_pictures_of_labels_are_refused(tmp_path: Path, pixels: np.ndarray) -> None:
    """Colour, alpha and 16 bits are no ids."""
    assert cv2.imwrite(str(tmp_path / "m.png"), pixels)
    with pytest.raises(SourceError, match="wanted a label map with one 8-bit id a pixel"):
        read_label_map(tmp_path / "m.png", classes=9)


def test_label_maps_that_are_no_whole_images_are_refused(tmp_path: Path) -> None:
    """Missing, not an image and cut short: one sentence each."""
    with pytest.raises(SourceError, match="cannot be read"):
        read_label_map(tmp_path / "lost.png", classes=9)
    with pytest.raises(SourceError, match="is no whole image"):
        read_label_map(store(tmp_path / "text.png", "0 0 0"), classes=9)
    whole = cv2.imencode(".png", np.random.default_rng(2).integers(0, 9, (64, 64), np.uint8))[1].tobytes()
    for size in (40, len(whole) // 2, len(whole) - 100):
        with pytest.raises(SourceError, match="is no whole image"):
            read_label_map(store(tmp_path / "cut.png", whole[:size]), classes=9)


def test_a_file_that_is_no_image_is_refused_beside_ultralytics_too(tmp_path: Path) -> None:
    """Ultralytics exchanges Pillow's opener for one that goes to install packages; ours stays what it is."""
    path = tmp_path / "text.png"
    path.write_text("no image", encoding="utf-8")
    code = (
        "import sys, pathlib, ultralytics\n"
        "from streamfuse.errors import SourceError\n"
        "from streamfuse.io.labels import read_label_map\n"
        "try:\n    read_label_map(pathlib.Path(sys.argv[1]), classes=9)\n"
        "except SourceError:\n    sys.exit(3)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 3, done.stderr
