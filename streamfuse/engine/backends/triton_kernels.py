"""The kernels of :mod:`streamfuse.engine.backends.triton_grdb`, which says what they are for.

One program computes a tile of one image: ``program_id`` is (column of tiles, row of tiles, image). Maps are
(B, H, W, C), float16; sums are float32. Sizes in capitals are known when the kernel is compiled.
"""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls
# ruff: noqa: ARG001, N803, N806, PLR0913, PLR0917

from __future__ import annotations

import triton
import triton.language as tl

__all__ = ["conv_kernel", "end_kernel"]


@triton.jit
def _taps(image, rows, columns, height, width, C: tl.constexpr, channels, first):
    """Channels ``first + channels`` of the pixels (rows, columns) of one image; 0 beyond its border."""
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    offsets = (rows * width + columns) * C + (first + channels)
    return tl.load(image + offsets, mask=inside & (first + channels < C), other=0.0)


@triton.jit
def _weights(matrix, first_row, k, rows_end, n, N: tl.constexpr):
    """Rows ``first_row + k`` below ``rows_end`` of a matrix with N columns."""
    rows = first_row + k
    return tl.load(matrix + rows * N + n, mask=(rows < rows_end) & (n < N), other=0.0)


@triton.jit
def _tile(height, width, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Rows and columns of this program's pixels, each as a column: with a row of channels they make a map."""
    pixel = tl.arange(0, ROWS * COLUMNS)[:, None]
    return tl.program_id(1) * ROWS + pixel // COLUMNS, tl.program_id(0) * COLUMNS + pixel % COLUMNS


@triton.jit
def _store(out, values, rows, columns, height, width, n, N: tl.constexpr):
    inside = (rows < height) & (columns < width)
    offsets = (rows * width + columns) * N + n
    tl.store(out + offsets, values.to(out.dtype.element_ty), mask=inside & (n < N))


@triton.jit
def conv_kernel(
    first, second, weight, bias, out, height, width, slope,
    C1: tl.constexpr, C2: tl.constexpr, N: tl.constexpr, N_PADDED: tl.constexpr,
    K: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """leaky(3x3 convolution of both maps, as if they were one map); weight (9, C1 + C2, N)."""
    C: tl.constexpr = C1 + C2
    rows, columns = _tile(height, width, ROWS, COLUMNS)
    image = tl.program_id(2).to(tl.int64) * height * width
    k, n = tl.arange(0, K), tl.arange(0, N_PADDED)[None, :]
    total = tl.zeros((ROWS * COLUMNS, N_PADDED), tl.float32)
    for tap in range(9):
        row, column = rows + tap // 3 - 1, columns + tap % 3 - 1
        for at in tl.static_range(0, C1, K):
            x = _taps(first + image * C1, row, column, height, width, C1, k[None, :], at)
            total = tl.dot(x, _weights(weight, tap * C + at, k[:, None], tap * C + C1, n, N), total)
        for at in tl.static_range(0, C2, K):
            x = _taps(second + image * C2, row, column, height, width, C2, k[None, :], at)
            total = tl.dot(x, _weights(weight, tap * C + C1 + at, k[:, None], tap * C + C, n, N), total)
    total += tl.load(bias + n, mask=n < N, other=0.0).to(tl.float32)
    total = tl.where(total >= 0, total, total * slope)
    _store(out + image * N, total, rows, columns, height, width, n, N)


@triton.jit
def end_kernel(
    x, a, b, gradients, matrix, bias, out, height, width, slope,
    C: tl.constexpr, N: tl.constexpr, N_PADDED: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """leaky(merge(x, a, b) + residual(|x * Gx| + |x * Gy|)); gradients (18, C), matrix (4C, N)."""
    rows, columns = _tile(height, width, ROWS, COLUMNS)
    image = tl.program_id(2).to(tl.int64) * height * width
    c, n = tl.arange(0, C), tl.arange(0, N_PADDED)[None, :]
    row_of_c, column_of_c = c[None, :], c[:, None]
    across = tl.zeros((ROWS * COLUMNS, C), tl.float32)
    down = tl.zeros((ROWS * COLUMNS, C), tl.float32)
    for tap in range(9):
        at = _taps(x + image * C, rows + tap // 3 - 1, columns + tap % 3 - 1, height, width, C, row_of_c, 0)
        at = at.to(tl.float32)
        across += at * tl.load(gradients + tap * C + row_of_c).to(tl.float32)
        down += at * tl.load(gradients + (9 + tap) * C + row_of_c).to(tl.float32)
    magnitude = (tl.abs(across) + tl.abs(down)).to(out.dtype.element_ty)
    total = tl.dot(magnitude, _weights(matrix, 3 * C, column_of_c, 4 * C, n, N))
    middle = _taps(x + image * C, rows, columns, height, width, C, row_of_c, 0)
    total = tl.dot(middle, _weights(matrix, 0, column_of_c, C, n, N), total)
    middle = _taps(a + image * C, rows, columns, height, width, C, row_of_c, 0)
    total = tl.dot(middle, _weights(matrix, C, column_of_c, 2 * C, n, N), total)
    middle = _taps(b + image * C, rows, columns, height, width, C, row_of_c, 0)
    total = tl.dot(middle, _weights(matrix, 2 * C, column_of_c, 3 * C, n, N), total)
    total += tl.load(bias + n, mask=n < N, other=0.0).to(tl.float32)
    total = tl.where(total >= 0, total, total * slope)
    _store(out + image * N, total, rows, columns, height, width, n, N)
