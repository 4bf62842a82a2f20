"""Who may talk to this process, and who may command it. No I/O."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

from pydantic import SecretStr

from prbkit.errors import Unauthorized

__all__ = ["Access", "prove_psk"]

_DOMAIN = b"prbkit pre-shared key v1\0"


def prove_psk(psk: SecretStr, dialler: bytes, listener: bytes) -> bytes:
    """Return what proves a pre-shared key on one connection, told by both CURVE keys.

    Bound to both ends, so that a listener that does not know the key learns nothing it could use
    elsewhere.
    """
    key = psk.get_secret_value().encode()
    return hmac.digest(key, _DOMAIN + dialler + listener, hashlib.sha256)


@dataclass(frozen=True, slots=True)
class Access:
    """The rules of one process."""

    peer_id: str
    namespace: str
    allow: frozenset[str] = frozenset()
    psk: SecretStr | None = field(default=None, repr=False)
    ignore_namespace: bool = False

    def check_namespace(self, bridge_identity: str) -> None:
        """Raise `Unauthorized` for a peer of another bridge."""
        if bridge_identity != self.namespace and not self.ignore_namespace:
            raise Unauthorized(
                "the bridge identities differ",
                hint="set the same namespace (PHALA_BRIDGE_IDENTITY) on both",
            )

    def may_command(self, peer_id: str, proof: bytes, dialler: bytes, listener: bytes) -> bool:
        """Tell whether a proven peer may command."""
        if peer_id == self.peer_id or peer_id in self.allow:
            return True
        return self.psk is not None and hmac.compare_digest(
            proof, prove_psk(self.psk, dialler, listener)
        )

    def knows_psk(self, text: str) -> bool:
        """Tell whether a text (of the method ``Auth``) is the pre-shared key."""
        return self.psk is not None and hmac.compare_digest(
            text.encode(), self.psk.get_secret_value().encode()
        )
