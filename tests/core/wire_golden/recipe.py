"""How the golden packets next to this file were made, byte by byte and without the code under test.

Run it to write them again: ``python tests/core/wire_golden/recipe.py``. A new version of the layouts gets new
files; these stay as they are, because they are what earlier releases put on the bus.
"""

import struct
from pathlib import Path


def le(value: int, nbytes: int, *, signed: bool = False) -> bytes:
    """A little-endian integer."""
    return value.to_bytes(nbytes, "little", signed=signed)


def head(kind: int, length: int) -> bytes:
    """Magic, version 1, kind, length of the whole message."""
    return b"SFBM" + le(1, 1) + le(kind, 1) + le(length, 2)


PACKETS = {
    # infrared, yuv420p, limited range, BT.709; 640 x 480; 17 bytes of meta
    "frame.bin": head(1, 76)
    + le(1, 1) + le(2, 1) + le(0, 1) + le(1, 1)
    + le(3, 4)
    + le(0x1122334455667788, 8) + le(41, 8) + le(57, 8)
    + le(-1_000_000, 8, signed=True)
    + le(123_456_789_012, 8, signed=True) + le(123_460_000_000, 8, signed=True)
    + le(640, 4) + le(480, 4) + le(17, 4),
    # fused, stopped, after the 99th descriptor
    "end.bin": head(2, 18) + le(2, 1) + le(1, 1) + le(99, 8),
    # "engine", a session, window 4, done up to 40
    "grant.bin": head(3, 58) + b"engine" + bytes(26) + le(0xFEDCBA9876543210, 8) + le(4, 2) + le(40, 8),
    # infrared, gray16, full range, BT.601; lossless; key frame and shutter closed; 640 x 512 at 8.7 fps
    "packet.bin": head(4, 94)
    + le(1, 1) + le(1, 1) + le(1, 1) + le(0, 1) + le(3, 1) + le(3, 1)
    + le(0x0102030405060708, 8) + le(12, 8) + le(34, 8) + le(5, 8)
    + le(-7, 8, signed=True) + le(123_456_789_012, 8, signed=True) + le(123_460_000_000, 8, signed=True)
    + le(640, 4) + le(512, 4) + struct.pack("<d", 8.7) + le(98_765, 4) + le(0xCAFEF00D, 4),
    # visible, a life of the node, 77 frames captured
    "away.bin": head(5, 25) + le(0, 1) + le(0x0102030405060708, 8) + le(77, 8),
}  # fmt: skip

if __name__ == "__main__":
    for name, packet in PACKETS.items():
        Path(__file__).with_name(name).write_bytes(packet)
