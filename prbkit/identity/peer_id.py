"""libp2p's names of RSA keys, as PRB v2 uses them.

A peer id is base58 of the SHA-256 multihash of the protobuf ``PublicKey {1 type, 2 data}``, data
being the DER SubjectPublicKeyInfo (libp2p specs, peer-ids).
"""

from __future__ import annotations

import hashlib

import base58
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)

from prbkit.errors import IdentityError

__all__ = ["is_peer_id", "peer_id_of", "public_key_der", "read_libp2p_key", "read_public_key"]

_MULTIHASH_SHA256 = b"\x12\x20"
_KEY_BITS = (2048, 8192)
_MAX_DER = 2048


def peer_id_of(public_key: bytes) -> str:
    """Return the peer id (``Qm…``) of an RSA public key in DER (SubjectPublicKeyInfo)."""
    encoded = b"\x08\x00\x12" + _varint(len(public_key)) + public_key
    return base58.b58encode(_MULTIHASH_SHA256 + hashlib.sha256(encoded).digest()).decode()


def is_peer_id(text: str) -> bool:
    """Tell whether a text is a peer id of an RSA key: base58 of a SHA-256 multihash."""
    if not 44 <= len(text) <= 48:
        return False
    try:
        raw = base58.b58decode(text)
    except ValueError:
        return False
    return len(raw) == 34 and raw.startswith(_MULTIHASH_SHA256)


def public_key_der(key: RSAPublicKey) -> bytes:
    """Return a public key as DER SubjectPublicKeyInfo."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def read_public_key(der: bytes) -> RSAPublicKey:
    """Read a DER SubjectPublicKeyInfo that anybody may have sent.

    Raises `IdentityError` for what is no RSA key, or one so small that it proves nothing or so big
    that checking its signatures costs too much.
    """
    if len(der) > _MAX_DER:
        raise IdentityError(f"a public key of {len(der)} bytes is too long")
    try:
        key = load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise IdentityError(f"a public key cannot be read: {error}") from None
    if not isinstance(key, RSAPublicKey):
        raise IdentityError("a public key is not RSA")
    if not _KEY_BITS[0] <= key.key_size <= _KEY_BITS[1]:
        raise IdentityError(f"an RSA key has {key.key_size} bits", hint="2048 to 8192 are taken")
    if key.public_numbers().e.bit_length() > 32:
        raise IdentityError("an RSA key has an exponent of more than 32 bits")
    return key


def read_libp2p_key(data: bytes) -> RSAPrivateKey:
    """Read the key file of a PRB v2 process.

    It is js-libp2p's ``PeerId {1 id, 2 public key, 3 private key}``, or the ``PrivateKey {1 type,
    2 data}`` that stands in its third field, data being a PKCS #1 DER. Raises `IdentityError`.
    """
    fields = _fields(data)
    inner = fields.get(3)
    if isinstance(inner, bytes):
        fields = _fields(inner)
    der = fields.get(2)
    if fields.get(1, 0) != 0 or not isinstance(der, bytes):
        raise IdentityError("this is no libp2p RSA private key")
    try:
        key = load_der_private_key(der, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise IdentityError("this is no libp2p RSA private key") from None
    if not isinstance(key, RSAPrivateKey):
        raise IdentityError("this is no libp2p RSA private key")
    return key


def _fields(data: bytes) -> dict[int, int | bytes]:
    """Read a flat protobuf message of varints and byte strings."""
    fields: dict[int, int | bytes] = {}
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        value, at = _read_varint(data, at)
        if tag & 7 == 0:
            fields[tag >> 3] = value
        elif tag & 7 == 2 and value <= len(data) - at:
            fields[tag >> 3] = data[at : at + value]
            at += value
        else:
            raise IdentityError("this is no libp2p key file")
    return fields


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 35, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise IdentityError("this is no libp2p key file")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
