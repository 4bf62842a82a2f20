"""One connection to one endpoint: the thin part that touches sockets.

Every call has a deadline and a permit of a bounded window, and both end with it whatever happens.
A WebSocket that says something senseless, or nothing to a ping, is closed; all its open calls
fail with `SourceDisconnected` then, and whoever wants it again makes a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from typing import Any, Protocol

import aiohttp

from prbkit.errors import SourceDisconnected, SourceError, SourceTimeout

from .rpc import Answered, BatchRefused, Failed, Garbage, Notified, RpcCore, RpcEvent, typed_error
from .settings import SubstrateSettings

__all__ = ["Connection", "HttpConnection", "WsConnection", "connect"]

log = logging.getLogger(__name__)

_MAX_TOLD = 64
"""Notifications kept for a subscriber that is slow; only the newest matter."""


class Connection(Protocol):
    """What the source needs of a connection, WebSocket or HTTP."""

    subscribes: bool

    @property
    def closed(self) -> bool: ...

    async def call(self, method: str, params: Sequence[Any], timeout: float) -> Any: ...

    async def call_many(
        self, method: str, calls: Sequence[Sequence[Any]], timeout: float
    ) -> list[Any]: ...

    def subscribe(
        self, method: str, params: Sequence[Any], unsubscribe: str, timeout: float
    ) -> contextlib.AbstractAsyncContextManager[asyncio.Queue[Any]]: ...

    async def close(self) -> None: ...


async def connect(
    session: aiohttp.ClientSession, url: str, settings: SubstrateSettings
) -> Connection:
    """Connect to an endpoint by its scheme. Raises `SourceDisconnected` or `SourceTimeout`."""
    if url.startswith(("http://", "https://")):
        return HttpConnection(session, url, settings)
    try:
        async with asyncio.timeout(settings.connect_timeout):
            socket = await session.ws_connect(
                url,
                heartbeat=settings.ping_interval,
                max_msg_size=settings.max_message,
                decode_text=False,
                timeout=aiohttp.ClientWSTimeout(ws_close=2.0),
            )
    except TimeoutError as error:
        raise SourceTimeout(
            f"no connection within {settings.connect_timeout:g} s", where=url, hint=_UNREACHABLE
        ) from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise SourceDisconnected(
            f"cannot connect: {_said(error)}", where=url, hint=_UNREACHABLE
        ) from error
    return WsConnection(socket, url, settings)


_UNREACHABLE = "check the URL, and that the node runs and listens there"


class _BatchRefusedError(Exception):
    """The node takes no batches, or none as big as this one."""


class _Calls:
    """Many calls of one method, in batches where the node takes them."""

    def __init__(self, batch: int) -> None:
        self._batch_size = batch

    async def call(self, method: str, params: Sequence[Any], timeout: float) -> Any:
        raise NotImplementedError

    async def _batch(self, method: str, calls: Sequence[Sequence[Any]], timeout: float) -> Any:
        raise NotImplementedError

    async def call_many(
        self, method: str, calls: Sequence[Sequence[Any]], timeout: float
    ) -> list[Any]:
        """Results of calls of one method with these parameters, in order; one failure fails all.

        All are in flight together: for calls whose answers are small.
        """
        size = self._batch_size
        if size > 1 and len(calls) > 1:
            parts = [calls[n : n + size] for n in range(0, len(calls), size)]
            try:
                found = await _together(self._batch(method, part, timeout) for part in parts)
            except _BatchRefusedError as error:
                self._batch_size = 1
                log.info("calls go one by one: %s", error)
            else:
                return [result for part in found for result in part]
        return await _together(self.call(method, params, timeout) for params in calls)


async def _together(calls: Iterable[Coroutine[Any, Any, Any]]) -> list[Any]:
    """Results in order; the first failure by itself, the rest cancelled."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call) for call in calls]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [task.result() for task in tasks]


