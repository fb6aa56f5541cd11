"""streamfuse: live fusion of an infrared and a visible camera.

Importing the package loads neither torch nor zmq, av or cv2: those belong to the rooms that need
them (``streamfuse.engine``, ``streamfuse.io``).
"""

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("streamfuse")
