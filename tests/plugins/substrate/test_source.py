"""The adapter against a node that misbehaves in each way that nodes and what is before them do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from prbkit.blobs import header_hash
from prbkit.errors import (
    BlockNotFound,
    ConfigError,
    RpcError,
    SourceDisconnected,
    SourceError,
    SourceTimeout,
    StateDiscarded,
    TransactionRejected,
    WrongChain,
)
from prbkit.interfaces import Head
from prbkit_plugins import substrate
from prbkit_plugins.substrate.connection import connect
from prbkit_plugins.substrate.settings import SubstrateSettings
from prbkit_plugins.substrate.source import SubstrateSource

from .node import Node, NodeError

QUICK = SubstrateSettings(
    retry_first=0.01, retry_most=0.02, timeout=10, long_timeout=10, probe_interval=0
)


def _source(*nodes: Node, settings: SubstrateSettings = QUICK, **more: Any) -> SubstrateSource:
    return SubstrateSource([node.url for node in nodes], "relay", settings, **more)


def _hash(node: Node, number: int) -> bytes:
    return bytes.fromhex(node.hashes[number][2:])


async def test_many_calls_share_one_connection_and_keep_their_order() -> None:
    async with Node(length=200) as node, _source(node) as source:
        headers = await source.headers(0, 199)
        assert [header_hash(header) for header in headers] == [_hash(node, n) for n in range(200)]
        assert node.connections == 1
        assert await source.finalized_head() == Head(199, _hash(node, 199))
        assert await source.block_hash(200) is None
        info = await source.chain()
        assert (info.name, info.genesis_hash) == ("Test", _hash(node, 0))


async def test_http_gives_the_same_as_websocket() -> None:
    async with Node() as node:
        url = node.url.replace("ws://", "http://")
        async with SubstrateSource([url], "relay", QUICK) as source:
            assert len(await source.headers(3, 9)) == 7
            with pytest.raises(RpcError):
                await source.rpc("nonsense", [])
            heads = source.finalized_heads()
            assert await anext(heads) == Head(29, _hash(node, 29))
            await heads.aclose()


@pytest.mark.parametrize("scheme", ["ws://", "http://"])
@pytest.mark.parametrize("limit", [None, 10, 0])
async def test_headers_come_in_batches_or_one_by_one_where_a_node_takes_none(
    scheme: str, limit: int | None
) -> None:
    async with Node(length=200) as node:
        url = node.url.replace("ws://", scheme)
        node.batch_limit = limit
        async with SubstrateSource([url], "relay", QUICK) as source:
            for _ in range(2):
                headers = await source.headers(10, 199)
                assert [header_hash(each) for each in headers] == [
                    _hash(node, n) for n in range(10, 200)
                ]
            assert await source.block_hash(7) == _hash(node, 7)
        assert (node.batches >= 6) == (limit is None)


async def test_block_hashes_are_asked_one_by_one_where_a_node_takes_no_list() -> None:
    def single(number: Any) -> Any:
        if isinstance(number, list):
            raise NodeError(-32602, "Invalid params")
        return node.hashes[number]

    async with Node() as node, _source(node) as source:
        node.methods["chain_getBlockHash"] = single
        headers = await source.headers(0, 29)
        assert [header_hash(header) for header in headers] == [_hash(node, n) for n in range(30)]


async def test_endpoints_are_probed_and_one_far_behind_is_asked_last() -> None:
    def discarded(key: str, at: str | None = None) -> Any:
        raise NodeError(4003, "Client error: UnknownBlock: State already discarded for 0x00")

    settings = QUICK.model_copy(update={"probe_interval": 0.02, "max_lag": 10})
    async with Node(length=50) as late, Node(length=100) as full:
        late.methods["rpc_methods"] = lambda: {"methods": ["chain_getHeader"]}
        late.methods["state_getStorage"] = discarded
        full.methods["rpc_methods"] = lambda: {"methods": ["grandpa_proveFinality"]}
        full.methods["state_getStorage"] = lambda key, at=None: None
        full.methods["state_getPairs"] = lambda prefix, at=None: []
        async with _source(late, full, settings=settings) as source:
            async with asyncio.timeout(20):
                while any(each.allows_unsafe is None for each in source.health()):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                while (await source.finalized_head()).number < 99:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            first, second = source.health()
            assert (first.url, first.head, first.lag, first.archive) == (late.url, 49, 50, False)
            assert (first.proves_finality, first.allows_unsafe) == (False, False)
            assert (second.head, second.lag, second.archive) == (99, 0, True)
            assert (second.proves_finality, second.allows_unsafe) == (True, True)
            assert 0 < first.score < second.score <= 1
            assert [each.url for each in source.views()[1].health()] == [full.url]
            await late.finalize(99)
            async with asyncio.timeout(20):
                while source.health()[0].lag:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        await full.cut()


async def test_an_unknown_block_is_told_with_the_endpoint() -> None:
    async with Node() as node, _source(node) as source:
        with pytest.raises(BlockNotFound, match=r"127\.0\.0\.1"):
            await source.header(bytes(32))
        with pytest.raises(BlockNotFound, match="no block 30"):
            await source.headers(28, 30)


def _text(text: str) -> Callable[[web.WebSocketResponse, dict[str, Any]], Any]:
    return lambda socket, request: _send(socket, text)


async def _send(socket: web.WebSocketResponse, text: str) -> bool:
    await socket.send_str(text)
    return True


async def _close(socket: web.WebSocketResponse, request: dict[str, Any]) -> bool:
    await socket.close()
    return True


MISBEHAVIOURS = {
    "garbage": (_text("\x00\x01garbage"), SourceDisconnected),
    "HTML": (_text("<html>502 Bad Gateway</html>"), SourceDisconnected),
    "another id": (_text('{"jsonrpc":"2.0","id":77777,"result":null}'), SourceDisconnected),
    "null id": (
        _text('{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"?"}}'),
        SourceDisconnected,
    ),
    "no object": (_text('"hello"'), SourceDisconnected),
    "close": (_close, SourceDisconnected),
    "silence": (lambda socket, request: True, SourceTimeout),
    "giant message": (_text('"' + "x" * (1 << 17) + '"'), SourceDisconnected),
}


@pytest.mark.parametrize("kind", MISBEHAVIOURS)
async def test_each_misbehaviour_is_an_error_and_then_forgotten(kind: str) -> None:
    misbehave, error = MISBEHAVIOURS[kind]
    settings = QUICK.model_copy(
        update={"timeout": 0.2, "connect_timeout": 0.5, "max_message": 1 << 16}
    )
    async with Node() as node, _source(node, settings=settings) as source:
        await source.block_hash(1)
        node.misbehave = misbehave
        with pytest.raises(error) as caught:
            await source.block_hash(2)
        assert caught.value.where == node.url
        node.misbehave = None
        assert await _soon(lambda: source.block_hash(3)) == _hash(node, 3)


@pytest.mark.parametrize("kind", MISBEHAVIOURS)
async def test_each_misbehaviour_makes_the_next_endpoint_answer(kind: str) -> None:
    settings = QUICK.model_copy(
        update={"timeout": 0.2, "connect_timeout": 0.5, "max_message": 1 << 16}
    )
    async with Node() as bad, Node() as good, _source(bad, good, settings=settings) as source:
        bad.misbehave = MISBEHAVIOURS[kind][0]
        headers = await source.headers(0, 29)
        assert [header_hash(header) for header in headers] == [_hash(good, n) for n in range(30)]


async def test_the_preferred_endpoint_is_asked_again_when_it_is_back() -> None:
    async with Node() as first, Node() as second, _source(first, second) as source:
        await source.block_hash(1)
        assert not second.calls
        await first.cut()
        assert await source.block_hash(2) == _hash(second, 2)
        assert [view.url for view in source.views()] == [second.url, first.url]
        await first.back()
        await _soon(lambda: _is(source.views()[0].url == first.url))
        second.calls.clear()
        await source.block_hash(3)
        assert not second.calls


async def test_closing_a_connection_passes_a_cancellation_through() -> None:
    async with Node() as node, aiohttp.ClientSession() as session:
        for turns in range(6):
            connection = await connect(session, node.url, QUICK)
            await connection.call("chain_getBlockHash", [0], 10)
            task = asyncio.create_task(connection.close())
            for _ in range(turns):
                await asyncio.sleep(0)
            if not task.done():
                task.cancel()
                await asyncio.wait([task], timeout=10)
                assert task.cancelled(), f"after {turns} turns"


async def test_permits_come_back_after_timeouts_and_cancellation() -> None:
    settings = QUICK.model_copy(update={"window": 2, "timeout": 0.05})
    async with Node() as node, _source(node, settings=settings) as source:
        await source.block_hash(0)
        node.misbehave = lambda socket, request: request["params"] == [1]
        for _ in range(2):
            with pytest.raises(SourceTimeout):
                await source.block_hash(1)
        tasks = [asyncio.create_task(source.block_hash(1)) for _ in range(8)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert await _soon(lambda: source.block_hash(2)) == _hash(node, 2)


async def test_an_endpoint_that_is_not_there_is_named_with_what_to_do() -> None:
    async with Node() as node:
        url = node.url
    async with SubstrateSource([url], "relay", QUICK) as source:
        with pytest.raises(SourceDisconnected, match="check the URL") as caught:
            await source.chain()
        assert caught.value.where == url


async def test_an_endpoint_of_another_chain_is_named_and_never_asked_again() -> None:
    async with Node() as node, Node(seed=1) as other:
        async with _source(node, other) as source:
            await source.block_hash(1)
            await node.cut()
            with pytest.raises(WrongChain, match=r"point it at|take it out") as caught:
                await _soon(lambda: source.block_hash(1), until=WrongChain)
            assert caught.value.where == other.url
        async with SubstrateSource([other.url], "relay", QUICK, genesis=_hash(node, 0)) as source:
            with pytest.raises(WrongChain, match="the settings"):
                await source.header(_hash(other, 1))


async def test_a_pruned_endpoint_is_named_and_the_next_one_asked() -> None:
    def pruned(*_: Any) -> Any:
        raise NodeError(4003, "Client error: UnknownBlock: State already discarded for 0x00")

    async with Node() as node, Node() as archive:
        node.methods["state_getStorage"] = pruned
        archive.methods["state_getStorage"] = lambda *_: "0x0102"
        async with _source(node, archive) as source:
            assert await source.storage(b"k", bytes(32)) == b"\x01\x02"
            assert [view.url for view in source.views()] == [node.url, archive.url]
        async with _source(node) as source:
            with pytest.raises(StateDiscarded, match="archive"):
                await source.storage(b"k", bytes(32))


async def test_a_refused_transaction_is_final() -> None:
    def refuse(_: str) -> Any:
        raise NodeError(1010, "Invalid Transaction")

    async with Node() as node, Node() as other, _source(node, other) as source:
        node.methods["author_submitExtrinsic"] = refuse
        with pytest.raises(TransactionRejected) as caught:
            await source.submit(b"xt")
        assert caught.value.rpc_code == 1010
        assert not other.calls


async def test_an_answer_of_the_wrong_shape_is_refused() -> None:
    async with Node() as node, _source(node) as source:
        for wrong in (None, 5, "0x1", "zz", ["0x"], {"proof": ["0xzz"]}, {"proof": 7}):
            node.methods["state_getReadProof"] = lambda *_, wrong=wrong: wrong
            with pytest.raises(SourceError, match="wrong shape"):
                await source.read_proof([b"k"], bytes(32))
        node.methods["grandpa_proveFinality"] = lambda n: "0x" + "00" * 40
        with pytest.raises(SourceError, match="wrong shape"):
            await source.finality_proof(3)


async def test_refused_pairs_are_paged() -> None:
    state = {b"k%03d" % n: b"v%d" % n for n in range(1300)} | {b"a": b"1"}

    def keys(prefix: str, count: int, start: str | None, at: str) -> list[str]:
        after = bytes.fromhex((start or "0x")[2:])
        found = sorted(k for k in state if k.startswith(bytes.fromhex(prefix[2:])) and k > after)
        return ["0x" + key.hex() for key in found[:count]]

    def values(asked: list[str], at: str) -> Any:
        changes = [[key, "0x" + state[bytes.fromhex(key[2:])].hex()] for key in asked]
        return [{"block": at, "changes": changes[::-1]}]

    async with Node() as node, _source(node) as source:
        node.methods["state_getKeysPaged"] = keys
        node.methods["state_queryStorageAt"] = values
        assert dict(await source.pairs(b"k", bytes(32))) == {
            k: state[k] for k in state if k != b"a"
        }
        assert list(await source.storage_many(sorted(state), bytes(32))) == [
            state[key] for key in sorted(state)
        ]


async def test_heads_rise_over_a_lost_connection_and_show_the_gap() -> None:
    async with Node() as node, _source(node) as source:
        heads = source.finalized_heads()
        assert (await anext(heads)).number == 29
        following = asyncio.create_task(anext(heads))
        await _soon(lambda: _is(len(node.subscribers) == 1))
        await node.finalize(31)
        assert await following == Head(31, _hash(node, 31))
        await node.cut()
        node.subscribers.clear()
        await node.finalize(40)
        await node.back()
        assert await anext(heads) == Head(40, _hash(node, 40))
        following = asyncio.create_task(anext(heads))
        await _soon(lambda: _is(len(node.subscribers) == 1))
        await node.finalize(41)
        assert (await following).number == 41
        await heads.aclose()


async def test_an_endpoint_without_new_heads_is_passed_over() -> None:
    settings = QUICK.model_copy(update={"head_timeout": 0.1})
    async with (
        Node(length=30) as stuck,
        Node(length=50) as good,
        _source(stuck, good, settings=settings) as source,
    ):
        heads = source.finalized_heads()
        assert (await anext(heads)).number == 29
        assert (await anext(heads)).number == 49
        await heads.aclose()


def test_the_hook_takes_all_endpoints_of_the_chain() -> None:
    chain = SimpleNamespace(endpoints=("ws://a", "http://b"), genesis_hash="0x" + "11" * 32)
    settings: Any = SimpleNamespace(relay=chain, section=lambda name: QUICK)
    source: Any = substrate.prbkit_chain_source("ws://a", "relay", settings)
    assert [view.url for view in source.views()] == ["ws://a", "http://b"]
    assert substrate.prbkit_chain_source("file:x", "relay", settings) is None
    chain.endpoints = ("ws://a", "file:x")
    with pytest.raises(ConfigError, match="file:x"):
        substrate.prbkit_chain_source("ws://a", "relay", settings)
    assert substrate.prbkit_settings()["substrate"]() is SubstrateSettings


async def _is(condition: bool) -> None:
    if not condition:
        raise SourceError("not yet")


async def _soon(attempt: Callable[[], Any], until: type[Exception] | None = None) -> Any:
    """Try again while it fails with a SourceError, until it does not or fails as wanted."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await attempt()
            except SourceError as error:
                if until is not None and isinstance(error, until):
                    raise
            await asyncio.sleep(0.005)


async def test_no_socket_is_left_open() -> None:
    async with Node() as node:
        source = _source(node)
        with pytest.raises(SourceDisconnected, match="not open"):
            await source.block_hash(0)
        await source.open()
        await source.block_hash(0)
        await source.close()
        await source.close()
        await _soon(lambda: _is(not node.sockets))
