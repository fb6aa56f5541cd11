"""What other runtimes are given is what they can take."""

from __future__ import annotations

import onnx
import pytest

from streamfuse.engine.backends.onnx_fusion import export_fusion
from streamfuse.engine.backends.recipe import Recipe
from streamfuse.engine.store import resolve
from streamfuse.engine.weights import load_network

SIZE_WH = (96, 64)


@pytest.mark.parametrize("recipe", Recipe)
def test_bytes_are_converted_and_nothing_else(recipe: Recipe) -> None:
    """TensorRT has one layer that takes or gives bytes, the cast; and the file has no branches."""
    network = load_network(resolve("default")).half()
    model = onnx.load_model_from_string(export_fusion(network, recipe, batch=2, size_wh=SIZE_WH))
    bytes_of = {
        value.name
        for value in (*model.graph.input, *model.graph.output)
        if value.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    }
    assert len(bytes_of) == 3
    touching = [node for node in model.graph.node if bytes_of & {*node.input, *node.output}]
    assert {node.op_type for node in touching} == {"Cast"}
    assert not {"If", "Loop"} & {node.op_type for node in model.graph.node}
    weights = {tensor.data_type for tensor in model.graph.initializer if tensor.name.endswith("weight")}
    assert weights == {onnx.TensorProto.FLOAT16}
