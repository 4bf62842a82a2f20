"""The contract between the devnet's node and its runtimes.

A runtime is a pure function of state: no clock, no randomness, no I/O. The node keeps blocks and
tries; a `Runtime` tells it the genesis state, whether its pool should take an extrinsic, and what
a block changes. `prbkit.testing.devnet.relay.RelayRuntime` and
`prbkit.testing.devnet.para.ParaRuntime` are the two there are.

Execution never reads another block: parent hashes are in the state (``System.BlockHash``), as they
are on a real chain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, TypeVar

from prbkit.testing.layouts import Layout, blob, enum, fixed, struct, text, u8, u32, vec

__all__ = [
    "DIGEST_ITEM",
    "Changes",
    "Consensus",
    "DigestItem",
    "Executed",
    "Head",
    "InvalidTransaction",
    "OtherLog",
    "ParaInherents",
    "PreRuntime",
    "RelayInherents",
    "Runtime",
    "RuntimeEnvironmentUpdated",
    "RuntimeVersion",
    "Seal",
    "State",
    "UndecodableExtrinsic",
    "Validity",
]

#: A whole state: raw storage key → SCALE value. Only looked up, never iterated.
State = Mapping[bytes, bytes]
#: What a block writes: raw storage key → SCALE value, or None where the key is deleted. As a real
#: node's storage changes, they also hold keys whose value stays the same, and deletions of keys
#: that were not there.
Changes = dict[bytes, bytes | None]


@dataclass(frozen=True, slots=True)
class RuntimeVersion:
    """What ``state_getRuntimeVersion`` tells of a runtime."""

    spec_name: str
    impl_name: str
    authoring_version: int
    spec_version: int
    impl_version: int
    #: (8-byte id, version) of each runtime API.
    apis: tuple[tuple[bytes, int], ...]
    transaction_version: int
    #: Trie layout: 0 holds all values in their nodes, 1 those over 32 bytes by hash.
    state_version: int

    def as_json(self) -> dict[str, Any]:
        """Return the object of the JSON-RPC answer."""
        return {
            "specName": self.spec_name,
            "implName": self.impl_name,
            "authoringVersion": self.authoring_version,
            "specVersion": self.spec_version,
            "implVersion": self.impl_version,
            "apis": [["0x" + id_.hex(), version] for id_, version in self.apis],
            "transactionVersion": self.transaction_version,
            "stateVersion": self.state_version,
        }

    def encode(self) -> bytes:
        """Return the SCALE that ``Core_version`` and the constant ``System.Version`` have."""
        return b"".join(
            [
                text.write(self.spec_name),
                text.write(self.impl_name),
                u32.write(self.authoring_version),
                u32.write(self.spec_version),
                u32.write(self.impl_version),
                _APIS.write([_Api(id_, version) for id_, version in self.apis]),
                u32.write(self.transaction_version),
                u8.write(self.state_version),
            ]
        )


@dataclass(frozen=True, slots=True)
class _Api:
    id: bytes
    version: int


_APIS: Layout[list[_Api]] = vec(struct(_Api, id=fixed(8), version=u32))


@dataclass(frozen=True, slots=True)
class Head:
    """The block that something is built on or judged at."""

    number: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class RelayInherents:
    """What the author of a relay block brings: time, and the parachains' new heads.

    :param para_heads: para id → SCALE header; taken in as bare ``Paras.force_note_new_head``.
    """

    timestamp_ms: int
    para_heads: Mapping[int, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ParaInherents:
    """What the author of a para block brings: time, and what it builds on.

    :param parent_head: SCALE of the para block's parent header.
    :param relay_parent_number: the relay block that it is validated against.
    :param relay_state_proof: read proof of the relay state; any nodes, also none.
    """

    timestamp_ms: int
    parent_head: bytes
    relay_parent_number: int
    relay_parent_storage_root: bytes
    relay_state_proof: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True)
class Validity:
    """What the pool may do with a valid extrinsic (``ValidTransaction``).

    An extrinsic is ready once everything in `requires` is in the chain or provided by an earlier
    one; two that provide the same tag exclude each other, and the higher priority stays.
    """

    priority: int
    requires: tuple[bytes, ...]
    provides: tuple[bytes, ...]
    #: How many blocks it stays valid.
    longevity: int
    propagate: bool = True


class InvalidTransaction(Exception):
    """The runtime refuses an extrinsic (JSON-RPC error 1010).

    :param kind: the variant's name in ``InvalidTransaction``, or in ``UnknownTransaction``, whose
        code is 1011.
    """

    #: kind → the text that a node puts into the error's ``data``.
    TEXTS: ClassVar[Mapping[str, str]] = {
        "Call": "Transaction call is not expected",
        "Payment": "Inability to pay some fees (e.g. account balance too low)",
        "Future": "Transaction will be valid in the future",
        "Stale": "Transaction is outdated",
        "BadProof": "Transaction has a bad signature",
        "AncientBirthBlock": "Transaction has an ancient birth block",
        "ExhaustsResources": "Transaction would exhaust the block limits",
        "BadMandatory": "A call was labelled as mandatory, but resulted in an Error.",
        "MandatoryValidation": "Transaction dispatch is mandatory; transactions must not be "
        "validated.",
        "BadSigner": "Invalid signing address",
        "CannotLookup": "Could not lookup information required to validate the transaction",
        "NoUnsignedValidator": "Could not find an unsigned validator for the unsigned transaction",
    }

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind

    @property
    def code(self) -> int:
        """The JSON-RPC error code."""
        return 1011 if self.kind in ("CannotLookup", "NoUnsignedValidator") else 1010

    @property
    def message(self) -> str:
        """The JSON-RPC error message."""
        if self.code == 1011:
            return "Unknown Transaction Validity"
        return "Invalid Transaction"

    @property
    def data(self) -> str:
        """The JSON-RPC error data."""
        return self.TEXTS[self.kind]

    @property
    def retry(self) -> bool:
        """Whether the pool keeps the extrinsic for a later block."""
        return self.kind in ("Future", "ExhaustsResources")


class UndecodableExtrinsic(Exception):
    """Bytes that are no extrinsic of this runtime (JSON-RPC error 1002)."""

    code = 1002
    message = "Verification Error"

    def __init__(self, data: str) -> None:
        super().__init__(data)
        self.data = data


@dataclass(frozen=True, slots=True)
class Executed:
    """What a block does.

    :param changes: applied to the parent's state, they give the block's.
    :param digest_logs: the header's logs in order, each its whole SCALE.
    :param extrinsics: all that are in the block, inherents first, each with its length prefix.
    :param events: SCALE of each EventRecord, in order; ``System.Events`` holds them.
    :param refused: those that were given and are not in the block, and why. `retry` tells which
        of them may stay in the pool.
    :param authority_set: relay only: the list that this block's digest schedules, or None.
    """

    changes: Changes
    digest_logs: list[bytes]
    extrinsics: list[bytes]
    events: list[bytes]
    refused: list[tuple[bytes, InvalidTransaction | UndecodableExtrinsic]]
    authority_set: list[tuple[bytes, int]] | None = None


InherentsT = TypeVar("InherentsT", contravariant=True)


class Runtime(Protocol[InherentsT]):
    """One version of a chain's rules.

    A chain whose rules change is a sequence of runtimes: where `upgrade` is not None, its first
    number is the block that turns to the second: that block is still executed by the old runtime
    (and holds the new ``:code``), its children by the new one.
    """

    @property
    def metadata(self) -> bytes:
        """V14, ``meta`` first."""

    @property
    def version(self) -> RuntimeVersion: ...

    @property
    def upgrade(self) -> tuple[int, Runtime[InherentsT]] | None: ...

    def genesis(self) -> dict[bytes, bytes]:
        """Return the genesis state."""

    def validate(self, state: State, extrinsic: bytes, tip: Head) -> Validity:
        """Judge an extrinsic (with its length prefix) for the pool, on top of `tip`.

        :param state: the state of `tip`.
        :raises UndecodableExtrinsic: not an extrinsic.
        :raises InvalidTransaction: not valid here.
        """

    def fee(self, state: State, extrinsic: bytes) -> tuple[int, int]:
        """Return (weight's ref_time, fee in base units without tip), for payment_queryInfo."""

    def execute_block(
        self,
        state: State,
        number: int,
        parent_hash: bytes,
        inherents: InherentsT,
        extrinsics: Sequence[bytes],
    ) -> Executed:
        """Execute block `number` on the state of its parent; extrinsics that can't are refused."""


# ------------------------------------------------------------------------------------ digest logs


@dataclass(frozen=True, slots=True)
class OtherLog:
    data: bytes


@dataclass(frozen=True, slots=True)
class Consensus:
    engine: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class Seal:
    engine: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class PreRuntime:
    engine: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class RuntimeEnvironmentUpdated:
    pass


DigestItem = OtherLog | Consensus | Seal | PreRuntime | RuntimeEnvironmentUpdated

DIGEST_ITEM: Layout[Any] = enum(
    {
        0: (OtherLog, struct(OtherLog, data=blob)),
        4: (Consensus, struct(Consensus, engine=fixed(4), data=blob)),
        5: (Seal, struct(Seal, engine=fixed(4), data=blob)),
        6: (PreRuntime, struct(PreRuntime, engine=fixed(4), data=blob)),
        8: (RuntimeEnvironmentUpdated, struct(RuntimeEnvironmentUpdated)),
    }
)
