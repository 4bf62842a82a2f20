"""Registration info, attestations and endpoint signatures of a simulated worker."""

from __future__ import annotations

import hashlib
import time

import sr25519

from prbkit import blobs
from prbkit.testing.layouts import u64
from prbkit.testing.messages import ENDPOINT_CONTENT, wrap_content
from prbkit.testing.pruntime.pccs import make_quote
from prbkit.wire import pruntime as rpc

__all__ = ["MAX_CONSENSUS_VERSION", "attest", "registration_info", "sign_endpoints"]

VERSION = 1
MAX_CONSENSUS_VERSION = 1
FEATURES = (1, 4)
"""What the real one tells of its CPU: one physical-core flag and the number of cores."""


def registration_info(
    public_key: bytes, genesis_hash: bytes, operator: bytes | None, para_id: int
) -> bytes:
    """SCALE WorkerRegistrationInfoV2."""
    return blobs.WorkerRegistrationInfo(
        version=VERSION,
        machine_id=hashlib.blake2b(public_key, digest_size=16).digest(),
        pubkey=public_key,
        ecdh_pubkey=public_key,
        genesis_block_hash=genesis_hash,
        features=FEATURES,
        operator=operator,
        para_id=para_id,
        max_consensus_version=MAX_CONSENSUS_VERSION,
    ).encode()


def attest(kind: str, runtime_info: bytes) -> rpc.Attestation:
    """The prpc Attestation: a missing report (``none``), or a DCAP quote without collateral."""
    if kind == "none":
        report, provider = None, "root"
    else:
        quote = make_quote(hashlib.blake2b(runtime_info, digest_size=32).digest())
        report, provider = blobs.SgxDcap(quote), "dcap"
    return rpc.Attestation(
        version=1,
        provider=provider,
        encoded_report=blobs.encode_attestation_report(report),
        timestamp=int(time.time()),
    )


def sign_endpoints(pair: tuple[bytes, bytes], endpoints: bytes) -> tuple[bytes, bytes]:
    """SCALE WorkerEndpointPayload {pubkey, versioned endpoints, signing time ms} and signature."""
    payload = pair[0] + b"\x00" + endpoints + u64.write(int(time.time() * 1000))
    return payload, sr25519.sign(pair, wrap_content(payload, ENDPOINT_CONTENT))
