"""SS58: how accounts are written for people, with the network's prefix and a checksum.

The rules are those of the SS58 registry: base58 of prefix · payload · checksum, where the
checksum is the beginning of blake2b-512 of ``SS58PRE`` · prefix · payload. Prefixes up to 63 take
one byte, those up to 16383 two.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from prbkit.errors import CodecError

__all__ = ["Address", "decode", "encode"]

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_DIGITS = {character: value for value, character in enumerate(_ALPHABET)}
_RESERVED = frozenset({46, 47})
# Size of the payload → sizes of checksum that may follow. The first is the one to make.
_CHECKSUMS: dict[int, tuple[int, ...]] = {
    1: (1,),
    2: (1,),
    4: (1, 2, 3, 4),
    8: (1, 2, 3, 4, 5, 6, 7, 8),
    32: (2,),
    33: (2,),
}
LONGEST = 64


class Address(NamedTuple):
    """A decoded address: the account's bytes and the network's prefix."""

    payload: bytes
    prefix: int


def encode(payload: bytes, prefix: int = 42) -> str:
    """Write an account id or public key (32 or 33 bytes; also indexes of 1, 2, 4, 8) as SS58."""
    if len(payload) not in _CHECKSUMS:
        raise CodecError(f"SS58 cannot hold {len(payload)} bytes")
    if not 0 <= prefix < 1 << 14 or prefix in _RESERVED:
        raise CodecError(f"SS58 has no prefix {prefix}", hint="0 to 16383 without 46 and 47")
    body = _prefix_bytes(prefix) + bytes(payload)
    return _base58(body + _checksum(body)[: _CHECKSUMS[len(payload)][0]])


def decode(address: str, prefix: int | None = None) -> Address:
    """Read an SS58 address; with `prefix`, one of another network is refused."""
    raw = _unbase58(address)
    if not raw:
        raise CodecError("empty SS58 address")
    if raw[0] & 0x80:
        raise CodecError(f"{_quoted(address)} has an unknown SS58 format")
    start = 2 if raw[0] & 0x40 else 1
    for size, checksums in _CHECKSUMS.items():
        if len(raw) - start - size in checksums:
            body, checksum = raw[: start + size], raw[start + size :]
            break
    else:
        raise CodecError(f"{_quoted(address)} is no SS58 address: {len(raw)} bytes")
    if _checksum(body)[: len(checksum)] != checksum:
        raise CodecError(f"the checksum of {_quoted(address)} is wrong", hint="is it mistyped?")
    found = _read_prefix(raw)
    if found in _RESERVED or (start == 2 and found < 64):
        raise CodecError(f"{_quoted(address)} has the SS58 prefix {found}, which none may have")
    if prefix is not None and found != prefix:
        raise CodecError(f"{_quoted(address)} is for SS58 prefix {found}, not {prefix}")
    return Address(body[start:], found)


def _prefix_bytes(prefix: int) -> bytes:
    if prefix < 64:
        return bytes([prefix])
    return bytes([(prefix & 0xFC) >> 2 | 0x40, prefix >> 8 | (prefix & 3) << 6])


def _read_prefix(raw: bytes) -> int:
    if not raw[0] & 0x40:
        return raw[0]
    return (raw[0] & 0x3F) << 2 | raw[1] >> 6 | (raw[1] & 0x3F) << 8


def _checksum(body: bytes) -> bytes:
    return hashlib.blake2b(b"SS58PRE" + body).digest()


def _base58(raw: bytes) -> str:
    number = int.from_bytes(raw, "big")
    digits = []
    while number:
        number, digit = divmod(number, 58)
        digits.append(_ALPHABET[digit])
    zeros = len(raw) - len(raw.lstrip(b"\0"))
    return "1" * zeros + "".join(reversed(digits))


def _unbase58(text: str) -> bytes:
    # Base58 costs the square of the length: nothing longer can be an address.
    if len(text) > LONGEST:
        raise CodecError(f"no SS58 address has {len(text)} characters")
    number = 0
    for character in text:
        if character not in _DIGITS:
            raise CodecError(f"{_quoted(text)} is no SS58 address: it holds {character!r}")
        number = number * 58 + _DIGITS[character]
    zeros = len(text) - len(text.lstrip("1"))
    return b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")


def _quoted(address: str) -> str:
    return repr(address if len(address) <= 60 else address[:57] + "…")
