"""The engine's work on a pair, with the real network."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np

from streamfuse.clock import SystemClock
from streamfuse.config.pipeline import load_pipeline
from streamfuse.frames import Frame, FramePair, Image, Layer, PairState, StreamName
from streamfuse.runtime.plan import make_plan
from streamfuse.runtime.stages.compute import Compute

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
    with closing(Compute(plan, SystemClock())) as compute:
        both, seen, warm = compute.run(
            [pair(visible, infrared), pair(visible, None), pair(None, infrared)]
        ).done
    assert set(both.layers) == set(Layer)
    assert set(seen.layers) == {Layer.VISIBLE}
    assert set(warm.layers) == {Layer.INFRARED, Layer.RAW_INFRARED}
    assert warm.layers[Layer.RAW_INFRARED] is infrared
