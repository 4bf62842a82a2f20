"""What a worker's answer to GetRuntimeInfo and the settings make of init and registration: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from prbkit.blobs import (
    DcapCollateral,
    SgxDcap,
    SgxIas,
    WorkerRegistrationInfo,
    decode_attestation_report,
    encode_attestation,
    encode_attestation_report,
)
from prbkit.errors import WorkerRefused
from prbkit.wire.pruntime import InitRuntimeResponse, PhactoryInfo

__all__ = ["attestation_provider", "bare_quote", "registration"]

PROVIDERS = {"ias": b"\1", "dcap": b"\2"}
"""SCALE AttestationProvider."""

NO_REPORT = b"\0"
"""SCALE of no AttestationReport, which a chain in development takes."""


def attestation_provider(
    setting: Literal["auto", "ias", "dcap", "none"], *, skip_ra: bool, info: PhactoryInfo
) -> bytes | None:
    """SCALE AttestationProvider to initialise pRuntime with, None for none.

    A pRuntime that names no method is older than the choice, and knows IAS alone.
    """
    if skip_ra or setting == "none":
        return None
    if setting == "auto":
        setting = "dcap" if "dcap" in info.supported_attestation_methods else "ias"
    return PROVIDERS[setting]


def bare_quote(answer: InitRuntimeResponse) -> bytes | None:
    """The DCAP quote of an answer that lacks the collateral which the chain wants with it.

    :raises CodecError: if the report cannot be read.
    """
    if not answer.attestation.encoded_report:
        return None
    report = decode_attestation_report(answer.attestation.encoded_report)
    return report.quote if isinstance(report, SgxDcap) and report.collateral is None else None


def registration(
    answer: InitRuntimeResponse,
    *,
    public_key: bytes,
    operator: bytes | None,
    unattested: bool,
    collateral: DcapCollateral | None = None,
) -> Mapping[str, Any] | None:
    """The payload of a REGISTER_WORKER job, None while the worker has no attestation yet.

    :param unattested: whether the settings do without remote attestation.
    :param collateral: of the answer's `bare_quote`, where it has one.
    :raises WorkerRefused: if the worker speaks of another key or operator than asked for.
    :raises CodecError: if what it says is no registration info.
    """
    info = WorkerRegistrationInfo.decode(answer.encoded_runtime_info)
    if info.pubkey != public_key:
        raise WorkerRefused("its registration info is of another key than its GetInfo")
    if operator is not None and info.operator != operator:
        raise WorkerRefused("its registration info is for another operator than asked for")
    if not answer.HasField("attestation"):
        return _payload(info, NO_REPORT, v2=True) if unattested else None
    attestation = answer.attestation
    if attestation.HasField("payload") and attestation.payload.report:
        report = SgxIas(
            attestation.payload.report.encode(),
            attestation.payload.signature,
            attestation.payload.signing_cert,
        )
        # The older call takes the older info, which ends after the operator.
        older = replace(info, para_id=None, max_consensus_version=None)
        return _payload(older, encode_attestation(report), v2=False)
    quote = bare_quote(answer)
    if quote is not None and collateral is not None:
        whole = encode_attestation_report(SgxDcap(quote, collateral))
        return _payload(info, whole, v2=True)
    return _payload(info, attestation.encoded_report or NO_REPORT, v2=True)


def _payload(info: WorkerRegistrationInfo, attestation: bytes, *, v2: bool) -> Mapping[str, Any]:
    return {
        "pruntime_info": "0x" + info.encode().hex(),
        "attestation": "0x" + attestation.hex(),
        "v2": v2,
    }
