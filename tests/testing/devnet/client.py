"""A plain JSON-RPC client, which sends what it is told to send."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson


class RpcFailed(Exception):
    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(str(error))
        self.code = error["code"]
        self.message = error["message"]
        self.data = error.get("data")


class Client:
    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.notifications: deque[dict[str, Any]] = deque()
        self._id = 0

    async def raw(self, message: Any) -> Any:
        """Send JSON (or text) as it is; the next frame that is no notification."""
        text = message if isinstance(message, str) else orjson.dumps(message).decode()
        await self.socket.send_str(text)
        return await self.reply()

    async def reply(self) -> Any:
        while True:
            answer = await self.frame()
            if isinstance(answer, list) or "method" not in answer:
                return answer
            self.notifications.append(answer)

    async def frame(self) -> Any:
        async with asyncio.timeout(20):
            message = await self.socket.receive()
        if message.type is not aiohttp.WSMsgType.TEXT:
            raise ConnectionError(message.type)
        return orjson.loads(message.data)

    async def call(self, method: str, *params: Any) -> Any:
        self._id += 1
        request = {"jsonrpc": "2.0", "id": self._id, "method": method, "params": list(params)}
        answer = await self.raw(request)
        assert answer["id"] == self._id
        if "error" in answer:
            raise RpcFailed(answer["error"])
        return answer["result"]

    async def told(self, subscription: str) -> Any:
        """Wait for the next notification of a subscription."""
        for known in self.notifications:
            if known["params"]["subscription"] == subscription:
                self.notifications.remove(known)
                return known["params"]["result"]
        while True:
            answer = await self.frame()
            if answer["params"]["subscription"] == subscription:
                return answer["params"]["result"]
            self.notifications.append(answer)


@asynccontextmanager
async def connect(url: str) -> AsyncIterator[Client]:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url, max_msg_size=0) as socket,
    ):
        yield Client(socket)
