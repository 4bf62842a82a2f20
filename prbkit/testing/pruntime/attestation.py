"""Registration info, attestations and endpoint signatures of a simulated worker."""

from __future__ import annotations

import hashlib
import time
from typing import Any

import sr25519

from prbkit.scale import encode_compact
from prbkit.testing.layouts import fixed, option, u32, u64, vec
from prbkit.testing.messages import ENDPOINT_CONTENT, wrap_content
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
    return b"".join(
        (
            u32.write(VERSION),
            hashlib.blake2b(public_key, digest_size=16).digest(),
            public_key,
            public_key,
            genesis_hash,
            vec(u32).write(list(FEATURES)),
            option(fixed(32)).write(operator),
            u32.write(para_id),
            u32.write(MAX_CONSENSUS_VERSION),
        )
    )


def attest(kind: str, runtime_info: bytes) -> Any:
    """The prpc Attestation: a missing report (``none``), or a DCAP quote without collateral."""
    if kind == "none":
        report, provider = b"\x00", "root"
    else:
        quote = b"simulated quote" + hashlib.blake2b(runtime_info, digest_size=32).digest()
        report, provider = b"\x01\x01" + encode_compact(len(quote)) + quote + b"\x00", "dcap"
    return rpc.Attestation(
        version=1, provider=provider, encoded_report=report, timestamp=int(time.time())
    )


def sign_endpoints(pair: tuple[bytes, bytes], endpoints: bytes) -> tuple[bytes, bytes]:
    """SCALE WorkerEndpointPayload {pubkey, versioned endpoints, signing time ms} and signature."""
    payload = pair[0] + b"\x00" + endpoints + u64.write(int(time.time() * 1000))
    return payload, sr25519.sign(pair, wrap_content(payload, ENDPOINT_CONTENT))
