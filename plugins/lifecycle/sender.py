"""Carries one worker's messages to the chain: each in sequence, none twice, none left out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .egress import Batch, Egress, Gap, next_batch
from .jobs import JobBook, Outcome, batch_key

__all__ = ["Sender"]

FAILURE_WAIT_FIRST = 6.0
FAILURE_WAIT_MOST = 300.0


@dataclass(slots=True)
class _Origin:
    live: tuple[int, int] | None = None
    wanted: int = -1
    failures: int = 0
    not_before: float = 0.0


class Sender:
    """The message traffic of one worker.

    :param limit: most messages of one job.
    :param clock: seconds, rising.
    """

    def __init__(
        self, book: JobBook, *, limit: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._book = book
        self._limit = limit
        self._clock = clock
        self._origins: dict[bytes, _Origin] = {}

    async def send(self, egress: Egress, wanted: int, block: int, pid: int) -> str:
        """Bring one origin's messages a step further.

        :param wanted: the sequence that the chain takes next, as of para block `block`.
        :return: what a person should know, empty if all is well.
        """
        origin = self._origins.get(egress.origin)
        if origin is None:
            # What was on its way before a restart must not be sent beside it.
            live = await self._book.live_batch(egress.origin, wanted, block)
            origin = self._origins[egress.origin] = _Origin(live)
        if wanted != origin.wanted:
            origin.wanted, origin.failures, origin.not_before = wanted, 0, 0.0
        if origin.live is not None and origin.live[0] < wanted:
            # A batch is one extrinsic: the chain took one of it, so all of it has been tried.
            self._book.forget(batch_key(egress.origin, *origin.live))
            origin.live = None
        if origin.live is None:
            if self._clock() < origin.not_before:
                return ""
            found = next_batch(egress.messages, wanted, self._limit)
        else:
            first, last = origin.live
            found = next_batch(egress.messages, first, last - first + 1, last)
        if isinstance(found, Gap):
            return (
                f"messages {found.wanted} to {found.found - 1} are missing: the chain wants "
                f"{found.wanted}, the worker has only later ones"
            )
        if found is None:
            return ""
        if origin.live is None:
            origin.live = (found.first, found.last)
        return await self._pursue(egress.origin, origin, found, block, pid)

    async def _pursue(
        self, name: bytes, origin: _Origin, batch: Batch, block: int, pid: int
    ) -> str:
        async def payload() -> Mapping[str, Any]:
            return {"messages": _hexed(batch.messages)}

        assert origin.live is not None  # noqa: S101 - set by the caller
        purpose = batch_key(name, *origin.live)
        progress = await self._book.pursue(purpose, pid, payload, block)
        if progress.outcome is Outcome.LIVE:
            return ""
        # It has ended and the chain still wants its first message.
        wait = min(FAILURE_WAIT_FIRST * 2**origin.failures, FAILURE_WAIT_MOST)
        origin.failures = min(origin.failures + 1, 30)
        origin.not_before = self._clock() + wait
        origin.live = None
        return progress.message


def _hexed(messages: Sequence[bytes]) -> list[str]:
    return ["0x" + message.hex() for message in messages]
