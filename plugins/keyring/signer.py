"""Signs with a key pair in memory."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Literal, NoReturn, cast

from .derive import Pair

__all__ = ["KeyringSigner"]


class KeyringSigner:
    """A `Signer` over a `Pair`. It shows its account and nothing else, and can't be pickled."""

    __slots__ = ("_pair", "account", "crypto", "public_key")

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self.crypto = cast("Literal['sr25519', 'ed25519', 'ecdsa']", pair.crypto)
        self.public_key = pair.public
        # MultiSigner: an ecdsa account is the hash of its compressed public key.
        self.account = (
            hashlib.blake2b(pair.public, digest_size=32).digest()
            if pair.crypto == "ecdsa"
            else pair.public
        )

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
