"""A video on the engine: what steady mode remembers, and what it does not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pytest

from streamfuse.core.convert import image_to_rgb
from streamfuse.engine.fusion import FusionEngine, Mode, Pair
from streamfuse.engine.video import VideoFusion, VideoPairs, fuse_together
from streamfuse.frames import ColorRange, Image, ImageSpec, PixelFormat

FRAME_NS = 33_333_333
SIZE_WH = (64, 48)
FORMS = [
    ImageSpec(format=PixelFormat.YUV420P, size_wh=SIZE_WH, range=ColorRange.LIMITED),
    ImageSpec(format=PixelFormat.YUV420P, size_wh=SIZE_WH),
    ImageSpec(format=PixelFormat.RGB24, size_wh=SIZE_WH),
    ImageSpec(format=PixelFormat.GRAY8, size_wh=SIZE_WH),
]


@pytest.fixture(scope="module")
def engine() -> Iterator[FusionEngine]:
    """The shipped network in float32."""
    with FusionEngine.load(backend="openvino", precision="float32") as engine:
        yield engine


def plane(low: int, high: int, *, seed: int = 4, shape: tuple[int, ...] = (48, 64)) -> npt.NDArray[np.uint8]:
    """Soft random patches between two levels; the same seed gives the same patches."""
    patches = np.random.default_rng(seed).uniform(low, high, (shape[0] // 8, shape[1] // 8))
    return np.kron(patches, np.ones((8, 8))).astype(np.uint8)


def pair(low: int, high: int, *, spec: ImageSpec = FORMS[0], seed: int = 4) -> Pair:
    """A visible image of some form, and an infrared one, between two levels."""
    luma = plane(low, high, seed=seed)
    colour = (plane(120, 136, seed=8, shape=(24, 32)), plane(120, 136, seed=9, shape=(24, 32)))
    planes = {
        PixelFormat.YUV420P: (luma, *colour),
        PixelFormat.RGB24: (np.stack((luma, luma // 2 + 40, luma), axis=2),),
        PixelFormat.GRAY8: (luma,),
    }[spec.format]
    return Image(spec, planes), Image.from_gray(plane(low, high, seed=seed + 1))


def breathing(count: int = 9) -> list[Pair]:
    """A scene whose darkest patch is darker in every other frame."""
    return [pair(60 + 25 * (number % 2), 170) for number in range(count)]


def times_ns(pairs: Sequence[Pair]) -> list[int]:
    """Of 30 frames per second."""
    return [number * FRAME_NS for number in range(len(pairs))]


def span(image: Image) -> int:
    """Levels from the darkest to the brightest."""
    return int(np.ptp(image_to_rgb(image)))


@pytest.mark.parametrize("spec", FORMS, ids=str)
def test_every_form_gets_full_contrast_and_keeps_its_form(engine: FusionEngine, spec: ImageSpec) -> None:
    """The first frame of a video, and any still, is stretched by its own extremes, colours with it."""
    flat = pair(90, 160, spec=spec)
    (plain,) = engine.fuse_images([flat])
    (still,) = engine.fuse_images([flat], Mode.STEADY)
    (first,) = VideoFusion(engine, Mode.STEADY).fuse([flat], [0])
    assert still.spec == first.spec == spec
    assert span(plain) < 130
    assert span(still) >= 247
    for ours, other in zip(still.planes, first.planes, strict=True):
        np.testing.assert_array_equal(ours, other)
    if spec.format is PixelFormat.YUV420P:
        assert np.ptp(still.planes[1]) > np.ptp(flat[0].planes[1])


def test_stills_are_scenes_of_their_own(engine: FusionEngine) -> None:
    """What an image gets does not depend on the images beside it."""
    pairs = [pair(90, 160), pair(20, 240, seed=6), pair(90, 160)]
    together = engine.fuse_images(pairs, Mode.STEADY)
    for one, fused in zip(pairs, together, strict=True):
        (alone,) = engine.fuse_images([one], Mode.STEADY)
        np.testing.assert_array_equal(fused.planes[0], alone.planes[0])


def test_a_video_keeps_its_contrast_and_does_not_breathe(engine: FusionEngine) -> None:
    """Stills that are stretched alone pump from frame to frame; the video changes as its sources do."""
    pairs = breathing()
    means = {
        "stream": [image.planes[0].mean() for image in engine.fuse_images(pairs)],
        "stills": [image.planes[0].mean() for image in engine.fuse_images(pairs, Mode.STEADY)],
        "video": [i.planes[0].mean() for i in VideoFusion(engine, Mode.STEADY).fuse(pairs, times_ns(pairs))],
    }
    gain = span(engine.fuse_images(pairs[:1], Mode.STEADY)[0]) / span(engine.fuse_images(pairs[:1])[0])
    source, stills, video = (np.abs(np.diff(means[name])).mean() for name in ("stream", "stills", "video"))
    assert video == pytest.approx(source * gain, rel=0.15)
    assert abs(stills - source * gain) > 0.3 * source * gain


def test_batches_make_no_difference(engine: FusionEngine) -> None:
    """Frame by frame or many at once, the state passes through them in order."""
    pairs = breathing()
    times = times_ns(pairs)
    at_once = VideoFusion(engine, Mode.STEADY).fuse(pairs, times)
    video = VideoFusion(engine, Mode.STEADY)
    one_by_one = [video.fuse([one], [now])[0] for one, now in zip(pairs, times, strict=True)]
    for a, b in zip(at_once, one_by_one, strict=True):
        np.testing.assert_array_equal(a.planes[0], b.planes[0])
    assert video.fuse([], []) == []


def test_a_new_video_begins_afresh(engine: FusionEngine) -> None:
    """What one video did is unknown to the next on the same engine."""
    VideoFusion(engine, Mode.STEADY).fuse([pair(0, 255)], [0])
    (first,) = VideoFusion(engine, Mode.STEADY).fuse([pair(90, 160)], [FRAME_NS])
    assert span(first) >= 247


def test_a_frame_without_infrared_passes_and_is_not_followed(engine: FusionEngine) -> None:
    """The visible image returns as it is, and the video goes on as if it had not been there."""
    pairs = [pair(60, 170), (pair(0, 255, seed=30)[0], None), pair(60, 170)]
    fused = VideoFusion(engine, Mode.STEADY).fuse(pairs, times_ns(pairs))
    assert fused[1] is pairs[1][0]
    np.testing.assert_array_equal(fused[2].planes[0], fused[0].planes[0])


@pytest.mark.parametrize("mode", [Mode.STREAM, Mode.REFERENCE])
def test_other_modes_remember_nothing(engine: FusionEngine, mode: Mode) -> None:
    """A video is then its images."""
    pairs = breathing(3)
    images = engine.fuse_images(pairs, mode)
    for a, b in zip(VideoFusion(engine, mode).fuse(pairs, times_ns(pairs)), images, strict=True):
        np.testing.assert_array_equal(a.planes[0], b.planes[0])


def test_every_pair_needs_its_time(engine: FusionEngine) -> None:
    """Got and expected."""
    with pytest.raises(ValueError, match="a time for each of 2 pairs, got 1"):
        VideoFusion(engine, Mode.STEADY).fuse(breathing(2), [0])


@pytest.mark.parametrize("spec", FORMS, ids=str)
def test_warming_up_changes_nothing_of_what_follows(engine: FusionEngine, spec: ImageSpec) -> None:
    """The blank image of the warm-up is no frame of the video."""
    warmed, cold = (VideoFusion(engine, Mode.STEADY) for _ in range(2))
    warmed.warm_up(spec)
    pairs = [pair(60, 170, spec=spec)]
    for first, second in zip(warmed.fuse(pairs, [0]), cold.fuse(pairs, [0]), strict=True):
        for of_first, of_second in zip(first.planes, second.planes, strict=True):
            np.testing.assert_array_equal(of_first, of_second)


def test_videos_that_share_an_engine_come_out_as_each_alone(engine: FusionEngine) -> None:
    """One batch for the network, and the stretch of each video by its own scene."""
    videos = {"dim": breathing(4), "bright": [pair(120, 250) for _ in range(3)]}
    alone = {
        name: VideoFusion(engine, Mode.STEADY).fuse(pairs, times_ns(pairs)) for name, pairs in videos.items()
    }
    parts = [
        VideoPairs(VideoFusion(engine, Mode.STEADY), pairs, times_ns(pairs)) for pairs in videos.values()
    ]
    for (name, images), together in zip(alone.items(), fuse_together(parts), strict=True):
        for one, other in zip(images, together, strict=True):
            np.testing.assert_array_equal(one.planes[0], other.planes[0], err_msg=name)


def test_videos_of_different_modes_are_not_fused_together(engine: FusionEngine) -> None:
    """What the network is to do differs."""
    parts = [
        VideoPairs(VideoFusion(engine, mode), breathing(1), [0]) for mode in (Mode.STREAM, Mode.REFERENCE)
    ]
    with pytest.raises(ValueError, match="expected videos of one engine and mode, got 2"):
        fuse_together(parts)