class WsConnection(_Calls):
    """Pipelined calls and subscriptions over one WebSocket."""

    subscribes = True

    def __init__(
        self, socket: aiohttp.ClientWebSocketResponse[bool], url: str, settings: SubstrateSettings
    ) -> None:
        super().__init__(settings.batch)
        self._socket = socket
        self._url = url
        self._core = RpcCore()
        self._permits = asyncio.Semaphore(settings.window)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._told: dict[int, asyncio.Queue[Any]] = {}
        self._why: SourceError | None = None
        self._reader = asyncio.create_task(self._read(), name=f"rpc {url}")

    @property
    def closed(self) -> bool:
        return self._why is not None

    async def call(self, method: str, params: Sequence[Any], timeout: float) -> Any:
        """Call and wait for the result, `timeout` seconds at most, for a permit included."""
        return (await self._call(method, params, timeout, subscribe=False))[1]

    async def _call(
        self, method: str, params: Sequence[Any], timeout: float, *, subscribe: bool
    ) -> tuple[int, Any]:
        number = 0
        try:
            async with asyncio.timeout(timeout), self._permits:
                self._check()
                number, frame = self._core.call(method, params, subscribe=subscribe)
                answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
                self._waiting[number] = answer
                if subscribe:
                    self._told[number] = asyncio.Queue()
                await self._send(method, frame)
                return number, await self._outcome(answer, method)
        except TimeoutError as error:
            raise self._late(method, timeout) from error
        finally:
            self._waiting.pop(number, None)

    async def _batch(
        self, method: str, calls: Sequence[Sequence[Any]], timeout: float
    ) -> list[Any]:
        numbers: list[int] = []
        try:
            async with asyncio.timeout(timeout), self._permits:
                self._check()
                numbers, frame = self._core.batch(method, calls)
                loop = asyncio.get_running_loop()
                answers = [loop.create_future() for _ in numbers]
                self._waiting.update(zip(numbers, answers, strict=True))
                await self._send(method, frame)
                return [await self._outcome(answer, method) for answer in answers]
        except TimeoutError as error:
            raise self._late(method, timeout) from error
        finally:
            for number in numbers:
                self._waiting.pop(number, None)

    async def _send(self, method: str, frame: bytes) -> None:
        try:
            await self._socket.send_frame(frame, aiohttp.WSMsgType.TEXT)
        except (aiohttp.ClientError, OSError) as error:
            raise SourceDisconnected(
                f"{method}: the connection broke: {_said(error)}", where=self._url
            ) from error

    def _late(self, method: str, timeout: float) -> SourceTimeout:
        return SourceTimeout(
            f"{method}: no answer within {timeout:g} s",
            where=self._url,
            hint="the node may be overloaded; the deadline is a setting of [substrate]",
        )

    async def _outcome(self, answer: asyncio.Future[Any], method: str) -> Any:
        event = await answer
        if isinstance(event, Failed):
            raise typed_error(event.failure, method, where=self._url)
        if isinstance(event, Answered):
            return event.result
        if isinstance(event, BatchRefused):
            raise _BatchRefusedError(f"{self._url}: {event.failure.message}")
        raise SourceDisconnected(f"{method}: {event.message}", where=self._url, hint=event.hint)

    @contextlib.asynccontextmanager
    async def subscribe(
        self, method: str, params: Sequence[Any], unsubscribe: str, timeout: float
    ) -> AsyncIterator[asyncio.Queue[Any]]:
        """Subscribe; what is told comes through the queue, a `SourceError` as the last."""
        number, _ = await self._call(method, params, timeout, subscribe=True)
        try:
            yield self._told[number]
        finally:
            self._told.pop(number, None)
            name = self._core.unsubscribe(number)
            if name is not None and not self.closed:
                kind, _, shown = name.partition(":")
                with contextlib.suppress(SourceError):
                    await self.call(unsubscribe, [int(shown) if kind == "int" else shown], 2.0)

    async def close(self) -> None:
        self._end(SourceDisconnected("the connection was closed", where=self._url))
        self._reader.cancel()
        try:
            # Not `await self._reader`: its cancellation could not be told from our own.
            await asyncio.wait([self._reader])
        finally:
            await self._socket.close()

    def _check(self) -> None:
        if self._why is not None:
            raise SourceDisconnected(self._why.message, where=self._url, hint=self._why.hint)

    async def _read(self) -> None:
        why = "the node closed the connection"
        try:
            async for message in self._socket:
                if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                    for event in self._core.receive(message.data):
                        self._dispatch(event)
                else:
                    why = f"the connection failed: {_said(self._socket.exception())}"
                    break
            else:
                failed = self._socket.exception()
                if failed is not None:
                    why = f"the connection failed: {_said(failed)}"
                elif self._socket.close_code not in (None, 1000):
                    why = f"the connection was closed with code {self._socket.close_code}"
        except Garbage as error:
            why = f"the node sent {error}"
        except (aiohttp.ClientError, OSError) as error:
            why = f"the connection failed: {_said(error)}"
        finally:
            self._end(SourceDisconnected(why, where=self._url))
            await self._socket.close()

    def _dispatch(self, event: RpcEvent) -> None:
        if isinstance(event, Notified):
            told = self._told.get(event.id)
            if told is not None:
                if told.qsize() >= _MAX_TOLD:
                    told.get_nowait()
                told.put_nowait(event.result)
            return
        answer = self._waiting.get(event.id)
        if answer is not None and not answer.done():
            answer.set_result(event)

    def _end(self, why: SourceError) -> None:
        if self._why is not None:
            return
        self._why = why
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_result(why)
        for told in self._told.values():
            told.put_nowait(why)


