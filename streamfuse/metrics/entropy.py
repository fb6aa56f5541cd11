"""Information in bits: entropy (EN) and mutual information (MI)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamfuse.metrics.arrays import Gray, Sources
from streamfuse.metrics.convention import Convention

__all__ = ["entropy", "mutual_information"]

_LEVELS = 256


def entropy(fused: Gray) -> float:
    """EN: entropy of the grey levels, in bits (0..8).

    -sum p log2 p over the 256-bin histogram (J. W. Roberts, J. A. van Aardt, F. B. Ahmed: Assessment of
    image fusion procedures using entropy, image quality, and multispectral classification, 2008).
    """
    return _bits(np.bincount(fused.ravel(), minlength=_LEVELS))


def mutual_information(sources: Sources, fused: Gray, *, convention: Convention) -> float:
    """MI: what the fused image tells of each source, MI(F, A) + MI(F, B), in bits (0..16).

    MI(F, A) = H(F) + H(A) - H(F, A) (G. Qu, D. Zhang, P. Yan: Information measure for performance of image
    fusion, 2002). PUBLISHED: in the joint histogram the levels 254 and 255 share a bin, as its index is
    level + 1 in saturating uint8.
    """
    top = _LEVELS - 2 if convention is Convention.PUBLISHED else _LEVELS - 1
    return sum(entropy(fused) + entropy(source) - _joint_entropy(fused, source, top) for source in sources)


def _joint_entropy(first: Gray, second: Gray, top: int) -> float:
    """Entropy of the pairs of levels, those above ``top`` counted as ``top``, in bits."""
    pairs = np.minimum(first, top).astype(np.intp) * _LEVELS + np.minimum(second, top)
    return _bits(np.bincount(pairs.ravel()))


def _bits(counts: NDArray[np.intp]) -> float:
    """Entropy of a histogram."""
    p = counts[counts > 0] / counts.sum()
    return float(-np.sum(p * np.log2(p))) + 0.0  # one level alone: 0, not -0
