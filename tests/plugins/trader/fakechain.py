"""A chain source in memory with a real runtime's metadata: signed extrinsics in, events out.

It checks what decides over an extrinsic's life (signature, era, nonce), knows a few calls, and
misbehaves from a seed: answers are lost, transactions dropped, requests fail. `ledger` is what the
chain has executed, in order, and is the judge.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Sequence
from typing import Any

import sr25519

from prbkit.errors import SourceDisconnected, StateDiscarded, TransactionRejected
from prbkit.interfaces import Block, ChainInfo, Head, RuntimeVersion
from prbkit.scale import Extrinsic, Metadata, decode_extrinsic, signing_payload

__all__ = ["FakeChain", "blake"]

GENESIS = b"\x45" * 32
VERSION = RuntimeVersion("rhala", 1241, 6)


def blake(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=32).digest()


class FakeChain:
    """`ChainSource` of a parachain. `fault` is the probability of each kind of misfortune."""

    url = "fake:"
    role = "para"

    def __init__(self, md: Metadata, *, seed: int = 0, fault: float = 0.0) -> None:
        self.md = md
        self.random = random.Random(seed)
        self.fault = fault
        self.blocks: list[tuple[bytes, bytes, list[bytes]]] = [(GENESIS, b"\0" * 32, [])]
        self.events: list[bytes] = [b"\0"]
        self.pool: dict[bytes, bytes] = {}
        self.nonces: dict[bytes, int] = {}
        self.nonces_at: list[dict[bytes, int]] = [{}]
        self.ledger: list[tuple[bytes, bytes]] = []
        """(signer, remark) of each System.remark that was executed."""
        self.sequence = 0
        self.messages: list[tuple[int, bool]] = []
        """(sequence, whether it was the next) of each message that was executed."""
        self.submissions = 0
        self.discards = False
        self.best: tuple[bytes, list[bytes]] | None = None
        self.free = 10**15
        self.weight = 10**6
        """What each call weighs."""
        self.refuse: str | None = None
        self.refused: set[bytes] = set()
        self._moved = asyncio.Condition()

    # --- the chain ---------------------------------------------------------------------------

    async def step(self, *, foreign: bytes | None = None) -> None:
        """Build and finalize a block of what is in the pool."""
        number, parent = len(self.blocks), self.blocks[-1][0]
        body: list[bytes] = []
        events: list[dict[str, Any]] = []
        if foreign is not None:
            self.nonces[foreign] = self.nonces.get(foreign, 0) + 1
        for raw in sorted(self.pool.values(), key=lambda raw: self._parts(raw)[1]):
            if self.fault and self.random.random() < self.fault:
                continue
            if self._reason(raw, number) is None:
                account, nonce, xt = self._parts(raw)
                self.nonces[account] = nonce + 1
                events += [
                    {"phase": {"ApplyExtrinsic": len(body)}, "event": event, "topics": []}
                    for event in self._execute(account, xt)
                ]
                body.append(raw)
        for hash_, raw in list(self.pool.items()):
            gone = self._reason(raw, number + 1)
            if gone or (self.fault and self.random.random() < self.fault / 4):
                if gone == "future":
                    continue
                del self.pool[hash_]
        event_type = self.md.storage_item("System", "Events").value
        header = parent + number.to_bytes(4, "little") + blake(b"".join(body))
        self.blocks.append((blake(header), header, body))
        self.nonces_at.append(dict(self.nonces))
        self.events.append(self.md.encode(event_type, events))
        async with self._moved:
            self._moved.notify_all()

    def _parts(self, raw: bytes) -> tuple[bytes, int, Extrinsic]:
        xt = decode_extrinsic(self.md, raw)
        assert xt.signed is not None
        assert xt.signed.account is not None
        return xt.signed.account, xt.signed.nonce, xt

    def _reason(self, raw: bytes, number: int) -> str | None:
        """Why an extrinsic cannot be in block `number`; None if it can."""
        account, nonce, xt = self._parts(raw)
        signed = xt.signed
        assert signed is not None
        assert signed.era is not None
        birth = signed.era.birth(number)
        if birth >= number or birth >= len(self.blocks):
            return "ancient"
        payload = signing_payload(
            self.md,
            xt.call,
            era=(signed.era.period, birth),
            nonce=nonce,
            tip=signed.tip,
            spec_version=VERSION.spec_version,
            transaction_version=VERSION.transaction_version,
            genesis_hash=GENESIS,
            checkpoint_hash=self.blocks[birth][0],
        )
        if len(payload) > 256:
            payload = blake(payload)
        ((_, signature),) = signed.signature.items()
        if not sr25519.verify(signature, payload, account):
            return "bad proof"
        expected = self.nonces.get(account, 0)
        return "outdated" if nonce < expected else "future" if nonce > expected else None

    def _execute(self, account: bytes, xt: Extrinsic) -> list[Any]:
        assert (xt.pallet, xt.name) == ("Utility", "force_batch")
        events: list[Any] = []
        failed = False
        for call in xt.args["calls"]:
            ((pallet, inner),) = call.items()
            ((name, args),) = inner.items()
            if (pallet, name) == ("System", "remark"):
                self.ledger.append((account, args["remark"]))
                events.append({"Utility": "ItemCompleted"})
            elif name == "sync_offchain_message":
                sequence = args["signed_message"]["sequence"]
                if good := sequence == self.sequence:
                    self.sequence += 1
                self.messages.append((sequence, good))
                failed = failed or not good
                index = self.md.pallet("PhalaMq").index
                error = {"Module": {"index": index, "error": b"\x01\0\0\0"}}
                item = "ItemCompleted" if good else {"ItemFailed": {"error": error}}
                events.append({"Utility": item})
            else:
                failed = True
                index = self.md.pallet("Balances").index
                error = {"Module": {"index": index, "error": b"\x02\0\0\0"}}
                events.append({"Utility": {"ItemFailed": {"error": error}}})
        events.append({"Utility": "BatchCompletedWithErrors" if failed else "BatchCompleted"})
        info = {
            "weight": {"ref_time": 1, "proof_size": 0},
            "class": "Normal",
            "pays_fee": "Yes",
        }
        events.append({"System": {"ExtrinsicSuccess": {"dispatch_info": info}}})
        return events

    # --- ChainSource -------------------------------------------------------------------------

    async def _network(self) -> None:
        await asyncio.sleep(0)
        if self.fault and self.random.random() < self.fault / 4:
            raise SourceDisconnected("the connection was cut", where=self.url)

    async def chain(self) -> ChainInfo:
        return ChainInfo("Fake", GENESIS)

    async def runtime_version(self, at: bytes | None = None) -> RuntimeVersion:
        await self._network()
        return VERSION

    async def metadata(self, at: bytes | None = None) -> bytes:
        return self.md.raw

    async def finalized_head(self) -> Head:
        await self._network()
        return Head(len(self.blocks) - 1, self.blocks[-1][0])

    async def propose(self) -> None:
        """Make a best block of what is in the pool; a `step` retracts it."""
        self.best = (blake(b"best%d" % len(self.blocks)), list(self.pool.values()))

    async def finalized_heads(self) -> AsyncIterator[Head]:
        seen = -1
        while True:
            async with self._moved:
                await self._moved.wait_for(lambda: len(self.blocks) - 1 > seen)  # noqa: B023
            seen = len(self.blocks) - 1
            yield Head(seen, self.blocks[-1][0])

    async def block_hash(self, number: int) -> bytes | None:
        await self._network()
        if number == len(self.blocks) and self.best is not None:
            return self.best[0]
        return self.blocks[number][0] if number < len(self.blocks) else None

    async def block(self, at: bytes) -> Block:
        await self._network()
        if self.best is not None and at == self.best[0]:
            return Block(header=b"", extrinsics=self.best[1])
        (found,) = [each for each in self.blocks if each[0] == at]
        return Block(header=found[1], extrinsics=found[2])

    async def storage(self, key: bytes, at: bytes | None = None) -> bytes | None:
        await self._network()
        if self.discards:
            raise StateDiscarded("the node has pruned it", where=self.url)
        (number,) = [n for n, each in enumerate(self.blocks) if each[0] == at]
        if key == self.md.storage_key("System", "Events"):
            return self.events[number]
        (account,) = self.md.decode_storage_key("System", "Account", key)
        info = self.md.decode_storage("System", "Account", None)
        nonce = self.nonces_at[number].get(account, 0)
        data = {**info["data"], "free": self.free}
        return self.md.encode_storage("System", "Account", {**info, "nonce": nonce, "data": data})

    async def rpc(self, method: str, params: Sequence[Any]) -> Any:
        await self._network()
        assert method == "payment_queryInfo"
        xt = decode_extrinsic(self.md, bytes.fromhex(params[0][2:]))
        weight = len(xt.args["calls"]) * self.weight
        return {"weight": {"ref_time": weight, "proof_size": 0}, "partialFee": str(weight // 1000)}

    async def account_nonce(self, account: bytes) -> int:
        await self._network()
        nonce = self.nonces.get(account, 0)
        taken = {part[1] for part in map(self._parts, self.pool.values()) if part[0] == account}
        while nonce in taken:
            nonce += 1
        return nonce

    async def submit(self, extrinsic: bytes) -> bytes:
        await self._network()
        self.submissions += 1
        hash_ = blake(extrinsic)
        if self.refuse is not None:
            self.refused.add(extrinsic)
            raise TransactionRejected("Invalid Transaction", rpc_code=1010, data=self.refuse)
        if hash_ in self.pool:
            raise TransactionRejected("Transaction Already Imported", rpc_code=1013)
        reason = self._reason(extrinsic, len(self.blocks))
        if reason not in (None, "future"):
            raise TransactionRejected("Invalid Transaction", rpc_code=1010, data=reason)
        account, nonce, _ = self._parts(extrinsic)
        if any(self._parts(raw)[:2] == (account, nonce) for raw in self.pool.values()):
            raise TransactionRejected("Priority is too low: (1 vs 1)", rpc_code=1014)
        self.pool[hash_] = extrinsic
        if self.fault and self.random.random() < self.fault:
            raise SourceDisconnected("the answer was lost", where=self.url)
        return hash_

    async def pending_extrinsics(self) -> Sequence[bytes]:
        await self._network()
        return list(self.pool.values())
