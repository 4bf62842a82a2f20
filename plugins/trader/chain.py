"""What the trader asks of the chain, with the runtime's metadata at each block."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prbkit.errors import CodecError, RpcError, StateDiscarded, VerificationError
from prbkit.interfaces import ChainSource, Head, JobError, RuntimeVersion, Signer
from prbkit.scale import Metadata, signed_extrinsic, signing_payload

from .lane import Intent
from .outcome import EVENT_PALLETS, Outcome, call_errors

__all__ = ["Chain", "Cost", "Runtime", "ScannedBlock", "extrinsic_hash", "read_estimate"]

log = logging.getLogger(__name__)

RUNTIMES = 4
SCANNED = 256
"""Finalized blocks whose extrinsics' hashes are remembered."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """A runtime's version and its metadata."""

    version: RuntimeVersion
    metadata: Metadata


@dataclass(frozen=True, slots=True)
class ScannedBlock:
    """A finalized block: its hash, its parent's, and hash → index of its extrinsics."""

    hash: bytes
    parent: bytes
    extrinsics: Mapping[bytes, int]


@dataclass(frozen=True, slots=True)
class Cost:
    """What an extrinsic takes: bytes, weight (picoseconds, bytes of proof), fee in base units.

    Without a weight and a fee where the node did not tell.
    """

    length: int
    weight: tuple[int, int] = (0, 0)
    fee: int = 0

    def too_big(self, md: Metadata) -> bool:
        """Tell whether no block of this runtime can hold it."""
        try:
            most = md.constant("System", "BlockWeights")["per_class"]["normal"]["max_extrinsic"]
            length = md.constant("System", "BlockLength")["max"]["normal"]
        except (CodecError, KeyError, TypeError):
            return False  # a runtime that says it otherwise: its nodes refuse what is too big
        limits = (most["ref_time"], most["proof_size"]) if isinstance(most, dict) else (most,)
        over = any(
            limit is not None and taken > limit
            for taken, limit in zip(self.weight, limits, strict=False)
        )
        return over or self.length > length


def read_estimate(answer: Any) -> tuple[tuple[int, int], int]:
    """Read the answer of payment_queryInfo: weight and fee; weights of before 2022 are one number.

    :raises VerificationError: it is something else.
    """
    try:
        weight, fee = answer["weight"], int(answer["partialFee"])
        if isinstance(weight, dict):
            time = weight["ref_time"] if "ref_time" in weight else weight["refTime"]
            proof = weight["proof_size"] if "proof_size" in weight else weight["proofSize"]
            return (int(time), int(proof)), fee
        return (int(weight), 0), fee
    except (KeyError, TypeError, ValueError) as error:
        raise VerificationError(f"the node's fee estimate is none: {error!r}") from None


