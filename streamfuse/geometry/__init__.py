"""Where things are: warps between the cameras and, one day, the solvers that find them.

The one package that uses OpenCV on images, so the grey plane that a warp needs is made here too.
"""
