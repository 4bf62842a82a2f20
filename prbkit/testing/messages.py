"""What workers and the chain say to each other, so that devnet and simulator speak one language.

A worker sends `SignedMessage`s (``PhalaMq.sync_offchain_message``); the chain leaves `Message`s in
``PhalaMq.OutboundMessages`` of a block's state, which a worker reads while it dispatches that
block. A message's payload is one of the enums below, by its topic; a topic that begins with ``^``
is a pallet's alone, others reach everyone off the chain too. Layouts and topics are those of
phala-blockchain's ``phala-types`` and of the pallets' ``RegistryEvent``.

===========================  ========================  =====================================
topic                        sender                    payload
===========================  ========================  =====================================
``phala/system/event``       pallet                    `SYSTEM_EVENT`
``^phala/registry/event``    worker                    `REGISTRY_EVENT`
``phala/mining/report``      worker                    `WORKING_REPORT`
``^phala/mining/update``     gatekeeper, to the pallet `WORKING_INFO_UPDATE`
===========================  ========================  =====================================
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from prbkit.testing.layouts import (
    Layout,
    blob,
    enum,
    fixed,
    struct,
    u8,
    u32,
    u64,
    u128,
    u256,
    vec,
)

__all__ = [
    "EGRESS",
    "ENDPOINT_CONTENT",
    "MESSAGE",
    "ORIGIN",
    "REGISTRY_EVENT",
    "REGISTRY_TOPIC",
    "REPORT_TOPIC",
    "SIGNED_MESSAGE",
    "SYSTEM_EVENT",
    "SYSTEM_TOPIC",
    "UPDATE_TOPIC",
    "WORKING_INFO_UPDATE",
    "WORKING_REPORT",
    "AccountOrigin",
    "BenchReport",
    "BenchScore",
    "BenchStart",
    "ClusterOrigin",
    "ContractOrigin",
    "EgressQueue",
    "EnterUnresponsive",
    "ExitUnresponsive",
    "GatekeeperOrigin",
    "Heartbeat",
    "HeartbeatChallenge",
    "HeartbeatV2",
    "LocationOrigin",
    "MasterPubkey",
    "Message",
    "MessageOrigin",
    "PalletOrigin",
    "Registered",
    "RegistryEvent",
    "ReservedOrigin",
    "SettleInfo",
    "SignedMessage",
    "Started",
    "Stopped",
    "SystemEvent",
    "WorkerEvent",
    "WorkerEventWithKey",
    "WorkerOrigin",
    "WorkingInfoUpdate",
    "WorkingReport",
    "pallet_message",
    "wrap_content",
]

SYSTEM_TOPIC = b"phala/system/event"
REGISTRY_TOPIC = b"^phala/registry/event"
REPORT_TOPIC = b"phala/mining/report"
UPDATE_TOPIC = b"^phala/mining/update"

# ---------------------------------------------------------------------------------------- origins


@dataclass(frozen=True, slots=True)
class PalletOrigin:
    """A pallet, by its name in the runtime."""

    name: bytes


@dataclass(frozen=True, slots=True)
class ContractOrigin:
    """A contract, by its 32-byte id."""

    id: bytes


@dataclass(frozen=True, slots=True)
class WorkerOrigin:
    """A worker, by its sr25519 public key."""

    pubkey: bytes


@dataclass(frozen=True, slots=True)
class AccountOrigin:
    """An account of the chain."""

    account: bytes


@dataclass(frozen=True, slots=True)
class LocationOrigin:
    """A place on another chain, as an encoded MultiLocation."""

    location: bytes


@dataclass(frozen=True, slots=True)
class GatekeeperOrigin:
    """The gatekeepers, who share one key."""


@dataclass(frozen=True, slots=True)
class ClusterOrigin:
    """A cluster, by its 32-byte id."""

    id: bytes


@dataclass(frozen=True, slots=True)
class ReservedOrigin:
    """Index 255, which no message has: signatures of other content begin with it."""


MessageOrigin: TypeAlias = (
    PalletOrigin
    | ContractOrigin
    | WorkerOrigin
    | AccountOrigin
    | LocationOrigin
    | GatekeeperOrigin
    | ClusterOrigin
    | ReservedOrigin
)

ORIGIN: Layout[Any] = enum(
    {
        0: (PalletOrigin, struct(PalletOrigin, name=blob)),
        1: (ContractOrigin, struct(ContractOrigin, id=fixed(32))),
        2: (WorkerOrigin, struct(WorkerOrigin, pubkey=fixed(32))),
        3: (AccountOrigin, struct(AccountOrigin, account=fixed(32))),
        4: (LocationOrigin, struct(LocationOrigin, location=blob)),
        5: (GatekeeperOrigin, struct(GatekeeperOrigin)),
        6: (ClusterOrigin, struct(ClusterOrigin, id=fixed(32))),
        255: (ReservedOrigin, struct(ReservedOrigin)),
    }
)

# --------------------------------------------------------------------------------------- messages


@dataclass(frozen=True, slots=True)
class Message:
    """One message; `payload` is SCALE of the enum that `destination` (a topic) names."""

    sender: MessageOrigin
    destination: bytes
    payload: bytes


@dataclass(frozen=True, slots=True)
class SignedMessage:
    """A message from off the chain, with its place in its sender's sequence."""

    message: Message
    sequence: int
    signature: bytes

    def signed_bytes(self) -> bytes:
        """Return what `signature` (sr25519, context ``substrate``) is made over."""
        return MESSAGE.write(self.message) + u64.write(self.sequence)