class Chain:
    """A chain source as the trader needs it."""

    def __init__(self, source: ChainSource) -> None:
        self.source = source
        self._runtimes: OrderedDict[RuntimeVersion, Runtime] = OrderedDict()
        self._scanned: OrderedDict[int, ScannedBlock] = OrderedDict()
        self._genesis: bytes | None = None

    async def genesis_hash(self) -> bytes:
        if self._genesis is None:
            self._genesis = (await self.source.chain()).genesis_hash
        return self._genesis

    async def runtime(self, at: bytes) -> Runtime:
        """The runtime in force after block `at`."""
        version = await self.source.runtime_version(at)
        runtime = self._runtimes.get(version)
        if runtime is None:
            raw = await self.source.metadata(at)
            metadata = await asyncio.to_thread(_prepared, raw)
            runtime = self._runtimes[version] = Runtime(version, metadata)
            log.info("the chain runs %s %d", version.spec_name, version.spec_version)
            while len(self._runtimes) > RUNTIMES:
                self._runtimes.popitem(last=False)
        self._runtimes.move_to_end(version)
        return runtime

    async def sign(
        self,
        runtime: Runtime,
        call: bytes,
        signer: Signer,
        *,
        born: Head,
        period: int,
        nonce: int,
        tip: int,
    ) -> bytes:
        """Make a signed extrinsic whose era begins at the finalized block `born`."""
        md, version = runtime.metadata, runtime.version
        era = (period, born.number)
        payload = signing_payload(
            md,
            call,
            era=era,
            nonce=nonce,
            tip=tip,
            spec_version=version.spec_version,
            transaction_version=version.transaction_version,
            genesis_hash=await self.genesis_hash(),
            checkpoint_hash=born.hash,
        )
        if len(payload) > 256:
            payload = hashlib.blake2b(payload, digest_size=32).digest()
        return signed_extrinsic(
            md,
            call,
            account=signer.account,
            signature=await signer.sign(payload),
            crypto=signer.crypto,
            era=era,
            nonce=nonce,
            tip=tip,
        )

    async def scan(self, number: int) -> ScannedBlock | None:
        """Look into a finalized block; None where the node does not have it (yet)."""
        found = self._scanned.get(number)
        if found is not None:
            return found
        hash_ = await self.source.block_hash(number)
        if hash_ is None:
            return None
        block = await self.source.block(hash_)
        scanned = ScannedBlock(
            hash=hash_,
            parent=block.header[:32],
            extrinsics={extrinsic_hash(each): at for at, each in enumerate(block.extrinsics)},
        )
        before, after = self._scanned.get(number - 1), self._scanned.get(number + 1)
        if (before and before.hash != scanned.parent) or (after and after.parent != hash_):
            raise VerificationError(
                f"finalized block {number} does not join its neighbours",
                where=self.source.url,
                hint="the node has reverted finalized blocks, or endpoints follow different chains",
            )
        self._scanned[number] = scanned
        while len(self._scanned) > SCANNED:
            self._scanned.popitem(last=False)
        return scanned

    async def outcome(self, intent: Intent, block: ScannedBlock, index: int) -> Outcome:
        """Tell what became of each call of an intent that a finalized block holds.

        An outcome that nobody can tell any more is neither a failure nor a reason to make the
        calls again.
        """
        try:
            # Events are in the layout of the runtime that ran the block: its parent's.
            md = (await self.runtime(block.parent)).metadata
            data = await self.source.storage(md.storage_key("System", "Events"), block.hash)
            pallets = [pallet for pallet in EVENT_PALLETS if pallet in md.pallets]
            events = md.decode_events(data or b"\0", pallets)
            proxied = intent.real is not None
            return Outcome(tuple(call_errors(md, events, index, intent.calls, proxied=proxied)))
        except (CodecError, StateDiscarded) as error:
            log.error("cannot read the outcome of 0x%s: %s", intent.hash.hex(), error)
            reason = f"included, but what became of its calls cannot be read: {error}"
            return Outcome(unknown=JobError(message=reason))

    async def account(self, account: bytes, at: bytes) -> tuple[int, int]:
        """The account's next nonce and what it has free after block `at`, by the state alone."""
        md = (await self.runtime(at)).metadata
        data = await self.source.storage(md.storage_key("System", "Account", account), at)
        info = md.decode_storage("System", "Account", data)
        return int(info["nonce"]), int(info["data"]["free"])

    async def cost(
        self, runtime: Runtime, call: bytes, signer: Signer, *, born: Head, period: int, nonce: int
    ) -> Cost:
        """Ask what an extrinsic would take. The one that is shown has no valid signature."""
        shown = signed_extrinsic(
            runtime.metadata,
            call,
            account=signer.account,
            signature=bytes(65 if signer.crypto == "ecdsa" else 64),
            crypto=signer.crypto,
            era=(period, born.number),
            nonce=nonce,
            tip=0,
        )
        try:
            params = [f"0x{shown.hex()}", f"0x{born.hash.hex()}"]
            answer = await self.source.rpc("payment_queryInfo", params)
        except RpcError as error:
            log.debug("the node gives no estimate: %s", error)
            return Cost(len(shown))
        return Cost(len(shown), *read_estimate(answer))

    async def pool(self) -> frozenset[bytes]:
        """Hashes of what lies in the node's pool; empty where the node does not tell."""
        try:
            return frozenset(map(extrinsic_hash, await self.source.pending_extrinsics()))
        except RpcError as error:
            log.warning("the node does not tell its pool: %s", error)
            return frozenset()


def extrinsic_hash(extrinsic: bytes) -> bytes:
    """Hash of an extrinsic with its compact length, as nodes name it."""
    return hashlib.blake2b(extrinsic, digest_size=32).digest()


def _prepared(raw: bytes) -> Metadata:
    metadata = Metadata.parse(raw)
    metadata.prepare()
    return metadata