class HttpConnection(_Calls):
    """Calls over HTTP POST: no subscriptions, otherwise the same.

    There is no connection whose loss would tell that another node answers now, so it counts as
    closed after a ping interval, and whoever goes on greets the node again.
    """

    subscribes: bool = False

    def __init__(
        self, session: aiohttp.ClientSession, url: str, settings: SubstrateSettings
    ) -> None:
        super().__init__(settings.batch)
        self._session = session
        self._url = url
        self._limit = settings.max_message
        self._until = asyncio.get_running_loop().time() + settings.ping_interval
        self._permits = asyncio.Semaphore(settings.window)

    @property
    def closed(self) -> bool:
        return asyncio.get_running_loop().time() > self._until

    async def call(self, method: str, params: Sequence[Any], timeout: float) -> Any:
        core = RpcCore()
        _, frame = core.call(method, params)
        for event in await self._answer(core, frame, method, timeout):
            if isinstance(event, Answered):
                return event.result
            if isinstance(event, Failed):
                raise typed_error(event.failure, method, where=self._url)
        raise SourceDisconnected(f"{method}: the node sent no answer", where=self._url)

    async def _batch(
        self, method: str, calls: Sequence[Sequence[Any]], timeout: float
    ) -> list[Any]:
        core = RpcCore()
        numbers, frame = core.batch(method, calls)
        results: dict[int, Any] = {}
        for event in await self._answer(core, frame, method, timeout):
            if isinstance(event, Answered):
                results[event.id] = event.result
            elif isinstance(event, Failed):
                raise typed_error(event.failure, method, where=self._url)
            elif isinstance(event, BatchRefused):
                raise _BatchRefusedError(f"{self._url}: {event.failure.message}")
        if len(results) != len(numbers):
            raise SourceDisconnected(
                f"{method}: {len(results)} answers to {len(numbers)} calls", where=self._url
            )
        return [results[number] for number in numbers]

    async def _answer(
        self, core: RpcCore, frame: bytes, method: str, timeout: float
    ) -> list[RpcEvent]:
        try:
            async with asyncio.timeout(timeout), self._permits:
                body = await self._post(frame)
        except TimeoutError as error:
            raise SourceTimeout(
                f"{method}: no answer within {timeout:g} s", where=self._url
            ) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise SourceDisconnected(
                f"{method}: {_said(error)}", where=self._url, hint=_UNREACHABLE
            ) from error
        try:
            return core.receive(body)
        except Garbage as error:
            raise SourceDisconnected(f"{method}: the node sent {error}", where=self._url) from error

    async def _post(self, frame: bytes) -> bytes:
        headers = {"content-type": "application/json"}
        async with self._session.post(self._url, data=frame, headers=headers) as response:
            body = bytearray()
            async for chunk in response.content.iter_chunked(1 << 16):
                body += chunk
                if len(body) > self._limit:
                    raise aiohttp.ClientPayloadError(f"an answer over {self._limit} bytes")
            # Nodes answer errors with 200; a proxy's page is told by its status.
            if response.status >= 400 and not body.lstrip().startswith((b"{", b"[")):
                raise aiohttp.ClientPayloadError(f"HTTP status {response.status}")
            return bytes(body)

    @contextlib.asynccontextmanager
    async def subscribe(
        self, method: str, params: Sequence[Any], unsubscribe: str, timeout: float
    ) -> AsyncIterator[asyncio.Queue[Any]]:
        if not self.subscribes:
            raise SourceDisconnected("HTTP has no subscriptions", where=self._url)
        yield asyncio.Queue()

    async def close(self) -> None:
        """Nothing to close: the session owns the sockets."""


def _said(error: BaseException | None) -> str:
    if error is None:
        return "no reason given"
    if isinstance(error, aiohttp.ClientConnectorError):
        error = error.os_error
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
