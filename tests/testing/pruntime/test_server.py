"""Both HTTP APIs of a simulated pRuntime, and how it misbehaves on request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson
import pytest
import sr25519

from prbkit import blobs
from prbkit.testing.pruntime import PRuntimeConfig, Server
from prbkit.testing.pruntime.server import BIN_API, LIMITS, MIB
from prbkit.wire import PRPC
from prbkit.wire import pruntime as rpc

from .world import SEED, World, numbered


@pytest.fixture(scope="module")
def world() -> World:
    return World(16)


@dataclass
class Client:
    server: Server
    session: aiohttp.ClientSession

    async def post(self, path: str, body: Any = b"") -> tuple[int, bytes]:
        async with asyncio.timeout(60):
            async with self.session.post(self.server.url + path, data=body) as answer:
                return answer.status, await answer.read()

    async def call(self, method: str, request: Any = None) -> tuple[int, Any]:
        body = b"" if request is None else request.SerializeToString()
        status, answer = await self.post(f"/prpc/PhactoryAPI.{method}", body)
        made = PRPC[method][1] if status == 200 else rpc.PrpcError
        return status, made.FromString(answer)

    async def binary(self, path: str, body: Any) -> tuple[int, dict[str, Any]]:
        status, answer = await self.post(f"/bin_api/{path}", body)
        return status, orjson.loads(answer)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with Server(PRuntimeConfig(seed=SEED)) as server, aiohttp.ClientSession() as session:
        yield Client(server, session)


async def chunks(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 65536 + 1):
        yield bytes(65536)


async def test_prpc_answers_and_refuses(client: Client, world: World) -> None:
    status, info = await client.call("GetInfo")
    assert (status, info.initialized) == (200, False)
    status, error = await client.call("SyncHeader", rpc.HeadersToSync(encoded_headers=b"\0"))
    assert (status, error.message) == (500, "Runtime not initialized")
    status, answer = await client.call("InitRuntime", world.init())
    assert status == 200
    assert answer.encoded_public_key == client.server.core.public_key
    headers = blobs.headers_to_sync(world.relay(2, 4))
    status, answer = await client.call("SyncHeader", rpc.HeadersToSync(encoded_headers=headers))
    assert (status, answer.synced_to) == (200, 4)
    status, error = await client.call("SyncHeader", rpc.HeadersToSync(encoded_headers=b"\4"))
    assert status == 500
    assert "Decode error" in error.message
    assert client.server.requests[:2] == ["GetInfo", "SyncHeader"]


async def test_an_unknown_method_and_no_message(client: Client) -> None:
    status, answer = await client.post("/prpc/PhactoryAPI.Nothing")
    assert status == 404
    assert "not found" in rpc.PrpcError.FromString(answer).message.lower()
    status, answer = await client.post("/prpc/PhactoryAPI.SyncHeader", b"\xff\xff")
    assert status == 400
    assert "Decode error" in rpc.PrpcError.FromString(answer).message


@pytest.mark.parametrize("method", ["GetInfo", "GetRuntimeInfo", "InitRuntime"])
@pytest.mark.parametrize("chunked", [False, True])
async def test_prpc_bodies_have_limits(client: Client, method: str, chunked: bool) -> None:
    limit = LIMITS[method]
    assert limit in (1024, 10 * MIB)
    path = f"/prpc/PhactoryAPI.{method}"
    status, answer = await client.post(path, chunks(limit + 1) if chunked else bytes(limit + 1))
    assert status == 413
    assert rpc.PrpcError.FromString(answer).message == "Entity too large"
    status, _ = await client.post(path, b"\xff" * limit)
    assert status == 400, "a body of exactly the limit is read"


def test_the_limits_are_those_of_pruntime() -> None:
    blob = {LIMITS[name] // MIB for name in BIN_API.values()}
    assert (blob, LIMITS["LoadChainState"] // MIB) == ({100}, 500)


@pytest.mark.parametrize("path", BIN_API)
async def test_bin_api_bodies_have_limits(
    client: Client, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LIMITS, BIN_API[path], 4096)
    status, answer = await client.binary(path, bytes(4097))
    assert status == 413
    assert answer == {"status": "error", "payload": "Entity too large"}, "plain and unsigned"


async def test_the_binary_api_does_the_same(client: Client, world: World) -> None:
    await client.call("InitRuntime", world.init())
    body = blobs.sync_header_req(world.relay(2, 4))
    head = world.head(8)
    assert await ok(client, "sync_header", body) == {"synced_to": 4}
    body = blobs.sync_combined_headers_req(
        world.relay(5, 8), None, world.para(0, head), world.head_proof(8)
    )
    both = {"relaychain_synced_to": 8, "parachain_synced_to": head}
    assert await ok(client, "sync_combined_headers", body) == both
    body = blobs.dispatch_block_req([(numbered(1), world.changes(1))])
    assert await ok(client, "dispatch_block", body) == {"dispatched_to": 1}
    change = (world.authorities(1), 1, world.genesis_proof())
    assert await ok(client, "sync_header", blobs.sync_header_req(world.relay(9, 12), change)) == {
        "synced_to": 12
    }, "an authority set change is taken and ignored"
    last = world.head(12)
    body = blobs.sync_para_header_req(world.para(head + 1, last), world.head_proof(12))
    assert await ok(client, "sync_para_header", body) == {"synced_to": last}


async def ok(client: Client, path: str, body: bytes) -> Any:
    """The payload of a signed success."""
    status, answer = await client.binary(path, body)
    assert (status, answer["status"]) == (200, "ok"), answer
    assert signed(client, answer)
    return orjson.loads(answer["payload"])


def signed(client: Client, answer: dict[str, Any]) -> bool:
    signature = bytes.fromhex(answer["signature"])
    text, key = answer["payload"].encode(), client.server.core.public_key
    return bool(sr25519.verify(signature, text, key))


@pytest.mark.parametrize("path", BIN_API)
async def test_the_binary_api_refuses(client: Client, world: World, path: str) -> None:
    status, answer = await client.binary(path, b"\xff\xff\xff")
    assert status == 400
    assert answer["status"] == "error"
    assert "Decode error" in orjson.loads(answer["payload"])["message"]
    empty = {
        "sync_header": blobs.sync_header_req([]),
        "sync_para_header": blobs.sync_para_header_req([], []),
        "sync_combined_headers": blobs.sync_combined_headers_req([], None, [], []),
        "dispatch_block": blobs.dispatch_block_req([]),
    }[path]
    status, answer = await client.binary(path, empty)
    assert status == 500
    assert orjson.loads(answer["payload"]) == {"message": "Runtime not initialized"}
    assert signed(client, answer)


async def test_an_unknown_binary_path(client: Client) -> None:
    assert (await client.post("/bin_api/nothing"))[0] == 404


async def test_a_wrong_genesis_proof_is_no_answer(client: Client, world: World) -> None:
    with pytest.raises(aiohttp.ClientError):
        await client.call("InitRuntime", world.init(proof=[]))
    assert (await client.call("GetInfo"))[0] == 200, "a supervisor has started it again"


async def test_a_kick_makes_it_exit(client: Client, world: World) -> None:
    await client.call("InitRuntime", world.init())
    headers = blobs.headers_to_sync(world.relay(2, 4))
    await client.call("TakeCheckpoint")
    await client.call("SyncHeader", rpc.HeadersToSync(encoded_headers=headers))
    with pytest.raises(aiohttp.ClientError):
        await client.post("/kick")
    assert (await client.call("GetInfo"))[1].headernum == 2, "back at its checkpoint"


async def test_a_kick_must_be_allowed(world: World) -> None:
    async with (
        Server(PRuntimeConfig(seed=SEED, kick_api=False)) as server,
        aiohttp.ClientSession() as session,
    ):
        client = Client(server, session)
        await client.call("InitRuntime", world.init())
        assert (await client.post("/kick"))[0] == 404
        assert (await client.call("GetInfo"))[1].initialized


async def test_a_restart_keeps_port_and_state(client: Client, world: World) -> None:
    await client.call("InitRuntime", world.init())
    url = client.server.url
    await client.server.stop()
    with pytest.raises(aiohttp.ClientError):
        await client.call("GetInfo")
    await client.server.start()
    assert client.server.url == url
    assert (await client.call("GetInfo"))[1].initialized


async def test_faults(client: Client, world: World) -> None:
    faults = client.server.faults
    faults.refuse["GetInfo"] = "not today"
    status, error = await client.call("GetInfo")
    assert (status, error.message) == (500, "not today")
    faults.refuse.clear()
    faults.garbage.add("GetInfo")
    assert await client.post("/prpc/PhactoryAPI.GetInfo") == (200, b"\xff\xff garbage")
    faults.garbage.clear()
    faults.memory = 100
    status, error = await client.call("InitRuntime", world.init())
    assert status == 500
    assert "out of memory" in error.message
    assert not (await client.call("GetInfo"))[1].initialized
    faults.memory = None
    faults.hang.add("GetInfo")
    asked = asyncio.ensure_future(client.call("GetInfo"))
    status, _ = await client.call("InitRuntime", world.init())
    assert status == 200, "others answer while one hangs"
    assert not asked.done()
    asked.cancel()
