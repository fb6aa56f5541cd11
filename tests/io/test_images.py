"""Still images: reading, writing, order and partners."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfuse.errors import OutputError, SourceError
from streamfuse.frames import ColorRange, Image, ImageSpec, PixelFormat, StreamName
from streamfuse.io.images import (
    ImageFolderSource,
    list_images,
    match_stems,
    read_gray,
    read_image,
    write_png,
)

RNG = np.random.default_rng(5)
GRAY = RNG.integers(0, 256, (7, 9), dtype=np.uint8)
DEEP = RNG.integers(0, 65536, (7, 9), dtype=np.uint16)
RGB = RNG.integers(0, 256, (7, 9, 3), dtype=np.uint8)


def store(path: Path, pixels: npt.NDArray[np.uint8 | np.uint16 | np.float32]) -> Path:
    """Write with OpenCV (B, G, R order), as other programs would."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)
    return path


def fill(folder: Path, *names: str, size_wh: tuple[int, int] = (9, 7)) -> Path:
    """A folder of grey images whose first sample is their number in ``names``."""
    for number, name in enumerate(names):
        store(folder / name, np.full(size_wh[::-1], number, np.uint8))
    return folder


def test_images_come_as_they_are_stored(tmp_path: Path) -> None:
    """Grey, 16-bit grey and RGB keep their samples; RGB comes in the order R, G, B, of any size."""
    gray = read_image(store(tmp_path / "g.png", GRAY))
    deep = read_image(store(tmp_path / "d.png", DEEP))
    rgb = read_image(store(tmp_path / "c.png", RGB[..., ::-1]))
    assert [image.spec.format for image in (gray, deep, rgb)] == [
        PixelFormat.GRAY8,
        PixelFormat.GRAY16,
        PixelFormat.RGB24,
    ]
    for image, expected in ((gray, GRAY), (deep, DEEP), (rgb, RGB)):
        np.testing.assert_array_equal(image.planes[0], expected)
        assert image.spec.range is ColorRange.FULL


def test_gray_stored_as_rgb_reads_as_the_same_gray(tmp_path: Path) -> None:
    """Infrared images are often grey in three equal channels: reading them as grey changes nothing."""
    path = store(tmp_path / "i.png", np.repeat(GRAY[..., None], 3, axis=2))
    np.testing.assert_array_equal(read_gray(path).planes[0], GRAY)
    assert read_image(path).spec.format is PixelFormat.RGB24


def test_deep_gray_keeps_its_counts_when_read_as_gray(tmp_path: Path) -> None:
    """Sixteen bits stay sixteen bits."""
    image = read_gray(store(tmp_path / "i.tiff", DEEP))
    assert image.spec.format is PixelFormat.GRAY16
    np.testing.assert_array_equal(image.planes[0], DEEP)


def test_gray_of_colour_is_its_luma(tmp_path: Path) -> None:
    """Colour read as grey has the weights of BT.601, as in OpenCV and PIL."""
    luma = read_gray(store(tmp_path / "c.png", RGB[..., ::-1])).planes[0]
    np.testing.assert_allclose(luma, RGB @ [0.299, 0.587, 0.114], atol=1)


@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_is_refused_with_the_way_out(tmp_path: Path, channels: int) -> None:
    """What lies under alpha is a guess; the message has the command that removes it."""
    pixels = np.zeros((4, 4, 4), np.uint8) if channels == 4 else np.zeros((4, 4, 3), np.uint16)
    path = store(tmp_path / "x.png", pixels)
    with pytest.raises(SourceError, match=r"x\.png: has . channels of uint.*ffmpeg -i x\.png"):
        read_image(path)


@pytest.mark.parametrize("name", ["x.png", "x.jpg"])
@pytest.mark.parametrize("read", [read_image, read_gray])
def test_a_cut_image_is_refused(tmp_path: Path, name: str, read: Callable[[Path], Image]) -> None:
    """Half a file is no image, not one whose rest is grey."""
    path = store(tmp_path / name, RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8))
    path.write_bytes(path.read_bytes()[:-800])
    with pytest.raises(SourceError, match="is no whole image"):
        read(path)


