"""Registration in the engine: what is cropped, where boxes are in both cameras, and what a watch changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamfuse.clock import NS_PER_S
from streamfuse.config.pipeline import RegistrationConfig, load_pipeline
from streamfuse.core.bracket import Misfit
from streamfuse.core.resemblance import Gray, Likeness
from streamfuse.errors import UsageError
from streamfuse.frames import Detection, Frame, FramePair, Image, Layer, PairState, StreamName
from streamfuse.geometry.field import Field
from streamfuse.runtime.plan import Plan
from streamfuse.runtime.planning import make_plan
from streamfuse.runtime.stages.registering import Registered, Registering
from streamfuse.testing import FakeClock

SIZE_WH = (160, 128)
STREET = "synthetic://street?size=160x128"
BESIDE = "[[1, 0, 21], [0, 1, -11], [0, 0, 1]]"
"""Infrared pixel (x, y) is visible pixel (x + 21, y - 11): 21 columns and 11 rows are seen by one camera."""
NEAR = "[[1, 0, 33], [0, 1, -11], [0, 0, 1]]"


def plan(folder: Path, registration: str = "{}", *, planes: int = 1) -> Plan:
    """A pipeline with a rig of so many planes."""
    (folder / "rig.yaml").write_text(
        f"visible: {{size_wh: {list(SIZE_WH)}}}\ninfrared: {{size_wh: {list(SIZE_WH)}}}\nplanes:\n"
        f"  - {{distance_m: inf, H_visible_from_infrared: {BESIDE}}}\n"
        + (f"  - {{distance_m: 5, H_visible_from_infrared: {NEAR}}}\n" if planes == 2 else "")
    )
    (folder / "p.yaml").write_text(
        f"mode: every_frame\nrig: rig.yaml\nregistration: {registration}\n"
        f"sources: {{visible: {{uri: '{STREET}'}}, infrared: {{uri: '{STREET}'}}}}\n"
        "viewer: {web: '127.0.0.1:0'}\n"
    )
    return make_plan(load_pipeline(folder / "p.yaml"), run_dir=folder)


def blind(*_images: Gray) -> Likeness:
    """Sees nothing."""
    return Likeness(score=0.0, misfit=None)


def register(
    registering: Registering,
    given: Plan,
    x: int = 50,
    *,
    second: int = 0,
    state: PairState = PairState.MATCHED,
) -> Registered:
    """A pair with one warm column, on the grid of the fused image."""
    images = {StreamName.VISIBLE: visible(given), StreamName.INFRARED: warm(x)}
    moment = {"seq": 0, "pts_ns": 0, "capture_ns": second * NS_PER_S, "arrival_ns": 0}
    frames = {stream: Frame(stream=stream, image=image, **moment) for stream, image in images.items()}
    pair = FramePair(
        pair_id=second,
        state=state,
        visible=frames[StreamName.VISIBLE],
        infrared=frames[StreamName.INFRARED],
        skew_ms=0.0,
        infrared_age_ms=0.0,
    )
    return registering.register(*images.values(), pair=pair, blank=images[StreamName.VISIBLE])


def column(registered: Registered) -> int:
    """Where the warm column lies; infrared is seen from column 21 of the whole picture on."""
    assert registered.infrared is not None
    blind = 0 if registered.by.field_xywh.x else 30
    return blind + int(registered.infrared.planes[0][7, blind:100].argmax())


def visible(given: Plan) -> Image:
    """A visible image whose luma is its column."""
    spec = given.visible.spec
    luma = np.tile(np.arange(SIZE_WH[0], dtype=np.uint8), (SIZE_WH[1], 1))
    half = np.tile(np.arange(SIZE_WH[0] // 2, dtype=np.uint8), (SIZE_WH[1] // 2, 1))
    return Image(spec, (luma, half, half))


def warm(x: int) -> Image:
    """An infrared image that is dark but for one bright column."""
    gray = np.zeros(SIZE_WH[::-1], np.uint8)
    gray[:, x] = 255
    return Image.from_gray(gray)


def found(*box: float) -> Detection:
    """Something in a box of the fused image."""
    left, top, right, bottom = box
    return Detection(box_xyxy=(left, top, right, bottom), class_id=0, class_name="person", confidence=0.9)


def test_cropped_pictures_show_what_both_cameras_see(tmp_path: Path) -> None:
    """Even sides and place; every image that travels has that size, and the same scene at the same pixel."""
    given = plan(tmp_path, "{crop: true}")
    assert given.shown == Field(22, 0, 138, 116)
    assert given.fused_spec.size_wh == (138, 116)
    assert {spec.size_wh for _, spec in given.layers.values()} == {(138, 116)}
    assert Plan.from_json(given.to_json()).shown == given.shown
    registered = register(Registering(given, FakeClock(), estimate=blind), given)
    seen, warmth = registered.visible, registered.infrared
    assert seen is not None
    assert warmth is not None
    assert seen.spec == given.fused_spec
    assert (seen.planes[0][0, :3].tolist(), seen.planes[1][0, :3].tolist()) == ([22, 23, 24], [11, 12, 13])
    assert warmth.spec == given.layers[Layer.INFRARED][1]
    assert column(registered) == 50 + 21 - 22


def test_boxes_of_cropped_pictures_are_told_for_both_cameras(tmp_path: Path) -> None:
    """The fused pixels, those of the visible camera, and those of the infrared one."""
    given = plan(tmp_path, "{crop: true}")
    registered = register(Registering(given, FakeClock(), estimate=blind), given)
    (there,) = registered.located([found(10, 20, 30, 60)])
    assert there.box_xyxy == (10, 20, 30, 60)
    assert there.box_visible_xyxy == pytest.approx((32, 20, 52, 60))
    assert there.box_infrared_xyxy == pytest.approx((11, 31, 31, 71))
    assert registered.located([]) == ()


def test_boxes_where_infrared_does_not_look(tmp_path: Path) -> None:
    """All of it beside the infrared image: no box there. Half of it: the half that is seen."""
    given = plan(tmp_path)
    registered = register(Registering(given, FakeClock(), estimate=blind), given)
    outside, half = registered.located([found(2, 20, 18, 60), found(11, 20, 31, 60)])
    assert outside.box_infrared_xyxy is None
    assert half.box_infrared_xyxy == pytest.approx((0, 31, 10, 71))
    assert half.box_visible_xyxy is None  # the fused pixels are the visible ones


def test_counts_of_cropped_pictures_are_on_their_grid(tmp_path: Path) -> None:
    """What is measured in a fused box is measured where the object is; blind pixels are told."""
    counts = np.arange(SIZE_WH[0] * SIZE_WH[1], dtype=np.uint16).reshape(SIZE_WH[::-1])
    plans = plan(tmp_path), plan(tmp_path, "{crop: true}")
    (whole, seen), (cut, _) = (
        register(Registering(each, FakeClock(), estimate=blind), each).by.sample(counts) for each in plans
    )
    assert whole[30, 60] == cut[30, 38] == counts[41, 39]
    assert seen is not None
    assert not seen[:, :21].any()
    assert seen[:117, 21:].all()


def test_one_plane_knows_no_other_distance(tmp_path: Path) -> None:
    """A key that could change nothing is refused, with the ways to make it work."""
    plan(tmp_path, "{distance_m: inf}")
    with pytest.raises(UsageError, match=r"distance_m: the rig knows one plane only, at infinity; leave"):
        plan(tmp_path, "{distance_m: 8}")


def test_another_distance_from_the_next_batch_on(tmp_path: Path) -> None:
    """A reload names another plane; what belongs to the old one is forgotten."""
    given = plan(tmp_path, "{distance_m: inf}", planes=2)
    registering = Registering(given, FakeClock(), estimate=blind)
    registering.reload(RegistrationConfig(distance_m=5.0))
    assert column(register(registering, given)) == 50 + 21
    registering.turn()
    assert column(register(registering, given)) == 50 + 33


def test_a_camera_that_sees_elsewhere_cannot_be_cropped_to(tmp_path: Path) -> None:
    """A sliver in common is a wrong rig: said at the start, with what to do."""
    plan(tmp_path)
    rig = tmp_path / "rig.yaml"
    rig.write_text(rig.read_text().replace(BESIDE, "[[1, 0, 130], [0, 1, 0], [0, 0, 1]]"))
    config = load_pipeline(tmp_path / "p.yaml", ["registration.crop=true"])
    with pytest.raises(UsageError, match=r"crop: both cameras see only 30x128 pixels .* calibrate align"):
        make_plan(config, run_dir=tmp_path)


@pytest.mark.parametrize("crop", ["false", "true"])
def test_a_correction_moves_the_infrared_image(tmp_path: Path, crop: str) -> None:
    """Looks that agree on 6 pixels to the right: the images of later pairs are that much further right."""
    given = plan(tmp_path, f"{{correct: true, crop: {crop}}}")

    def six_off(*_images: Gray) -> Likeness:
        left = Misfit(x_px=6.0, y_px=0.0)
        applied = registering.applied
        return Likeness(score=0.3, misfit=left if applied is None else left - applied)

    registering = Registering(given, FakeClock(), estimate=six_off)
    steps = [register(registering, given, second=second) for second in range(400)]
    assert abs(column(steps[-1]) - column(steps[0]) - 6) <= 1
    assert {each.infrared.spec for each in steps if each.infrared} == {given.layers[Layer.INFRARED][1]}
    assert steps[-1].bump is not None  # the bracket is still off


def test_a_pair_of_two_moments_is_not_looked_at(tmp_path: Path) -> None:
    """A held infrared image is another moment: what moved since would look like a bump."""
    given = plan(tmp_path)
    registering = Registering(given, FakeClock(), estimate=blind)
    for state, looks in ((PairState.HELD, 0), (PairState.MATCHED, 1)):
        register(registering, given, state=state)
        assert registering.stats["registration"]["looks"] == looks


def test_what_is_looked_at_is_seen_by_both(tmp_path: Path) -> None:
    """Where visible luma stands in for infrared the images fit anyhow; that part is left out."""
    shapes: list[tuple[int, ...]] = []

    def measured(*images: Gray) -> Likeness:
        shapes.extend(image.shape for image in images)
        return Likeness(score=0.0, misfit=None)

    given = plan(tmp_path)
    register(Registering(given, FakeClock(), estimate=measured), given)
    assert shapes == [(117, 139), (117, 139)]
