"""Configuration: YAML files and ``--set`` in, frozen checked models out, every mistake with its place.

The only package that knows pydantic and yaml. What a user can write is in
:mod:`streamfuse.config.pipeline` (the pipeline file) and :mod:`streamfuse.config.rig` (the rig file).
"""
