"""Calibration boards: what they are, where they are in pictures of either camera, how to print them."""
