"""streamfuse: live fusion of an infrared and a visible camera.

Importing the package loads neither torch nor zmq, av or cv2: those belong to the rooms that need
them (``streamfuse.engine``, ``streamfuse.io``).
"""

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - 30 ms, which no worker of a run can use

        return version("streamfuse")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
