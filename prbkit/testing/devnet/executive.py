"""Executes blocks and judges extrinsics, the same way for both chains.

What FRAME's Executive does: the frame around a block, inherents first, then each extrinsic through
its signed extensions in their order, its fee, its call, and the events that tell of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from prbkit._native import core
from prbkit.errors import CodecError
from prbkit.scale import (
    Extrinsic,
    Metadata,
    SignatureInfo,
    decode_extrinsic,
    unsigned_extrinsic,
)
from prbkit.testing.devnet.dispatch import (
    NONE,
    Args,
    Context,
    DispatchFailed,
    Signed,
    is_mandatory,
    weight_of,
)
from prbkit.testing.devnet.genesis import TREASURY
from prbkit.testing.devnet.pallets import balances, system
from prbkit.testing.devnet.runtime import (
    Executed,
    Head,
    InvalidTransaction,
    RuntimeVersion,
    State,
    UndecodableExtrinsic,
    Validity,
)
from prbkit.testing.devnet.signatures import verify
from prbkit.testing.devnet.storage import Storage
from prbkit.testing.devnet.tables import LIMITS

__all__ = ["Checked", "Executive"]

InherentsT = TypeVar("InherentsT")

FEE_BASE = 125_000_000
FEE_PER_BYTE = 10_000_000
IMMORTAL = (1 << 64) - 1
_NO_HASH = {"mode": "Disabled"}


@dataclass(frozen=True, slots=True)
class Checked:
    """A signed extrinsic whose signature and era are right."""

    raw: bytes
    extrinsic: Extrinsic
    signed: SignatureInfo
    who: bytes
    weight: int
    longevity: int

    @property
    def fee(self) -> int:
        """The fee without the tip."""
        return FEE_BASE + FEE_PER_BYTE * len(self.raw) + self.weight


class Executive(ABC, Generic[InherentsT]):
    """A chain's rules; the chains fill in what is theirs."""

    def __init__(self, metadata: bytes, version: RuntimeVersion, settings: Any) -> None:
        self._metadata = metadata
        self._version = version
        self._settings = settings
        self.md = Metadata.decode(metadata)

    @property
    def metadata(self) -> bytes:
        """V14, ``meta`` first."""
        return self._metadata

    @property
    def version(self) -> RuntimeVersion:
        """What ``state_getRuntimeVersion`` tells."""
        return self._version

    # ---------------------------------------------------------------------- what a chain fills in

    @abstractmethod
    def inherents(self, inherents: InherentsT) -> list[tuple[str, str, dict[str, Any]]]:
        """Return the calls that the block's author puts in, in order."""

    @abstractmethod
    def pre_runtime(self, inherents: InherentsT) -> list[Any]:
        """Return the digest items that the author puts in, in the shape of `prbkit.scale`."""

    @abstractmethod
    def on_initialize(self, ctx: Context) -> None:
        """Do what pallets do before the first extrinsic."""

    @abstractmethod
    def on_finalize(self, ctx: Context) -> list[Any]:
        """Do what pallets do after the last one; return the digest items they leave."""

    def scheduled_authorities(self, number: int) -> list[tuple[bytes, int]] | None:
        """Return the GRANDPA authorities that the block schedules."""
        return None

    def sequence_tags(
        self, ctx: Context, pallet: str, name: str, args: Args
    ) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
        """Return what an extrinsic provides and requires besides its nonce."""
        return (), ()

    def check_sequence(self, ctx: Context, pallet: str, name: str, args: Args) -> None:
        """Refuse an extrinsic whose turn it isn't (extensions of the chain's own)."""

    # -------------------------------------------------------------------------------- extrinsics

    def _decode(self, raw: bytes) -> Extrinsic:
        try:
            return decode_extrinsic(self.md, raw)
        except CodecError as error:
            raise UndecodableExtrinsic(f"Could not decode `UncheckedExtrinsic`: {error}") from error

    def _check(self, ctx: Context, raw: bytes) -> Checked:
        """Decode an extrinsic and check signature and era, for inclusion in block `ctx.number`."""
        extrinsic = self._decode(raw)
        if is_mandatory(extrinsic.pallet, extrinsic.name):
            raise InvalidTransaction("MandatoryValidation")
        signed = extrinsic.signed
        if signed is None:
            raise InvalidTransaction("NoUnsignedValidator")
        who = signed.account
        if who is None:
            raise InvalidTransaction("CannotLookup")
        era = signed.era
        birth = 0 if era is None else era.birth(ctx.number)
        if not ctx.has("System", "BlockHash", birth):
            raise InvalidTransaction("AncientBirthBlock")
        payload = self._payload(ctx, extrinsic, signed, ctx.get("System", "BlockHash", birth))
        if not verify(signed.signature, payload, who):
            raise InvalidTransaction("BadProof")
        if who == bytes(32):
            raise InvalidTransaction("BadSigner")
        return Checked(
            raw=raw,
            extrinsic=extrinsic,
            signed=signed,
            who=who,
            weight=weight_of(extrinsic.pallet, extrinsic.name, extrinsic.args),
            longevity=IMMORTAL if era is None else era.death(ctx.number) - ctx.number,
        )

    def _payload(
        self, ctx: Context, extrinsic: Extrinsic, signed: SignatureInfo, checkpoint: bytes
    ) -> bytes:
        """Return the bytes that the signature must be made over."""
        additional = {
            "CheckSpecVersion": self._version.spec_version,
            "CheckTxVersion": self._version.transaction_version,
            "CheckGenesis": ctx.get("System", "BlockHash", 0),
            "CheckMortality": checkpoint,
            "CheckMetadataHash": None,
        }
        if signed.extra.get("CheckMetadataHash", _NO_HASH) != _NO_HASH:
            raise InvalidTransaction("CannotLookup")
        payload = b"".join(
            [
                extrinsic.call,
                *(
                    self.md.encode(each.extra, signed.extra[each.identifier])
                    for each in self.md.signed_extensions
                ),
                *(
                    self.md.encode(each.additional, additional.get(each.identifier, ()))
                    for each in self.md.signed_extensions
                ),
            ]
        )
        return payload if len(payload) <= 256 else core.blake2b_256(payload)

    def _check_size(self, checked: Checked) -> None:
        weight = checked.weight + LIMITS.base_extrinsic
        if weight > LIMITS.normal_weight or len(checked.raw) > LIMITS.normal_length:
            raise InvalidTransaction("ExhaustsResources")

    def validate(self, state: State, extrinsic: bytes, tip: Head) -> Validity:
        """Judge an extrinsic for the pool, on top of `tip` (see `Runtime.validate`)."""
        ctx = Context(Storage(self.md, state), tip.number + 1, self._settings)
        ctx.put("System", "BlockHash", tip.number, tip.hash)
        checked = self._check(ctx, bytes(extrinsic))
        expected = system.account(ctx, checked.who)["nonce"]
        nonce = checked.signed.nonce
        if nonce < expected:
            raise InvalidTransaction("Stale")
        self._check_size(checked)
        call = (checked.extrinsic.pallet, checked.extrinsic.name, checked.extrinsic.args)
        provides, requires = self.sequence_tags(ctx, *call)
        if not balances.withdraw(ctx, checked.who, checked.fee + checked.signed.tip):
            raise InvalidTransaction("Payment")
        fitting = min(
            LIMITS.normal_length // len(checked.raw),
            LIMITS.normal_weight // (checked.weight + LIMITS.base_extrinsic),
        )
        if nonce > expected:
            requires = (_nonce_tag(checked.who, nonce - 1), *requires)
        return Validity(
            priority=(checked.signed.tip + 1) * fitting,
            requires=requires,
            provides=(_nonce_tag(checked.who, nonce), *provides),
            longevity=checked.longevity,
        )

    def fee(self, state: State, extrinsic: bytes) -> tuple[int, int]:
        """Return (weight, fee without tip) of an extrinsic, whatever its signature."""
        found = self._decode(bytes(extrinsic))
        weight = weight_of(found.pallet, found.name, found.args)
        if found.signed is None:
            return weight, 0
        return weight, FEE_BASE + FEE_PER_BYTE * len(extrinsic) + weight

    # ------------------------------------------------------------------------------------- blocks

    def execute_block(
        self,
        state: State,
        number: int,
        parent_hash: bytes,
        inherents: InherentsT,
        extrinsics: Sequence[bytes],
    ) -> Executed:
        """Execute a block on its parent's state (see `Runtime.execute_block`)."""
        ctx = Context(Storage(self.md, state), number, self._settings)
        logs = self.pre_runtime(inherents)
        system.initialize(ctx, parent_hash, logs)
        self._note_upgrade(ctx)
        self.on_initialize(ctx)
        included: list[bytes] = []
        for pallet, name, args in self.inherents(inherents):
            self._apply_inherent(ctx, len(included), pallet, name, args)
            included.append(unsigned_extrinsic(self.md, self.md.call(pallet, name, **args)))
        refused: list[tuple[bytes, InvalidTransaction | UndecodableExtrinsic]] = []
        room = _Room()
        for raw in map(bytes, extrinsics):
            try:
                with ctx.transaction():
                    self._apply(ctx, len(included), raw, room)
            except (InvalidTransaction, UndecodableExtrinsic) as refusal:
                refused.append((raw, refusal))
            else:
                included.append(raw)
        ctx.phase = "Finalization"
        logs = logs + self.on_finalize(ctx)
        ctx.put("System", "Digest", {"logs": logs})
        ctx.put("System", "BlockWeight", room.consumed())
        system.finalize(ctx)
        digest = self.md.type_id("sp_runtime::generic::digest::DigestItem")
        return Executed(
            changes=ctx.storage.changes,
            digest_logs=[self.md.encode(digest, log) for log in logs],
            extrinsics=included,
            events=ctx.events,
            refused=refused,
            authority_set=self.scheduled_authorities(number),
        )

    def _note_upgrade(self, ctx: Context) -> None:
        """Record the runtime's version in its first block."""
        own = {
            "spec_version": self._version.spec_version,
            "spec_name": self._version.spec_name,
        }
        if ctx.get("System", "LastRuntimeUpgrade") != own:
            ctx.put("System", "LastRuntimeUpgrade", own)
            if "DevnetUpgrade" in self.md.pallets:
                ctx.put("DevnetUpgrade", "UpgradedAt", ctx.number)

    def _apply_inherent(
        self, ctx: Context, index: int, pallet: str, name: str, args: dict[str, Any]
    ) -> None:
        ctx.phase = {"ApplyExtrinsic": index}
        free = ctx.dispatch(NONE, pallet, name, args)
        info = _dispatch_info(weight_of(pallet, name, args), "Mandatory", free)
        ctx.deposit("System", "ExtrinsicSuccess", dispatch_info=info)

    def _apply(self, ctx: Context, index: int, raw: bytes, room: _Room) -> None:
        """Include an extrinsic, or raise why it can't be; a failing call is included too."""
        ctx.phase = {"ApplyExtrinsic": index}
        checked = self._check(ctx, raw)
        info = system.account(ctx, checked.who)
        nonce = checked.signed.nonce
        if nonce != info["nonce"]:
            raise InvalidTransaction("Stale" if nonce < info["nonce"] else "Future")
        self._check_size(checked)
        room.check(checked)
        call = (checked.extrinsic.pallet, checked.extrinsic.name, checked.extrinsic.args)
        self.check_sequence(ctx, *call)
        ctx.put("System", "Account", checked.who, info | {"nonce": nonce + 1})
        tip = checked.signed.tip
        if not balances.withdraw(ctx, checked.who, checked.fee + tip):
            raise InvalidTransaction("Payment")
        room.take(checked)
        free, error = False, None
        try:
            free = ctx.dispatch(Signed(checked.who), *call)
        except DispatchFailed as failure:
            error = failure.error
        fee = 0 if free else checked.fee
        balances.deposit(ctx, checked.who, checked.fee - fee)
        balances.deposit(ctx, TREASURY, fee + tip)
        ctx.deposit(
            "TransactionPayment", "TransactionFeePaid", who=checked.who, actual_fee=fee, tip=tip
        )
        dispatch_info = _dispatch_info(checked.weight, "Normal", free)
        if error is None:
            ctx.deposit("System", "ExtrinsicSuccess", dispatch_info=dispatch_info)
        else:
            ctx.deposit(
                "System", "ExtrinsicFailed", dispatch_error=error, dispatch_info=dispatch_info
            )


class _Room:
    """What is left in a block for normal extrinsics."""

    def __init__(self) -> None:
        self.weight = 0
        self.length = 0

    def check(self, checked: Checked) -> None:
        weight = self.weight + checked.weight + LIMITS.base_extrinsic
        if weight > LIMITS.normal_weight or self.length + len(checked.raw) > LIMITS.normal_length:
            raise InvalidTransaction("ExhaustsResources")

    def take(self, checked: Checked) -> None:
        self.weight += checked.weight + LIMITS.base_extrinsic
        self.length += len(checked.raw)

    def consumed(self) -> dict[str, Any]:
        """Return ``System.BlockWeight``."""

        def weight(ref_time: int) -> dict[str, int]:
            return {"ref_time": ref_time, "proof_size": 0}

        return {
            "normal": weight(self.weight),
            "operational": weight(0),
            "mandatory": weight(LIMITS.base_block),
        }


def _dispatch_info(weight: int, class_: str, free: bool) -> dict[str, Any]:
    return {
        "weight": {"ref_time": weight, "proof_size": 0},
        "class": class_,
        "pays_fee": "No" if free else "Yes",
    }


def _nonce_tag(who: bytes, nonce: int) -> bytes:
    return who + nonce.to_bytes(4, "little")
