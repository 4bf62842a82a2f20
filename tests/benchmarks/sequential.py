"""The peer of the sync benchmark: one request after the other, those that PRB v2 makes.

For each relay block the block's hash, the block, the set id, the parachain's head and its proof;
where a block is justified the authorities and their proof too. For each para block its hash, its
header and its storage changes. What comes back is dropped: no decoding, no checks, no store.
"""

from __future__ import annotations

import time
from typing import Any

import aiohttp
import orjson

from prbkit_plugins.data_provider.facts import AUTHORITIES_OLD, CURRENT_SET_ID, para_head_key

__all__ = ["SequentialClient"]


class SequentialClient:
    """Fetches block after block over one WebSocket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._id = 0

    async def _call(self, method: str, *params: Any) -> Any:
        self._id += 1
        request = {"jsonrpc": "2.0", "id": self._id, "method": method, "params": params}
        await self._socket.send_bytes(orjson.dumps(request))
        answer = orjson.loads((await self._socket.receive(30)).data)
        assert "error" not in answer, answer
        return answer["result"]

    async def relay_block(self, number: int, para_id: int) -> None:
        """Fetch what PRB v2 fetches of a relay block."""
        at = await self._call("chain_getBlockHash", number)
        block = await self._call("chain_getBlock", at)
        await self._call("state_getStorage", "0x" + CURRENT_SET_ID.hex(), at)
        head = "0x" + para_head_key(para_id).hex()
        await self._call("state_getStorage", head, at)
        await self._call("state_getReadProof", [head], at)
        if block["justifications"]:
            authorities = "0x" + AUTHORITIES_OLD.hex()
            await self._call("state_getStorage", authorities, at)
            await self._call("state_getReadProof", [authorities], at)

    async def para_block(self, number: int) -> None:
        """Fetch what PRB v2 fetches of a parachain block."""
        at = await self._call("chain_getBlockHash", number)
        await self._call("chain_getHeader", at)
        await self._call("pha_getStorageChangesAt", at)

    @classmethod
    async def rates(
        cls, relay_url: str, para_url: str, para_id: int, blocks: int
    ) -> tuple[float, float]:
        """Blocks per second of the relay chain and of the parachain, over some blocks of each."""
        async with aiohttp.ClientSession() as session:
            async with session.ws_connect(relay_url, max_msg_size=0, decode_text=False) as socket:
                client, start = cls(socket), time.perf_counter()
                for number in range(2, 2 + blocks):
                    await client.relay_block(number, para_id)
                relay = blocks / (time.perf_counter() - start)
            async with session.ws_connect(para_url, max_msg_size=0, decode_text=False) as socket:
                client, start = cls(socket), time.perf_counter()
                for number in range(1, 1 + blocks):
                    await client.para_block(number)
                para = blocks / (time.perf_counter() - start)
        return relay, para
