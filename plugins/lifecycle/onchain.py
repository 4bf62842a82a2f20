"""What the chain says of a worker, what is wanted of it, and what is to be done about it: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

__all__ = [
    "AddToPool",
    "Blocked",
    "Computes",
    "Need",
    "Register",
    "RestartComputing",
    "Session",
    "StartComputing",
    "Waiting",
    "Wish",
    "WorkerOnChain",
    "decide",
]

AT_WORK = frozenset({"WorkerIdle", "WorkerUnresponsive"})
UNRESPONSIVE = "WorkerUnresponsive"
COOLING_DOWN = "WorkerCoolingDown"


@dataclass(frozen=True, slots=True)
class Session:
    """A session: `account` 32 bytes, `v` and `ve` fixed point 64.64, `stake` in base units."""

    account: bytes
    state: str
    v: int = 0
    ve: int = 0
    stake: int | None = None
    info: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WorkerOnChain:
    """What stands on chain of a worker after block `block`."""

    block: int
    registered: bool = False
    operator: bytes | None = None
    initial_score: int | None = None
    pid: int | None = None
    session: Session | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted of a worker.

    `operator` is the account that may add it to the pool: the pool's owner where the operator is
    a proxy, else the operator itself. `min_score` None: any score will do.
    """

    pid: int
    stake: int
    operator: bytes | None
    min_score: int | None = None
    register_again: bool = False


@dataclass(frozen=True, slots=True)
class Register:
    reason: str


@dataclass(frozen=True, slots=True)
class AddToPool:
    pass


@dataclass(frozen=True, slots=True)
class StartComputing:
    stake: int


@dataclass(frozen=True, slots=True)
class RestartComputing:
    stake: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing to do but to wait for the chain."""

    message: str


@dataclass(frozen=True, slots=True)
class Blocked:
    """A person has to do something; says what."""

    message: str


@dataclass(frozen=True, slots=True)
class Computes:
    """All is as wanted; `message` is an alarm or empty."""

    message: str = ""


Need: TypeAlias = (
    Register | AddToPool | StartComputing | RestartComputing | Waiting | Blocked | Computes
)


def decide(chain: WorkerOnChain, wish: Wish) -> Need:
    """The one next thing that a worker needs on chain.

    The order is the chain's own: it refuses to add a worker that is not registered with the
    pool's owner as operator or has no benchmark, and to start one that is not in the pool.
    """
    if wish.operator is None:
        return Blocked(f"pool {wish.pid} has no operator: give it one to act on chain")
    at_work = chain.session is not None and chain.session.state in AT_WORK
    if (reason := _why_register(chain, wish, at_work)) is not None:
        return Register(reason)
    if chain.pid is not None and chain.pid != wish.pid:
        return Blocked(
            f"on chain it is in pool {chain.pid}, here in pool {wish.pid}: "
            "remove it from that pool, or correct the inventory"
        )
    if chain.initial_score is None and (chain.pid is None or not at_work):
        return Waiting("waiting for the benchmark's score")
    if chain.pid is None:
        return AddToPool()
    return _session_need(chain.session, wish)


def _why_register(chain: WorkerOnChain, wish: Wish, at_work: bool) -> str | None:
    if not chain.registered:
        return "not registered"
    if wish.register_again:
        return "asked to register again"
    if chain.operator != wish.operator:
        return "registered for another operator"
    if (
        wish.min_score is not None
        and not at_work
        and chain.initial_score is not None
        and chain.initial_score < wish.min_score
    ):
        return f"its score {chain.initial_score} is below {wish.min_score}"
    return None


def _session_need(session: Session | None, wish: Wish) -> Need:
    if session is None or session.state not in (*AT_WORK, COOLING_DOWN):
        if wish.stake <= 0:
            return Blocked("no stake is set: set one to start computing")
        return StartComputing(wish.stake)
    if session.state == COOLING_DOWN:
        return Waiting("cooling down on chain")
    if session.stake is not None and wish.stake > session.stake:
        return RestartComputing(wish.stake)
    if session.state == UNRESPONSIVE:
        return Computes("unresponsive on chain: it is being slashed until its heartbeats arrive")
    return Computes()
