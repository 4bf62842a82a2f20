"""Signs with a key pair in memory."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Literal, NoReturn, cast

from .derive import Pair

__all__ = ["KeyringSigner", "account_of", "verify"]


class KeyringSigner:
    """A `Signer` over a `Pair`. It shows its account and nothing else, and can't be pickled."""

    __slots__ = ("_pair", "account", "crypto", "public_key")

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self.crypto = cast("Literal['sr25519', 'ed25519', 'ecdsa']", pair.crypto)
        self.public_key = pair.public
        self.account = account_of(pair.crypto, pair.public)

    def __repr__(self) -> str:
        return f"<KeyringSigner {self.crypto} 0x{self.account.hex()}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a signer is not pickled: it holds a secret")

    async def sign(self, payload: bytes) -> bytes:
        """Sign exactly these bytes (ecdsa: their blake2b-256, with the recovery id at the end)."""
        if self.crypto == "sr25519":
            import sr25519

            return bytes(sr25519.sign((self._pair.public, self._pair.secret), payload))
        if self.crypto == "ed25519":
            from nacl.signing import SigningKey

            return bytes(SigningKey(self._pair.secret).sign(payload).signature)
        return await asyncio.to_thread(_sign_ecdsa, self._pair.secret, payload)


def _sign_ecdsa(secret: bytes, payload: bytes) -> bytes:
    from eth_keys.datatypes import PrivateKey

    digest = hashlib.blake2b(payload, digest_size=32).digest()
    return bytes(PrivateKey(secret).sign_msg_hash(digest).to_bytes())


def account_of(crypto: str, public_key: bytes) -> bytes:
    """Account id of a public key. MultiSigner: an ecdsa account is the key's hash."""
    if crypto == "ecdsa":
        return hashlib.blake2b(public_key, digest_size=32).digest()
    return public_key


def verify(crypto: str, public_key: bytes, payload: bytes, signature: bytes) -> bool:
    """Check a signature as a Substrate chain does."""
    if crypto == "sr25519":
        import sr25519

        try:
            return bool(sr25519.verify(signature, payload, public_key))
        except ValueError:  # no signature, or no key, at all
            return False
    if crypto == "ed25519":
        from nacl.exceptions import BadSignatureError
        from nacl.signing import VerifyKey

        try:
            VerifyKey(public_key).verify(payload, signature)
        except (BadSignatureError, ValueError):
            return False
        return True
    from eth_keys.datatypes import Signature
    from eth_keys.exceptions import BadSignature
    from eth_utils.exceptions import ValidationError

    digest = hashlib.blake2b(payload, digest_size=32).digest()
    try:
        recovered = Signature(signature).recover_public_key_from_msg_hash(digest)
    except (BadSignature, ValidationError):
        return False
    return bool(recovered.to_compressed_bytes() == public_key)
