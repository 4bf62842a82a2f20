"""The identity of a bridge process: one RSA key in one file.

The CURVE25519 key of the transport is derived from it, so that a backup of the file is a backup
of all, and a key file of PRB v2 needs nothing added.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import stat
from pathlib import Path
from typing import NoReturn, Self

from cryptography.exceptions import InvalidSignature, InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_pem_private_key,
)

from prbkit.errors import IdentityError
from prbkit.identity.backup import is_backup, open_backup, write_backup
from prbkit.identity.certificate import PSS, Certificate
from prbkit.identity.peer_id import (
    peer_id_of,
    public_key_der,
    read_libp2p_key,
    read_public_key,
)

__all__ = ["Identity"]

log = logging.getLogger(__name__)

_BITS = 2048
_MOST_BYTES = 64 * 1024
_OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
_SEALED = b"\x01"
_FINGERPRINT = 8
_NONCE = 12


class Identity:
    """An RSA key and what is done with it.

    Make one with `load`, `load_or_create`, `generate` or `restore`. Its `repr` shows the peer id
    alone; it cannot be pickled.
    """

    __slots__ = ("_curve", "_key", "_root", "certificate", "peer_id")

    def __init__(self, key: rsa.RSAPrivateKey, root: rsa.RSAPrivateKey | None = None) -> None:
        self._key = key
        self._root = root or key
        public = public_key_der(key.public_key())
        read_public_key(public)  # our own key must be one that peers take
        self.peer_id: str = peer_id_of(public)
        self._curve = _derive_curve_key(key)
        curve_public = self._curve.public_key().public_bytes_raw()
        self.certificate: Certificate = Certificate(
            public, curve_public, self.sign(Certificate.signed_bytes(curve_public))
        )

    def __repr__(self) -> str:
        return f"Identity({self.peer_id})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an identity is not pickled: each process loads the key file itself")

    def child(self) -> Self:
        """Make an identity for another process of the same installation.

        It has a peer id of its own, so that peers can tell the processes apart, opens what this
        one sealed, and proves by `command_secret` that it may do what this one may.
        """
        return type(self)(
            rsa.generate_private_key(public_exponent=65537, key_size=_BITS), self._root
        )

    def sealing_as(self, other: Identity) -> Self:
        """Make an identity with this one's peer id that seals and opens as another one does."""
        return type(self)(self._key, other._root)

    @property
    def command_secret(self) -> bytes:
        """What only this identity and its children know, 32 bytes."""
        return _derive(self._root, b"prbkit command secret v1")

    # --- files ---

    @classmethod
    def generate(cls) -> Self:
        """Make a new RSA-2048 identity, in memory only."""
        return cls(rsa.generate_private_key(public_exponent=65537, key_size=_BITS))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a key file: PEM (PKCS #8 or PKCS #1, unencrypted), or one of PRB v2.

        Raises `IdentityError` where it is missing or cannot be read. Use this, not
        `load_or_create`, where secrets sealed under the key exist already.
        """
        path = Path(path)
        try:
            with path.open("rb") as file:
                if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                    log.warning("%s can be read by others than its owner: chmod 600", path)
                data = file.read(_MOST_BYTES)
        except FileNotFoundError:
            raise IdentityError(
                "the identity's key file is missing",
                where=str(path),
                hint="restore it from its backup (prbkit identity restore); without it, what was "
                "sealed under it is lost",
            ) from None
        except OSError as error:
            raise IdentityError(
                f"the key file cannot be read: {error.strerror}", where=str(path)
            ) from None
        try:
            return cls(_read_key(data))
        except IdentityError as error:
            raise IdentityError(error.message, where=str(path), hint=error.hint) from None

    @classmethod
    def load_or_create(cls, path: str | Path) -> Self:
        """Read a key file, or make one (mode 0600) where there is none.

        Of several processes that start at once one makes the key, the others read it.
        """
        path = Path(path)
        if not path.exists():
            made = cls.generate()
            try:
                made.save(path)
            except FileExistsError:
                log.debug("%s was made by another process just now", path)
            else:
                return made
        return cls.load(path)

    def save(self, path: str | Path) -> None:
        """Write the key as PEM, mode 0600, all at once and durably.

        Raises `FileExistsError` rather than overwrite anything, `IdentityError` where it cannot
        be written.
        """
        path = Path(path)
        pem = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(pem)
                    file.flush()
                    os.fsync(file.fileno())
                os.link(draft, path)  # unlike a rename, this fails where the name is taken
            finally:
                draft.unlink(missing_ok=True)
            _sync_folder(path.parent)
        except FileExistsError:
            raise
        except OSError as error:
            raise IdentityError(
                f"the key file cannot be written: {error.strerror}",
                where=str(path),
                hint="the folder must exist or be creatable, and be writable",
            ) from None

    def backup(self, passphrase: str) -> bytes:
        """Return the key encrypted under a passphrase (scrypt, AES-256-GCM), as ASCII text."""
        return write_backup(
            self._key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()), passphrase
        )

    @classmethod
    def restore(cls, backup: bytes, passphrase: str) -> Self:
        """Open what `backup` made. Raises `IdentityError`."""
        return cls(_expect_rsa(open_backup(backup, passphrase)))

    # --- use ---

    @property
    def curve_public_key(self) -> bytes:
        """The transport's CURVE25519 public key, 32 bytes."""
        return self.certificate.curve_public_key

    @property
    def curve_secret_key(self) -> bytes:
        """The transport's CURVE25519 secret key, 32 bytes."""
        return self._curve.private_bytes_raw()

    @property
    def public_key(self) -> bytes:
        """The RSA public key, DER SubjectPublicKeyInfo."""
        return self.certificate.rsa_public_key

    def sign(self, message: bytes) -> bytes:
        """Sign with RSA-PSS over SHA-256."""
        return self._key.sign(message, PSS, hashes.SHA256())

    @staticmethod
    def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
        """Check a signature of `sign` under a DER public key."""
        try:
            read_public_key(public_key).verify(signature, message, PSS, hashes.SHA256())
        except InvalidSignature:
            return False
        return True

    def seal(self, plaintext: bytes, associated_data: bytes = b"") -> bytes:
        """Encrypt so that only this identity can read it, and only as what it was sealed for.

        A new AES-256-GCM key each time, wrapped with RSA-OAEP-SHA256. Layout: version 1, eight
        bytes of the key's fingerprint, wrapped key, nonce [12], ciphertext and tag.
        """
        key = AESGCM.generate_key(256)
        nonce = os.urandom(_NONCE)
        head = _SEALED + self._fingerprint()
        wrapped = self._root.public_key().encrypt(key, _OAEP)
        return (
            head + wrapped + nonce + AESGCM(key).encrypt(nonce, plaintext, head + associated_data)
        )

    def unseal(self, sealed: bytes, associated_data: bytes = b"") -> bytes:
        """Decrypt what `seal` made. Raises `IdentityError`, whose message says nothing of it."""
        head_length = len(_SEALED) + _FINGERPRINT
        wrapped_length = self._root.key_size // 8
        head = sealed[:head_length]
        if len(sealed) < head_length + wrapped_length + _NONCE + 16 or head[:1] != _SEALED:
            raise IdentityError("a sealed secret is damaged or of an unknown version")
        if head[1:] != self._fingerprint():
            raise IdentityError(
                "a secret was sealed under another identity",
                where=self.peer_id,
                hint="restore the key file it was sealed under, or enter the secret again",
            )
        at = head_length + wrapped_length
        try:
            key = self._root.decrypt(sealed[head_length:at], _OAEP)
            return AESGCM(key).decrypt(
                sealed[at : at + _NONCE], sealed[at + _NONCE :], head + associated_data
            )
        except (ValueError, InvalidTag):
            raise IdentityError(
                "a sealed secret is damaged or was sealed for something else", where=self.peer_id
            ) from None

    def _fingerprint(self) -> bytes:
        digest = hashes.Hash(hashes.SHA256())
        digest.update(public_key_der(self._root.public_key()))
        return digest.finalize()[:_FINGERPRINT]


def _derive_curve_key(key: rsa.RSAPrivateKey) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(_derive(key, b"prbkit curve25519 key v1"))


def _derive(key: rsa.RSAPrivateKey, purpose: bytes) -> bytes:
    """32 bytes that only the holder of the key can make, others for each purpose."""
    numbers = key.private_numbers()
    primes = sorted((numbers.p, numbers.q))
    material = b"".join(p.to_bytes((p.bit_length() + 7) // 8, "big") for p in primes)
    return HKDF(hashes.SHA256(), length=32, salt=None, info=purpose).derive(material)


def _read_key(data: bytes) -> rsa.RSAPrivateKey:
    if is_backup(data):
        raise IdentityError(
            "this is a backup under a passphrase", hint="open it with prbkit identity restore"
        )
    if not data.lstrip().startswith(b"-----BEGIN"):
        return read_libp2p_key(data)
    try:
        key = load_pem_private_key(data, password=None)
    except TypeError:
        raise IdentityError(
            "the key file is encrypted", hint="a key file is plain PEM, protected by its mode"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise IdentityError("the key file holds no private key that can be read") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise IdentityError("the key file holds no RSA key")
    return key


def _expect_rsa(der: bytes) -> rsa.RSAPrivateKey:
    try:
        key = load_der_private_key(der, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise IdentityError("the backup holds no private key") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise IdentityError("the backup holds no RSA key")
    return key


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some file systems cannot sync a folder
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
