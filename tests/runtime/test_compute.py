"""The engine's work on a pair, with the real network."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from streamfuse.clock import SystemClock
from streamfuse.config.pipeline import load_pipeline
from streamfuse.engine.fusion import FusionEngine
from streamfuse.engine.video import fuse_together
from streamfuse.frames import Frame, FramePair, Image, Layer, PairState, StreamName
from streamfuse.runtime.plan import Plan
from streamfuse.runtime.planning import make_plan
from streamfuse.runtime.stages.compute import Compute, Computed

STREET = "synthetic://street?size=64x64"


def frame(stream: StreamName, image: Image) -> Frame:
    """One frame at the beginning of everything."""
    return Frame(stream=stream, seq=0, image=image, pts_ns=0, capture_ns=0, arrival_ns=0)


def pair(visible: Image | None, infrared: Image | None) -> FramePair:
    """A pair of what there is."""
    states = {
        (True, True): PairState.MATCHED,
        (True, False): PairState.VISIBLE_ONLY,
        (False, True): PairState.INFRARED_ONLY,
    }
    return FramePair(
        pair_id=0,
        state=states[visible is not None, infrared is not None],
        visible=visible and frame(StreamName.VISIBLE, visible),
        infrared=infrared and frame(StreamName.INFRARED, infrared),
        skew_ms=None,
        infrared_age_ms=None,
    )


def computed(plan: Plan, pairs: Sequence[FramePair]) -> Sequence[Computed]:
    """What the engine makes of the pairs of one pipeline."""
    with FusionEngine.load() as engine, closing(Compute(plan, SystemClock(), engine)) as compute:
        prepared = compute.prepare(pairs)
        (images,) = fuse_together([prepared.to_fuse])
        return compute.complete(prepared, images, fuse_ms=1.0, size=len(pairs)).done


def test_nothing_is_found_where_nobody_looks(tmp_path: Path, yolo: Path) -> None:
    """Beside the infrared image: found while the visible camera sees it, black and empty while it is away."""
    (tmp_path / "rig.yaml").write_text(
        "visible: {size_wh: [160, 160]}\ninfrared: {size_wh: [160, 160]}\n"
        "planes: [{distance_m: inf, H_visible_from_infrared: [[1, 0, 80], [0, 1, 0], [0, 0, 1]]}]\n"
    )
    path = tmp_path / "p.yaml"
    street = "synthetic://street?size=160x160"
    path.write_text(
        f'rig: rig.yaml\nsources: {{visible: {{uri: "{street}"}}, infrared: {{uri: "{street}"}}}}\n'
        f"fusion: {{mode: stream}}\ntasks: {{detect: {{weights: {yolo}, confidence: 0.0}}}}\n"
    )
    plan = make_plan(load_pipeline(path), run_dir=tmp_path)
    noise = np.random.default_rng(2)
    luma, *chroma = (noise.integers(16, 236, shape, np.uint8) for shape in plan.visible.spec.plane_shapes)
    visible = Image(plan.visible.spec, (luma, *chroma))
    infrared = Image.from_gray(noise.integers(0, 256, (160, 160), np.uint8))
    both, warm = computed(plan, [pair(visible, infrared), pair(None, infrared)])
    assert both.looked is not None
    assert warm.looked is not None
    assert any(found.box_infrared_xyxy is None for found in both.looked.detections)
    assert len(warm.looked.detections) > 0
    assert all(found.box_infrared_xyxy is not None for found in warm.looked.detections)
    assert (warm.image.planes[0][:, :80] == 16).all()
    assert both.image.planes[0][:, :80].std() > 10  # the visible luma stands in: no black border


def test_every_image_of_a_pair_goes_on_to_who_keeps_it(tmp_path: Path) -> None:
    """What there is travels beside the fused image, also when one camera is away."""
    path = tmp_path / "p.yaml"
    path.write_text(
        f'sources: {{visible: {{uri: "{STREET}"}}, infrared: {{uri: "{STREET}"}}}}\n'
        "record: {dir: r, visible: true, infrared: true, raw_infrared: true}\n"
    )
    plan = make_plan(load_pipeline(path), run_dir=tmp_path)
    spec = plan.visible.spec
    visible = Image(spec, tuple(np.full(shape, 99, np.uint8) for shape in spec.plane_shapes))
    infrared = Image.from_gray(np.full((64, 64), 200, plan.infrared.spec.dtype))
    pairs = [pair(visible, infrared), pair(visible, None), pair(None, infrared)]
    both, seen, warm = computed(plan, pairs)
    assert set(both.layers) == set(Layer)
    assert set(seen.layers) == {Layer.VISIBLE}
    assert set(warm.layers) == {Layer.INFRARED, Layer.RAW_INFRARED}
    assert warm.layers[Layer.RAW_INFRARED] is infrared
