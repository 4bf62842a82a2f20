"""JSON-RPC 2.0 over WebSocket and HTTP POST on one port, as a Substrate node's server speaks it.

Handlers are plain functions: a request is answered in the callback that read it (or after the
latency that a fault asks for), so that thousands of requests a second can be in flight on a
connection. Codes, texts and limits are those of jsonrpsee as Substrate configures it.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import WSMsgType, web

from prbkit.errors import ConfigError
from prbkit.testing.devnet.faults import Faults
from prbkit.testing.devnet.params import Param, ParamsError, read_params

__all__ = ["Method", "RpcError", "RpcServer", "Sink", "Subscription"]

log = logging.getLogger(__name__)

MAX_REQUEST = 15 * 1024 * 1024
MAX_SUBSCRIPTIONS = 1024
MAX_OUTGOING = 256 * 1024 * 1024
"""Bytes waiting for a client that does not read, before its connection is cut."""


class RpcError(Exception):
    """An error object of JSON-RPC."""

    def __init__(self, code: int, message: str, data: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data

    def json(self) -> dict[str, Any]:
        out: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.data is not None:
            out["data"] = self.data
        return out


@dataclass(frozen=True, slots=True)
class Method:
    """A method: its parameters and the function that answers it with JSON."""

    name: str
    params: Sequence[Param]
    handler: Callable[..., Any]
    unsafe: bool = False


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription: `start` gets a sink and the parameters, and gives what stops it."""

    name: str
    unsubscribe: str
    notification: str
    params: Sequence[Param]
    start: Callable[..., Callable[[], None]]
    unsafe: bool = False


class Sink:
    """Where a subscription's notifications go. Nothing is sent before the subscriber has its id."""

    def __init__(self, connection: _Connection, method: str) -> None:
        self.id = secrets.token_urlsafe(12)
        self._connection = connection
        self._method = method
        self._early: list[bytes] | None = []
        self._stop: Callable[[], None] | None = None
        self._ended = False

    def send(self, result: Any) -> None:
        if self._ended:
            return
        message = orjson.dumps(
            {
                "jsonrpc": "2.0",
                "method": self._method,
                "params": {"subscription": self.id, "result": result},
            }
        )
        if self._early is None:
            self._connection.notify(message)
        else:
            self._early.append(message)

    def accepted(self, stop: Callable[[], None]) -> None:
        self._stop = stop

    def flush(self) -> None:
        early, self._early = self._early, None
        for message in early or ():
            self._connection.notify(message)

    def close(self) -> None:
        self._ended = True
        stop, self._stop = self._stop, None
        if stop is not None:
            stop()


@dataclass(slots=True)
class _Reply:
    """An answer on its way out, and what to do once it is sent."""

    body: bytes
    sinks: list[Sink] = field(default_factory=list)


class _Connection:
    """One WebSocket: its subscriptions, and a queue of frames with a limit in bytes."""

    def __init__(self, server: RpcServer, socket: web.WebSocketResponse, transport: Any) -> None:
        self.server = server
        self.socket = socket
        self.sinks: dict[str, Sink] = {}
        self._transport = transport
        self._outgoing: deque[bytes] = deque()
        self._size = 0
        self._wake = asyncio.Event()
        self._notify_at = 0.0
        self._late = 0

    def notify(self, message: bytes) -> None:
        """Send a notification behind all earlier ones, however late they are."""
        delay = self.server.faults.delay()
        loop = asyncio.get_running_loop()
        self._notify_at = max(loop.time() + delay, self._notify_at)
        if delay or self._late:
            self._late += 1
            loop.call_at(self._notify_at, self._notify, message)
        else:
            self._queue(message)

    def _notify(self, message: bytes) -> None:
        self._late -= 1
        self._queue(message)

    def reply(self, reply: _Reply) -> None:
        def send() -> None:
            self._queue(reply.body)
            for sink in reply.sinks:
                sink.flush()

        self.server.later(send)

    def _queue(self, message: bytes) -> None:
        self._outgoing.append(message)
        self._size += len(message)
        if self._size > MAX_OUTGOING:
            log.warning("a client does not read its answers: connection cut")
            self.abort()
        self._wake.set()

    async def write(self) -> None:
        """Send what is queued until cancelled."""
        while True:
            while self._outgoing:
                message = self._outgoing.popleft()
                self._size -= len(message)
                await self.socket.send_frame(message, WSMsgType.TEXT)
            self._wake.clear()
            await self._wake.wait()

    def abort(self) -> None:
        self._outgoing.clear()
        self._size = 0
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        for sink in list(self.sinks.values()):
            sink.close()
        self.sinks.clear()