@dataclass(frozen=True, slots=True)
class EgressQueue:
    """What one origin of a worker has to send, in sequence (an item of GetEgressMessages)."""

    origin: MessageOrigin
    messages: list[SignedMessage]


MESSAGE: Layout[Message] = struct(Message, sender=ORIGIN, destination=blob, payload=blob)
SIGNED_MESSAGE: Layout[SignedMessage] = struct(
    SignedMessage, message=MESSAGE, sequence=u64, signature=blob
)
EGRESS: Layout[list[EgressQueue]] = vec(
    struct(EgressQueue, origin=ORIGIN, messages=vec(SIGNED_MESSAGE))
)

# ------------------------------------------------------------------------------- chain → worker


@dataclass(frozen=True, slots=True)
class Registered:
    """The registry knows the worker now."""

    confidence_level: int


@dataclass(frozen=True, slots=True)
class BenchStart:
    """The registry wants a benchmark of `duration` blocks."""

    duration: int


@dataclass(frozen=True, slots=True)
class BenchScore:
    """The registry has made `score` (iterations in 6 s, at most 6000) of a `BenchReport`."""

    score: int


@dataclass(frozen=True, slots=True)
class Started:
    """The worker computes from now on; `init_v` is fixed point 64.64."""

    session_id: int
    init_v: int
    init_p: int


@dataclass(frozen=True, slots=True)
class Stopped:
    """The worker's session cools down."""


@dataclass(frozen=True, slots=True)
class EnterUnresponsive:
    """The worker missed its heartbeats."""


@dataclass(frozen=True, slots=True)
class ExitUnresponsive:
    """The worker's heartbeats are back."""


WorkerEvent: TypeAlias = (
    Registered | BenchStart | BenchScore | Started | Stopped | EnterUnresponsive | ExitUnresponsive
)


@dataclass(frozen=True, slots=True)
class WorkerEventWithKey:
    """An event for the one worker with that sr25519 public key."""

    pubkey: bytes
    event: WorkerEvent


@dataclass(frozen=True, slots=True)
class HeartbeatChallenge:
    """Asks each worker for a heartbeat whose own hash lies below `online_target` (both U256)."""

    seed: int
    online_target: int


SystemEvent: TypeAlias = WorkerEventWithKey | HeartbeatChallenge

