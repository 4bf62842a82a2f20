"""Opens polkadot-js account exports of every version.

An export's `encoded` is a PKCS#8-like record, encrypted with XSalsa20-Poly1305. Version 3 puts
salt [32] ++ N, p, r (u32 LE) ++ nonce [24] before the box and takes the key from scrypt; versions
0 to 2 have nonce [24] before it and pad the password to the key. Format: polkadot-js
`packages/keyring/src/pair` and `packages/util-crypto/src/json`.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from prbkit.errors import SignerError

from .derive import Pair, pair_of_seed

__all__ = ["open_export", "split_export"]

_HEADER = bytes.fromhex("3053020101300506032b657004220420")
_DIVIDER = bytes.fromhex("a123032100")
_SCRYPT_PREFIX = 32 + 3 * 4
_NONCE = 24
_KEY = 32

_SCRYPT_N = {1 << 13, 1 << 14, 1 << 15, 1 << 16, 1 << 17, 1 << 18}
"""Costs that are accepted: a hostile file must not name the memory to take. 2^18 is 256 MiB."""
_MAX_ENCODED = 4096


def split_export(text: str) -> tuple[Mapping[str, Any], str]:
    """Part the JSON object at the start of a text from what follows it."""
    try:
        value, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        raise SignerError("the account export is not valid JSON") from None
    if not isinstance(value, dict):
        raise SignerError("the account export is not a JSON object")
    return value, text[end:].strip()


def open_export(export: Mapping[str, Any], password: str | None) -> Pair:
    """Decrypt an export and make its key pair.

    :raises SignerError: wrong password, a form that is not known, or a scheme that cannot sign
        for a Substrate account (ethereum).
    """
    encoding = export.get("encoding")
    if not isinstance(encoding, Mapping):
        raise SignerError("the account export has no encoding", hint="export the account again")
    layers, content = _texts(encoding.get("type")), _texts(encoding.get("content"))
    version = str(encoding.get("version"))
    if content[:1] != ["pkcs8"] or version not in ("0", "1", "2", "3"):
        raise SignerError(
            "the account export has an unknown format", hint="versions 0 to 3 with pkcs8 content"
        )
    # Before version 2 only ed25519 existed, and content did not name it.
    crypto = content[1] if len(content) > 1 else "ed25519"
    if crypto not in ("sr25519", "ed25519", "ecdsa"):
        raise SignerError(
            f"the account export is for {crypto}", hint="sr25519, ed25519 and ecdsa can sign"
        )
    data = _bytes_of(export.get("encoded"))
    if "none" not in layers:
        if "xsalsa20-poly1305" not in layers:
            raise SignerError("the account export is encrypted in an unknown way")
        if password is None:
            raise SignerError(
                "the account export needs a password",
                hint="add ?password=…, or set keyring.password",
            )
        data = _decrypt(data, password, scrypt="scrypt" in layers)
    return _pair(*_parse(data), crypto)


def _texts(value: Any) -> list[str]:
    items = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, str)]


def _bytes_of(encoded: Any) -> bytes:
    if not isinstance(encoded, str) or len(encoded) > _MAX_ENCODED:
        raise SignerError("the account export has no usable `encoded`")
    try:
        if encoded.startswith("0x"):
            return bytes.fromhex(encoded[2:])
        return base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error):
        raise SignerError("the account export's `encoded` is neither hex nor base64") from None


def _decrypt(data: bytes, password: str, *, scrypt: bool) -> bytes:
    from nacl.exceptions import CryptoError
    from nacl.secret import SecretBox

    if scrypt:
        if len(data) < _SCRYPT_PREFIX + _NONCE:
            raise SignerError("the account export is cut off")
        key = _scrypt_key(data[:_SCRYPT_PREFIX], password)
        data = data[_SCRYPT_PREFIX:]
    else:
        key = password.encode()[:_KEY].ljust(_KEY, b"\0")
    try:
        return SecretBox(key).decrypt(data[_NONCE:], data[:_NONCE])
    except (CryptoError, ValueError, TypeError):
        raise SignerError("the password does not open the account export") from None


def _scrypt_key(prefix: bytes, password: str) -> bytes:
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    salt = prefix[:32]
    n, p, r = (int.from_bytes(prefix[at : at + 4], "little") for at in (32, 36, 40))
    if n not in _SCRYPT_N or p != 1 or r != 8:
        raise SignerError(
            f"the account export asks for scrypt with N={n}, r={r}, p={p}",
            hint="polkadot-js writes N up to 262144, r=8, p=1",
        )
    return Scrypt(salt=salt, length=64, n=n, r=r, p=p).derive(password.encode())[:_KEY]


def _parse(data: bytes) -> tuple[bytes, bytes]:
    """Secret (64 or 32 bytes) and public key of the plain record."""
    if not data.startswith(_HEADER):
        raise SignerError("the account export does not hold a PKCS#8 key")
    for length in (64, 32):
        end = len(_HEADER) + length
        if data[end : end + len(_DIVIDER)] == _DIVIDER:
            return data[len(_HEADER) : end], data[end + len(_DIVIDER) :]
    raise SignerError("the account export does not hold a PKCS#8 key")


def _pair(secret: bytes, public: bytes, crypto: str) -> Pair:
    if crypto == "sr25519" and len(secret) == 64:
        import sr25519

        try:
            made = sr25519.pair_from_ed25519_secret_key(secret)
        except ValueError:
            raise SignerError("the account export's sr25519 key is not valid") from None
        pair = Pair(crypto, bytes(made[0]), bytes(made[1]))
    else:
        # ed25519 keeps its public key behind the seed; the others have 32 bytes alone.
        pair = pair_of_seed(secret[:32], crypto)
    if pair.public[:32] != public[:32]:
        raise SignerError("the account export's public key is not that of its secret")
    return pair
