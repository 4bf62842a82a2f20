"""A small JSON-RPC server that answers from a table, and misbehaves on request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Self

import orjson
from aiohttp import WSMsgType, web

from prbkit.blobs import header_from_json, header_hash

__all__ = ["Node", "NodeError"]


class NodeError(Exception):
    """A JSON-RPC error to answer with."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Node:
    """A node with a chain of empty blocks.

    :param seed: chains of different seeds have different blocks.
    """

    def __init__(self, *, seed: int = 0, length: int = 30) -> None:
        self.headers: list[dict[str, Any]] = []
        self.hashes: list[str] = []
        self.calls: list[tuple[str, list[Any]]] = []
        self.sockets: set[web.WebSocketResponse] = set()
        self.subscribers: list[tuple[web.WebSocketResponse, str]] = []
        self.methods: dict[str, Callable[..., Any]] = {
            "chain_getBlockHash": self._block_hash,
            "chain_getHeader": self._header,
            "chain_getFinalizedHead": lambda: self.hashes[self.finalized],
            "chain_unsubscribeFinalizedHeads": lambda name: True,
            "system_chain": lambda: "Test",
            "system_name": lambda: "node",
            "system_version": lambda: "1",
            "system_properties": dict,
        }
        self.misbehave: Callable[[web.WebSocketResponse, dict[str, Any]], Any] | None = None
        self.connections = 0
        self.batch_limit: int | None = None
        self.batches = 0
        self._seed = seed
        self.finalized = 0
        self.grow(length)
        self.finalized = length - 1

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/", self._serve)
        app.router.add_post("/", self._post)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await self._listen(0)
        return self

    async def _listen(self, port: int) -> None:
        self._site = web.TCPSite(self._runner, "127.0.0.1", port)
        await self._site.start()
        self.port: int = self._runner.addresses[0][1]

    async def __aexit__(self, *exc: object) -> None:
        await self._runner.cleanup()

    async def cut(self) -> None:
        """Stop listening and drop all connections."""
        await self._site.stop()
        for socket in list(self.sockets):
            await socket.close()

    async def back(self) -> None:
        await self._listen(self.port)

    def grow(self, count: int) -> None:
        for _ in range(count):
            number = len(self.headers)
            header = {
                "parentHash": self.hashes[-1] if self.hashes else "0x" + "00" * 32,
                "number": hex(number),
                "stateRoot": "0x" + number.to_bytes(32, "big").hex(),
                "extrinsicsRoot": "0x" + self._seed.to_bytes(32, "big").hex(),
                "digest": {"logs": []},
            }
            self.headers.append(header)
            self.hashes.append("0x" + header_hash(header_from_json(header)).hex())

    async def finalize(self, number: int) -> None:
        self.grow(number + 1 - len(self.headers))
        self.finalized = number
        for socket, name in list(self.subscribers):
            params = {"subscription": name, "result": self.headers[number]}
            message = {"jsonrpc": "2.0", "method": "chain_finalizedHead", "params": params}
            if not socket.closed:
                await socket.send_str(orjson.dumps(message).decode())

    def _block_hash(self, number: Any = None) -> Any:
        if isinstance(number, list):
            return [self._block_hash(each) for each in number]
        if number is None:
            return self.hashes[-1]
        return self.hashes[number] if number < len(self.hashes) else None

    def _header(self, at: str | None = None) -> Any:
        if at is None:
            return self.headers[-1]
        return self.headers[self.hashes.index(at)] if at in self.hashes else None

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": request["id"]}
        method = self.methods.get(request["method"])
        try:
            if method is None:
                raise NodeError(-32601, "Method not found")
            answer["result"] = method(*request["params"])
        except NodeError as error:
            answer["error"] = {"code": error.code, "message": str(error)}
        return answer

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(max_msg_size=0)
        await socket.prepare(request)
        self.sockets.add(socket)
        self.connections += 1
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self._receive(socket, orjson.loads(message.data))
        except ConnectionError:
            pass
        finally:
            self.sockets.discard(socket)
        return socket

    async def _receive(self, socket: web.WebSocketResponse, message: Any) -> None:
        if isinstance(message, dict):
            await self._take(socket, message)
            return
        answer = self._answer_batch(message)
        await socket.send_str(orjson.dumps(answer).decode())

    def _answer_batch(self, requests: list[dict[str, Any]]) -> Any:
        if self.batch_limit is not None and len(requests) > self.batch_limit:
            error = {"code": -32010, "message": "The batch request was too large"}
            return {"jsonrpc": "2.0", "id": None, "error": error}
        self.batches += 1
        self.calls.extend((each["method"], each["params"]) for each in requests)
        return [self._answer(each) for each in requests]

    async def _take(self, socket: web.WebSocketResponse, request: dict[str, Any]) -> None:
        self.calls.append((request["method"], request["params"]))
        if self.misbehave is not None:
            done = self.misbehave(socket, request)
            if asyncio.iscoroutine(done):
                done = await done
            if done:
                return
        if request["method"] == "chain_subscribeFinalizedHeads":
            name = f"sub{len(self.subscribers)}"
            self.subscribers.append((socket, name))
            answer: dict[str, Any] = {"jsonrpc": "2.0", "id": request["id"], "result": name}
        else:
            answer = self._answer(request)
        await socket.send_str(orjson.dumps(answer).decode())

    async def _post(self, request: web.Request) -> web.Response:
        body = orjson.loads(await request.read())
        if isinstance(body, list):
            answer = self._answer_batch(body)
        else:
            self.calls.append((body["method"], body["params"]))
            answer = self._answer(body)
        return web.Response(body=orjson.dumps(answer), content_type="application/json")
