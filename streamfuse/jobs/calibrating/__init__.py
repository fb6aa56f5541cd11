"""The parts of ``streamfuse calibrate``: from pictures of both cameras to a rig file, and how good it is."""
