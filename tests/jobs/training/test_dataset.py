"""Reading pairs: which are taken, what they become, and what is said of those that cannot be used."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from streamfuse.config.training import PairFolder
from streamfuse.errors import SourceError
from streamfuse.jobs.training.dataset import Plane, load_pairs
from streamfuse.nets.color import rgb_to_ycrcb


def test_lists_choose_the_pairs(scenes: Path) -> None:
    """Names, exclusions and both ends work on the order by name; equal halves do not overlap."""
    (scenes / "names.txt").write_text("1\n3\n4")

    def names(**choice: object) -> list[str]:
        folder = PairFolder.model_validate({"path": scenes, **choice})
        return [pair.name for pair in load_pairs(folder, min_side=16)]

    assert names() == ["0", "1", "2", "3", "4", "5"]
    assert names(names=scenes / "names.txt") == ["1", "3", "4"]
    assert names(exclude=("0", "5")) == ["1", "2", "3", "4"]
    assert names(skip_last=4) == ["0", "1"]
    assert names(only_last=2) == ["4", "5"]


def test_every_nth_frame_of_a_video_pair_is_taken(tmp_path: Path) -> None:
    """Eight frames at every third are three pairs, from the first frame on, in step."""
    for stream, gain in (("visible", 20), ("infrared", 30)):
        (tmp_path / stream).mkdir()
        writer = cv2.VideoWriter(
            str(tmp_path / stream / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 30, (64, 48)
        )
        for index in range(8):
            writer.write(np.full((48, 64, 3), gain * index, np.uint8))
        writer.release()
    pairs = load_pairs(PairFolder(path=tmp_path, every=3), min_side=16)
    assert [pair.name for pair in pairs] == ["clip#0", "clip#3", "clip#6"]
    for pair, index in zip(pairs, (0, 3, 6), strict=True):
        assert pair.visible.mean() == pytest.approx(20 * index, abs=3)
        assert pair.infrared.mean() == pytest.approx(30 * index, abs=3)


def test_sixteen_bit_infrared_is_stretched_to_eight(scenes: Path) -> None:
    """Thermal counts in a narrow band use the whole range."""
    counts = np.linspace(7000, 7400, 40 * 48).reshape(40, 48).astype(np.uint16)
    cv2.imwrite(str(scenes / "infrared/2.png"), counts)
    infrared = load_pairs(PairFolder(path=scenes), min_side=16)[2].infrared
    assert infrared.dtype == np.uint8
    assert infrared.min() < 10
    assert infrared.max() > 245


def _no_partner(scenes: Path) -> PairFolder:
    (scenes / "infrared/2.png").unlink()
    return PairFolder(path=scenes)


def _unreadable(scenes: Path) -> PairFolder:
    (scenes / "infrared/2.png").write_bytes(b"no image")
    return PairFolder(path=scenes)


def _unreadable_video(scenes: Path) -> PairFolder:
    for stream in ("visible", "infrared"):
        (scenes / stream / "clip.mp4").write_bytes(b"no video")
    return PairFolder(path=scenes)


def _other_size(scenes: Path) -> PairFolder:
    cv2.imwrite(str(scenes / "infrared/2.png"), np.zeros((40, 50), np.uint8))
    return PairFolder(path=scenes)


def _stem_twice(scenes: Path) -> PairFolder:
    (scenes / "visible/2.png").write_bytes((scenes / "visible/2.bmp").read_bytes())
    return PairFolder(path=scenes)


def _unknown_name(scenes: Path) -> PairFolder:
    (scenes / "names.txt").write_text("nobody")
    return PairFolder(path=scenes, names=scenes / "names.txt")


def _missing_list(scenes: Path) -> PairFolder:
    return PairFolder(path=scenes, names=scenes / "names.txt")


def _missing_folder(scenes: Path) -> PairFolder:
    return PairFolder(path=scenes / "nowhere")


def _nothing_left(scenes: Path) -> PairFolder:
    return PairFolder(path=scenes, skip_last=6)


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (_no_partner, r"2\.bmp has no partner"),
        (_stem_twice, r"2\.bmp and 2\.png have one stem"),
        (_unreadable, r"2\.png: is no whole image"),
        (_unreadable_video, r"clip\.mp4"),
        (_other_size, "2: visible is 48x40 but infrared is 50x40"),
        (_unknown_name, "lists 'nobody', which is not in"),
        (_missing_list, r"cannot read the list of names .*names\.txt: No such file"),
        (_missing_folder, "visible is no folder"),
        (_nothing_left, "no pairs are left"),
    ],
)
def test_wrong_training_data_is_answered_with_what_and_where(
    scenes: Path, make: object, complaint: str
) -> None:
    """Each mistake is one sentence that names the file."""
    assert callable(make)
    with pytest.raises(SourceError, match=complaint):
        load_pairs(make(scenes), min_side=16)


def test_pairs_smaller_than_the_crop_are_refused(scenes: Path) -> None:
    """The error names the pair, its size and the key to change."""
    with pytest.raises(SourceError, match="0 is 48x40, but crops are 41 px; lower `crop`"):
        load_pairs(PairFolder(path=scenes), min_side=41)


def test_labelled_pairs_keep_their_colour(scenes: Path) -> None:
    """Luma, Cr and Cb together give the visible image back, to the rounding of 8 bits."""

    def labeller(stem: str, visible: Plane, infrared: Plane) -> Plane:
        assert visible.shape == (40, 48, 3)
        return np.full(infrared.shape, int(stem), np.uint8)

    pair = load_pairs(PairFolder(path=scenes), min_side=16, labeller=labeller)[3]
    assert pair.labels is not None
    assert pair.chroma is not None
    assert (pair.labels == 3).all()
    rgb = cv2.cvtColor(cv2.imread(str(scenes / "visible/3.bmp")), cv2.COLOR_BGR2RGB)
    _, cr, cb = rgb_to_ycrcb(torch.from_numpy(rgb).movedim(2, 0)[None] / 255)
    exact = torch.cat((cr, cb), dim=1)[0] - 0.5
    np.testing.assert_allclose((pair.chroma - 128.0) / 255, exact, atol=0.51 / 255)


def test_labels_of_another_size_are_refused(scenes: Path) -> None:
    """The error names the pair and both sizes."""
    with pytest.raises(SourceError, match="0: the label map is 20x10 but the images are 48x40"):
        load_pairs(PairFolder(path=scenes), min_side=16, labeller=lambda *_: np.zeros((10, 20), np.uint8))


def test_labels_of_a_video_are_refused(scenes: Path) -> None:
    """Labels belong to stills; the error says where to put the video."""
    for stream in ("visible", "infrared"):
        (scenes / stream / "clip.mp4").write_bytes(b"not looked at")
    with pytest.raises(SourceError, match=r"clip\.mp4 is a video, but labels belong to stills"):
        load_pairs(PairFolder(path=scenes), min_side=16, labeller=lambda *_: np.zeros((40, 48), np.uint8))
