"""Checks the signatures that accounts and workers make, as Substrate's host functions do."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import ed25519_zebra
import sr25519

__all__ = ["verify", "verify_sr25519"]


def verify_sr25519(signature: bytes, message: bytes, public: bytes) -> bool:
    """Check a schnorrkel signature in the context ``substrate``."""
    try:
        return bool(sr25519.verify(signature, message, public))
    except ValueError:
        return False


def _verify_ed25519(signature: bytes, message: bytes, public: bytes) -> bool:
    try:
        return bool(ed25519_zebra.ed_verify(signature, message, public))
    except ValueError:
        return False


_SCHEMES: Mapping[str, Callable[[bytes, bytes, bytes], bool]] = {
    "Sr25519": verify_sr25519,
    "Ed25519": _verify_ed25519,
}


def verify(signature: Mapping[str, bytes], message: bytes, account: bytes) -> bool:
    """Check a MultiSignature in the shape of `prbkit.scale`; no account signs with ecdsa here."""
    ((scheme, raw),) = signature.items()
    check = _SCHEMES.get(scheme)
    return check is not None and check(raw, message, account)
