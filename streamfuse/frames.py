"""Images, frames and pairs: what travels through streamfuse.

An :class:`Image` keeps the form it was decoded in. Video stays planar YUV 4:2:0 from the decoder
to the encoder, because the fusion network works on luma alone and passes chroma through; RGB
images stay RGB. The meaning of the numbers (range, matrix) travels with them in :class:`ImageSpec`.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import cast

import numpy as np
import numpy.typing as npt

__all__ = [
    "ClassArea",
    "ColorMatrix",
    "ColorRange",
    "Count",
    "CountKind",
    "Detection",
    "DropCause",
    "Frame",
    "FramePair",
    "FusedFrame",
    "Image",
    "ImageSpec",
    "PairState",
    "PixelFormat",
    "StreamName",
    "Temperature",
]

Plane = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


class StreamName(enum.StrEnum):
    """The two streams of a pair."""

    VISIBLE = "visible"
    INFRARED = "infrared"

    @property
    def other(self) -> StreamName:
        """The stream on the other side of the pair."""
        return StreamName.INFRARED if self is StreamName.VISIBLE else StreamName.VISIBLE


class PixelFormat(enum.StrEnum):
    """How the samples of an image are laid out in memory."""

    GRAY8 = "gray8"
    """One plane HxW uint8."""
    GRAY16 = "gray16"
    """One plane HxW uint16, native byte order (raw thermal counts)."""
    YUV420P = "yuv420p"
    """Planes Y HxW, U and V (H/2)x(W/2), uint8; sides are even."""
    RGB24 = "rgb24"
    """One plane HxWx3 uint8 in the order R, G, B."""


class ColorRange(enum.StrEnum):
    """Which codes black and white have in a luma plane."""

    LIMITED = "limited"
    """Luma 16..235, chroma 16..240 (video)."""
    FULL = "full"
    """0..255 (stills, thermal, RGB)."""


class ColorMatrix(enum.StrEnum):
    """Which weights of R, G and B make luma."""

    BT601 = "bt601"
    BT709 = "bt709"


class PairState(enum.StrEnum):
    """What a pair is made of."""

    MATCHED = "matched"
    """Both frames, close in time."""
    HELD = "held"
    """The visible frame with an older infrared frame, shown on while the camera is silent."""
    VISIBLE_ONLY = "visible_only"
    INFRARED_ONLY = "infrared_only"


class Layer(enum.StrEnum):
    """Images that travel beside the fused one, for those who show or keep them."""

    VISIBLE = "visible"
    """The visible image that was fused."""
    INFRARED = "infrared"
    """The infrared image as it was fused: registered to the visible one, GRAY8."""
    RAW_INFRARED = "raw_infrared"
    """The samples of the infrared camera, in its own geometry."""


class EventPhase(enum.StrEnum):
    """Where an event stands in one frame."""

    BEGUN = "begun"
    GOING = "going"
    ENDED = "ended"


class DropCause(enum.StrEnum):
    """Why a captured frame was not emitted. Nothing is dropped without one of these."""

    SKIPPED = "skipped"
    """The source could not be read as fast as it runs, and went on at the present (``realtime``)."""
    CORRUPT = "corrupt"
    """It arrived damaged, or leant on a damaged one, and could not be decoded."""
    NETWORK = "network"
    """A capture node on another machine took it, but it was dropped there or lost on the way."""
    SUPERSEDED = "superseded"
    """A newer frame was ready before the consumer took this one (``realtime``)."""
    ENGINE_BUSY = "engine_busy"
    """Its pair was replaced by a newer pair before the engine was free (``realtime``)."""
    UNPAIRED = "unpaired"
    """No frame of the other stream wanted it."""
    LATE = "late"
    """It arrived after its moment had been decided."""
    FROZEN = "frozen"
    """A repeat of the last image: the camera is frozen (thermal shutter)."""
    OVERRUN = "overrun"
    """Its slot was overwritten while it was read; the torn frame was thrown away."""
    WORKER_LOST = "worker_lost"
    """The process that held it died."""
    STOPPED = "stopped"
    """The run was stopped before its turn came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSpec:
    """Everything about an image but its samples.

    Raises:
        ValueError: a side is below 1, or odd for 4:2:0, or a range or matrix makes no sense.
    """

    format: PixelFormat
    size_wh: tuple[int, int]
    """Width and height in pixels."""
    range: ColorRange = ColorRange.FULL
    matrix: ColorMatrix = ColorMatrix.BT601

    def __post_init__(self) -> None:
        width, height = self.size_wh
        if width < 1 or height < 1:
            raise ValueError(f"image sides must be at least 1 pixel, got {width}x{height}")
        if self.format is PixelFormat.YUV420P and (width % 2 or height % 2):
            raise ValueError(f"4:2:0 images need even sides, got {width}x{height}")
        if self.range is ColorRange.LIMITED and self.format in {PixelFormat.RGB24, PixelFormat.GRAY16}:
            raise ValueError(f"{self.format} images are full range, got {self.range}")

    @property
    def plane_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Array shape of each plane, rows first."""
        width, height = self.size_wh
        if self.format is PixelFormat.YUV420P:
            chroma = (height // 2, width // 2)
            return ((height, width), chroma, chroma)
        if self.format is PixelFormat.RGB24:
            return ((height, width, 3),)
        return ((height, width),)

    @property
    def dtype(self) -> np.dtype[np.uint8] | np.dtype[np.uint16]:
        """Sample type of every plane."""
        return np.dtype(np.uint16) if self.format is PixelFormat.GRAY16 else np.dtype(np.uint8)

    @property
    def nbytes(self) -> int:
        """Bytes of all planes back to back."""
        return sum(math.prod(shape) for shape in self.plane_shapes) * self.dtype.itemsize


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """Samples with their meaning. The planes may be views of memory that somebody else owns.

    Raises:
        ValueError: planes that do not have the shapes or the dtype of ``spec``.
    """

    spec: ImageSpec
    planes: tuple[Plane, ...]

    def __post_init__(self) -> None:
        shapes = tuple(plane.shape for plane in self.planes)
        if shapes != self.spec.plane_shapes:
            raise ValueError(f"{self.spec.format} planes must be {self.spec.plane_shapes}, got {shapes}")
        wrong = [plane.dtype for plane in self.planes if plane.dtype != self.spec.dtype]
        if wrong:
            raise ValueError(f"{self.spec.format} samples must be {self.spec.dtype}, got {wrong[0]}")

    def __repr__(self) -> str:
        width, height = self.spec.size_wh
        return f"Image({self.spec.format} {width}x{height} {self.spec.range} {self.spec.matrix})"

    @classmethod
    def from_rgb(cls, rgb: npt.NDArray[np.uint8]) -> Image:
        """Wrap an HxWx3 uint8 array in the order R, G, B; the samples are not copied."""
        height, width = rgb.shape[:2]
        return cls(ImageSpec(format=PixelFormat.RGB24, size_wh=(width, height)), (rgb,))

    @classmethod
    def from_gray(cls, gray: Plane) -> Image:
        """Wrap an HxW uint8 or uint16 array, full range; the samples are not copied."""
        height, width = gray.shape[:2]
        kind = PixelFormat.GRAY16 if gray.dtype == np.uint16 else PixelFormat.GRAY8
        return cls(ImageSpec(format=kind, size_wh=(width, height)), (gray,))

    @classmethod
    def from_buffer(cls, spec: ImageSpec, buffer: memoryview | bytes | bytearray) -> Image:
        """View the planes of ``spec`` that lie back to back at the start of ``buffer``."""
        planes: list[Plane] = []
        offset = 0
        for shape in spec.plane_shapes:
            count = math.prod(shape)
            flat = cast("Plane", np.frombuffer(buffer, spec.dtype, count, offset))
            planes.append(flat.reshape(shape))
            offset += count * spec.dtype.itemsize
        return cls(spec, tuple(planes))

    def copy_into(self, buffer: memoryview | bytearray) -> None:
        """Write all planes back to back at the start of a writable ``buffer``."""
        for target, plane in zip(Image.from_buffer(self.spec, buffer).planes, self.planes, strict=True):
            np.copyto(target, plane)

    def copy(self) -> Image:
        """The same image in memory of its own."""
        return Image(self.spec, tuple(plane.copy() for plane in self.planes))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frame:
    """One image of one stream, with its times."""

    stream: StreamName
    seq: int
    """Running number in its stream, from 0; restarts of the camera do not reset it."""
    image: Image
    pts_ns: int
    """Time in the source's own clock (for a file: since its start)."""
    capture_ns: int
    """Monotonic time at which the scene was seen, by the best clock there is."""
    arrival_ns: int
    """Monotonic time at which the frame entered streamfuse."""

    def __post_init__(self) -> None:
        if self.seq < 0:
            raise ValueError(f"frame number must not be negative, got {self.seq}")


