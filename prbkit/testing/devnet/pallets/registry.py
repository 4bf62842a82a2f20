"""phala registry: which workers there are, who operates them, and how fast they are."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from prbkit._native import core
from prbkit.testing import messages
from prbkit.testing.devnet.dispatch import (
    Args,
    Context,
    Origin,
    call,
    ensure_root,
    ensure_signed,
)
from prbkit.testing.devnet.pallets import mq
from prbkit.testing.devnet.signatures import verify_sr25519
from prbkit.testing.messages import Message, WorkerEventWithKey

__all__ = ["genesis"]

NAME = "PhalaRegistry"
MAX_SCORE = 6000
#: Confidence of a worker that nothing attests.
UNATTESTED = 128
ENDPOINT_LIFETIME_MS = 4 * 60 * 60 * 1000
#: An IAS report's verdict on the enclave → confidence level.
_CONFIDENCE = {
    "OK": 1,
    "SW_HARDENING_NEEDED": 2,
    "CONFIGURATION_NEEDED": 3,
    "CONFIGURATION_AND_SW_HARDENING_NEEDED": 3,
    "GROUP_OUT_OF_DATE": 4,
}
#: Where in a quote's body the 64 bytes of report data begin, and how long the body is.
_REPORT_DATA, _QUOTE_BODY = 368, 432
_LAUNCH_TOPIC = b"phala/gatekeeper/launch"


def genesis(ctx: Context) -> None:
    """Write how long benchmarks take and where workers may begin."""
    settings = ctx.settings
    ctx.put(NAME, "BenchmarkDuration", settings.benchmark_blocks)
    hashes = list(settings.relay_genesis_hashes)
    ctx.put(NAME, "RelaychainGenesisBlockHashAllowList", hashes)


def _notify(ctx: Context, pubkey: bytes, event: messages.WorkerEvent) -> None:
    mq.push(ctx, NAME, WorkerEventWithKey(pubkey, event))


# ------------------------------------------------------------------------------------ registering


@call(NAME, "force_register_worker")
def force_register_worker(ctx: Context, origin: Origin, args: Args) -> None:
    ensure_root(origin)
    info = {
        "pubkey": args["pubkey"],
        "ecdh_pubkey": args["ecdh_pubkey"],
        "version": 0,
        "features": [1, 4],
        "operator": args["operator"],
    }
    _store(ctx, info, provider="Root", confidence=UNATTESTED, now=0, fresh=True)


@call(NAME, "register_worker")
def register_worker(ctx: Context, origin: Origin, args: Args) -> None:
    ensure_signed(origin)
    info = args["pruntime_info"]
    encoded = ctx.md.encode("phala_types::WorkerRegistrationInfo", info)
    confidence = _check_report(ctx, args["attestation"]["SgxIas"], encoded)
    _register(ctx, info, provider="Ias", confidence=confidence)


@call(NAME, "register_worker_v2")
def register_worker_v2(ctx: Context, origin: Origin, args: Args) -> None:
    ensure_signed(origin)
    info, report = args["pruntime_info"], args["attestation"]
    provider, confidence = None, UNATTESTED
    if report is None:
        enabled = ctx.md.constant(NAME, "NoneAttestationEnabled")
        ctx.ensure(enabled, NAME, "NoneAttestationDisabled")
    else:
        encoded = ctx.md.encode("phala_types::WorkerRegistrationInfoV2", info)
        provider, confidence = "Ias", _check_report(ctx, report["SgxIas"], encoded)
    own = ctx.get("ParachainInfo", "ParachainId")
    ctx.ensure(info["para_id"] == own, NAME, "ParachainIdMismatch")
    consensus = ctx.get(NAME, "PRuntimeConsensusVersion")
    ctx.ensure(info["max_consensus_version"] >= consensus, NAME, "InvalidConsensusVersion")
    _register(ctx, info, provider=provider, confidence=confidence)


def _check_report(ctx: Context, report: Mapping[str, bytes], info: bytes) -> int:
    """Check that an IAS report is about this registration; return the confidence level.

    Intel's signature is not checked: on a devnet nobody could make one.
    """
    try:
        body = json.loads(report["ra_report"])
        quote = base64.b64decode(body["isvEnclaveQuoteBody"], validate=True)
        status = body["isvEnclaveQuoteStatus"]
    except (ValueError, TypeError, LookupError, binascii.Error):
        ctx.fail(NAME, "InvalidReport")
    ctx.ensure(len(quote) == _QUOTE_BODY, NAME, "UnknownQuoteBodyFormat")
    stated = quote[_REPORT_DATA : _REPORT_DATA + 32]
    ctx.ensure(stated == core.blake2b_256(info), NAME, "InvalidRuntimeInfoHash")
    ctx.ensure(isinstance(status, str) and status in _CONFIDENCE, NAME, "InvalidQuoteStatus")
    return _CONFIDENCE[status]


def _register(
    ctx: Context, info: Mapping[str, Any], *, provider: str | None, confidence: int
) -> None:
    allowed = ctx.get(NAME, "RelaychainGenesisBlockHashAllowList")
    if ctx.md.constant(NAME, "VerifyRelaychainGenesisBlockHash"):
        ctx.ensure(info["genesis_block_hash"] in allowed, NAME, "GenesisBlockHashRejected")
    _store(ctx, info, provider=provider, confidence=confidence, now=ctx.now, fresh=False)
    duration = ctx.get(NAME, "BenchmarkDuration") or 0
    _notify(ctx, info["pubkey"], messages.BenchStart(duration))


def _store(
    ctx: Context,
    info: Mapping[str, Any],
    *,
    provider: str | None,
    confidence: int,
    now: int,
    fresh: bool,
) -> None:
    """Write a worker's entry, anew if `fresh`, else keeping its keys and its score."""
    pubkey = info["pubkey"]
    former = None if fresh else ctx.get(NAME, "Workers", pubkey)
    entry = former or {
        "pubkey": pubkey,
        "ecdh_pubkey": info["ecdh_pubkey"],
        "initial_score": None,
    }
    entry = entry | {
        "runtime_version": info["version"],
        "last_updated": now,
        "operator": info["operator"],
        "attestation_provider": provider,
        "confidence_level": confidence,
        "features": info["features"],
    }
    ctx.put(NAME, "Workers", pubkey, entry)
    if not ctx.has(NAME, "WorkerAddedAt", pubkey):
        ctx.put(NAME, "WorkerAddedAt", pubkey, ctx.number)
    _notify(ctx, pubkey, messages.Registered(confidence))
    ctx.deposit(
        NAME,
        "WorkerUpdated" if former else "WorkerAdded",
        pubkey=pubkey,
        attestation_provider=provider,
        confidence_level=confidence,
    )


