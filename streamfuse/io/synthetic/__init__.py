"""Synthetic scenes: seeded pairs of streams, seen by a visible and an infrared camera, with their truth.

The street is the demo, the test bed and training data. :mod:`~streamfuse.io.synthetic.spec` says what can be
asked for, :mod:`~streamfuse.io.synthetic.street` renders any instant of it with its ground truth. The board
is what calibrations are measured by: :mod:`~streamfuse.io.synthetic.board_spec`,
:mod:`~streamfuse.io.synthetic.board_scene` and :mod:`~streamfuse.io.synthetic.board_truth`.
:mod:`~streamfuse.io.synthetic.source` gives both out as frames.
"""
