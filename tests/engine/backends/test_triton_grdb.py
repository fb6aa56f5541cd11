"""Kernels of our own compute what torch computes, and compile for the GPUs that have tensor cores."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from streamfuse.engine.backends.triton_kernels import conv_kernel, end_kernel

INTERPRETED = Path(__file__).with_name("triton_interpreted.py")
TILE = {"ROWS": 8, "COLUMNS": 16}


@pytest.mark.slow
def test_kernels_agree_with_torch() -> None:
    """Triton's interpreter runs them on the CPU: larger and smaller than a tile, all channel counts."""
    done = subprocess.run(
        [sys.executable, str(INTERPRETED)],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "agree\n", done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("capability", [80, 90])
@pytest.mark.parametrize(
    ("kernel", "sizes"),
    [
        (conv_kernel, {"C1": 48, "C2": 48, "N": 64, "N_PADDED": 64, "K": 16}),
        (conv_kernel, {"C1": 16, "C2": 0, "N": 1, "N_PADDED": 16, "K": 16}),
        (end_kernel, {"C": 32, "N": 48, "N_PADDED": 64}),
    ],
    ids=["convolution of two maps", "last convolution", "end of a block"],
)
def test_kernels_compile_for_gpus(kernel: triton.JITFunction, sizes: dict[str, int], capability: int) -> None:
    """They multiply on tensor cores, and load sixteen bytes at once: no GPU is needed to see that."""
    constants = {**TILE, **sizes}
    known = {"height": "i32", "width": "i32", "slope": "fp32", **dict.fromkeys(constants, "constexpr")}
    signature = {name: known.get(name, "*fp16") for name in kernel.arg_names}
    aligned = {
        (index,): [["tt.divisibility", 16]]
        for index, kind in enumerate(signature.values())
        if kind in {"*fp16", "i32"}
    }
    code = triton.compile(
        ASTSource(kernel, signature=signature, constexprs=constants, attrs=aligned),
        target=GPUTarget("cuda", capability, 32),
        options={"num_warps": 4, "num_stages": 1, "enable_fp_fusion": True},
    ).asm["ptx"]
    assert ("wgmma.mma_async" if capability == 90 else "mma.sync") in code
    assert "ld.global.v4" in code