@pytest.mark.parametrize("content", [b"", b"not an image at all"])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    """Nothing and text are told as no image, a missing file as unreadable."""
    path = tmp_path / "x.png"
    with pytest.raises(SourceError, match="cannot be read"):
        read_image(path)
    path.write_bytes(content)
    with pytest.raises(SourceError, match="is no whole image"):
        read_image(path)


def test_float_images_are_refused(tmp_path: Path) -> None:
    """Samples that are not 8 or 16 bits have no meaning here."""
    path = store(tmp_path / "x.tiff", np.zeros((4, 4), np.float32))
    with pytest.raises(SourceError, match="samples of float32"):
        read_image(path)


@pytest.mark.parametrize("pixels", [GRAY, DEEP, RGB])
def test_png_round_trip(tmp_path: Path, pixels: npt.NDArray[np.uint8]) -> None:
    """What is written as PNG is read back exactly, and no part file stays."""
    image = Image.from_rgb(pixels) if pixels.ndim == 3 else Image.from_gray(pixels)
    write_png(tmp_path / "x.png", image)
    back = read_image(tmp_path / "x.png")
    assert back.spec == image.spec
    np.testing.assert_array_equal(back.planes[0], pixels)
    assert os.listdir(tmp_path) == ["x.png"]  # noqa: PTH208 - names are compared


def test_png_does_not_take_4_2_0() -> None:
    """A caller that has video planes must say how they become RGB."""
    spec = ImageSpec(format=PixelFormat.YUV420P, size_wh=(4, 4))
    with pytest.raises(ValueError, match="got yuv420p"):
        write_png(Path("x.png"), Image.from_buffer(spec, bytes(spec.nbytes)))


def test_png_into_a_missing_folder_is_told(tmp_path: Path) -> None:
    """The message has path and cause."""
    with pytest.raises(OutputError, match=r"gone/x\.png: cannot be written \(No such file"):
        write_png(tmp_path / "gone/x.png", Image.from_gray(GRAY))


def test_natural_order(tmp_path: Path) -> None:
    """Numbers in names count as numbers; hidden and other files are left out."""
    fill(tmp_path, "10.png", "2.png", "1.PNG", "frame9.png", "frame10.png")
    (tmp_path / ".hidden.png").touch()
    (tmp_path / "notes.txt").touch()
    assert [path.name for path in list_images(tmp_path)] == [
        "1.PNG",
        "2.png",
        "10.png",
        "frame9.png",
        "frame10.png",
    ]


@given(numbers=st.lists(st.integers(0, 10**12), min_size=1, max_size=20, unique=True))
def test_numbers_sort_by_value(tmp_path_factory: pytest.TempPathFactory, numbers: list[int]) -> None:
    """However many digits, frame numbers come in their order."""
    folder = tmp_path_factory.mktemp("images")
    for number in numbers:
        (folder / f"f{number}.png").touch()
    assert [int(path.stem[1:]) for path in list_images(folder)] == sorted(numbers)


def test_a_folder_without_images_is_told(tmp_path: Path) -> None:
    """Empty and missing folders are errors, not empty streams."""
    with pytest.raises(SourceError, match="holds no image"):
        list_images(tmp_path)
    with pytest.raises(SourceError, match="cannot be listed"):
        list_images(tmp_path / "gone")


def test_partners_are_matched_by_stem(tmp_path: Path) -> None:
    """Suffixes may differ; what has no partner is named on its side."""
    visible = fill(tmp_path / "v", "10.jpg", "2.jpg", "7.jpg")
    infrared = fill(tmp_path / "i", "2.png", "10.png", "8.png")
    match = match_stems(visible, infrared)
    assert match.stems == ("2", "10")
    assert match.pairs[0] == (visible / "2.jpg", infrared / "2.png")
    assert (match.only_visible, match.only_infrared) == (("7",), ("8",))


