"""The states of a worker as one table: (state, event) → (next state, effects).

A worker's loop observes (pRuntime's counters, the chain, the inventory, commands), says what it
saw as an event, and does the effects. What the table does not list changes nothing. `as_markdown`
renders it for the docs.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["TABLE", "Effect", "Event", "State", "as_markdown", "step"]


class State(enum.StrEnum):
    """PRB v2's names; their order is that of its protobuf enum."""

    S_IDLE = "S_IDLE"
    """Disabled, or not begun."""
    S_STARTING = "S_STARTING"
    """pRuntime is asked who it is, and initialised where it is new."""
    S_SYNCHING = "S_SYNCHING"
    """It is fed with headers and blocks."""
    S_SYNCHED = "S_SYNCHED"
    """It has what the chains have. A worker that only syncs stays here."""
    S_PRE_ACTIVE = "S_PRE_ACTIVE"
    """What is missing on chain is being done: register, add to the pool, start."""
    S_ACTIVE = "S_ACTIVE"
    """It computes."""
    S_KICKED = "S_KICKED"
    """It was told to exit and is left alone until restarted."""
    S_ERROR = "S_ERROR"
    """Something failed; it begins again by itself after a while."""


class Event(enum.StrEnum):
    ENABLED = "enabled"
    """The inventory wants it to run."""
    DISABLED = "disabled"
    """The inventory does not want it to run, or no longer has it."""
    READY = "ready"
    """pRuntime answered, is initialised, and belongs to this chain."""
    CAUGHT_UP = "caught up"
    """Nothing is left to send, and what is committed is what the chains have."""
    FELL_BEHIND = "fell behind"
    """It, or all that feeds it, is far behind the chain again."""
    MAY_ACT = "may act"
    """The settings, the pool and the worker allow transactions."""
    MAY_NOT_ACT = "may not act"
    """One of the three says sync only."""
    COMPUTES = "computes"
    """Its session on chain is at work in the pool and with the stake that are wanted."""
    NEEDS_ACTION = "needs action"
    """Something on chain is not as it is wanted."""
    GONE = "gone"
    """pRuntime was restarted and knows nothing, or is another one."""
    FAILED = "failed"
    """A step did not work out, after its own retries."""
    RETRY = "retry"
    """The wait after a failure is over."""
    RESTART = "restart"
    """A person asked to begin again."""
    REFRESH = "refresh"
    """A person asked to begin again with a new attestation."""
    KICK = "kick"
    """A person asked to make pRuntime exit."""


class Effect(enum.StrEnum):
    CONNECT = "connect"
    """Ask pRuntime who it is; initialise it where it is new."""
    FEED = "feed"
    """Send headers and blocks from where it is."""
    ACT = "act"
    """Drain messages to the chain and do what is missing there."""
    STOP_ACTING = "stop acting"
    """Make no new trade job."""
    REGISTER_AGAIN = "register again"
    """Register with a fresh attestation before anything else."""
    EXIT_PRUNTIME = "exit pRuntime"
    BACK_OFF = "back off"
    """Wait, longer each time, then tell RETRY."""
    RELEASE = "release"
    """Let go of the worker: no request is made any more."""


_S, _E, _F = State, Event, Effect

_RUNNING = (_S.S_STARTING, _S.S_SYNCHING, _S.S_SYNCHED, _S.S_PRE_ACTIVE, _S.S_ACTIVE)
_FED = _RUNNING[1:]
_ALIVE = (*_RUNNING, _S.S_KICKED, _S.S_ERROR)

Step = tuple[State, tuple[Effect, ...]]


def _table() -> dict[tuple[State, Event], Step]:
    table: dict[tuple[State, Event], Step] = {
        (_S.S_IDLE, _E.ENABLED): (_S.S_STARTING, (_F.CONNECT,)),
        (_S.S_STARTING, _E.READY): (_S.S_SYNCHING, (_F.FEED,)),
        (_S.S_SYNCHING, _E.CAUGHT_UP): (_S.S_SYNCHED, ()),
        (_S.S_SYNCHED, _E.FELL_BEHIND): (_S.S_SYNCHING, ()),
        (_S.S_SYNCHED, _E.MAY_ACT): (_S.S_PRE_ACTIVE, (_F.ACT,)),
        (_S.S_PRE_ACTIVE, _E.COMPUTES): (_S.S_ACTIVE, ()),
        (_S.S_ACTIVE, _E.NEEDS_ACTION): (_S.S_PRE_ACTIVE, ()),
        (_S.S_ERROR, _E.RETRY): (_S.S_STARTING, (_F.CONNECT,)),
    }
    for state in (_S.S_PRE_ACTIVE, _S.S_ACTIVE):
        table[state, _E.FELL_BEHIND] = (_S.S_SYNCHING, (_F.STOP_ACTING,))
        table[state, _E.MAY_NOT_ACT] = (_S.S_SYNCHED, (_F.STOP_ACTING,))
    for state in _FED:
        table[state, _E.GONE] = (_S.S_STARTING, (_F.STOP_ACTING, _F.CONNECT))
    for state in _RUNNING:
        table[state, _E.FAILED] = (_S.S_ERROR, (_F.STOP_ACTING, _F.BACK_OFF))
    for state in _ALIVE:
        table[state, _E.DISABLED] = (_S.S_IDLE, (_F.STOP_ACTING, _F.RELEASE))
        table[state, _E.RESTART] = (_S.S_STARTING, (_F.STOP_ACTING, _F.CONNECT))
        table[state, _E.REFRESH] = (
            _S.S_STARTING,
            (_F.STOP_ACTING, _F.REGISTER_AGAIN, _F.CONNECT),
        )
        table[state, _E.KICK] = (_S.S_KICKED, (_F.STOP_ACTING, _F.EXIT_PRUNTIME))
    return table


TABLE: Mapping[tuple[State, Event], Step] = MappingProxyType(_table())
"""All that changes a worker's state."""


def step(state: State, event: Event) -> Step:
    """The next state, and what is to be done on the way into it."""
    return TABLE.get((state, event), (state, ()))


def as_markdown() -> str:
    """The table as Markdown, one line for each entry."""
    lines = ["| state | event | next state | effects |", "| --- | --- | --- | --- |"]
    for (state, event), (following, effects) in TABLE.items():
        lines.append(f"| {state} | {event} | {following} | {', '.join(effects)} |")
    return "\n".join(lines) + "\n"
