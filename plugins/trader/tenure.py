"""The lease of the queue: one trader at a time serves it, and so each account.

Which calls are somewhere only a journal knows, so two of them must not act at once. A trader
signs, takes and submits while it holds the lease alone. Where the lease was another's meanwhile,
or the queue lost data, it begins anew and looks at what became of the jobs that it had not signed.
"""

from __future__ import annotations

import asyncio
import logging
import time

from prbkit.errors import QueueError
from prbkit.interfaces import TradeQueue

__all__ = ["LeaseLost", "Tenure"]

log = logging.getLogger(__name__)

NAME = "trader"
RENEWALS = 5
"""How often a lease is renewed in its time."""


class LeaseLost(Exception):
    """The lease is another's, or was meanwhile: what is known must be looked at again."""


class Tenure:
    """A holder's lease.

    :param holder: the journal's name: a trader that starts again with it goes on at once.
    :param ttl: seconds.
    """

    def __init__(self, queue: TradeQueue, holder: str, ttl: float) -> None:
        self._queue = queue
        self._holder = holder
        self._ttl = ttl
        self._until = 0.0
        self._granted = asyncio.Event()
        self.term: str | None = None

    @property
    def held(self) -> bool:
        return time.monotonic() < self._until

    async def wait(self) -> None:
        """Wait until the lease is held."""
        while not self.held:
            self._granted.clear()
            await self._granted.wait()

    async def keep(self) -> None:
        """Get the lease, and renew it for ever. Raises `LeaseLost`."""
        told = False
        while True:
            before = time.monotonic()
            try:
                async with asyncio.timeout(self._ttl):
                    term = await self._queue.lease(NAME, self._holder, self._ttl)
            except (QueueError, TimeoutError) as error:
                log.warning("cannot renew the lease of the queue: %s", error)
            else:
                if term is None:
                    if not told:
                        log.warning("another trader serves this queue, or Redis is new: waiting")
                    told = True
                elif self.term not in (None, term):
                    raise LeaseLost
                else:
                    self.term, told = term, False
                    self._until = before + self._ttl
                    self._granted.set()
            await asyncio.sleep(self._ttl / RENEWALS)
