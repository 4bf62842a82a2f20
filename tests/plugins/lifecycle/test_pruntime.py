"""The client of pRuntime, against servers that answer well, badly, or not at all."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import orjson
import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prbkit.blobs import (
    decode_sync_combined_headers_req,
    decode_sync_header_req,
    decode_sync_para_header_req,
    encode_headers,
    headers_to_sync,
)
from prbkit.errors import WorkerError, WorkerRefused, WorkerUnreachable
from prbkit.light import Header
from prbkit.testing.pruntime import PRuntimeConfig, Server
from prbkit.wire.pruntime import PhactoryInfo, PrpcError
from prbkit_plugins.lifecycle.pruntime import (
    BlockFeed,
    Feed,
    HeaderFeed,
    ParaFeed,
    PRuntime,
    RelayFeed,
    TooBig,
)
from tests.testing.pruntime.world import World

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
HEADER = Header.make(
    parent_hash=bytes(32), number=1, state_root=bytes(32), extrinsics_root=bytes(32), logs=()
).scale


@contextlib.asynccontextmanager
async def serve(handler: Handler) -> AsyncIterator[str]:
    app = web.Application(client_max_size=2**26)
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def client(url: str, timeout: float = 5.0) -> AsyncIterator[PRuntime]:
    async with aiohttp.ClientSession() as session:
        yield PRuntime(url, session, rpc_timeout=timeout, blob_timeout=timeout)


def answering(status: int, body: bytes) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        await request.read()
        return web.Response(status=status, body=body)

    return handler


async def test_the_strict_simulator_is_understood() -> None:
    async with Server(PRuntimeConfig(seed=b"\x01" * 32)) as server, client(server.url) as pruntime:
        info = await pruntime.get_info()
        assert not info.initialized
        assert await pruntime.get_egress() == b"\0"
        with pytest.raises(WorkerRefused):
            await pruntime.feed(RelayFeed(headers_to_sync([(HEADER, None)])))
        server.faults.garbage.add("GetInfo")
        with pytest.raises(WorkerUnreachable, match="not its message"):
            await pruntime.get_info()
        server.faults.garbage.clear()
        server.faults.memory = 50
        with pytest.raises(TooBig):
            await pruntime.feed(RelayFeed(headers_to_sync([(HEADER, None)])))


async def test_nobody_there_is_unreachable() -> None:
    async with serve(answering(200, b"")) as url:
        pass
    async with client(url) as pruntime:
        with pytest.raises(WorkerUnreachable, match="cannot reach"):
            await pruntime.get_info()


async def test_no_answer_in_time_is_unreachable() -> None:
    async def hang(request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        return web.Response()

    async with serve(hang) as url, client(url, timeout=0.05) as pruntime:
        with pytest.raises(WorkerUnreachable, match=r"within 0\.05 s"):
            await pruntime.get_info()


@pytest.mark.parametrize(
    ("status", "body", "error", "text"),
    [
        (500, PrpcError(message="it is so").SerializeToString(), WorkerRefused, "it is so"),
        (500, b"plain words", WorkerRefused, "plain words"),
        (413, b"", TooBig, "body limit"),
        (400, b"Entity too large", TooBig, "Entity too large"),
        (500, PrpcError(message="out of memory").SerializeToString(), TooBig, "out of memory"),
        (404, b"", WorkerRefused, "has no"),
        (302, b"", WorkerRefused, "without a word"),
    ],
)
async def test_refusals_are_told_apart(
    status: int, body: bytes, error: type[WorkerError], text: str
) -> None:
    async with serve(answering(status, body)) as url, client(url) as pruntime:
        with pytest.raises(error, match=text) as caught:
            await pruntime.get_info()
        assert caught.value.where == url


async def test_an_endless_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prbkit_plugins.lifecycle.pruntime.ANSWER_LIMIT", 1000)
    async with serve(answering(200, bytes(10_000))) as url, client(url) as pruntime:
        with pytest.raises(WorkerUnreachable, match="over 1000 bytes"):
            await pruntime.get_info()


FEEDS: list[tuple[Feed, str, Callable[[bytes], object]]] = [
    (RelayFeed(headers_to_sync([(HEADER, b"j")])), "sync_header", decode_sync_header_req),
    (
        RelayFeed(headers_to_sync([(HEADER, b"j")]), b"\0" + bytes(8) + b"\0"),
        "sync_header",
        decode_sync_header_req,
    ),
    (
        ParaFeed(encode_headers([HEADER]), [b"node", bytes(20_000)]),
        "sync_para_header",
        decode_sync_para_header_req,
    ),
    (
        HeaderFeed(
            RelayFeed(headers_to_sync([(HEADER, b"j")])), ParaFeed(encode_headers([HEADER]), [b"n"])
        ),
        "sync_combined_headers",
        decode_sync_combined_headers_req,
    ),
    (BlockFeed(b"\0"), "dispatch_block", bytes),
]


@pytest.mark.parametrize(("feed", "path", "decode"), FEEDS)
async def test_an_older_pruntime_is_fed_through_its_binary_api(
    feed: Feed, path: str, decode: Callable[[bytes], object]
) -> None:
    seen: list[str] = []

    async def old(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        seen.append(request.path)
        if request.path.startswith("/prpc/"):
            return web.Response(status=404)
        decode(body)
        return web.json_response({"status": "ok", "payload": '{"synced_to":1}', "signature": ""})

    async with serve(old) as url, client(url) as pruntime:
        await pruntime.feed(feed)
        await pruntime.feed(feed)
    assert seen[1:] == [f"/bin_api/{path}"] * 2
    assert seen[0].startswith("/prpc/PhactoryAPI.")


@pytest.mark.parametrize(
    ("payload", "error", "text"),
    [
        (orjson.dumps({"message": "bad block"}).decode(), WorkerRefused, "bad block"),
        ("Entity too large", TooBig, "Entity too large"),
    ],
)
async def test_the_binary_apis_errors_are_read(
    payload: str, error: type[WorkerError], text: str
) -> None:
    async def old(request: web.Request) -> web.StreamResponse:
        await request.read()
        if request.path.startswith("/prpc/"):
            return web.Response(status=404)
        return web.json_response({"status": "error", "payload": payload})

    async with serve(old) as url, client(url) as pruntime:
        with pytest.raises(error, match=text):
            await pruntime.feed(BlockFeed(b"\0"))


async def test_one_request_is_in_flight_at_a_time() -> None:
    running = most = 0

    async def slow(request: web.Request) -> web.StreamResponse:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return web.Response(body=PhactoryInfo().SerializeToString())

    async with serve(slow) as url, client(url) as pruntime:
        await asyncio.gather(*(pruntime.get_info() for _ in range(10)))
    assert most == 1


@pytest.mark.parametrize("kick_api", [True, False])
async def test_a_kick_ends_pruntime_one_way_or_the_other(kick_api: bool) -> None:
    seen: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        seen.append(request.path)
        if request.path == "/kick" and not kick_api:
            return web.Response(status=404)
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    async with serve(handler) as url, client(url) as pruntime:
        await pruntime.kick()
    # A client may try a request of a broken connection once more.
    assert set(seen) == ({"/kick"} if kick_api else {"/kick", "/prpc/PhactoryAPI.Stop"})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.sampled_from([200, 400, 500]), st.binary(max_size=300))
async def test_hostile_answers_are_worker_errors(status: int, body: bytes) -> None:
    async with serve(answering(status, body)) as url, client(url) as pruntime:
        for call in (pruntime.get_info, pruntime.get_egress):
            with contextlib.suppress(WorkerError):
                await call()
        pruntime._prpc_feeds = False
        with contextlib.suppress(WorkerError):
            await pruntime.feed(BlockFeed(b"\0"))


async def test_a_worker_that_took_a_checkpoint_loses_nothing_by_a_kick() -> None:
    world = World(8)
    async with Server(PRuntimeConfig(seed=b"\x01" * 32)) as server, client(server.url) as pruntime:
        await pruntime.init_runtime(world.init())
        await pruntime.take_checkpoint(10.0)
        await pruntime.kick()
        assert (await pruntime.get_info()).initialized
