"""How good a fused image, a detection, a segmentation or a fused video is, as numbers.

Pure functions of arrays: nothing here opens a file. ``fusion`` holds the list of the image metrics and
computes them by name; one module per family has their formulas; ``convention`` says which scalings are used.
"""
