"""What travels on an encrypted connection: a fixed header and a body, two ZeroMQ frames.

========== ================= ====================================================================
kind       from              body
========== ================= ====================================================================
INTRODUCE  both              ``prbkit.Introduction``; first on a connection, again as keep-alive
CALL       dialler           ``prb.WalkieRpcRequestWrapper``
BLOB       dialler           key, UTF-8
CREDIT     dialler           none; `value` is the sum of all bytes that may have been sent
CANCEL     dialler           none; the answer to `request` is no longer wanted
CHUNK      listener          bytes `value` … of `total` of the answer; the `last` has the CRC-32C
                             of the whole
ABSENT     listener          none: there is no such blob
FAILED     listener          ``prb.error.ResponseError``: why there is no answer
STRANGER   listener          none: introduce yourself (again) on a new connection
REFUSED    listener          ``prb.error.ResponseError``: why the introduction is not accepted
========== ================= ====================================================================
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from prbkit.errors import TransportError

__all__ = ["Frame", "Kind", "decode", "encode"]

Buffer = bytes | memoryview

_HEADER = struct.Struct(">BBIQQQ")
_LAST = 1


class Kind(enum.IntEnum):
    INTRODUCE = 1
    CALL = 2
    BLOB = 3
    CREDIT = 4
    CANCEL = 5
    CHUNK = 16
    ABSENT = 17
    FAILED = 18
    STRANGER = 19
    REFUSED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One message; which attributes count depends on its kind."""

    kind: Kind
    request: int = 0
    value: int = 0
    total: int = 0
    crc: int = 0
    last: bool = False
    body: Buffer = b""


def encode(frame: Frame) -> list[Buffer]:
    """Return header and body."""
    flags = _LAST if frame.last else 0
    header = _HEADER.pack(frame.kind, flags, frame.crc, frame.request, frame.value, frame.total)
    return [header, frame.body]


def decode(parts: Sequence[Buffer]) -> Frame:
    """Read header and body. Raises `TransportError` for anything else."""
    if len(parts) != 2 or len(parts[0]) != _HEADER.size:
        raise TransportError("a message is not of this protocol")
    kind, flags, crc, request, value, total = _HEADER.unpack(parts[0])
    try:
        known = Kind(kind)
    except ValueError:
        raise TransportError(f"a message has the unknown kind {kind}") from None
    if flags & ~_LAST:
        raise TransportError("a message has unknown flags")
    return Frame(
        kind=known,
        request=request,
        value=value,
        total=total,
        crc=crc,
        last=bool(flags),
        body=parts[1],
    )
