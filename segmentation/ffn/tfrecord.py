"""Writes training positions for google/ffn's train.py: a gzipped TFRecord file of tf.train.Example messages.

There are millions of records, which differ only in three numbers. So the records are built as rows of a byte array,
without TensorFlow.
"""

from __future__ import annotations

import itertools
import struct
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from floodrunner.segmentation.pieces import of_length
from floodrunner.segmentation.threads import processors

_ROWS = 1 << 16
"""Number of records that are compressed at once; they take about 5 MB."""


def gzipped_records(indices: Iterable[np.ndarray], shape: tuple[int, int, int], volume_name: str) -> Iterator[bytes]:
    """Writes one record for each position: `center`, int64 x, y, z, and `label_volume_name`, bytes.

    Args:
      indices: pieces of any length of a list of flat C-order indices into a volume of `shape` (z, y, x), in the order
        in which they are written.
      volume_name: the name, in ASCII, that train.py's `--label_volumes` gives the volume.

    Yields:
      The pieces of the file, which together make one gzip member. They are compressed in parallel, and each ends at a
      byte boundary. One gzip member per piece would be simpler, but some readers stop after the first member.

    Source: TensorFlow, core/lib/io/record_writer.h (framing) and core/example/example.proto.
    """

    def deflated(chosen: np.ndarray) -> tuple[np.ndarray, bytes]:
        centers = np.stack(np.unravel_index(chosen.astype(np.int64), shape), axis=-1)
        rows = records(centers, shape, volume_name)
        deflate = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
        return rows, deflate.compress(rows.data) + deflate.flush(zlib.Z_SYNC_FLUSH)

    yield b"\x1f\x8b\x08\0\0\0\0\0\x04\xff"  # gzip header: deflate, no name, no time, fastest, unknown system
    checksum, size = 0, 0
    with ThreadPoolExecutor(processors()) as pool:
        batches = of_length(indices, _ROWS)
        while ahead := list(itertools.islice(batches, 2 * processors())):  # limits memory if writing is slower
            for rows, piece in pool.map(deflated, ahead):
                checksum = zlib.crc32(rows.data, checksum)
                size += rows.size
                yield piece
    yield b"\x03\0" + struct.pack("<II", checksum, size % 2**32)  # an empty last block, and the gzip trailer


def records(centers: np.ndarray, shape: tuple[int, int, int], volume_name: str) -> np.ndarray:
    """Makes the bytes of one uncompressed TFRecord for each center.

    All numbers are padded to the width of the largest, which protocol buffers allow (a varint may end in zeros). All
    records then have one length and can be the rows of an array.

    Args:
      centers: (n, 3) int64 positions, z, y, x, inside a volume of `shape`, z, y, x.

    Returns:
      (n, length of a record) uint8.
    """
    width = max(1, -(-(max(shape) - 1).bit_length() // 7))
    values = _field(1, _varints(np.zeros(1, np.int64), width).tobytes() * 3)
    center = _entry(b"center", _field(3, values))
    name = _entry(b"label_volume_name", _field(1, _field(1, volume_name.encode("ascii"))))
    features = _field(1, center) + _field(1, name)
    message = _field(1, features)
    at = len(message) - len(features) + len(_field(1, center)) - 3 * width  # the first entry ends with the 3 numbers

    # A CRC is affine with respect to XOR, so the effect of each coordinate on the CRC can be looked up separately.
    template = np.frombuffer(message, np.uint8)
    base = crc32c(template[None])
    checksums = np.broadcast_to(base, len(centers)).copy()
    head = struct.pack("<Q", len(message))
    head += struct.pack("<I", _masked(crc32c(np.frombuffer(head, np.uint8)[None]))[0])
    rows = np.empty((len(centers), len(head) + len(message) + 4), np.uint8)
    rows[:, : len(head)] = np.frombuffer(head, np.uint8)
    rows[:, len(head) : -4] = template
    for place, axis in enumerate((2, 1, 0)):
        start = at + place * width
        every = _varints(np.arange(shape[axis]), width)
        variants = np.tile(template, (shape[axis], 1))
        variants[:, start : start + width] = every
        checksums ^= (crc32c(variants) ^ base)[centers[:, axis]]
        rows[:, len(head) + start : len(head) + start + width] = every[centers[:, axis]]
    rows[:, -4:] = _masked(checksums).astype("<u4")[:, None].view(np.uint8)
    return rows


def crc32c(rows: np.ndarray) -> np.ndarray:
    """Computes the CRC-32C (Castagnoli; RFC 3720) of each row of an (n, length) uint8 array; returns (n,) uint32."""
    crc = np.full(len(rows), 0xFFFFFFFF, np.uint32)
    for column in rows.T:
        crc = _CRC_TABLE[(crc ^ column) & 0xFF] ^ (crc >> 8)
    return ~crc


def _crc_table() -> np.ndarray:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(0x82F63B78), table >> 1)
    return table


_CRC_TABLE = _crc_table()


def _masked(crc: np.ndarray) -> np.ndarray:
    """Masks a CRC as the TFRecord format demands, because a CRC of data that contains CRCs would be weak."""
    return ((crc >> 15) | (crc << 17)) + np.uint32(0xA282EAD8)


def _varints(values: np.ndarray, width: int) -> np.ndarray:
    """Encodes numbers as varints of one width, (n, width) uint8. Each byte holds 7 bits, beginning with the lowest, and
    a top bit that tells whether another byte follows."""
    shifts = 7 * np.arange(width)
    digits = (values[:, None] >> shifts & 0x7F).astype(np.uint8)
    digits[:, :-1] |= 0x80
    return digits


def _field(number: int, payload: bytes) -> bytes:
    """Encodes a length-delimited field of a protocol buffer."""
    size = len(payload)
    width = max(1, -(-size.bit_length() // 7))
    return bytes([number << 3 | 2]) + _varints(np.array([size]), width).tobytes() + payload


def _entry(key: bytes, feature: bytes) -> bytes:
    """Encodes one entry of the map `Features.feature`."""
    return _field(1, key) + _field(2, feature)
