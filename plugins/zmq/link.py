"""A place where a peer is or was: dialled, kept alive, dialled again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable

from prbkit.errors import TransportError

from .address import Address
from .connection import Connection

__all__ = ["Link"]

log = logging.getLogger(__name__)

_FIRST_PAUSE = 0.1


class Link:
    """Keeps a connection to one address as long as there is somebody.

    A place without a pinned peer id is trusted on first use: who answers first is expected there
    from then on.
    """

    def __init__(
        self,
        address: Address,
        *,
        keep: bool,
        dial: Callable[[Address], Awaitable[Connection]],
        on_up: Callable[[Link], bool],
        on_down: Callable[[Link], None],
        on_word: Callable[[Link], None],
        refresh: Callable[[Connection], Awaitable[None]],
        keep_alive: float,
        longest_pause: float,
        forget: float,
    ) -> None:
        self.address = address
        self.keep = keep
        self.instance = b""
        """Of the process that was there last."""
        self.connection: Connection | None = None
        self.failure: TransportError | None = None
        """Why the last attempt failed, or the connection was lost."""
        self._dial = dial
        self._on_up = on_up
        self._on_down = on_down
        self._on_word = on_word
        self._refresh = refresh
        self._keep_alive = keep_alive
        self._longest_pause = longest_pause
        self._forget = forget
        self._wake = asyncio.Event()
        self._changed = asyncio.Condition()
        self.ended = False

    @property
    def alive(self) -> bool:
        return self.connection is not None and self.connection.alive

    @property
    def peer_id(self) -> str | None:
        """Who is there, or must be."""
        return self.address.peer_id

    def wake(self) -> None:
        """Dial, or say a word, at once instead of after the pause."""
        self._wake.set()

    async def up(self, fail_fast: bool) -> Connection:
        """Wait for the connection; with `fail_fast` only until the next attempt has failed.

        Raises the failure as `TransportError`. The caller sets the deadline.
        """
        self.wake()
        async with self._changed:
            before = self.failure
            while not self.alive:
                if self.ended or (
                    fail_fast and self.failure is not None and self.failure is not before
                ):
                    raise self.failure or TransportError(
                        "the peer is this process itself or is reached otherwise",
                        where=str(self.address),
                    )
                await self._changed.wait()
        assert self.connection is not None  # noqa: S101 - alive says so
        return self.connection

    async def run(self) -> None:
        """Dial and keep alive until cancelled, or until it is to be forgotten."""
        loop = asyncio.get_running_loop()
        pause = _FIRST_PAUSE
        last_seen = loop.time()
        try:
            while self.keep or loop.time() - last_seen < self._forget:
                self._wake.clear()
                try:
                    connection = await self._dial(self.address)
                except TransportError as error:
                    log.debug("%s: %s", self.address, error.message)
                    await self._tell(error)
                    await self._sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - jitter
                    pause = min(pause * 2, self._longest_pause)
                    continue
                pause = _FIRST_PAUSE
                if not await self._serve(connection):
                    return
                last_seen = loop.time()
                await self._sleep(pause)
        finally:
            self.ended = True
            await self._tell(self.failure)

    async def _serve(self, connection: Connection) -> bool:
        """Keep a connection alive until it is lost; False where it is not wanted."""
        self.address = self.address.pinned(connection.peer_id)
        self.connection = connection
        accepted = False
        try:
            accepted = self._on_up(self)
            if not accepted:
                return False
            await self._tell(self.failure)
            while connection.alive:
                await self._sleep(self._keep_alive, connection)
                if connection.alive:
                    with contextlib.suppress(TransportError):  # then it is lost, which we look at
                        await self._refresh(connection)
                        self._on_word(self)
            self.failure = connection.lost.result()
            return True
        finally:
            self.connection = None
            if accepted:
                self._on_down(self)
            await connection.close()

    async def _sleep(self, seconds: float, connection: Connection | None = None) -> None:
        """Sleep until woken, until the time is over or the connection is lost."""
        woken = asyncio.ensure_future(self._wake.wait())
        waiting: set[asyncio.Future[object]] = {woken}  # type: ignore[arg-type]
        if connection is not None:
            waiting.add(connection.lost)  # type: ignore[arg-type]
        try:
            await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            woken.cancel()
            self._wake.clear()

    async def _tell(self, failure: TransportError | None) -> None:
        async with self._changed:
            self.failure = failure
            self._changed.notify_all()
