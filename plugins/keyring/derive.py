"""Key pairs and their derivation, as Substrate's `sp_core::crypto` defines it.

sr25519 goes to the schnorrkel bindings; ed25519 and ecdsa derive hard junctions only, by hashing
the seed with the junction under a name of their own.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from prbkit.errors import SignerError

__all__ = ["Pair", "derive", "junction_code", "mini_secret", "pair_of_seed"]


@dataclass(frozen=True, slots=True)
class Pair:
    """A key pair. `secret` is 64 bytes (sr25519: key and nonce), or the seed or key of 32."""

    crypto: str
    public: bytes
    secret: bytes = field(repr=False)


def mini_secret(phrase: str, password: str) -> bytes:
    """Seed of a mnemonic: PBKDF2 over its entropy, not over its words as BIP-39 has it."""
    import bip39

    try:
        return bytes(bip39.bip39_to_mini_secret(phrase, password, "en"))
    except ValueError:
        raise SignerError(
            "the mnemonic is not valid",
            hint="12, 15, 18, 21 or 24 words of the English BIP-39 list, the last a checksum",
        ) from None


def pair_of_seed(seed: bytes, crypto: str) -> Pair:
    """Make the pair of a 32-byte seed (for ecdsa: of the secret key itself)."""
    if crypto == "sr25519":
        import sr25519

        public, secret = sr25519.pair_from_seed(seed)
        return Pair(crypto, bytes(public), bytes(secret))
    if crypto == "ed25519":
        from nacl.signing import SigningKey

        return Pair(crypto, bytes(SigningKey(seed).verify_key), seed)
    if crypto == "ecdsa":
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        try:
            key = ec.derive_private_key(int.from_bytes(seed, "big"), ec.SECP256K1())
        except ValueError:
            raise SignerError("the seed is not a secp256k1 secret key") from None
        public = key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
        return Pair(crypto, public, seed)
    raise SignerError(f"no such signature scheme: {crypto}", hint="sr25519, ed25519 or ecdsa")


def junction_code(name: str) -> bytes:
    """Chain code of a junction: SCALE of the number or the text, 32 bytes.

    Numbers beyond u64 are refused: Substrate reads them as text, polkadot-js as a number.
    """
    if name.isascii() and name.isdigit():
        digits = name.lstrip("0") or "0"
        if len(digits) > 20 or int(digits) >= 1 << 64:
            raise SignerError("a junction that is a number must be below 2^64")
        return int(digits).to_bytes(32, "little")
    encoded = _scale_text(name.encode())
    if len(encoded) > 32:
        return hashlib.blake2b(encoded, digest_size=32).digest()
    return encoded.ljust(32, b"\0")


def derive(pair: Pair, name: str, *, hard: bool) -> Pair:
    """Derive a child by one junction; soft ones exist for sr25519 only."""
    code = junction_code(name)
    if pair.crypto == "sr25519":
        import sr25519

        step = sr25519.hard_derive_keypair if hard else sr25519.derive_keypair
        _, public, secret = step((code, pair.public, pair.secret), b"")
        return Pair(pair.crypto, bytes(public), bytes(secret))
    if not hard:
        raise SignerError(f"soft derivation is not possible for {pair.crypto}", hint="use //")
    label = b"Ed25519HDKD" if pair.crypto == "ed25519" else b"Secp256k1HDKD"
    seed = hashlib.blake2b(_scale_text(label) + pair.secret + code, digest_size=32).digest()
    return pair_of_seed(seed, pair.crypto)


def _scale_text(data: bytes) -> bytes:
    length = len(data)
    if length < 1 << 6:
        return bytes([length << 2]) + data
    if length < 1 << 14:
        return (length << 2 | 1).to_bytes(2, "little") + data
    raise SignerError("a junction is longer than 16383 bytes")
