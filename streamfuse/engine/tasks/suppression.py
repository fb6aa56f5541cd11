"""One box for each object: of boxes that overlap, the surest."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["surest"]

Floats = npt.NDArray[np.float32]


def surest(boxes: Floats, confidences: Floats, classes: Floats, *, overlap: float) -> npt.NDArray[np.intp]:
    """Greedy suppression without maxima, each class for itself.

    By OpenCV: torch starts some twenty operations for each box that stays, and wakes its threads for many.

    Args:
        boxes: (N, 4) left, top, right, bottom.
        confidences: (N,) 0..1.
        classes: (N,) whole numbers.
        overlap: boxes of a class whose intersection over union is above it are one object.

    Returns:
        Indices of the boxes that stay, the surest first; of equally sure ones, those that come first.
    """
    left_top_size = np.hstack((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]))
    numbered = classes.astype(int).tolist()
    kept = cv2.dnn.NMSBoxesBatched(left_top_size.tolist(), confidences.tolist(), numbered, 0.0, overlap)
    return np.asarray(kept, np.intp)
