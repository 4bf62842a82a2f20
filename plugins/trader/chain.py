"""What the trader asks of the chain, with the runtime's metadata at each block."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from prbkit.errors import CodecError, RpcError, StateDiscarded, VerificationError
from prbkit.interfaces import ChainSource, Head, JobError, RuntimeVersion, Signer
from prbkit.scale import Metadata, signed_extrinsic, signing_payload

from .lane import Intent
from .outcome import EVENT_PALLETS, Outcome, call_errors

__all__ = ["Chain", "Runtime", "ScannedBlock", "extrinsic_hash"]

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

    async def nonce(self, account: bytes, at: bytes) -> int:
        """The account's next nonce after block `at`, by the chain's state alone."""
        md = (await self.runtime(at)).metadata
        data = await self.source.storage(md.storage_key("System", "Account", account), at)
        return int(md.decode_storage("System", "Account", data)["nonce"])

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
