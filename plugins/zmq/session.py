"""What a listener holds of one dialler, within bounds. No I/O."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

from prbkit.interfaces import Caller

from .flow import Outbox
from .frames import Buffer, Frame, Kind

__all__ = ["SMALL", "Request", "Session"]

SMALL = 64 * 1024
"""Answers up to this size are counted, not measured."""


@dataclass(frozen=True, slots=True)
class Request:
    """A call or a blob that a dialler asked for."""

    number: int
    kind: Kind
    body: bytes


@dataclass(slots=True)
class Session:
    """A dialler that has introduced itself, and its requests.

    A blob is asked for while what the session holds (answers not yet sent, and those expected of
    the requests that run, by the size of recent ones) is below its limit. An answer that exceeds
    it all the same is thrown away, and its request made again once half the limit is free: memory
    is bounded whatever the handlers give, by the limit or one answer. Calls, and answers of up to
    `SMALL` bytes, are bounded by their number instead, so that they overtake big blobs.
    """

    routing: bytes
    caller: Caller
    certificate: bytes
    curve_key: bytes
    outbox: Outbox
    limit: int
    max_running: int
    max_waiting: int
    seen: float
    calls: deque[Request] = field(default_factory=deque)
    blobs: deque[Request] = field(default_factory=deque)
    running: dict[int, asyncio.Task[None]] = field(default_factory=dict)
    unsent: Frame | None = None
    pump_due: bool = False
    stalled_since: float | None = None
    failed_auths: int = 0
    _full: bool = False
    _typical: int = SMALL

    def offer(self, request: Request) -> bool:
        """Queue a request; False where too many wait or its number is in use."""
        if len(self.calls) + len(self.blobs) >= self.max_waiting + self.max_running:
            return False
        if request.number in self.running:
            return False
        (self.calls if request.kind is Kind.CALL else self.blobs).append(request)
        return True

    def admit(self, room: int) -> Request | None:
        """Return a request to start now; `room` is what all sessions together may still hold."""
        if len(self.running) >= self.max_running or len(self.outbox) >= self.max_running:
            return None
        if self.calls:
            return self.calls.popleft()
        if not self.blobs:
            return None
        limit = min(self.limit, room)
        if self._full and self.outbox.held > limit // 2:
            return None
        self._full = False
        expected = self.outbox.held + (len(self.running) + 1) * self._typical
        if self.running and expected > limit:
            return None
        return self.blobs.popleft()

    def accept(self, request: Request, answer: Buffer, room: int) -> bool:
        """Take an answer; False where it must be asked for again when there is room."""
        length = len(answer)
        if request.kind is Kind.BLOB:
            self._typical = max(length, self._typical * 3 // 4)
            too_much = self.outbox.held + length > min(self.limit, room)
            if self.outbox.held and too_much and length > SMALL:
                self.blobs.appendleft(request)
                self._full = True
                return False
        self.outbox.push(request.number, answer)
        return True

    def cancel(self, number: int) -> None:
        """Forget a request wherever it is."""
        self.outbox.cancel(number)
        task = self.running.get(number)
        if task is not None:
            task.cancel()
        for queue in (self.calls, self.blobs):
            for request in queue:
                if request.number == number:
                    queue.remove(request)
                    return

    def check_stall(self, now: float, timeout: float) -> bool:
        """Tell whether the reader has granted nothing for so long while something waits for it."""
        if not self.outbox.stalled and self.unsent is None:
            self.stalled_since = None
        elif self.stalled_since is None:
            self.stalled_since = now
        return self.stalled_since is not None and now - self.stalled_since >= timeout