def test_no_common_stem_shows_both_sides(tmp_path: Path) -> None:
    """The message lets the user see how the names differ."""
    visible = fill(tmp_path / "v", "vis_1.png", "vis_2.png", "vis_3.png")
    infrared = fill(tmp_path / "i", "ir_1.png", "ir_2.png")
    with pytest.raises(SourceError, match=r"vis_1\.png, vis_2\.png against ir_1\.png, ir_2\.png"):
        match_stems(visible, infrared)


def test_one_stem_twice_is_refused(tmp_path: Path) -> None:
    """Two files for one partner would be a silent choice."""
    both = fill(tmp_path / "v", "1.png", "1.jpg")
    with pytest.raises(SourceError, match="have one stem"):
        match_stems(both, fill(tmp_path / "i", "1.png"))


def test_folder_source_plays_in_order_at_its_rate(tmp_path: Path) -> None:
    """Images come in natural order, i / fps seconds after the first."""
    source = ImageFolderSource(
        fill(tmp_path, "2.png", "10.png", "1.png"), stream=StreamName.INFRARED, fps=8.0
    )
    assert (source.info.frame_count, source.info.fps, source.info.live) == (3, 8.0, False)
    frames = list(iter(source.read, None))
    assert [int(frame.image.planes[0][0, 0]) for frame in frames if frame] == [2, 0, 1]
    assert [frame.pts_ns for frame in frames if frame] == [0, 125_000_000, 250_000_000]
    assert source.read() is None
    source.close()


def test_folder_source_reads_infrared_as_gray(tmp_path: Path) -> None:
    """The same colour file is RGB in the visible stream and grey in the infrared one."""
    store(tmp_path / "1.png", RGB)
    forms = [ImageFolderSource(tmp_path, stream=stream).info.spec.format for stream in StreamName]
    assert forms == [PixelFormat.RGB24, PixelFormat.GRAY8]


def test_folder_source_takes_only_the_stems_it_is_given(tmp_path: Path) -> None:
    """A run reads what has a partner, and tells a stem that is not there."""
    folder = fill(tmp_path, "a.png", "b.png", "c.png")
    source = ImageFolderSource(folder, stream=StreamName.VISIBLE, stems=("a", "c"))
    source.skip(1)
    frame = source.read()
    assert frame is not None
    assert int(frame.image.planes[0][0, 0]) == 2
    assert frame.pts_ns == 40_000_000
    with pytest.raises(SourceError, match=r"visible: .*: holds no image z"):
        ImageFolderSource(folder, stream=StreamName.VISIBLE, stems=("a", "z"))


def test_folder_source_names_the_first_image_that_differs(tmp_path: Path) -> None:
    """One stream has one size."""
    fill(tmp_path, "1.png", "2.png")
    store(tmp_path / "3.png", np.zeros((5, 6), np.uint8))
    source = ImageFolderSource(tmp_path, stream=StreamName.VISIBLE)
    source.skip(2)
    with pytest.raises(SourceError, match=r"3\.png is 6x5 gray8, but 1\.png is 9x7 gray8"):
        source.read()


def test_skip_is_within_reason(tmp_path: Path) -> None:
    """Past the end there is nothing, before the start there is a mistake."""
    source = ImageFolderSource(fill(tmp_path, "1.png"), stream=StreamName.VISIBLE)
    source.skip(5)
    assert source.read() is None
    with pytest.raises(ValueError, match="must not be negative"):
        source.skip(-1)


def test_real_infrared_images_are_gray(data_dir: Path) -> None:
    """MSRS stores infrared in one form or another; as grey it agrees with OpenCV."""
    match = match_stems(data_dir / "msrs/visible", data_dir / "msrs/infrared")
    assert len(match.pairs) == 235
    assert not match.only_visible
    for _, path in match.pairs[:3]:
        expected = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        assert expected is not None
        np.testing.assert_array_equal(read_gray(path).planes[0], expected)
