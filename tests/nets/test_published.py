"""The published checkpoint: its key map, its strictness, and agreement with what was published."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - its usual name

from streamfuse.errors import WeightsError
from streamfuse.nets.color import reference_postprocess, rgb_to_ycrcb, ycrcb_to_rgb
from streamfuse.nets.grdb import GrdbFusion
from streamfuse.nets.published import from_published, published_key_map

State = dict[str, Tensor]


def synthetic_state() -> State:
    """A state dict with the published names, random values and the unused normalisations."""
    ours = GrdbFusion().state_dict()
    generator = torch.Generator().manual_seed(0)
    state = {
        theirs: torch.randn(ours[name].shape, generator=generator)
        for theirs, name in published_key_map().items()
    }
    return state | {"decode4.bn.weight": torch.ones(64), "decode1.bn.num_batches_tracked": torch.tensor(0)}


def published_forward(state: State, visible: Tensor, infrared: Tensor) -> Tensor:
    """The network, computed step by step from the raw state dict and the paper's layer table."""

    def conv(x: Tensor, name: str, padding: int = 1) -> Tensor:
        return F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], padding=padding)

    def block(x: Tensor, name: str) -> Tensor:
        a = F.leaky_relu(conv(x, f"{name}.dense.conv1.conv"), 0.2)
        b = F.leaky_relu(conv(torch.cat([x, a], 1), f"{name}.dense.conv2.conv"), 0.2)
        main = conv(torch.cat([x, a, b], 1), f"{name}.convdown.conv", padding=0)
        gradient = sum(
            F.conv2d(x, state[f"{name}.sobelconv.conv{axis}.weight"], padding=1, groups=x.shape[1]).abs()
            for axis in "xy"
        )
        return F.leaky_relu(main + conv(gradient, f"{name}.convup.conv", padding=0), 0.1)

    features = []
    for image, stream in ((visible, "vis"), (infrared, "inf")):
        x = F.leaky_relu(conv(image, f"{stream}_conv.conv"), 0.2)
        features.append(block(block(x, f"{stream}_rgbd1"), f"{stream}_rgbd2"))
    x = torch.cat(features, 1)
    for number in (4, 3, 2):
        x = F.leaky_relu(conv(x, f"decode{number}.conv"), 0.2)
    return torch.tanh(conv(x, "decode1.conv")) / 2 + 0.5


@pytest.fixture(scope="module")
def published(published_checkpoint: Path) -> State:
    """The raw state dict of the published file."""
    state: State = torch.load(published_checkpoint, weights_only=True)
    return state


@pytest.fixture(scope="module")
def network(published: State) -> GrdbFusion:
    """Our network with the published weights."""
    ours = GrdbFusion().eval()
    ours.load_state_dict(from_published(published))
    return ours


def read_rgb(path: Path) -> Tensor:
    """(1, 3, H, W) in 0..1."""
    rgb = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    return torch.from_numpy(rgb).permute(2, 0, 1)[None].float() / 255


def read_gray(path: Path) -> Tensor:
    """(1, 1, H, W) in 0..1."""
    return torch.from_numpy(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))[None, None].float() / 255


def test_every_tensor_of_ours_has_one_published_name() -> None:
    """The map covers the whole network and names nothing twice."""
    ours = list(published_key_map().values())
    assert sorted(ours) == sorted(GrdbFusion().state_dict())
    assert len(ours) == len(set(ours))


def test_a_renamed_state_computes_what_the_published_names_mean() -> None:
    """With random weights, so that no two layers are alike, both computations agree."""
    state = {name: tensor * 0.1 for name, tensor in synthetic_state().items()}
    ours = GrdbFusion().eval()
    ours.load_state_dict(from_published(state))
    visible, infrared = torch.rand(2, 1, 1, 24, 32)
    with torch.inference_mode():
        torch.testing.assert_close(
            ours(visible, infrared), published_forward(state, visible, infrared), atol=1e-5, rtol=0
        )


def test_missing_tensors_are_listed() -> None:
    """A checkpoint that lacks tensors is refused, with the first few names and the number of the rest."""
    state = {name: tensor for name, tensor in synthetic_state().items() if "vis_rgbd1" not in name}
    with pytest.raises(WeightsError, match=r"lacks vis_rgbd1\.convdown\.conv\.bias, .* and 6 more"):
        from_published(state)


def test_unexpected_tensors_are_listed() -> None:
    """A checkpoint with tensors we do not know is refused: it may be another network."""
    with pytest.raises(WeightsError, match=r"unexpected decode5\.conv\.weight"):
        from_published(synthetic_state() | {"decode5.conv.weight": torch.zeros(1)})


def test_tensors_of_another_shape_are_listed() -> None:
    """A wider network with the same names is refused."""
    with pytest.raises(WeightsError, match=r"decode1\.conv\.bias \(2,\) instead of \(1,\)"):
        from_published(synthetic_state() | {"decode1.conv.bias": torch.zeros(2)})


@pytest.mark.parametrize("name", ["00537D", "01024N", "00162D"])
def test_network_equals_the_layer_table_on_real_pairs(
    published: State, network: GrdbFusion, data_dir: Path, name: str
) -> None:
    """On MSRS pairs our module and the step-by-step computation agree to 1e-5."""
    rgb = next((data_dir / "msrs/visible").glob(f"{name}.*"))
    window = (..., slice(100, 300), slice(200, 500))
    luma = rgb_to_ycrcb(read_rgb(rgb))[0][window]
    infrared = read_gray(data_dir / f"msrs/infrared/{name}.png")[window]
    with torch.inference_mode():
        expected = published_forward(published, luma, infrared)
        torch.testing.assert_close(network(luma, infrared), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["01", "29"])
def test_reference_chain_gives_the_published_images(network: GrdbFusion, data_dir: Path, name: str) -> None:
    """RGB to fused RGB agrees with the images the authors published: at most one grey level, over 80 dB."""
    luma, cr, cb = rgb_to_ycrcb(read_rgb(data_dir / f"tno/visible/{name}.png"))
    with torch.inference_mode():
        fused = network(luma, read_gray(data_dir / f"tno/infrared/{name}.png"))
    ours = reference_postprocess(ycrcb_to_rgb(fused, cr, cb))[0].permute(1, 2, 0).numpy()
    theirs = cv2.cvtColor(cv2.imread(str(data_dir / f"tno/fused/SeAFusion/{name}.png")), cv2.COLOR_BGR2RGB)
    difference = ours.astype(np.float64) - theirs
    assert np.abs(difference).max() <= 1
    assert (difference**2).mean() < 255**2 / 10**8.0