_NEEDS: Mapping[PairState, tuple[bool, bool]] = MappingProxyType(
    {
        PairState.MATCHED: (True, True),
        PairState.HELD: (True, True),
        PairState.VISIBLE_ONLY: (True, False),
        PairState.INFRARED_ONLY: (False, True),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FramePair:
    """What the two cameras saw of one moment: the unit of everything downstream.

    Raises:
        ValueError: the frames present are not those that ``state`` names.
    """

    pair_id: int
    state: PairState
    visible: Frame | None
    infrared: Frame | None
    skew_ms: float | None
    """Infrared capture time minus visible capture time, offset applied; None when one is missing."""
    infrared_age_ms: float | None
    """Age of the infrared frame at the moment of the pair, never negative; None when missing."""
    timed_by: StreamName = StreamName.VISIBLE
    """The stream that gives the pair its moment, where both are there."""

    def __post_init__(self) -> None:
        present = (self.visible is not None, self.infrared is not None)
        if present != _NEEDS[self.state]:
            raise ValueError(
                f"a {self.state} pair needs (visible, infrared) = {_NEEDS[self.state]}, got {present}"
            )

    @property
    def base(self) -> Frame:
        """The frame that gives the pair its time."""
        frames = (self.visible, self.infrared)
        first, second = frames if self.timed_by is StreamName.VISIBLE else frames[::-1]
        frame = first or second
        assert frame is not None  # held by __post_init__
        return frame


@dataclass(frozen=True, slots=True, kw_only=True)
class Temperature:
    """How hot the pixels of an object are, in °C.

    Raises:
        ValueError: the three do not rise, or are not numbers.
    """

    min_c: float
    mean_c: float
    max_c: float

    def __post_init__(self) -> None:
        rising = self.min_c <= self.mean_c + _ROUNDING_C and self.mean_c <= self.max_c + _ROUNDING_C
        if not (rising and math.isfinite(self.min_c) and math.isfinite(self.max_c)):
            raise ValueError(f"temperatures must rise: {self.min_c}, {self.mean_c}, {self.max_c}")


_ROUNDING_C = 1e-6
"""°C by which a mean of equal values may be off them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """One object found in a fused image."""

    box_xyxy: tuple[float, float, float, float]
    """Left, top, right, bottom in pixels of the fused image."""
    class_id: int
    class_name: str
    confidence: float
    """0..1."""
    track_id: int | None = None
    """The same for one object as long as it is followed; from 1."""
    is_predicted: bool = False
    """Not seen in this image: where a track will have moved to since (``every``)."""
    box_visible_xyxy: tuple[float, float, float, float] | None = None
    """The box in pixels of the visible camera's own image; None: the fused image has the same pixels."""
    box_infrared_xyxy: tuple[float, float, float, float] | None = None
    """The box in pixels of the infrared camera's own image; None where it is not known."""
    mask_rle: tuple[int, ...] | None = None
    """Run lengths over the row-major fused image, starting with background; None without a mask."""
    temperature_c: Temperature | None = None
    """Within the mask, or else the box; None where the infrared camera is not radiometric or not there."""

    def __post_init__(self) -> None:
        left, top, right, bottom = self.box_xyxy
        if right < left or bottom < top:
            raise ValueError(f"box must be left, top, right, bottom; got {self.box_xyxy}")
        if not 0.0 <= self.confidence <= 1.0:
            raise ValueError(f"confidence must be within 0..1, got {self.confidence}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that a rule of the pipeline looks for, as one frame shows it.

    A sink may miss the frame in which it begins or ends: an event is new when its ``id`` is, and over
    when it has ``ended`` or is not there any more.
    """

    id: str
    """Unlike that of any other event; letters, digits, dot, dash and underscore, so it can be a file name."""
    rule: str
    """Name of the rule."""
    phase: EventPhase
    began_ns: int
    """Monotonic capture time of the first frame that showed it."""
    objects: int
    """How many objects of the frame count for it."""
    shift_px: tuple[float, float] | None = None
    """Of a bumped bracket: how far the infrared image has to move to the right and down to fit, in pixels of
    the visible camera."""

    def __post_init__(self) -> None:
        if self.objects < 0:
            raise ValueError(f"objects must not be negative, got {self.objects}")


class CountKind(enum.StrEnum):
    """What a rule counts at."""

    LINE = "line"
    ZONE = "zone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """What a rule of the pipeline has counted up to a frame, since the run or the rule began.

    Raises:
        ValueError: a count below zero.
    """

    rule: str
    """Name of the rule."""
    kind: CountKind
    points: tuple[tuple[float, float], ...] = ()
    """Ends of the line or corners of the zone, x and y as shares of the picture: what is drawn of it."""
    forward: int = 0
    """Tracks that crossed the line from its left to its right."""
    backward: int = 0
    inside: int = 0
    """Tracks that are in the zone now."""
    entered: int = 0
    """Tracks that came into the zone or began there."""
    left: int = 0
    """Tracks that went out of the zone or ended there."""
    longest_s: float = 0.0
    """Seconds for which the track that is there longest has been in the zone."""

    def __post_init__(self) -> None:
        numbers = (self.forward, self.backward, self.inside, self.entered, self.left, self.longest_s)
        if min(numbers) < 0:
            raise ValueError(f"counts must not be negative, got {numbers}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassArea:
    """Where one class of a semantic segmentation is."""

    class_name: str
    share: float
    """Of the image's pixels, 0..1."""
    mask_rle: tuple[int, ...]
    """As that of a :class:`Detection`."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.share <= 1.0:
            raise ValueError(f"share must be within 0..1, got {self.share}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FusedFrame:
    """A fused image with the story of its pair, as the sinks get it."""

    pair_id: int
    state: PairState
    image: Image
    """YUV420P when the visible stream is video, RGB24 when it is RGB images."""
    capture_ns: int
    """Monotonic capture time of the pair's base frame."""
    fused_ns: int
    """Monotonic time at which the frame was handed to the sinks."""
    skew_ms: float | None
    infrared_age_ms: float | None
    visible_seq: int | None
    infrared_seq: int | None
    detections: tuple[Detection, ...] = ()
    events: tuple[Event, ...] = ()
    """What the pipeline's rules say of this frame."""
    counts: tuple[Count, ...] = ()
    """What the rules of its tasks have counted up to here."""
    areas: tuple[ClassArea, ...] = ()
    """The classes of its pixels, where a semantic segmentation looks at it; background is left out."""
    layers: Mapping[Layer, Image] = field(default_factory=dict)
    """What was fused, as far as sinks ask for it and the pair has it; a held infrared image comes again."""
