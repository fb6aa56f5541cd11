"""Images as one tensor, for the backends that take them all at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from streamfuse.engine.tasks.backends.base import Pixels

__all__ = ["batch_of"]


def batch_of(images: Sequence[Pixels], device: torch.device) -> Tensor:
    """(B, H, W, 3) uint8 on a device; arrays travel there together."""
    if not any(isinstance(image, Tensor) for image in images):
        # torch.tensor copies: the arrays may be read-only views, which from_numpy warns of.
        return torch.tensor(np.stack([np.asarray(image) for image in images]), device=device)
    return torch.stack(
        [
            torch.as_tensor(np.array(one) if isinstance(one, np.ndarray) else one, device=device)
            for one in images
        ]
    )
