"""The endpoints of one chain: which to ask, when to try one again, and what is wrong with it.

An endpoint is connected when it is first needed, greeted (its genesis hash must be the chain's),
and put aside when it is not there, too slow or of another chain; a task then tries it again after
a pause that doubles. A request goes to the first well endpoint in the settings' order and, when
the answer is an error that another endpoint may not give, to the next.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import aiohttp

from prbkit.errors import (
    BlockNotFound,
    CodecError,
    RpcError,
    SourceDisconnected,
    SourceError,
    SourceTimeout,
    StateDiscarded,
    TransactionRejected,
    WrongChain,
)
from prbkit.interfaces import EndpointHealth

from . import shapes
from .connection import Connection, connect
from .probe import Abilities, Sighting, ask_abilities, best_head, score, sight
from .settings import SubstrateSettings

__all__ = ["Endpoint", "Endpoints"]

log = logging.getLogger(__name__)

_T = TypeVar("_T")

_METHOD_NOT_FOUND = -32601
_FIRST_PROBE = 2.0
"""Seconds until endpoints are looked at for the first time: the work that waits goes first."""
_TIMEOUTS = 3
"""So many timeouts in a row without an answer between them, and the connection is dropped."""


class Endpoint:
    """One URL: its connection, and how well it has been doing."""

    def __init__(self, url: str, settings: SubstrateSettings) -> None:
        self.url = url
        self.trouble: SourceError | None = None
        self.retry_at = 0.0
        self._settings = settings
        self._failures = 0
        self._timeouts = 0
        self._connection: Connection | None = None
        self._connecting = asyncio.Lock()
        self._noted: set[str] = set()
        self.sighting: Sighting | None = None
        self.abilities = Abilities()
        self.behind = False
        self._asked: Connection | None = None

    async def probe(self, pool: Endpoints) -> None:
        """Look how far the node has got and, once a connection, what it can do."""
        timeout = self._settings.timeout
        connection = await self.connection(pool)
        self.sighting = (await sight(connection, timeout)).after(self.sighting)
        if self._asked is not connection:
            self.abilities = await ask_abilities(connection, timeout)
            self._asked = connection

    def health(self, best: int | None) -> EndpointHealth:
        """What is known of it, `best` being the newest block of all endpoints."""
        seen = self.sighting
        return EndpointHealth(
            url=self.url,
            well=self.well,
            trouble=None if self.trouble is None else self.trouble.message,
            head=None if seen is None else seen.head,
            lag=None if seen is None or best is None else best - seen.head,
            latency=None if seen is None else round(seen.latency, 4),
            archive=self.abilities.archive,
            proves_finality=self.abilities.proves_finality,
            storage_changes=self.abilities.storage_changes,
            allows_unsafe=self.abilities.allows_unsafe,
            score=score(
                well=self.well, behind=self.behind, sighting=seen, abilities=self.abilities
            ),
        )

    @property
    def well(self) -> bool:
        return self.trouble is None

    async def connection(self, pool: Endpoints) -> Connection:
        """The open connection, made and greeted if there is none."""
        failures = self._failures
        async with self._connecting:
            if self._connection is not None and not self._connection.closed:
                return self._connection
            if self.trouble is not None and self._failures != failures:
                # Another caller has tried it in the meantime: not each must wait as long.
                raise self.trouble
            try:
                made = await connect(pool.session, self.url, self._settings)
                try:
                    await pool.greet(self, made)
                except BaseException:
                    await made.close()
                    raise
            except SourceError as error:
                error.where = error.where or self.url
                await self.failed(error, asyncio.get_running_loop().time(), final=True)
                raise
            self._connection = made
            self._timeouts = 0
            return made

    def succeeded(self) -> None:
        if self.trouble is not None:
            log.info("%s is well again", self.url)
        self.trouble = None
        self._failures = 0
        self._timeouts = 0

    async def failed(self, error: SourceError, now: float, *, final: bool = False) -> None:
        """Note an error; put the endpoint aside where it is of the endpoint's own making."""
        if error is self.trouble:
            return
        if isinstance(error, StateDiscarded | BlockNotFound):
            if error.code not in self._noted:
                self._noted.add(error.code)
                log.warning("%s", error)
            return
        if isinstance(error, SourceTimeout):
            self._timeouts += 1
            if not final and self._timeouts < _TIMEOUTS and self._connection is not None:
                return
        elif not isinstance(error, SourceDisconnected | WrongChain):
            return
        if self.trouble is None:
            log.warning("%s", error)
        self.trouble = error
        pause = self._settings.retry_first * 2 ** min(self._failures, 16)
        if isinstance(error, WrongChain):
            pause = self._settings.retry_most
        self._failures += 1
        self.retry_at = now + min(pause, self._settings.retry_most)
        await self.drop()

    async def drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


