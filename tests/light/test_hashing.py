"""The core's own hashes against hashlib and the xxhash package."""

import hashlib
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prbkit._native import core

xxhash = pytest.importorskip("xxhash", reason="comes with substrate-interface")

# Every length around the block sizes (32 and 128) and one above the GIL threshold.
LENGTHS = [*range(300), 8191, 8192, 8193, 100_003]


def twox(data: bytes, lanes: int) -> bytes:
    return b"".join(
        xxhash.xxh64(data, seed=i).intdigest().to_bytes(8, "little") for i in range(lanes)
    )


@pytest.mark.parametrize("offset", [0, 1, 7])
def test_hashes_of_all_lengths_agree_with_reference(offset: int) -> None:
    source = hashlib.shake_256(b"prbkit").digest(100_100)
    for n in LENGTHS:
        data = memoryview(source)[offset : offset + n]
        assert core.blake2b_256(data) == hashlib.blake2b(data, digest_size=32).digest()
        assert core.blake2b_128(data) == hashlib.blake2b(data, digest_size=16).digest()
        assert core.twox_256(data) == twox(bytes(data), 4)
        assert core.twox_128(data) == twox(bytes(data), 2)
        assert core.twox_64(data) == twox(bytes(data), 1)


@given(st.binary(max_size=2000))
def test_hashes_agree_with_reference(data: bytes) -> None:
    assert core.blake2b_256(data) == hashlib.blake2b(data, digest_size=32).digest()
    assert core.twox_128(data) == twox(data, 2)


def test_pallet_prefix() -> None:
    assert core.twox_128(b"System").hex() == "26aa394eea5630e07c48ae0c9558cef7"


def test_big_inputs_from_threads() -> None:
    data = [bytes([i]) * 200_000 for i in range(8)]
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(core.blake2b_256, data))
    assert got == [hashlib.blake2b(d, digest_size=32).digest() for d in data]


def test_text_is_refused_and_buffers_are_released() -> None:
    with pytest.raises(TypeError):
        core.blake2b_256("text")  # type: ignore[arg-type]
    data = bytearray(b"abc")
    before = sys.getrefcount(data)
    core.twox_256(data)
    data.append(1)  # a buffer still exported would raise BufferError
    assert sys.getrefcount(data) == before
