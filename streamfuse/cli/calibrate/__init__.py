"""One file for each of the commands ``streamfuse calibrate …``."""