class Endpoints:
    """All endpoints of one chain, in order of preference."""

    def __init__(
        self, urls: Sequence[str], settings: SubstrateSettings, genesis: bytes | None = None
    ) -> None:
        self.settings = settings
        self.all = tuple(Endpoint(url, settings) for url in dict.fromkeys(urls))
        self._genesis = genesis
        self._genesis_from = "the settings"
        self._session: aiohttp.ClientSession | None = None
        self._healing: asyncio.Task[None] | None = None
        self._probing: asyncio.Task[None] | None = None
        self._ill = asyncio.Event()

    @property
    def session(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise SourceDisconnected("the source is not open", where=self.all[0].url)
        return self._session

    async def open(self) -> None:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=None),
                connector=aiohttp.TCPConnector(limit=0),
            )
            self._healing = asyncio.create_task(self._heal(), name="heal endpoints")
            if self.settings.probe_interval:
                self._probing = asyncio.create_task(self._probe(), name="probe endpoints")

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is None:
            return
        tasks = [task for task in (self._healing, self._probing) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for endpoint in self.all:
            await endpoint.drop()
        await session.close()

    async def greet(self, endpoint: Endpoint, connection: Connection) -> None:
        """Check that an endpoint follows the chain that the others, or the settings, name."""
        answer = await connection.call("chain_getBlockHash", [0], self.settings.connect_timeout)
        try:
            genesis = shapes.hash32(answer)
        except CodecError as error:
            raise SourceDisconnected(
                f"the genesis hash is senseless: {error}", where=endpoint.url
            ) from error
        if self._genesis is None:
            self._genesis, self._genesis_from = genesis, endpoint.url
        elif genesis != self._genesis:
            raise WrongChain(
                f"its genesis is 0x{genesis.hex()}, not that of {self._genesis_from}, "
                f"0x{self._genesis.hex()}",
                where=endpoint.url,
                hint="point it at a node of that chain, or take it out of the endpoints",
            )

    def candidates(self, only: Endpoint | None = None) -> list[Endpoint]:
        """Whom to ask, best first: the well ones, or those whose pause is over."""
        of = self.all if only is None else (only,)
        well = [endpoint for endpoint in of if endpoint.well]
        if well:
            return sorted(well, key=lambda endpoint: endpoint.behind)
        now = asyncio.get_running_loop().time()
        return [endpoint for endpoint in of if endpoint.retry_at <= now]

    async def ask(
        self,
        request: Callable[[Connection], Awaitable[_T]],
        only: Endpoint | None = None,
    ) -> _T:
        """Make a request of the best endpoint, and of the next ones while it fails.

        A refused transaction and other errors that the node answers are final; a method that one
        node lacks another may have.
        """
        _ = self.session  # a source that is not open is its user's fault, not an endpoint's
        errors: list[SourceError] = []
        for endpoint in self.candidates(only):
            try:
                connection = await endpoint.connection(self)
                answer = await request(connection)
            except SourceError as error:
                error.where = error.where or endpoint.url
                await self._failed(endpoint, error)
                if isinstance(error, TransactionRejected) or (
                    isinstance(error, RpcError) and error.rpc_code != _METHOD_NOT_FOUND
                ):
                    raise
                errors.append(error)
            except CodecError as error:
                errors.append(
                    SourceError(f"an answer of the wrong shape: {error}", where=endpoint.url)
                )
            else:
                endpoint.succeeded()
                return answer
        raise self._worst(errors, only)

    async def put_aside(self, endpoint: Endpoint, error: SourceError) -> None:
        """Note what an endpoint did outside of `ask`."""
        await endpoint.failed(error, asyncio.get_running_loop().time(), final=True)
        self._ill.set()

    async def _failed(self, endpoint: Endpoint, error: SourceError) -> None:
        await endpoint.failed(error, asyncio.get_running_loop().time())
        if not endpoint.well:
            self._ill.set()

    def _worst(self, errors: Sequence[SourceError], only: Endpoint | None) -> SourceError:
        """The error that says most: what a node answered rather than that another is not there."""
        for error in errors:
            if not isinstance(error, SourceDisconnected | SourceTimeout):
                return error
        if errors:
            return errors[0]
        ill = self.all[0] if only is None else only
        trouble = ill.trouble or SourceDisconnected("it is not there", where=ill.url)
        return type(trouble)(trouble.message, where=trouble.where, hint=trouble.hint)

    def health(self) -> list[EndpointHealth]:
        """How each endpoint does, in the settings' order."""
        best = best_head(endpoint.sighting for endpoint in self.all)
        return [endpoint.health(best) for endpoint in self.all]

    async def _probe(self) -> None:
        """Look at all endpoints from time to time; who is ill is left to `_heal`."""
        pause = min(_FIRST_PROBE, self.settings.probe_interval)
        while True:
            await asyncio.sleep(pause)
            await asyncio.gather(*[self._look(each) for each in self.all if each.well])
            best = best_head(endpoint.sighting for endpoint in self.all if endpoint.well)
            for endpoint in self.all:
                seen = endpoint.sighting
                lag = 0 if seen is None or best is None else best - seen.head
                if lag > self.settings.max_lag and not endpoint.behind:
                    log.warning("%s is %d blocks behind the others", endpoint.url, lag)
                endpoint.behind = lag > self.settings.max_lag
            pause = self.settings.probe_interval

    async def _look(self, endpoint: Endpoint) -> None:
        try:
            await endpoint.probe(self)
        except SourceError as error:
            error.where = error.where or endpoint.url
            await self._failed(endpoint, error)
        except CodecError as error:
            log.warning("%s answers a probe senselessly: %s", endpoint.url, error)

    async def _heal(self) -> None:
        """Try endpoints that were put aside again, each when its pause is over."""
        loop = asyncio.get_running_loop()
        while True:
            ill = [endpoint for endpoint in self.all if not endpoint.well]
            if not ill:
                self._ill.clear()
                await self._ill.wait()
                continue
            first = min(ill, key=lambda endpoint: endpoint.retry_at)
            await asyncio.sleep(max(0.0, first.retry_at - loop.time()))
            if first.well:
                continue
            try:
                await first.connection(self)
            except SourceError as error:
                await first.failed(error, loop.time())
            else:
                first.succeeded()
