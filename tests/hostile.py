"""Bytes as somebody hostile would send them: valid ones with something changed."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hypothesis import strategies as st

from prbkit.errors import PrbError

CLAIMS = [
    b"\xfe\xff\xff\xff",  # 2^30 - 1
    b"\x03\xff\xff\xff\xff",  # 2^32 - 1
    b"\x13" + b"\xff" * 8,  # 2^64 - 1
    b"\xff" * 68,  # 67 bytes of length
    b"\x02\x00\x10\x00",  # 2^18
]
"""Lengths in SCALE that nothing backs."""


@st.composite
def changed(draw: st.DrawFn, samples: Sequence[bytes]) -> bytes:
    """A sample with one to four changes: bits, bytes, a part lost, given twice or claimed."""
    data = draw(st.sampled_from(samples))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        end = min(len(data), at + draw(st.integers(0, 40)))
        match draw(st.integers(0, 5)):
            case 0 if data:
                data = data[:at] + bytes([data[at] ^ 1 << draw(st.integers(0, 7))]) + data[at + 1 :]
            case 1:
                data = data[:at] + draw(st.binary(max_size=4)) + data[at + 1 :]
            case 2:
                data = data[:at] + data[end:]
            case 3:
                data = data[:end] + data[at:]
            case 4:
                data = data[:at]
            case _:
                data = data[:at] + draw(st.sampled_from(CLAIMS)) + data[at + 1 :]
    return data


def settle(
    function: Callable[..., Any],
    *args: Any,
    error: type[PrbError] | tuple[type[PrbError], ...] = PrbError,
    **kw: Any,
) -> Any:
    """What a function returns, or None where it raises an error of that class.

    Anything else that it raises goes through and fails the test.
    """
    try:
        return function(*args, **kw)
    except error:
        return None


@contextmanager
def little_memory(most: int = 4 << 20) -> Iterator[None]:
    """Fail where more than so many bytes of Python's memory are taken at any time."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < most, f"{peak} bytes were taken"
