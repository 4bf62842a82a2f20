"""What a worker registers with: its registration info and the attestation of its enclave."""

from __future__ import annotations

from dataclasses import dataclass

from prbkit._native import core
from prbkit.errors import CodecError

__all__ = [
    "DcapCollateral",
    "SgxDcap",
    "SgxIas",
    "WorkerRegistrationInfo",
    "decode_attestation",
    "decode_attestation_report",
    "encode_attestation",
    "encode_attestation_report",
]


@dataclass(frozen=True, slots=True)
class WorkerRegistrationInfo:
    """WorkerRegistrationInfoV2, or V1 where `para_id` is None (V1 ends after the operator).

    `machine_id` is Bytes of any length (16 in practice), as the runtimes' metadata has it;
    `pubkey` is the worker's sr25519 key, `operator` an account id or None.
    """

    version: int
    machine_id: bytes
    pubkey: bytes
    ecdh_pubkey: bytes
    genesis_block_hash: bytes
    features: tuple[int, ...]
    operator: bytes | None
    para_id: int | None = None
    max_consensus_version: int | None = None

    def encode(self) -> bytes:
        """Return the SCALE bytes."""
        parts = [
            _u32(self.version),
            _blob(self.machine_id),
            _sized(self.pubkey, 32, "pubkey"),
            _sized(self.ecdh_pubkey, 32, "ecdh_pubkey"),
            _sized(self.genesis_block_hash, 32, "genesis_block_hash"),
            core.compact(len(self.features)),
            *(_u32(feature) for feature in self.features),
            b"\0" if self.operator is None else b"\1" + _sized(self.operator, 32, "operator"),
        ]
        if self.para_id is not None:
            parts += [_u32(self.para_id), _u32(self.max_consensus_version or 0)]
        return b"".join(parts)

    @classmethod
    def decode(cls, data: bytes) -> WorkerRegistrationInfo:
        """Read V2 or V1; raises CodecError, also for bytes left over."""
        walker = core.Walker(data, "worker registration info")
        version, machine_id = walker.u32(), walker.blob()
        keys = walker.take(32), walker.take(32), walker.take(32)
        features = tuple(walker.u32() for _ in range(walker.count(least=4)))
        operator = walker.take(32) if walker.option() else None
        para_id = max_consensus_version = None
        if walker.left:
            para_id, max_consensus_version = walker.u32(), walker.u32()
        walker.done()
        return cls(version, machine_id, *keys, features, operator, para_id, max_consensus_version)


@dataclass(frozen=True, slots=True)
class SgxIas:
    """An Intel IAS report (JSON text as bytes), its signature and the DER certificate."""

    ra_report: bytes
    signature: bytes
    raw_signing_cert: bytes


@dataclass(frozen=True, slots=True)
class DcapCollateral:
    """What a PCCS says of a quote: seven texts and two signatures (SgxV30), in SCALE's order."""

    texts: tuple[str, str, str, str, str, str, str]
    signatures: tuple[bytes, bytes]


# pck_crl_issuer_chain, root_ca_crl, pck_crl, tcb_info_issuer_chain, tcb_info,
# (tcb_info_signature), qe_identity_issuer_chain, qe_identity, (qe_identity_signature): each
# signature follows the text that it signs.
TEXTS_BEFORE_SIGNATURE = (5, 7)


@dataclass(frozen=True, slots=True)
class SgxDcap:
    """A DCAP quote; pRuntime gives it without collateral, the chain takes it only with."""

    quote: bytes
    collateral: DcapCollateral | None = None


def encode_attestation(report: SgxIas) -> bytes:
    """Make the legacy Attestation, the second argument of `register_worker`."""
    return b"".join(
        [b"\0", _blob(report.ra_report), _blob(report.signature), _blob(report.raw_signing_cert)]
    )


def decode_attestation(data: bytes) -> SgxIas:
    """Read a legacy Attestation."""
    walker = core.Walker(data, "attestation")
    if (index := walker.u8()) != 0:
        walker.refuse(f"no attestation has the index {index}")
    report = SgxIas(walker.blob(), walker.blob(), walker.blob())
    walker.done()
    return report


def encode_attestation_report(report: SgxIas | SgxDcap | None) -> bytes:
    """Make an Option<AttestationReport>: `encoded_report`, an argument of `register_worker_v2`."""
    if report is None:
        return b"\0"
    if isinstance(report, SgxIas):
        return b"\1" + encode_attestation(report)
    parts = [b"\1\1", _blob(report.quote)]
    if report.collateral is None:
        return b"".join([*parts, b"\0"])
    parts.append(b"\1\0")
    signatures = iter(report.collateral.signatures)
    for i, text in enumerate(report.collateral.texts, 1):
        parts.append(_blob(text.encode()))
        if i in TEXTS_BEFORE_SIGNATURE:
            parts.append(_blob(next(signatures)))
    return b"".join(parts)


def decode_attestation_report(data: bytes) -> SgxIas | SgxDcap | None:
    """Read an Option<AttestationReport>."""
    walker = core.Walker(data, "attestation report")
    report: SgxIas | SgxDcap | None = None
    if walker.option():
        index = walker.u8()
        if index == 0:
            report = SgxIas(walker.blob(), walker.blob(), walker.blob())
        elif index == 1:
            report = SgxDcap(walker.blob(), _collateral(walker) if walker.option() else None)
        else:
            walker.refuse(f"no attestation report has the index {index}")
    walker.done()
    return report


def _collateral(walker: core.Walker) -> DcapCollateral:
    if (index := walker.u8()) != 0:
        walker.refuse(f"no collateral has the index {index}")
    texts: list[str] = []
    signatures: list[bytes] = []
    for i in range(1, 8):
        try:
            texts.append(walker.blob().decode())
        except UnicodeDecodeError:
            walker.refuse("a text of the collateral is not UTF-8")
        if i in TEXTS_BEFORE_SIGNATURE:
            signatures.append(walker.blob())
    a, b, c, d, e, f, g = texts
    return DcapCollateral((a, b, c, d, e, f, g), (signatures[0], signatures[1]))


def _sized(value: bytes, size: int, what: str) -> bytes:
    if len(value) != size:
        raise CodecError(f"{what} has {size} bytes, not {len(value)}")
    return value


def _blob(value: bytes) -> bytes:
    return core.compact(len(value)) + value


def _u32(value: int) -> bytes:
    return value.to_bytes(4, "little")
