"""Page-locked memory for frames on their way to a GPU."""

import os

import pytest
import torch

from streamfuse.engine.pinned import pinned_memory
from streamfuse.errors import MachineError
from streamfuse.frames import Image, ImageSpec, PixelFormat
from streamfuse.io.transport.staging import Staging

SPEC = ImageSpec(format=PixelFormat.YUV420P, size_wh=(64, 48))


@pytest.mark.needs_cuda
def test_frames_are_staged_where_the_gpu_takes_them_from() -> None:
    """A plane in staging memory is page-locked as torch sees it, and comes to the device as it is."""
    if not torch.cuda.is_available():
        assert os.environ.get("STREAMFUSE_REQUIRE_CUDA") != "1", "no CUDA device, but one is required"
        pytest.skip("no CUDA device")
    staging = Staging(SPEC.nbytes, buffers=2, allocate=pinned_memory)
    image = Image.from_buffer(SPEC, staging.lease(SPEC.nbytes))
    for plane in image.planes:
        plane.fill(9)
        there = torch.from_numpy(plane)
        assert there.is_pinned()
        assert (there.to("cuda", non_blocking=True) == 9).all()
    del image, plane, there
    assert staging.free == 2


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_the_error_is_ours() -> None:
    """Asking for page-locked memory where nothing could use it says so in one sentence."""
    with pytest.raises(MachineError, match="64 bytes of page-locked memory cannot be had"):
        pinned_memory(64)
