"""The development accounts, ``//Alice`` to ``//Ferdie``. Anyone can derive them: never of value."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import sr25519

from prbkit.testing.layouts import text

__all__ = ["DEV_NAMES", "DevAccount", "dev_account"]

DEV_NAMES = ("Alice", "Bob", "Charlie", "Dave", "Eve", "Ferdie")

#: Seed of Substrate's development phrase (``bottom drive obey lake …``).
_DEV_SEED = bytes.fromhex("fac7959dbfe72f052e5a0c3c8d6530f202b02fd8f9f5ca3580ec8deb7797479e")


@dataclass(frozen=True, slots=True)
class DevAccount:
    """An sr25519 key pair; `public` is the account id."""

    public: bytes
    secret: bytes

    def sign(self, message: bytes) -> bytes:
        """Sign in the context ``substrate``; 64 bytes, not the same twice."""
        signature: bytes = sr25519.sign((self.public, self.secret), message)
        return signature


@cache
def dev_account(path: str) -> DevAccount:
    """Derive an account by the hard junctions of `path`: ``Alice`` or ``prbkit//worker``."""
    public, secret = sr25519.pair_from_seed(_DEV_SEED)
    for junction in path.strip("/").split("//"):
        chain_code = text.write(junction).ljust(32, b"\0")
        _, public, secret = sr25519.hard_derive_keypair((chain_code, public, secret), b"")
    return DevAccount(public, secret)
