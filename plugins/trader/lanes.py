"""The lanes of all accounts that sign, and the events that wake them.

Several pools that one account signs for share its lane: nonces are the account's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence

from prbkit.interfaces import TradeJob

from .lane import Intent, Lane, Limits

__all__ = ["Lanes"]


class Lanes:
    """Lanes by account (its id, 32 bytes), each made when it is first asked for.

    Iterating is safe while lanes are made: it goes over those there were at its start.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lanes: dict[bytes, Lane] = {}
        self._woken: dict[bytes, asyncio.Event] = {}
        self._start: Callable[[Lane, asyncio.Event], object] | None = None

    def __iter__(self) -> Iterator[Lane]:
        return iter(tuple(self._lanes.values()))

    def __len__(self) -> int:
        return len(self._lanes)

    def of(self, account: bytes) -> Lane:
        """Give an account's lane."""
        lane = self._lanes.get(account)
        if lane is None:
            lane = self._lanes[account] = Lane(account, self._limits)
            woken = self._woken[account] = asyncio.Event()
            if self._start is not None:
                self._start(lane, woken)
        return lane

    def start_each(self, start: Callable[[Lane, asyncio.Event], object]) -> None:
        """Start what serves a lane, for each that is there and each that will be made."""
        self._start = start
        for account, lane in self._lanes.items():
            start(lane, self._woken[account])

    def wake(self, account: bytes) -> None:
        """Have a lane looked at: something has changed that its `wake_at` did not know of."""
        self._woken[account].set()

    def open(self) -> Mapping[bytes, Intent]:
        """Give the open intents of all lanes by hash."""
        return {intent.hash: intent for lane in self for intent in lane.open}

    def jobs(self) -> Sequence[TradeJob]:
        """Give the jobs that are on their way, then those that wait."""
        open_ = [item.job for intent in self.open().values() for item in intent.items]
        return [*open_, *(entry.job for lane in self for entry in lane.pending)]

    def next_block(self) -> int | None:
        """Lowest finalized block that has to be looked at; None where nothing is open."""
        numbers = (lane.next_block() for lane in self)
        return min((number for number in numbers if number is not None), default=None)
