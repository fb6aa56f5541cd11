"""Crops: a pure function of their numbers, and all planes of a pair stay registered."""

from __future__ import annotations

import numpy as np
import pytest

from streamfuse.jobs.training.crops import Cut, draw_batch
from streamfuse.jobs.training.dataset import Pair, Plane
from streamfuse.jobs.training.learners import views_of


def a_plane(seed: int = 0) -> Plane:
    """Noise of 30x40."""
    return np.random.default_rng(seed).integers(0, 256, (30, 40), dtype=np.uint8)


def a_pair(labels: Plane | None = None) -> Pair:
    """The infrared image is the negative of the visible one; colour is a copy of both."""
    plane = a_plane()
    chroma = None if labels is None else np.stack((plane, 255 - plane))
    return Pair(name="a", visible=plane, infrared=255 - plane, chroma=chroma, labels=labels)


def test_batches_are_a_pure_function_of_seed_step_and_purpose() -> None:
    """The same numbers give the same crops, other numbers give others."""

    def draw(seed: int, step: int, purpose: int = 0) -> bytes:
        cut = Cut(batch=4, crop=16)
        return draw_batch([a_pair()], cut, seed=seed, step=step, purpose=purpose).planes.tobytes()

    assert draw(1, 5) == draw(1, 5)
    assert len({draw(1, 5), draw(1, 6), draw(2, 5), draw(1, 5, 1)}) == 4


def test_both_streams_are_cut_and_turned_alike() -> None:
    """A crop and its negative stay negatives, in floating point 0..1 too."""
    batch = draw_batch([a_pair()], Cut(batch=16, crop=8), seed=0, step=0)
    assert batch.planes.shape == (16, 2, 8, 8)
    assert (batch.planes.astype(int).sum(axis=1) == 255).all()
    views = views_of(batch, "cpu")
    np.testing.assert_allclose(views.visible + views.infrared, 1, atol=1e-6)


def test_colour_and_labels_go_along() -> None:
    """Five planes of one pixel stay together; level 128 of colour is exactly none."""
    batch = draw_batch([a_pair(a_plane())], Cut(batch=8, crop=8, labelled=True), seed=0, step=0)
    visible, infrared, cr, cb, labels = np.moveaxis(batch.planes, 1, 0)
    assert (visible == labels).all()
    assert (visible == cr).all()
    assert (infrared == cb).all()
    views = views_of(batch, "cpu")
    assert views.cr is not None
    assert views.labels is not None
    np.testing.assert_allclose(views.cr[:, 0], (cr - 128.0) / 255 + 0.5, atol=1e-6)
    assert (views.labels.numpy() == labels).all()


def test_pairs_without_labels_are_colourless_and_unknown() -> None:
    """They join a labelled batch and count for nothing there."""
    batch = draw_batch([a_pair()], Cut(batch=2, crop=8, labelled=True), seed=0, step=0)
    assert (batch.planes[:, 2:4] == 128).all()
    assert (batch.planes[:, 4] == 255).all()


def test_labelled_crops_are_only_mirrored() -> None:
    """People stand upright: brightness that grows downwards still does."""
    rows = np.repeat(np.arange(30, dtype=np.uint8)[:, None], 40, axis=1)
    pair = Pair(name="a", visible=rows, infrared=rows)
    upright = draw_batch([pair], Cut(batch=32, crop=8, labelled=True), seed=0, step=0).planes
    turned = draw_batch([pair], Cut(batch=32, crop=8), seed=0, step=0).planes
    assert (np.diff(upright[:, 0].astype(int), axis=1) == 1).all()
    assert not (np.diff(turned[:, 0].astype(int), axis=1) == 1).all()


@pytest.mark.parametrize(("share", "least", "most"), [(0.0, 0, 20), (1.0, 64, 64)])
def test_crops_go_to_objects_as_often_as_asked(share: float, least: int, most: int) -> None:
    """With a share of 1 every crop holds the one object; unknown pixels are none."""
    labels = np.zeros((30, 40), np.uint8)
    labels[0, :] = 255
    labels[29, 39] = 2
    cut = Cut(batch=64, crop=8, labelled=True, near_objects=share)
    found = (draw_batch([a_pair(labels)], cut, seed=0, step=0).planes[:, 4] == 2).any(axis=(1, 2)).sum()
    assert least <= found <= most


def test_places_name_pair_and_position() -> None:
    """The crop can be found again in the image, but for the mirror."""
    batch = draw_batch([a_pair()], Cut(batch=8, crop=8, labelled=True), seed=0, step=0)
    for planes, place in zip(batch.planes, batch.places, strict=True):
        name, _, _, x, _, y = place.split()
        window = a_plane()[int(y) : int(y) + 8, int(x) : int(x) + 8]
        assert name == "a"
        assert (planes[0] == window).all() or (planes[0] == window[:, ::-1]).all()
