"""The node's JSON-RPC, as a client sees it on the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from prbkit.blobs import (
    decode_storage_changes,
    header_from_json,
    header_hash,
    storage_changes_from_json,
)
from prbkit.light import Trie, read_proof
from prbkit.testing.devnet import Devnet, DevnetConfig

from .client import Client, RpcFailed, connect
from .tiny import NUMBER, SET_ID, tiny, transaction

CONFIG = DevnetConfig(history=30, set_period=10, justification_period=4)


@pytest.fixture
async def net() -> AsyncIterator[Devnet]:
    async with Devnet(CONFIG, tiny(CONFIG)) as devnet:
        yield devnet


@pytest.fixture
async def relay(net: Devnet) -> AsyncIterator[Client]:
    async with connect(net.relay_url) as client:
        yield client


@pytest.fixture
async def para(net: Devnet) -> AsyncIterator[Client]:
    async with connect(net.para_url) as client:
        yield client


async def failure(client: Client, method: str, *params: Any) -> tuple[int, str]:
    with pytest.raises(RpcFailed) as caught:
        await client.call(method, *params)
    return caught.value.code, caught.value.message


async def test_what_a_node_says_of_itself(net: Devnet, relay: Client, para: Client) -> None:
    assert await para.call("system_chain") == "Khala Local Testnet"
    assert (await para.call("system_properties"))["ss58Format"] == 30
    assert await relay.call("system_name")
    assert await relay.call("system_version")
    assert set(await relay.call("system_health")) == {"peers", "isSyncing", "shouldHavePeers"}
    state = await relay.call("system_syncState")
    assert state == {"startingBlock": 0, "currentBlock": 30, "highestBlock": 30}
    methods = (await relay.call("rpc_methods"))["methods"]
    assert {"grandpa_proveFinality", "chain_subscribeNewHeads", "rpc_methods"} <= set(methods)
    assert "pha_getStorageChanges" not in methods
    assert "pha_getStorageChanges" in (await para.call("rpc_methods"))["methods"]
    assert "grandpa_proveFinality" not in (await para.call("rpc_methods"))["methods"]


async def test_blocks_by_number_and_hash(net: Devnet, relay: Client) -> None:
    best = await relay.call("chain_getBlockHash")
    assert best == "0x" + net.chain("relay").best.hash.hex()
    assert await relay.call("chain_getBlockHash", 31) is None
    assert await relay.call("chain_getBlockHash", "0x1e") == best
    assert await relay.call("chain_getBlockHash", [0, 30, 99]) == [
        await relay.call("chain_getBlockHash", 0),
        best,
        None,
    ]
    header = await relay.call("chain_getHeader", best)
    assert header == await relay.call("chain_getHeader")
    assert "0x" + header_hash(header_from_json(header)).hex() == best
    block = await relay.call("chain_getBlock", best)
    assert block["block"]["header"] == header
    assert block["justifications"] is None
    assert await relay.call("chain_getHeader", "0x" + "11" * 32) is None
    assert await relay.call("chain_getBlock", "0x" + "11" * 32) is None
    justified = await relay.call("chain_getBlock", await relay.call("chain_getBlockHash", 20))
    [[engine, justification]] = justified["justifications"]
    assert bytes(engine) == b"FRNK"
    block = net.chain("relay").at(20)
    assert block is not None
    assert bytes(justification) == net.chain("relay").justification(block.hash)
    final = net.chain("relay").finalized
    assert await relay.call("chain_getFinalizedHead") == "0x" + final.hash.hex()


async def test_proofs_of_finality(net: Devnet, relay: Client) -> None:
    proof = bytes.fromhex((await relay.call("grandpa_proveFinality", 12))[2:])
    block = net.chain("relay").at(20)
    assert block is not None
    assert proof[:32] == block.hash
    assert proof.count(block.encoded) == 1
    code, message = await failure(relay, "grandpa_proveFinality", 30)
    assert (code, message) == (4, "GRANDPA prove finality rpc failed: Block not yet finalized")


async def test_state_of_any_block(net: Devnet, para: Client) -> None:
    chain = net.chain("para")
    for number in (0, 5, chain.best.number):
        block = chain.at(number)
        assert block is not None
        at = "0x" + block.hash.hex()
        pairs = await para.call("state_getPairs", "0x", at)
        decoded = [(bytes.fromhex(k[2:]), bytes.fromhex(v[2:])) for k, v in pairs]
        assert Trie(decoded, version=0).root == block.header.state_root
        keys: list[str] = []
        while page := await para.call(
            "state_getKeysPaged", "0x", 3, keys[-1] if keys else None, at
        ):
            keys += page
        assert keys == [key for key, _ in pairs]
        [found] = await para.call("state_queryStorageAt", [*keys, "0x00"], at)
        assert found == {"block": at, "changes": [*pairs, ["0x00", None]]}
        assert await para.call("state_getStorage", keys[0], at) == pairs[0][1]
        assert await para.call("state_getStorageSize", keys[0], at) == len(decoded[0][1])
    assert await failure(para, "state_getKeysPaged", "0x", 1001) == (
        4002,
        "count exceeds maximum value. value: 1001, max: 1000",
    )


async def test_read_proofs(net: Devnet, relay: Client) -> None:
    block = net.chain("relay").at(17)
    assert block is not None
    at = "0x" + block.hash.hex()
    answer = await relay.call("state_getReadProof", ["0x" + SET_ID.hex(), "0xdead"], at)
    assert answer["at"] == at
    nodes = [bytes.fromhex(node[2:]) for node in answer["proof"]]
    root = block.header.state_root
    assert read_proof(root, nodes, SET_ID) == (1).to_bytes(8, "little")
    assert read_proof(root, nodes, bytes.fromhex("dead")) is None


async def test_storage_changes_lead_from_root_to_root(net: Devnet, para: Client) -> None:
    chain = net.chain("para")
    ends = await para.call("chain_getBlockHash", [0, 10])
    answer = await para.call("pha_getStorageChanges", *ends)
    with_roots = await para.call("pha_getStorageChangesWithRoot", *ends)
    assert (await failure(para, "pha_getStorageChanges", *reversed(ends)))[0] == 20003
    assert (await failure(para, "pha_getStorageChanges", ends[0], "0x" + "11" * 32))[0] == 20005
    trie = Trie([], version=0)
    for block, changes, with_root in zip(chain.blocks(0, 10), answer, with_roots, strict=True):
        assert with_root["changes"] == changes
        assert bytes(with_root["stateRoot"]) == block.header.state_root
        scale = storage_changes_from_json(changes)
        main, children = decode_storage_changes(scale)
        assert (dict(main), children) == (block.changes, [])
        at = await para.call("pha_getStorageChangesAt", "0x" + block.hash.hex())
        assert at == "0x" + scale.hex()
        trie.apply(
            [
                (bytes.fromhex(k[2:]), None if v is None else bytes.fromhex(v[2:]))
                for k, v in changes["mainStorageChanges"]
            ]
        )
        assert trie.root == block.header.state_root


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("chain_getBlockHash", ["x"]),
        ("chain_getBlockHash", [-1]),
        ("chain_getBlockHash", [1 << 32]),
        ("chain_getBlockHash", [1.5]),
        ("chain_getBlockHash", [True]),
        ("chain_getBlockHash", [1, 2]),
        ("chain_getHeader", ["0x11"]),
        ("chain_getHeader", ["11" * 32]),
        ("chain_getHeader", ["0x" + "1g" * 32]),
        ("state_getStorage", []),
        ("state_getStorage", ["0x1"]),
        ("state_getStorage", [None]),
        ("state_getStorage", {"nope": 1}),
        ("state_queryStorageAt", ["0x00"]),
        ("state_getKeysPaged", ["0x", "10"]),
        ("state_call", [1, "0x"]),
        ("system_accountNextIndex", ["5Grwva"]),
        ("author_submitExtrinsic", [[1, 2]]),
    ],
)
async def test_params_that_do_not_fit_are_refused(para: Client, method: str, params: Any) -> None:
    answer = await para.raw({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    assert answer["error"]["code"] == -32602
    assert answer["error"]["message"] == "Invalid params"


async def test_what_is_no_request_is_refused(para: Client) -> None:
    assert (await para.raw("{"))["error"]["code"] == -32700
    wrong: list[Any] = [[], 5, {"id": 1}, {"jsonrpc": "2.0", "id": 1, "method": 5}]
    for item in wrong:
        assert (await para.raw(item))["error"]["code"] == -32600
    assert await failure(para, "chain_getNothing") == (-32601, "Method not found")
    assert (await failure(para, "state_call", "No_such", "0x"))[0] == 4003


async def test_batches_are_answered_as_one(para: Client) -> None:
    batch = [
        {"jsonrpc": "2.0", "id": "a", "method": "system_chain"},
        {"jsonrpc": "2.0", "method": "system_chain"},
        {"jsonrpc": "2.0", "id": None, "method": "nope", "params": []},
        7,
    ]
    answers: list[Any] = await para.raw(batch)
    chain, missing, wrong_item = answers
    assert chain == {"jsonrpc": "2.0", "result": "Khala Local Testnet", "id": "a"}
    assert missing["error"]["code"] == -32601
    assert wrong_item["error"]["code"] == -32600


async def test_http_post_answers_what_the_socket_answers(net: Devnet, para: Client) -> None:
    url = net.para_url.replace("ws://", "http://")
    request = {"jsonrpc": "2.0", "id": 1, "method": "chain_getHeader"}
    async with aiohttp.ClientSession() as session:
        async with session.post(url, json=request) as response:
            assert (await response.json())["result"] == await para.call("chain_getHeader")
        request["method"] = "chain_subscribeNewHeads"
        async with session.post(url, json=request) as response:
            assert "error" in await response.json()
        async with session.post(url, data="x") as response:
            assert response.status == 415


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("chain_subscribeNewHeads", "chain_newHead"),
        ("chain_subscribeNewHead", "chain_newHead"),
        ("chain_subscribeAllHeads", "chain_allHead"),
        ("chain_subscribeFinalizedHeads", "chain_finalizedHead"),
    ],
)
async def test_heads_are_told(net: Devnet, relay: Client, name: str, method: str) -> None:
    subscription = await relay.call(name)
    numbers = [int((await relay.told(subscription))["number"], 16)]
    await net.produce(4)
    for _ in range(4):
        numbers.append(int((await relay.told(subscription))["number"], 16))  # noqa: PERF401
    start = 28 if method == "chain_finalizedHead" else 30
    assert numbers == list(range(start, start + 5))
    stop = name.replace("_subscribe", "_unsubscribe")
    assert await relay.call(stop, subscription) is True
    assert await relay.call(stop, subscription) is False
    await net.produce(2)
    await relay.call("system_chain")
    assert not relay.notifications


async def test_a_reorg_is_told_by_all_heads_and_new_heads(net: Devnet, relay: Client) -> None:
    every = await relay.call("chain_subscribeAllHeads")
    new = await relay.call("chain_subscribeNewHeads")
    await relay.told(every)
    before = await relay.told(new)
    await net.reorg(2)
    numbers = [int((await relay.told(every))["number"], 16) for _ in range(3)]
    assert numbers == [29, 30, 31]
    after = await relay.told(new)
    assert int(after["number"], 16) == 31
    assert after["parentHash"] != "0x" + header_hash(header_from_json(before)).hex()


async def test_storage_is_told_when_it_changes(net: Devnet, relay: Client) -> None:
    number, set_id = "0x" + NUMBER.hex(), "0x" + SET_ID.hex()
    both = await relay.call("state_subscribeStorage", [number, set_id])
    first = await relay.told(both)
    assert [key for key, _ in first["changes"]] == [number, set_id]
    await net.produce(1)
    second = await relay.told(both)
    assert second["changes"] == [[number, "0x1f000000"]]
    assert second["block"] == await relay.call("chain_getBlockHash")


async def test_justifications_are_told(net: Devnet, relay: Client) -> None:
    subscription = await relay.call("grandpa_subscribeJustifications")
    await net.produce(1)
    told = bytes.fromhex((await relay.told(subscription))[2:])
    assert net.chain("relay").finalized.hash in told


async def test_an_extrinsic_is_watched_to_finality(net: Devnet, para: Client) -> None:
    extrinsic = "0x" + transaction(1, 0).hex()
    subscription = await para.call("author_submitAndWatchExtrinsic", extrinsic)
    assert await para.told(subscription) == "ready"
    assert "broadcast" in await para.told(subscription)
    assert await para.call("author_pendingExtrinsics") == [extrinsic]
    await net.produce(8)
    in_block = (await para.told(subscription))["inBlock"]
    block = await para.call("chain_getBlock", in_block)
    assert extrinsic in block["block"]["extrinsics"]
    assert (await para.told(subscription))["finalized"] == in_block
    assert await para.call("author_pendingExtrinsics") == []
    assert await failure(para, "author_submitExtrinsic", extrinsic) == (
        1012,
        "Transaction is temporarily banned",
    )


async def test_the_pool_refuses_with_a_nodes_codes(para: Client) -> None:
    good = "0x" + transaction(1, 0).hex()
    await para.call("author_submitExtrinsic", good)
    assert (await failure(para, "author_submitExtrinsic", good))[0] == 1013
    assert (
        await failure(
            para, "author_submitExtrinsic", "0x" + transaction(1, 0, 0, valid=False).hex()
        )
    )[0] == 1010
    assert (await failure(para, "author_submitExtrinsic", "0x"))[0] == 1001
    assert (await failure(para, "author_submitExtrinsic", "0xff"))[0] == 1001
    assert (await failure(para, "author_submitExtrinsic", "0x0400"))[0] == 1002
