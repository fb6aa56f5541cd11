"""One exporter for fusion and task networks."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from streamfuse.engine.backends.onnx_export import onnx_bytes
from streamfuse.engine.backends.onnx_session import OnnxSession
from streamfuse.errors import MachineError


class Twice(nn.Module):
    """Doubles, and beside it halves, unless it is being trained."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Identity().eval()

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Both."""
        assert not self.inner.training, "asked to run as in training"
        return self.inner(image) * 2, image / 2


class Sorter(nn.Module):
    """Does something that ONNX has no words for."""

    def forward(self, image: Tensor) -> Tensor:
        """The singular values."""
        return torch.linalg.svdvals(image)


def test_names_free_axes_and_notes_are_in_the_file() -> None:
    """Names beyond the results are left out."""
    content = onnx_bytes(
        Twice(),
        {"image": torch.zeros(1, 4)},
        outputs=("double", "half", "more"),
        free={"image": {0: "batch"}},
        notes={"licence": "mine"},
    )
    model = onnx.load_model_from_string(content)
    assert [value.name for value in model.graph.output] == ["double", "half"]
    assert {prop.key: prop.value for prop in model.metadata_props} == {"licence": "mine"}
    session = OnnxSession(content)
    assert session.input_names == ("image",)
    double, half = session.run(np.full((3, 4), 5, np.float32))
    np.testing.assert_array_equal(double, np.full((3, 4), 10))
    np.testing.assert_array_equal(half, np.full((3, 4), 2.5))


def test_a_network_runs_as_before_after_it_was_exported() -> None:
    """Even one whose outermost part was never put into eval mode: it can be exported for another shape."""
    graph = Twice()
    assert graph.training
    for side in (4, 8):
        onnx_bytes(graph, {"image": torch.zeros(1, side)}, outputs=("double", "half"))
    graph(torch.zeros(1, 4))


def test_what_onnx_cannot_say_is_one_error() -> None:
    """With what to do instead."""
    with pytest.raises(MachineError, match="cannot be written as ONNX, run it with torch: "):
        onnx_bytes(Sorter(), {"image": torch.eye(4)}, outputs=("values",))


def test_an_input_that_does_not_fit_is_one_error() -> None:
    """Of one line, with the shape."""
    session = OnnxSession(onnx_bytes(Twice(), {"image": torch.zeros(1, 4)}, outputs=("double", "half")))
    with pytest.raises(MachineError, match=r"^ONNX Runtime failed with 3x4: ") as found:
        session.run(np.zeros((3, 4), np.float32))
    assert "\n" not in str(found.value)
