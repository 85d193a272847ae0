"""Compressed blocks: there and back, and what is refused."""

import io
import os
import struct
import unittest

from clickhouse_front import framing


def framed(data: bytes) -> bytes:
    return b"".join(framing.compress(data))


def read(data: bytes) -> bytes:
    return b"".join(framing.decompress(io.BytesIO(data)))


class Framing(unittest.TestCase):
    def test_there_and_back(self):
        for data in (b"", b"x", b"abc" * 100_000, os.urandom(framing.BLOCK * 2 + 1)):
            self.assertEqual(read(framed(data)), data)

    def test_a_block_is_laid_out_as_clickhouse_has_it(self):
        block = framed(b"hello")
        method, packed, size = struct.unpack_from("<BII", block, 16)
        self.assertEqual((method, packed, size), (0x82, len(block) - 16, 5))
        self.assertEqual(block[:16], framing.checksum(block[16:]))

    def test_a_flipped_bit_is_refused(self):
        good = framed(b"hello" * 100)
        for at in (0, 15, len(good) - 1):
            bad = bytearray(good)
            bad[at] ^= 1
            with self.assertRaisesRegex(framing.BadFrame, "checksum"):
                read(bytes(bad))

    def test_a_truncated_block_is_refused(self):
        good = framed(b"hello" * 100)
        for length in (1, 24, 25, len(good) - 1):
            with self.assertRaisesRegex(framing.BadFrame, "ends within"):
                read(good[:length])

    def test_another_method_is_refused(self):
        bad = bytearray(framed(b"hello"))
        bad[16] = 0x90
        with self.assertRaisesRegex(framing.BadFrame, "0x90"):
            read(bytes(bad))

    def test_a_wrong_size_under_a_right_checksum_is_refused(self):
        body = bytearray(framed(b"hello" * 100)[16:])
        struct.pack_into("<I", body, 5, 3)
        with self.assertRaises(framing.BadFrame):
            read(framing.checksum(bytes(body)) + bytes(body))
