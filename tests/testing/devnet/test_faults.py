"""Endpoints that misbehave on request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from prbkit.blobs import header_from_json, header_hash
from prbkit.errors import ConfigError, JustificationError, ProofError
from prbkit.light import read_proof, verify_justification
from prbkit.testing.devnet import Devnet, DevnetConfig

from .client import RpcFailed, connect
from .tiny import SET_ID, tiny

CONFIG = DevnetConfig(history=30, set_period=10, justification_period=4)


@pytest.fixture
async def net() -> AsyncIterator[Devnet]:
    async with Devnet(CONFIG, tiny(CONFIG)) as devnet:
        yield devnet


async def test_each_lie_is_found_by_the_check_that_is_there_for_it(net: Devnet) -> None:
    block = net.chain("relay").at(20)
    assert block is not None
    faults = net.relay.faults
    for kind in ("header", "block_hash", "proof", "justification", "storage"):
        faults.lie(kind, first=20, last=20)
    at = "0x" + block.hash.hex()
    async with connect(net.relay_url) as client:
        header = await client.call("chain_getHeader", at)
        assert header_hash(header_from_json(header)) != block.hash
        assert await client.call("chain_getBlockHash", 20) != at
        answer = await client.call("state_getReadProof", ["0x" + SET_ID.hex()], at)
        nodes = [bytes.fromhex(node[2:]) for node in answer["proof"]]
        with pytest.raises(ProofError):
            read_proof(block.header.state_root, nodes, SET_ID)
        [[_, justification]] = (await client.call("chain_getBlock", at))["justifications"]
        voters = net.network.finality.voters(1)
        with pytest.raises(JustificationError):
            verify_justification(
                bytes(justification),
                target_hash=block.hash,
                target_number=20,
                authorities=list(voters.authorities),
                set_id=1,
            )
        assert (
            await client.call("state_getStorage", "0x" + SET_ID.hex(), at)
            != "0x" + bytes((2, *bytes(7))).hex()
        )
        honest = await client.call("chain_getHeader", await client.call("chain_getBlockHash", 19))
        assert honest["number"] == "0x13"
    assert {kind for kind, _ in faults.told} >= {"header", "proof", "justification"}
    assert all(number == 20 for _, number in faults.told)


async def test_changes_lie_and_stop_lying(net: Devnet) -> None:
    net.para.faults.lie("changes", times=1)
    async with connect(net.para_url) as client:
        at = await client.call("chain_getBlockHash", 3)
        first = await client.call("pha_getStorageChangesAt", at)
        assert first != await client.call("pha_getStorageChangesAt", at)


async def test_a_node_that_lags_shows_the_past(net: Devnet) -> None:
    net.relay.faults.lag = 5
    async with connect(net.relay_url) as client:
        assert (await client.call("chain_getHeader"))["number"] == "0x19"
        assert await client.call("chain_getBlockHash", 26) is None
        final = await client.call("chain_getHeader", await client.call("chain_getFinalizedHead"))
        assert final["number"] == "0x17"
        heads = await client.call("chain_subscribeNewHeads")
        await client.told(heads)
        await net.produce(1)
        assert (await client.told(heads))["number"] == "0x1a"
        with pytest.raises(RpcFailed):
            await client.call("grandpa_proveFinality", 26)


async def test_a_pruned_node_says_so(net: Devnet) -> None:
    net.para.faults.prune = 3
    async with connect(net.para_url) as client:
        genesis = await client.call("chain_getBlockHash", 0)
        with pytest.raises(RpcFailed, match="State already discarded for") as caught:
            await client.call("state_getPairs", "0x", genesis)
        assert caught.value.code == 4003
        assert await client.call("chain_getHeader", genesis)
        with pytest.raises(RpcFailed, match="State already discarded for"):
            await client.call("pha_getStorageChangesAt", genesis)
        assert await client.call("state_getPairs", "0x")


async def test_a_public_node_denies_unsafe_calls(net: Devnet) -> None:
    net.para.faults.deny_unsafe = True
    async with connect(net.para_url) as client:
        with pytest.raises(RpcFailed, match="unsafe to be called externally") as caught:
            await client.call("state_getPairs", "0x")
        assert caught.value.code == -32601


async def test_methods_can_be_missing_or_fail(net: Devnet) -> None:
    net.relay.faults.disabled.add("grandpa_proveFinality")
    net.relay.faults.errors["chain_getBlock"] = (-32000, "overloaded")
    async with connect(net.relay_url) as client:
        for method, code in (("grandpa_proveFinality", -32601), ("chain_getBlock", -32000)):
            with pytest.raises(RpcFailed) as caught:
                await client.call(method, 1)
            assert caught.value.code == code
    net.relay.faults.clear()
    async with connect(net.relay_url) as client:
        assert await client.call("chain_getBlock")


async def test_a_response_over_the_limit_is_refused(net: Devnet) -> None:
    net.relay.faults.max_response = 2000
    async with connect(net.relay_url) as client:
        with pytest.raises(RpcFailed, match="Response is too big") as caught:
            await client.call("grandpa_proveFinality", 11)
        assert caught.value.code == -32008
        assert await client.call("grandpa_proveFinality", 19)


async def test_connections_are_dropped(net: Devnet) -> None:
    async with connect(net.relay_url) as client:
        net.relay.faults.drop_after = 2
        await client.call("system_chain")
        await client.call("system_chain")
        with pytest.raises(ConnectionError):
            await client.call("system_chain")
    async with connect(net.relay_url) as client:
        assert await client.call("system_chain")


async def test_an_endpoint_dies_and_comes_back_on_its_port(net: Devnet) -> None:
    url = net.relay_url
    async with connect(url) as client:
        await net.relay.refuse()
        with pytest.raises(ConnectionError):
            await client.call("system_chain")
    with pytest.raises(aiohttp.ClientError):
        async with connect(url):
            pass
    await net.relay.listen()
    assert net.relay_url == url
    async with connect(url) as client:
        assert await client.call("system_chain")
        net.relay.faults.dead = True
        with pytest.raises(ConnectionError):
            await client.call("system_chain")
    with pytest.raises(aiohttp.ClientError):
        async with connect(url):
            pass


async def test_a_silent_node_answers_nothing(net: Devnet) -> None:
    net.relay.faults.silent = True
    async with connect(net.relay_url) as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await client.call("system_chain")


async def test_latency_delays_answers_but_not_one_another(net: Devnet) -> None:
    net.relay.faults.latency = 0.02
    loop = asyncio.get_running_loop()
    async with connect(net.relay_url) as client:
        began = loop.time()
        for number in range(200):
            request = {"jsonrpc": "2.0", "id": number, "method": "system_chain"}
            await client.socket.send_json(request)
        answers = [(await client.reply())["id"] for _ in range(200)]
        assert answers == list(range(200))
        assert loop.time() - began >= 0.02


async def test_another_endpoint_of_the_chain_has_faults_of_its_own(net: Devnet) -> None:
    other = await net.add_endpoint("relay")
    other.faults.genesis_hash = bytes(32)
    async with connect(other.url) as wrong, connect(net.relay_url) as right:
        assert await wrong.call("chain_getBlockHash", 0) == "0x" + "00" * 32
        assert await right.call("chain_getBlockHash", 0) != "0x" + "00" * 32
        assert await wrong.call("chain_getHeader") == await right.call("chain_getHeader")


async def test_a_port_that_is_taken_is_named(net: Devnet) -> None:
    port = int(net.relay_url.rsplit(":", 1)[1])
    with pytest.raises(ConfigError, match="cannot listen"):
        await net.add_endpoint("para", port=port)
