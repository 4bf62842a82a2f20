"""Who may talk to this process, and who may command it. No I/O."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

from pydantic import SecretStr

from prbkit.errors import Unauthorized

__all__ = ["Access"]

_DOMAIN = b"prbkit pre-shared key v1\0"
_PROOF_SIZE = hashlib.sha256().digest_size
_MOST_PROOFS = 2
"""A process has a pre-shared key and the secret of its installation, and no more."""


def _prove(secret: bytes, dialler: bytes, listener: bytes) -> bytes:
    """Prove a shared secret on one connection, told by both CURVE keys.

    Bound to both ends, so that a listener that does not know the secret learns nothing it could
    use elsewhere.
    """
    return hmac.digest(secret, _DOMAIN + dialler + listener, hashlib.sha256)


@dataclass(frozen=True, slots=True)
class Access:
    """The rules of one process."""

    peer_id: str
    namespace: str
    allow: frozenset[str] = frozenset()
    psk: SecretStr | None = field(default=None, repr=False)
    own_secret: bytes = field(default=b"", repr=False)
    """What this process shares with others of its installation (`Identity.command_secret`)."""
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
        given = [proof[n * _PROOF_SIZE : (n + 1) * _PROOF_SIZE] for n in range(_MOST_PROOFS)]
        wanted = [_prove(secret, dialler, listener) for secret in self._secrets()]
        return any(hmac.compare_digest(one, other) for one in given for other in wanted)

    def proof(self, dialler: bytes, listener: bytes) -> bytes:
        """Prove every secret that this process has, one proof after the other."""
        return b"".join(_prove(secret, dialler, listener) for secret in self._secrets())

    def _secrets(self) -> list[bytes]:
        shared = [] if self.psk is None else [self.psk.get_secret_value().encode()]
        return [*shared, self.own_secret] if self.own_secret else shared

    def knows_psk(self, text: str) -> bool:
        """Tell whether a text (of the method ``Auth``) is the pre-shared key."""
        return self.psk is not None and hmac.compare_digest(
            text.encode(), self.psk.get_secret_value().encode()
        )