_WORKER_EVENT: Layout[Any] = enum(
    {
        0: (Registered, struct(Registered, confidence_level=u8)),
        1: (BenchStart, struct(BenchStart, duration=u32)),
        2: (BenchScore, struct(BenchScore, score=u32)),
        3: (Started, struct(Started, session_id=u32, init_v=u128, init_p=u32)),
        4: (Stopped, struct(Stopped)),
        5: (EnterUnresponsive, struct(EnterUnresponsive)),
        6: (ExitUnresponsive, struct(ExitUnresponsive)),
    }
)
SYSTEM_EVENT: Layout[Any] = enum(
    {
        0: (WorkerEventWithKey, struct(WorkerEventWithKey, pubkey=fixed(32), event=_WORKER_EVENT)),
        1: (HeartbeatChallenge, struct(HeartbeatChallenge, seed=u256, online_target=u256)),
    }
)

# ------------------------------------------------------------------------------- worker → chain


@dataclass(frozen=True, slots=True)
class BenchReport:
    """A finished benchmark: `iterations` since the block time `start_time` (milliseconds)."""

    start_time: int
    iterations: int


@dataclass(frozen=True, slots=True)
class MasterPubkey:
    """The first gatekeeper's master key."""

    master_pubkey: bytes


RegistryEvent: TypeAlias = BenchReport | MasterPubkey

REGISTRY_EVENT: Layout[Any] = enum(
    {
        0: (BenchReport, struct(BenchReport, start_time=u64, iterations=u64)),
        1: (MasterPubkey, struct(MasterPubkey, master_pubkey=fixed(32))),
    }
)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A worker's answer to the challenge of a block; `challenge_time` in milliseconds."""

    session_id: int
    challenge_block: int
    challenge_time: int
    iterations: int


@dataclass(frozen=True, slots=True)
class HeartbeatV2:
    """`Heartbeat`, with what the worker hosts."""

    session_id: int
    challenge_block: int
    challenge_time: int
    iterations: int
    n_clusters: int
    n_contracts: int


WorkingReport: TypeAlias = Heartbeat | HeartbeatV2

_HEARTBEAT: dict[str, Layout[int]] = {
    "session_id": u32,
    "challenge_block": u32,
    "challenge_time": u64,
    "iterations": u64,
}
WORKING_REPORT: Layout[Any] = enum(
    {
        0: (Heartbeat, struct(Heartbeat, **_HEARTBEAT)),
        1: (HeartbeatV2, struct(HeartbeatV2, **_HEARTBEAT, n_clusters=u32, n_contracts=u32)),
    }
)

# --------------------------------------------------------------------------- gatekeeper → chain


@dataclass(frozen=True, slots=True)
class SettleInfo:
    """A worker's new V, payout and treasury share, all fixed point 64.64."""

    pubkey: bytes
    v: int
    payout: int
    treasury: int


@dataclass(frozen=True, slots=True)
class WorkingInfoUpdate:
    """What the gatekeepers concluded from a block's heartbeats."""

    block_number: int
    timestamp_ms: int
    offline: list[bytes] = field(default_factory=list)
    recovered_to_online: list[bytes] = field(default_factory=list)
    settle: list[SettleInfo] = field(default_factory=list)


WORKING_INFO_UPDATE: Layout[WorkingInfoUpdate] = struct(
    WorkingInfoUpdate,
    block_number=u32,
    timestamp_ms=u64,
    offline=vec(fixed(32)),
    recovered_to_online=vec(fixed(32)),
    settle=vec(struct(SettleInfo, pubkey=fixed(32), v=u128, payout=u128, treasury=u128)),
)

# --------------------------------------------------------------------------------------- helpers

#: SignedContentType::EndpointInfo, for `wrap_content`.
ENDPOINT_CONTENT = 2


def pallet_message(pallet: str, event: SystemEvent) -> Message:
    """Return what `pallet` pushes to the workers: a system event."""
    return Message(PalletOrigin(pallet.encode()), SYSTEM_TOPIC, SYSTEM_EVENT.write(event))


def wrap_content(data: bytes, content: int) -> bytes:
    """Return the bytes a worker signs for `data` of a kind other than a queue message.

    They begin with the index of `ReservedOrigin`, which no message begins with, so that a
    signature of one kind can't pass for the other (``wrap_content_to_sign`` in phala-types).
    """
    return bytes([255, content]) + data
