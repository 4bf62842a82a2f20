"""A private key under a passphrase, as text that can be kept anywhere.

Armour around: version 1, log2 N, r, p (a byte each), salt [16], nonce [12], AES-256-GCM of the
PKCS #8 DER; the key is scrypt(passphrase, salt, N, r, p), everything before the nonce is
associated data.
"""

from __future__ import annotations

import base64
import binascii
import os
import textwrap

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from prbkit.errors import IdentityError

__all__ = ["is_backup", "open_backup", "write_backup"]

_BEGIN = "-----BEGIN PRBKIT IDENTITY BACKUP-----"
_END = "-----END PRBKIT IDENTITY BACKUP-----"
_VERSION = 1
_LOG2_N, _R, _P = 17, 8, 1  # 128 MiB and about half a second
_MOST_LOG2_N, _MOST_R, _MOST_P = 18, 8, 4  # 256 MiB, whoever wrote the file
_HEADER = 4 + 16


def is_backup(data: bytes) -> bool:
    """Tell whether a file's content is a backup."""
    return data.lstrip().startswith(_BEGIN.encode())


def write_backup(secret: bytes, passphrase: str) -> bytes:
    """Encrypt a secret under a passphrase; the armoured text."""
    if not passphrase:
        raise IdentityError("a backup needs a passphrase")
    header = bytes((_VERSION, _LOG2_N, _R, _P)) + os.urandom(16)
    nonce = os.urandom(12)
    sealed = AESGCM(_key(header, passphrase)).encrypt(nonce, secret, header)
    body = "\n".join(textwrap.wrap(base64.b64encode(header + nonce + sealed).decode(), 64))
    return f"{_BEGIN}\n{body}\n{_END}\n".encode()


def open_backup(data: bytes, passphrase: str) -> bytes:
    """Decrypt a backup. Raises `IdentityError` for a wrong passphrase or a damaged text."""
    raw = _unarmour(data)
    header, nonce, sealed = raw[:_HEADER], raw[_HEADER : _HEADER + 12], raw[_HEADER + 12 :]
    if len(sealed) < 16:
        raise IdentityError("the backup is cut short")
    if header[0] != _VERSION:
        raise IdentityError(
            f"the backup has version {header[0]}", hint="a newer prbkit has written it"
        )
    if not (
        1 <= header[1] <= _MOST_LOG2_N and 1 <= header[2] <= _MOST_R and 1 <= header[3] <= _MOST_P
    ):
        raise IdentityError("the backup asks for more memory or time than is granted")
    try:
        return AESGCM(_key(header, passphrase)).decrypt(nonce, sealed, header)
    except InvalidTag:
        raise IdentityError("the passphrase is wrong, or the backup is damaged") from None


def _unarmour(data: bytes) -> bytes:
    try:
        text = data.decode("ascii").strip()
        if not (text.startswith(_BEGIN) and text.endswith(_END)):
            raise ValueError("no armour")
        body = "".join(text[len(_BEGIN) : -len(_END)].split())
        return base64.b64decode(body, validate=True)
    except (ValueError, binascii.Error):
        raise IdentityError("this is no backup of an identity") from None


def _key(header: bytes, passphrase: str) -> bytes:
    scrypt = Scrypt(salt=header[4:], length=32, n=1 << header[1], r=header[2], p=header[3])
    try:
        return scrypt.derive(passphrase.encode())
    except UnicodeEncodeError:
        raise IdentityError("the passphrase is not text") from None
