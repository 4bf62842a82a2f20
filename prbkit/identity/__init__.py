"""Who this bridge is: an RSA key that names it, signs for it, and seals its secrets."""

from prbkit.identity.certificate import Certificate
from prbkit.identity.keys import Identity
from prbkit.identity.peer_id import is_peer_id, peer_id_of

__all__ = ["Certificate", "Identity", "is_peer_id", "peer_id_of"]
