"""TensorBoard's event records, written by hand: two nested protocol buffers in a checksummed frame.

Frame (TFRecord): length as uint64, checksum of the length, data, checksum of the data; little endian. The
checksum is CRC-32C, rotated right by 15 bits plus a constant, so that a checksum of data that holds
checksums stays useful. Data is an ``Event``: ``wall_time`` = 1 (double, seconds), ``step`` = 2 (varint),
``file_version`` = 3 (text), ``summary`` = 5, whose ``value`` = 1 has ``tag`` = 1 and ``simple_value`` = 2
(float). Source: tensorflow's ``record_writer.h``, ``event.proto`` and ``summary.proto``.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

__all__ = ["file_header", "scalars_record"]

_MASK = 0xA282EAD8
_CASTAGNOLI = 0x82F63B78
"""Polynomial of CRC-32C, bits reversed."""


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (_CASTAGNOLI if crc & 1 else 0)
        table.append(crc)
    return tuple(table)


_CRC_TABLE = _crc_table()


def file_header(utc_ns: int) -> bytes:
    """The first record of an event file."""
    return _record(_double(1, utc_ns / 1e9) + _bytes(3, b"brain.Event:2"))


def scalars_record(step: int, values: Mapping[str, float], *, utc_ns: int) -> bytes:
    """The record of one step with its scalars by tag."""
    summary = b"".join(_bytes(1, _bytes(1, tag.encode()) + _float(2, value)) for tag, value in values.items())
    return _record(_double(1, utc_ns / 1e9) + b"\x10" + _varint(step) + _bytes(5, summary))


def _record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + _masked_crc(length) + data + _masked_crc(data)


def _masked_crc(data: bytes) -> bytes:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    rotated = crc >> 15 | crc << 17
    return struct.pack("<I", (rotated + _MASK) & 0xFFFFFFFF)


def _double(field: int, value: float) -> bytes:
    return bytes([field << 3 | 1]) + struct.pack("<d", value)


def _float(field: int, value: float) -> bytes:
    return bytes([field << 3 | 5]) + struct.pack("<f", value)


def _bytes(field: int, value: bytes) -> bytes:
    return bytes([field << 3 | 2]) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    """Seven bits a byte, lowest first; the top bit says that more follow."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
