"""Colours for thermal pictures, and the way back from a picture that a camera has painted.

Fusion and detectors want intensity. Some cameras send only pictures in false colours; where the
palette is known, :class:`PaletteInverse` finds the intensity of each colour again.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final, cast, get_args

import numpy as np
import numpy.typing as npt

from streamfuse.config.sources import Palette
from streamfuse.frames import ColorMatrix, ColorRange, Image, PixelFormat

__all__ = ["NAMES", "PaletteInverse", "apply", "named_palette", "palette_of"]

Gray = npt.NDArray[np.uint8]
Ramp = npt.NDArray[np.uint8]
"""256x3 uint8: R, G, B of each intensity, coldest first."""
Floats = npt.NDArray[np.float32]

NAMES: Final[tuple[str, ...]] = get_args(Palette)

_ANCHORS: Final = MappingProxyType(
    {
        "white-hot": ((0.0, 0x000000), (1.0, 0xFFFFFF)),
        "black-hot": ((0.0, 0xFFFFFF), (1.0, 0x000000)),
        "ironbow": (
            *((0.0, 0x000000), (0.12, 0x1E0064), (0.3, 0x780096), (0.45, 0xC81E6E)),
            *((0.65, 0xF06E0A), (0.85, 0xFFC814), (1.0, 0xFFFFF0)),
        ),
        "rainbow": (
            *((0.0, 0x000064), (0.15, 0x0032FF), (0.38, 0x00DCFF), (0.55, 0x1EC828)),
            *((0.75, 0xFAF000), (1.0, 0xFF1400)),
        ),
        "lava": (
            *((0.0, 0x000000), (0.2, 0x14325A), (0.45, 0x96283C), (0.65, 0xE66414)),
            *((0.82, 0xFFB428), (1.0, 0xFFFFDC)),
        ),
        "arctic": (
            *((0.0, 0x00001E), (0.25, 0x003CBE), (0.5, 0x3CA0DC), (0.65, 0x96B4AA)),
            *((0.82, 0xEBBE3C), (1.0, 0xFFF5BE)),
        ),
    }
)
"""Colours as 0xRRGGBB at shares of the ramp; straight lines in between."""

_WEIGHTS: Final = MappingProxyType(
    {ColorMatrix.BT601: (0.299, 0.587, 0.114), ColorMatrix.BT709: (0.2126, 0.7152, 0.0722)}
)
_LUMA_TRUST: Final = 2.0
"""How much more luma counts than chroma: 4:2:0 halves the grid of chroma, and JPEG keeps it worse."""
_CHROMA_BITS: Final = 5
"""Of the table: colours are told apart by 256 steps of luma and 32 of each chroma."""
_RGB_SPEC: Final = (ColorMatrix.BT601, ColorRange.FULL)
"""What RGB is looked up as."""


def named_palette(name: str) -> Ramp:
    """The colours of a palette that streamfuse knows, one of :data:`NAMES`; 256x3 uint8.

    Raises:
        ValueError: no such palette.
    """
    if name not in _ANCHORS:
        raise ValueError(f"palettes are {', '.join(NAMES)}; got {name!r}")
    shares, colors = zip(*_ANCHORS[name], strict=True)
    anchors = np.array([[color >> 16, color >> 8 & 0xFF, color & 0xFF] for color in colors])
    return _ramp(np.array(shares), anchors)


def palette_of(strip: npt.NDArray[np.uint8]) -> Ramp:
    """The palette that a picture of it shows; 256x3 uint8.

    Args:
        strip: HxWx3 uint8, R, G, B, the colour bar and nothing else: cold on the left where it is
            wider than high, else cold at the bottom, as cameras draw it. Its middle line counts.

    Raises:
        ValueError: another shape, or fewer than two pixels long.
    """
    if strip.ndim != 3 or strip.shape[2] != 3 or max(strip.shape[:2]) < 2:
        raise ValueError(f"a picture of a palette is HxWx3 and at least 2 pixels long, got {strip.shape}")
    height, width = strip.shape[:2]
    line = strip[height // 2] if width >= height else strip[::-1, width // 2]
    return _ramp(np.linspace(0.0, 1.0, len(line)), line)


def apply(gray: Gray, palette: Ramp) -> npt.NDArray[np.uint8]:
    """Paint HxW uint8 with a palette: HxWx3 uint8, R, G, B. For people only."""
    return palette[gray]


class PaletteInverse:
    """Turns pictures painted with a palette back to intensity: that of the nearest colour of the palette.

    Compression blurs colours, so the nearest is sought in luma and chroma, luma counting more. The answers
    lie in a table of 256 KiB for each way of writing colours (RGB, or a range and matrix of YUV), made
    when first needed. A colour that is twice in the palette cannot be told; a logo gets some intensity.

    Args:
        palette: 256x3 uint8, coldest first; :func:`named_palette` or :func:`palette_of`.
    """

    def __init__(self, palette: Ramp) -> None:
        if palette.shape != (256, 3) or palette.dtype != np.uint8:
            raise ValueError(f"a palette is 256x3 uint8, got {palette.shape} {palette.dtype}")
        self._palette = palette
        self._tables: dict[tuple[ColorMatrix, ColorRange], Gray] = {}

    def apply(self, image: Image) -> Gray:
        """Intensity of an RGB24 or YUV420P image, HxW uint8, full range.

        Raises:
            ValueError: a grey image, which has no colours.
        """
        spec = image.spec
        if spec.format is PixelFormat.RGB24:
            return self._look_up(_RGB_SPEC, *_ycc_from_rgb(cast("Gray", image.planes[0])))
        if spec.format is not PixelFormat.YUV420P:
            raise ValueError(f"a painted image has colours, got {spec.format}")
        luma, *chroma = cast("tuple[Gray, ...]", image.planes)
        cb, cr = (plane.repeat(2, axis=0).repeat(2, axis=1) for plane in chroma)
        return self._look_up((spec.matrix, spec.range), luma, cb, cr)

    def _look_up(self, key: tuple[ColorMatrix, ColorRange], luma: Gray, cb: Gray, cr: Gray) -> Gray:
        if key not in self._tables:
            self._tables[key] = _table(self._palette, *key)
        drop = 8 - _CHROMA_BITS
        index = luma.astype(np.int32) << _CHROMA_BITS
        index |= cb >> drop
        index <<= _CHROMA_BITS
        index |= cr >> drop
        return np.take(self._tables[key], index)


def _ramp(shares: npt.NDArray[np.float64], colors: npt.NDArray[np.integer]) -> Ramp:
    at = np.linspace(0.0, 1.0, 256)
    return np.stack([np.rint(np.interp(at, shares, colors[:, c])) for c in range(3)], axis=1).astype(np.uint8)


def _table(palette: Ramp, matrix: ColorMatrix, range_: ColorRange) -> Gray:
    """Nearest intensity for every luma and every cell of chroma, flat."""
    red, green, blue = _WEIGHTS[matrix]
    rgb = palette.astype(np.float32)
    luma = rgb @ np.array((red, green, blue), np.float32)
    cb, cr = (rgb[:, 2] - luma) / (2 - 2 * blue), (rgb[:, 0] - luma) / (2 - 2 * red)
    wanted = np.stack((luma * _LUMA_TRUST, cb, cr)).astype(np.float32)
    limited = range_ is ColorRange.LIMITED
    lumas = (np.arange(256, dtype=np.float32) - (16 if limited else 0)) * (255 / 219 if limited else 1)
    cells = np.arange(1 << _CHROMA_BITS, dtype=np.float32) + 0.5
    chroma = (cells * (256 >> _CHROMA_BITS) - 128) * (255 / 224 if limited else 1)
    bias = (wanted**2).sum(axis=0)
    of_chroma = chroma[:, None, None] * wanted[1] + chroma[:, None] * wanted[2]
    # |a - b|^2 is least where b^2 - 2ab is; luma by luma, so that the memory stays small.
    nearest = [np.argmin(bias - 2 * (y * _LUMA_TRUST * wanted[0] + of_chroma), axis=-1) for y in lumas]
    return np.stack(nearest).astype(np.uint8).ravel()


def _ycc_from_rgb(rgb: npt.NDArray[np.uint8]) -> tuple[Gray, Gray, Gray]:
    """Full-range BT.601 luma and chroma of HxWx3 RGB, as JPEG has them, to one level."""
    red, green, blue = (rgb[..., c].astype(np.int32) for c in range(3))
    luma = (77 * red + 150 * green + 29 * blue + 128) >> 8
    cb, cr = (((part - luma) * scale >> 8) + 128 for part, scale in ((blue, 144), (red, 183)))
    return luma.astype(np.uint8), np.clip(cb, 0, 255).astype(np.uint8), np.clip(cr, 0, 255).astype(np.uint8)
