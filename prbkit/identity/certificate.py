"""What lets a peer id prove itself on an encrypted connection: its CURVE key, signed by it."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from prbkit.errors import IdentityError
from prbkit.identity.peer_id import peer_id_of, read_public_key

__all__ = ["PSS", "Certificate"]

PSS = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
_DOMAIN = b"prbkit curve25519 certificate v1\0"


@dataclass(frozen=True, slots=True)
class Certificate:
    """Binds a CURVE25519 public key (32 bytes) to an RSA public key (DER).

    It says nothing until `verify` has returned. It may be shown to anyone and never expires:
    whoever uses it must still prove that it has the CURVE secret, by an encrypted connection.
    """

    rsa_public_key: bytes
    curve_public_key: bytes
    signature: bytes

    @staticmethod
    def signed_bytes(curve_public_key: bytes) -> bytes:
        """Return what the RSA key signs (RSA-PSS, SHA-256)."""
        return _DOMAIN + curve_public_key

    def verify(self) -> str:
        """Check the signature and return the peer id. Raises `IdentityError`."""
        if len(self.curve_public_key) != 32:
            raise IdentityError("a CURVE public key is not 32 bytes long")
        key = read_public_key(self.rsa_public_key)
        try:
            key.verify(
                self.signature, self.signed_bytes(self.curve_public_key), PSS, hashes.SHA256()
            )
        except InvalidSignature:
            raise IdentityError(
                "a certificate's signature is wrong", where=peer_id_of(self.rsa_public_key)
            ) from None
        return peer_id_of(self.rsa_public_key)