class RpcServer:
    """Serves a table of methods and subscriptions until closed."""

    def __init__(
        self,
        methods: Sequence[Method],
        subscriptions: Sequence[Subscription],
        faults: Faults | None = None,
    ) -> None:
        self.faults = faults or Faults()
        self._methods = {method.name: method for method in methods}
        self._subscriptions = {item.name: item for item in subscriptions}
        self._unsubscribes = {item.unsubscribe for item in subscriptions}
        self._methods["rpc_methods"] = Method("rpc_methods", (), self._names)
        self._connections: set[_Connection] = set()
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None
        self._host = ""
        self._port = 0
        self.requests = 0

    # --- life ------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return f"ws://{self._host}:{self._port}"

    async def open(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen. Port 0 takes any that is free."""
        app = web.Application(client_max_size=MAX_REQUEST)
        app.router.add_get("/", self._websocket)
        app.router.add_post("/", self._post)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        self._host, self._port = host, port
        await self.listen()

    async def listen(self) -> None:
        """Listen (again, after `refuse`) on the same port."""
        if self._runner is None or self._site is not None:
            return
        site = web.TCPSite(self._runner, self._host, self._port)
        try:
            await site.start()
        except OSError as error:
            raise ConfigError(
                f"cannot listen: {error.strerror or error}",
                where=f"{self._host}:{self._port}",
                hint="choose another port, or 0 for any free one",
            ) from error
        self._site = site
        self._port = self._runner.addresses[0][1]

    async def refuse(self) -> None:
        """Cut all connections and stop listening, as a node that went down."""
        site, self._site = self._site, None
        if site is not None:
            await site.stop()
        self.cut()

    def cut(self) -> None:
        """Cut all connections; new ones are taken."""
        for connection in list(self._connections):
            connection.abort()

    async def close(self) -> None:
        runner, self._runner, self._site = self._runner, None, None
        self.cut()
        if runner is not None:
            await runner.cleanup()

    def later(self, action: Callable[[], None]) -> None:
        delay = self.faults.delay()
        if delay > 0:
            asyncio.get_running_loop().call_later(delay, action)
        else:
            action()

    # --- transports ------------------------------------------------------------------------

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        if self.faults.dead:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=503)
        if request.headers.get("Upgrade", "").lower() != "websocket":
            refusal = "Used HTTP Method is not allowed. POST is required\n"
            return web.Response(status=405, text=refusal)
        socket = web.WebSocketResponse(max_msg_size=MAX_REQUEST, compress=False)
        await socket.prepare(request)
        connection = _Connection(self, socket, request.transport)
        self._connections.add(connection)
        writer = asyncio.create_task(connection.write())
        try:
            async for message in socket:
                if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                    break
                if self.faults.dead or self.faults.cuts():
                    connection.abort()
                    break
                reply = self.answer(message.data, connection)
                if reply is not None and not self.faults.silent:
                    connection.reply(reply)
        finally:
            self._connections.discard(connection)
            connection.close()
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
        return socket

    async def _post(self, request: web.Request) -> web.StreamResponse:
        if self.faults.dead or self.faults.cuts():
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=503)
        if request.content_type != "application/json":
            return web.Response(
                status=415,
                text="Supplied content type is not allowed. "
                "Content-Type: application/json is required\n",
            )
        reply = self.answer(await request.read(), None)
        if self.faults.silent:
            await asyncio.Event().wait()
        delay = self.faults.delay()
        if delay > 0:
            await asyncio.sleep(delay)
        body = reply.body if reply is not None else b""
        return web.Response(body=body, content_type="application/json")

    # --- requests --------------------------------------------------------------------------

    def answer(self, data: bytes | str, connection: _Connection | None) -> _Reply | None:
        """Answer one frame, a single request or a batch; None where nothing is to be said."""
        try:
            request = orjson.loads(data)
        except orjson.JSONDecodeError:
            return _Reply(_error(None, RpcError(-32700, "Parse error")))
        if not isinstance(request, list):
            return self._single(request, connection)
        if not request:
            return _Reply(_error(None, RpcError(-32600, "Invalid request")))
        replies = [r for item in request if (r := self._single(item, connection)) is not None]
        if not replies:
            return None
        body = b"[" + b",".join(reply.body for reply in replies) + b"]"
        if len(body) > self.faults.max_response:
            limit = f"Exceeded max limit of {self.faults.max_response}"
            body = _error(None, RpcError(-32011, "The batch response was too large", limit))
        return _Reply(body, [sink for reply in replies for sink in reply.sinks])

    def _single(self, request: Any, connection: _Connection | None) -> _Reply | None:
        self.requests += 1
        if not isinstance(request, Mapping):
            return _Reply(_error(None, RpcError(-32600, "Invalid request")))
        request_id = request.get("id")
        method = request.get("method")
        if (
            request.get("jsonrpc") != "2.0"
            or not isinstance(method, str)
            or not isinstance(request_id, int | str | None)
        ):
            return _Reply(_error(request_id, RpcError(-32600, "Invalid request")))
        if "id" not in request:
            return None
        sinks: list[Sink] = []
        try:
            result = self._call(method, request.get("params"), connection, sinks)
            body = orjson.dumps({"jsonrpc": "2.0", "result": result, "id": request_id})
            if len(body) > self.faults.max_response:
                limit = f"Exceeded max limit of {self.faults.max_response}"
                raise RpcError(-32008, "Response is too big", limit)
        except RpcError as error:
            return _Reply(_error(request_id, error))
        except ParamsError as error:
            return _Reply(_error(request_id, RpcError(-32602, "Invalid params", str(error))))
        except Exception:
            log.exception("method %s failed", method)
            return _Reply(_error(request_id, RpcError(-32603, "Internal error")))
        return _Reply(body, sinks)

    def _call(
        self, name: str, params: Any, connection: _Connection | None, sinks: list[Sink]
    ) -> Any:
        if name in self.faults.disabled:
            raise RpcError(-32601, "Method not found")
        if name in self.faults.errors:
            raise RpcError(*self.faults.errors[name])
        if (method := self._methods.get(name)) is not None:
            self._check_safe(method.unsafe)
            return method.handler(*read_params(method.params, params))
        if name in self._unsubscribes:
            if not isinstance(params, list) or len(params) != 1:
                raise ParamsError("expected the id of a subscription")
            sink = connection.sinks.pop(str(params[0]), None) if connection else None
            if sink is not None:
                sink.close()
            return sink is not None
        item = self._subscriptions.get(name)
        if item is None:
            raise RpcError(-32601, "Method not found")
        if connection is None:
            raise RpcError(-32603, "Internal error", "Subscriptions are not supported over HTTP")
        self._check_safe(item.unsafe)
        values = read_params(item.params, params)
        if len(connection.sinks) >= MAX_SUBSCRIPTIONS:
            limit = f"Exceeded max limit of {MAX_SUBSCRIPTIONS}"
            raise RpcError(-32006, "Too many subscriptions on the connection", limit)
        sink = Sink(connection, item.notification)
        sink.accepted(item.start(sink, *values))
        connection.sinks[sink.id] = sink
        sinks.append(sink)
        return sink.id

    def _check_safe(self, unsafe: bool) -> None:
        if unsafe and self.faults.deny_unsafe:
            raise RpcError(-32601, "RPC call is unsafe to be called externally")

    def _names(self) -> dict[str, Any]:
        names = {*self._methods, *self._subscriptions, *self._unsubscribes}
        return {"methods": sorted(names - self.faults.disabled)}


def _error(request_id: Any, error: RpcError) -> bytes:
    return orjson.dumps({"jsonrpc": "2.0", "error": error.json(), "id": request_id})
