"""What stands in a DCAP quote of an SGX enclave, as far as a bridge has to look.

Layout: Intel's SGX ECDSA quote, versions 3 and 4.
"""

from __future__ import annotations

from prbkit._native import core

__all__ = ["quote_certificates"]

_HEADER, _REPORT, _SIGNATURE, _KEY = 48, 384, 64, 64
_PCK_CHAIN, _QE_REPORT = 5, 6
"""Types of certification data: a chain of certificates in PEM, and a report that holds more."""


def quote_certificates(quote: bytes) -> bytes:
    """The PEM chain that certifies the platform of a quote.

    :raises CodecError: if it is none, or is certified in another way.
    """
    walker = core.Walker(quote, "quote")
    version = _u16(walker)
    if version not in (3, 4):
        walker.refuse(f"quotes of version {version} are not known")
    walker.take(_HEADER - 2 + _REPORT)
    walker.u32()
    walker.take(_SIGNATURE + _KEY)
    if version == 4:
        walker = core.Walker(_certification(walker, _QE_REPORT), "certification data of a quote")
    walker.take(_REPORT + _SIGNATURE)
    walker.take(_u16(walker))
    return _certification(walker, _PCK_CHAIN).rstrip(b"\0")


def _certification(walker: core.Walker, wanted: int) -> bytes:
    kind = _u16(walker)
    if kind != wanted:
        walker.refuse(f"certification data of type {kind}, not {wanted}")
    return bytes(walker.take(walker.u32()))


def _u16(walker: core.Walker) -> int:
    return int.from_bytes(walker.take(2), "little")
