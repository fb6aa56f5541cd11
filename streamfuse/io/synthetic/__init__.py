"""The synthetic street: a seeded pair of streams, seen by a visible and an infrared camera.

It is the demo, the test bed and training data. :mod:`~streamfuse.io.synthetic.spec` says what can be
asked for, :mod:`~streamfuse.io.synthetic.street` renders any instant of it with its ground truth, and
:mod:`~streamfuse.io.synthetic.source` gives it out as frames.
"""
