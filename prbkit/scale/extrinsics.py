"""Extrinsics, format version 4: what is signed, how it is assembled and taken apart.

The order and the types of the signed extensions come from the metadata. Those of frame_system,
the two that charge fees and CheckMetadataHash are known; any other is accepted only where it adds
no bytes, and refused by name otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from prbkit._native import core
from prbkit.errors import CodecError
from prbkit.scale.era import Era, decode_era, encode_era
from prbkit.scale.metadata import Metadata, Value

__all__ = [
    "Extrinsic",
    "SignatureInfo",
    "decode_extrinsic",
    "signed_extrinsic",
    "signing_payload",
    "unsigned_extrinsic",
]

VERSION = 4
SIGNED = 0x80

Crypto = Literal["ed25519", "sr25519", "ecdsa"]
_CRYPTO: dict[str, tuple[int, int]] = {"ed25519": (0, 64), "sr25519": (1, 64), "ecdsa": (2, 65)}
"""Variant of MultiSignature and size of a signature."""

_ERA = frozenset({"CheckMortality", "CheckEra"})


@dataclass(frozen=True, slots=True)
class SignatureInfo:
    """The signed part of an extrinsic.

    `address` and `signature` are in the shapes of `prbkit.scale` ({'Id': account}, {'Sr25519':
    bytes}); `extra` holds what each signed extension added, by its identifier.
    """

    address: Value
    signature: Value
    era: Era | None
    nonce: int
    tip: int
    extra: Mapping[str, Value]

    @property
    def account(self) -> bytes | None:
        """Account id of the signer, None where the address is not one."""
        if isinstance(self.address, dict):
            found = self.address.get("Id")
            return found if isinstance(found, bytes) else None
        return self.address if isinstance(self.address, bytes) else None


@dataclass(frozen=True, slots=True)
class Extrinsic:
    """An extrinsic taken apart; `signed` is None for an inherent or an unsigned one."""

    pallet: str
    name: str
    args: dict[str, Value]
    call: bytes
    signed: SignatureInfo | None = field(default=None)


def signing_payload(
    md: Metadata,
    call: bytes,
    *,
    era: tuple[int, int] | None,
    nonce: int,
    tip: int,
    spec_version: int,
    transaction_version: int,
    genesis_hash: bytes,
    checkpoint_hash: bytes,
) -> bytes:
    """Build the bytes to sign: call · extra · additional.

    Where they are longer than 256 bytes, their blake2b-256 is what gets signed. `era` is None
    (immortal; `checkpoint_hash` is then the genesis hash) or (period, current block);
    `checkpoint_hash` is the hash of the block that the era begins at.
    """
    additional: dict[str, bytes] = {
        "CheckSpecVersion": _u32(spec_version, "spec_version"),
        "CheckTxVersion": _u32(transaction_version, "transaction_version"),
        "CheckGenesis": _hash(genesis_hash, "genesis_hash"),
        "CheckMortality": _hash(checkpoint_hash, "checkpoint_hash"),
        "CheckEra": _hash(checkpoint_hash, "checkpoint_hash"),
        "CheckMetadataHash": b"\x00",
    }
    signed_only = b"".join(
        _fitting(
            md,
            extension.identifier,
            extension.additional,
            additional.get(extension.identifier, b""),
        )
        for extension in md.signed_extensions
    )
    return bytes(call) + _extra(md, era, nonce, tip) + signed_only


def signed_extrinsic(
    md: Metadata,
    call: bytes,
    *,
    account: bytes,
    signature: bytes,
    crypto: Crypto,
    era: tuple[int, int] | None,
    nonce: int,
    tip: int,
) -> bytes:
    """Assemble a signed extrinsic, its compact length included.

    `account` is the signer's account id (32 bytes); `signature` that of `signing_payload` (64
    bytes, ecdsa 65).
    """
    _check_version(md)
    if len(account) != 32:
        raise CodecError(f"an account id has 32 bytes, not {len(account)}")
    if crypto not in _CRYPTO:
        raise CodecError(f"no signature is called {crypto!r}", hint=f"use {', '.join(_CRYPTO)}")
    variant, size = _CRYPTO[crypto]
    if len(signature) != size:
        raise CodecError(f"a signature of {crypto} has {size} bytes, not {len(signature)}")
    address = bytes(account)
    if md.address_type is None or _is_enum(md, md.address_type):
        address = b"\x00" + address
    body = b"".join(
        [
            bytes([SIGNED | VERSION]),
            address,
            bytes([variant]),
            bytes(signature),
            _extra(md, era, nonce, tip),
            bytes(call),
        ]
    )
    return core.compact(len(body)) + body


def unsigned_extrinsic(md: Metadata, call: bytes) -> bytes:
    """Assemble an extrinsic without a signature, its compact length included."""
    _check_version(md)
    body = bytes([VERSION]) + bytes(call)
    return core.compact(len(body)) + body


def decode_extrinsic(md: Metadata, data: bytes) -> Extrinsic:
    """Take apart an extrinsic of format version 4, given with its compact length."""
    raw = bytes(data)
    start = _behind_length(raw)
    if start == len(raw):
        raise CodecError("empty extrinsic")
    version, offset = raw[start], start + 1
    if version & ~SIGNED != VERSION:
        raise CodecError(
            f"extrinsic of format version {version & ~SIGNED}", hint="only version 4 can be read"
        )
    signed = None
    if version & SIGNED:
        signed, offset = _decode_signed(md, raw, offset)
    call = raw[offset:]
    pallet, name, args = md.decode_call(call)
    return Extrinsic(pallet, name, args, call, signed)


def _decode_signed(md: Metadata, raw: bytes, offset: int) -> tuple[SignatureInfo, int]:
    if md.address_type is None or md.signature_type is None:
        raise CodecError("the metadata does not say what addresses and signatures are")
    address, offset = md.decode_at(md.address_type, raw, offset)
    signature, offset = md.decode_at(md.signature_type, raw, offset)
    era, nonce, tip = None, 0, 0
    extra: dict[str, Value] = {}
    for extension in md.signed_extensions:
        start = offset
        value, offset = md.decode_at(extension.extra, raw, start)
        extra[extension.identifier] = value
        if extension.identifier in _ERA:
            era = decode_era(raw[start:offset])
        elif extension.identifier == "CheckNonce":
            nonce = value
        elif extension.identifier == "ChargeTransactionPayment":
            tip = value
        elif extension.identifier == "ChargeAssetTxPayment":
            tip = value["tip"]
    return SignatureInfo(address, signature, era, nonce, tip, extra), offset


def _extra(md: Metadata, era: tuple[int, int] | None, nonce: int, tip: int) -> bytes:
    extra = {
        "CheckMortality": encode_era(era),
        "CheckEra": encode_era(era),
        "CheckNonce": core.compact(nonce),
        "ChargeTransactionPayment": core.compact(tip),
        "ChargeAssetTxPayment": core.compact(tip) + b"\x00",
        "CheckMetadataHash": b"\x00",
    }
    return b"".join(
        _fitting(md, extension.identifier, extension.extra, extra.get(extension.identifier, b""))
        for extension in md.signed_extensions
    )


def _fitting(md: Metadata, identifier: str, type_id: int, encoded: bytes) -> bytes:
    """Return what a signed extension adds, once it proves to be a value of its type."""
    try:
        end = md.skip(type_id, encoded)
    except CodecError:
        end = -1
    if end == len(encoded):
        return encoded
    raise CodecError(
        f"signed extension {identifier} wants data that prbkit does not know",
        hint=f"its type in the metadata is {type_id}",
    )


def _check_version(md: Metadata) -> None:
    if md.extrinsic_version != VERSION:
        raise CodecError(
            f"the runtime takes extrinsics of format version {md.extrinsic_version}",
            hint="only version 4 can be made",
        )


def _is_enum(md: Metadata, type_id: int) -> bool:
    return md.type_info(type_id).kind == "variant"


def _u32(value: int, what: str) -> bytes:
    if not 0 <= value < 1 << 32:
        raise CodecError(f"{what} is {value}")
    return value.to_bytes(4, "little")


def _hash(value: bytes, what: str) -> bytes:
    if len(value) != 32:
        raise CodecError(f"{what} has {len(value)} bytes, not 32")
    return bytes(value)


def _behind_length(raw: bytes) -> int:
    walker = core.Walker(raw, "extrinsic")
    length = walker.compact()
    if length != walker.left:
        raise CodecError(f"extrinsic of {walker.left} bytes states a length of {length}")
    return walker.offset
