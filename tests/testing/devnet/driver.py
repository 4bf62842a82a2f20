"""A parachain in memory: makes blocks of the runtime and keeps the state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from prbkit._native import core
from prbkit.scale import Event, signed_extrinsic, signing_payload
from prbkit.testing import messages
from prbkit.testing.devnet.accounts import DevAccount, dev_account
from prbkit.testing.devnet.para import PHA, ParaRuntime, ParaSettings, PoolSettings
from prbkit.testing.devnet.runtime import Executed, Head, ParaInherents, Validity
from prbkit.testing.messages import Message, SignedMessage, WorkerOrigin

ALICE, BOB, CHARLIE, DAVE = (dev_account(name) for name in ("Alice", "Bob", "Charlie", "Dave"))
WORKER = dev_account("prbkit//worker//1")
RELAY_GENESIS = b"\x11" * 32
START_MS = 1_700_000_000_000
BLOCK_MS = 12_000

SETTINGS = ParaSettings(
    relay_genesis_hashes=(RELAY_GENESIS,),
    pools=(PoolSettings(ALICE.public, 100_000 * PHA),),
)


class Chain:
    """A parachain that the test makes block by block."""

    def __init__(self, settings: ParaSettings = SETTINGS, **changed: Any) -> None:
        self.runtime = ParaRuntime(replace(settings, **changed))
        self.md = self.runtime.md
        self.state = self.runtime.genesis()
        self.hashes = [core.blake2b_256(b"genesis")]
        self.executed: Executed | None = None
        self.events: list[Event] = []
        self.sequences: dict[bytes, int] = {}

    @property
    def head(self) -> Head:
        return Head(len(self.hashes) - 1, self.hashes[-1])

    @property
    def now_ms(self) -> int:
        return START_MS + BLOCK_MS * self.head.number

    def get(self, pallet: str, item: str, *keys: Any) -> Any:
        return self.md.decode_storage(
            pallet, item, self.state.get(self.md.storage_key(pallet, item, *keys))
        )

    def nonce(self, who: DevAccount) -> int:
        return self.get("System", "Account", who.public)["nonce"]

    def sign(
        self,
        who: DevAccount,
        call: bytes,
        *,
        nonce: int | None = None,
        tip: int = 0,
        era: tuple[int, int] | None = None,
        sign: Callable[[bytes], bytes] | None = None,
        crypto: Any = "sr25519",
        account: bytes | None = None,
        **wrong: Any,
    ) -> bytes:
        """Make a signed extrinsic; `wrong` replaces what is signed for."""
        stated = {
            "spec_version": self.runtime.version.spec_version,
            "transaction_version": self.runtime.version.transaction_version,
            "genesis_hash": self.hashes[0],
            "checkpoint_hash": self.hashes[era[1] if era else 0],
        } | wrong
        nonce = self.nonce(who) if nonce is None else nonce
        payload = signing_payload(self.md, call, era=era, nonce=nonce, tip=tip, **stated)
        signature = (sign or who.sign)(
            payload if len(payload) <= 256 else core.blake2b_256(payload)
        )
        return signed_extrinsic(
            self.md,
            call,
            account=account or who.public,
            signature=signature,
            crypto=crypto,
            era=era,
            nonce=nonce,
            tip=tip,
        )

    def validate(self, extrinsic: bytes) -> Validity:
        return self.runtime.validate(self.state, extrinsic, self.head)

    def execute(self, *extrinsics: bytes) -> Executed:
        """Execute the next block without keeping it."""
        number = len(self.hashes)
        inherents = ParaInherents(
            timestamp_ms=START_MS + BLOCK_MS * number,
            parent_head=b"head",
            relay_parent_number=number * 2,
            relay_parent_storage_root=bytes(32),
        )
        return self.runtime.execute_block(
            self.state, number, self.hashes[-1], inherents, extrinsics
        )

    def block(self, *extrinsics: bytes) -> Executed:
        """Make the next block."""
        executed = self.executed = self.execute(*extrinsics)
        self.events = self.md.decode_events(
            executed.changes[self.md.storage_key("System", "Events")]
        )
        self.state = {k: v for k, v in (self.state | executed.changes).items() if v is not None}
        self.hashes.append(core.blake2b_256(b"block %d" % len(self.hashes)))
        if self.runtime.upgrade and self.runtime.upgrade[0] == self.head.number:
            self.runtime = self.runtime.upgrade[1]
            self.md = self.runtime.md
        return executed

    def run(self, who: DevAccount, pallet: str, name: str, /, **args: Any) -> list[tuple[str, Any]]:
        """Make a block of one call; return its own events as ('Pallet.Name', fields).

        Those of fees and of the outcome are left out; a call that fails gives
        [('Failed', error)] alone, with a module's error as 'Pallet.Name'.
        """
        executed = self.block(self.sign(who, self.md.call(pallet, name, **args)))
        assert not executed.refused, executed.refused
        return self.own_events()

    def own_events(self, index: int = 2) -> list[tuple[str, Any]]:
        """Return the events of an extrinsic of the last block, without fees and outcome."""
        mine = [event for event in self.events if event.extrinsic == index]
        assert (mine[0].pallet, mine[0].name) == ("Balances", "Withdraw")
        last = mine[-1]
        if last.name == "ExtrinsicFailed":
            return [("Failed", self.error(last.fields["dispatch_error"]))]
        assert last.name == "ExtrinsicSuccess"
        end = next(
            at for at in range(len(mine) - 1, -1, -1) if mine[at].name == "TransactionFeePaid"
        )
        found = [(f"{event.pallet}.{event.name}", event.fields) for event in mine[1:end]]
        while found and found[-1][0] == "Balances.Deposit":
            found.pop()
        return found

    def error(self, error: Any) -> Any:
        if isinstance(error, dict) and "Module" in error:
            pallet, name, _ = self.md.error(error["Module"]["index"], error["Module"]["error"])
            return f"{pallet}.{name}"
        return error

    def as_root(self, pallet: str, name: str, /, **args: Any) -> Any:
        """Make a block of one call by sudo; return None or the error."""
        call = self.md.call(pallet, name, **args)
        events = dict(self.run(ALICE, "Sudo", "sudo", call=call))
        result = events["Sudo.Sudid"]["sudo_result"]
        return self.error(result["Err"]) if "Err" in result else None

    # ---------------------------------------------------------------------------------- workers

    def outbound(self) -> list[Any]:
        """Return the system events that the last block sends to workers."""
        found = self.get("PhalaMq", "OutboundMessages")
        return [
            messages.SYSTEM_EVENT.decode(each["payload"])
            for each in found
            if each["destination"] == messages.SYSTEM_TOPIC
        ]

    def message(
        self,
        payload: bytes,
        *,
        topic: bytes = messages.REGISTRY_TOPIC,
        worker: DevAccount = WORKER,
        sender: Any = None,
        sequence: int | None = None,
    ) -> Any:
        """Make a signed message in the next sequence, in the shape of `prbkit.scale`."""
        sender = sender or WorkerOrigin(worker.public)
        if sequence is None:
            sequence = self.sequences.get(repr(sender), 0)
            self.sequences[repr(sender)] = sequence + 1
        unsigned = SignedMessage(Message(sender, topic, payload), sequence, b"")
        signed = replace(unsigned, signature=worker.sign(unsigned.signed_bytes()))
        raw = messages.SIGNED_MESSAGE.write(signed)
        return self.md.decode("phala_mq::types::SignedMessage", raw)

    def sync(self, payload: bytes, **options: Any) -> list[tuple[str, Any]]:
        """Make a block of one bare message."""
        message = self.message(payload, **options)
        return self.run(DAVE, "PhalaMq", "sync_offchain_message", signed_message=message)

    def register(self, worker: DevAccount = WORKER, operator: bytes | None = ALICE.public) -> None:
        error = self.as_root(
            "PhalaRegistry",
            "force_register_worker",
            pubkey=worker.public,
            ecdh_pubkey=worker.public,
            operator=operator,
        )
        assert error is None

    def benchmark(self, worker: DevAccount = WORKER, iterations: int = 10_000) -> None:
        report = messages.BenchReport(self.now_ms - BLOCK_MS, iterations)
        self.sync(messages.REGISTRY_EVENT.write(report), worker=worker)

    def start(self, worker: DevAccount = WORKER, stake: int = 20_000 * PHA) -> None:
        """Bring a worker to WorkerIdle in pool 0."""
        self.register(worker)
        self.benchmark(worker)
        self.run(ALICE, "PhalaStakePoolv2", "add_worker", pid=0, pubkey=worker.public)
        self.run(
            ALICE, "PhalaStakePoolv2", "start_computing", pid=0, worker=worker.public, stake=stake
        )

    def session(self, worker: DevAccount = WORKER) -> Any:
        account = self.get("PhalaComputation", "WorkerBindings", worker.public)
        return self.get("PhalaComputation", "Sessions", account) if account else None
