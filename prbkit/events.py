"""What happened, told to every plugin (`prbkit_event`) and to embedders (`Bridge.events`)."""

from __future__ import annotations

from dataclasses import dataclass

from prbkit.interfaces import Event, JobRecord, Peer, Role

__all__ = [
    "AlarmChanged",
    "BalanceLow",
    "BlockFetched",
    "Event",
    "JobChanged",
    "PeerFound",
    "PeerLost",
    "RangeCommitted",
    "ServiceFailed",
    "WorkerChanged",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockFetched(Event):
    """The data provider has fetched everything up to `number` (not yet committed)."""

    role: Role
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeCommitted(Event):
    """The blocks first … last are verified and on disk."""

    role: Role
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerFound(Event):
    peer: Peer


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerLost(Event):
    peer: Peer


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerChanged(Event):
    """A worker's state, its message, or both have changed. `state` is a name such as S_ACTIVE."""

    worker: str
    name: str
    state: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobChanged(Event):
    record: JobRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceLow(Event):
    """An account (32 bytes) that signs has little left: `free`, in base units."""

    account: bytes
    free: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceFailed(Event):
    """A service raised `error` and is started again in `retry_in` seconds."""

    service: str
    error: str
    retry_in: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmChanged(Event):
    """Something that a person should look at has come up (`raised`) or is over.

    `kind` is down, stuck, unresponsive (of the worker with the uuid `worker`) or height (of
    several at one place; `worker` and `name` are empty). `since` is Unix time in seconds.
    """

    kind: str
    worker: str
    name: str
    message: str
    since: float
    raised: bool