# --------------------------------------------------------------------------------------- messages


@mq.subscribe(messages.REGISTRY_TOPIC, messages.REGISTRY_EVENT)
def on_message(ctx: Context, message: Message, event: messages.RegistryEvent) -> None:
    """Take a worker's benchmark, or the first gatekeeper's master key."""
    if not isinstance(message.sender, messages.WorkerOrigin):
        ctx.fail(NAME, "InvalidSender")
    pubkey = message.sender.pubkey
    if isinstance(event, messages.BenchReport):
        _score(ctx, pubkey, event)
    else:
        _take_master_key(ctx, pubkey, event.master_pubkey)


def _score(ctx: Context, pubkey: bytes, report: messages.BenchReport) -> None:
    """Set the score: iterations in six seconds, in whole seconds as the real pallet counts.

    A benchmark of less than one second counts as one: the real pallet divides by zero there, but
    has no blocks that fast.
    """
    now = ctx.now_ms
    ctx.ensure(now > report.start_time, NAME, "InvalidBenchReport")
    seconds = max((now - report.start_time) // 1000, 1)
    score = min(report.iterations // seconds * 6, MAX_SCORE)
    worker = ctx.get(NAME, "Workers", pubkey)
    if worker is not None:
        scored = worker | {"initial_score": score, "last_updated": now}
        ctx.put(NAME, "Workers", pubkey, scored)
        ctx.deposit(NAME, "InitialScoreSet", pubkey=pubkey, init_score=score)
    _notify(ctx, pubkey, messages.BenchScore(score))


def _take_master_key(ctx: Context, pubkey: bytes, key: bytes) -> None:
    ctx.ensure(pubkey in ctx.get(NAME, "Gatekeeper"), NAME, "InvalidGatekeeper")
    known = ctx.get(NAME, "GatekeeperMasterPubkey")
    if known is not None:
        ctx.ensure(known == key, NAME, "MasterKeyMismatch")
        return
    ctx.put(NAME, "GatekeeperMasterPubkey", key)
    sender = messages.PalletOrigin(NAME.encode())
    mq.send(ctx, Message(sender, _LAUNCH_TOPIC, b"\1" + key))


# ------------------------------------------------------------------------------- the other calls


@call(NAME, "force_set_benchmark_duration")
def force_set_benchmark_duration(ctx: Context, origin: Origin, args: Args) -> None:
    ensure_root(origin)
    ctx.put(NAME, "BenchmarkDuration", args["value"])


@call(NAME, "register_gatekeeper")
def register_gatekeeper(ctx: Context, origin: Origin, args: Args) -> None:
    ensure_root(origin)
    pubkey, known = args["gatekeeper"], ctx.get(NAME, "Gatekeeper")
    ready = not known or ctx.has(NAME, "GatekeeperMasterPubkey")
    ctx.ensure(ready, NAME, "MasterKeyUninitialized")
    if pubkey not in known:
        worker = ctx.get(NAME, "Workers", pubkey)
        if worker is None:
            ctx.fail(NAME, "WorkerNotFound")
        ctx.put(NAME, "Gatekeeper", [*known, pubkey])
        if not known:
            sender = messages.PalletOrigin(NAME.encode())
            payload = b"\0" + pubkey + worker["ecdh_pubkey"]
            mq.send(ctx, Message(sender, _LAUNCH_TOPIC, payload))
    ctx.deposit(NAME, "GatekeeperAdded", pubkey=pubkey)


@call(NAME, "update_worker_endpoint")
def update_worker_endpoint(ctx: Context, origin: Origin, args: Args) -> None:
    ensure_signed(origin)
    payload, signature = args["endpoint_payload"], args["signature"]
    ctx.ensure(len(signature) == 64, NAME, "InvalidSignatureLength")
    encoded = ctx.md.encode("phala_types::WorkerEndpointPayload", payload)
    wrapped = messages.wrap_content(encoded, messages.ENDPOINT_CONTENT)
    pubkey = payload["pubkey"]
    ctx.ensure(verify_sr25519(signature, wrapped, pubkey), NAME, "InvalidSignature")
    signed_at = payload["signing_time"]
    timely = signed_at < ctx.now_ms <= signed_at + ENDPOINT_LIFETIME_MS
    ctx.ensure(timely, NAME, "InvalidEndpointSigningTime")
    ctx.ensure(ctx.has(NAME, "Workers", pubkey), NAME, "InvalidPubKey")
    ctx.put(NAME, "Endpoints", pubkey, payload["versioned_endpoints"])


@call(NAME, "add_relaychain_genesis_block_hash")
def add_relaychain_genesis_block_hash(ctx: Context, origin: Origin, args: Args) -> None:
    ensure_root(origin)
    hashes, new = ctx.get(NAME, "RelaychainGenesisBlockHashAllowList"), args["genesis_block_hash"]
    ctx.ensure(new not in hashes, NAME, "GenesisBlockHashAlreadyExists")
    ctx.put(NAME, "RelaychainGenesisBlockHashAllowList", [*hashes, new])


@call(NAME, "remove_relaychain_genesis_block_hash")
def remove_relaychain_genesis_block_hash(ctx: Context, origin: Origin, args: Args) -> None:
    ensure_root(origin)
    hashes, old = ctx.get(NAME, "RelaychainGenesisBlockHashAllowList"), args["genesis_block_hash"]
    ctx.ensure(old in hashes, NAME, "GenesisBlockHashNotFound")
    left = [each for each in hashes if each != old]
    ctx.put(NAME, "RelaychainGenesisBlockHashAllowList", left)
