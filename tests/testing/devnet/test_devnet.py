"""The devnet with its runtimes, over its RPC: what a bridge, a worker and a wallet see."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from prbkit.blobs import decode_storage_changes, header_from_json, header_hash
from prbkit.light import Header, decode_authorities, scheduled_change
from prbkit.scale import Metadata, signed_extrinsic, signing_payload, ss58
from prbkit.testing.devnet import Devnet, DevnetConfig
from prbkit.testing.devnet.accounts import dev_account
from prbkit.testing.devnet.network import RELAY_GENESIS
from prbkit.testing.layouts import Reader, blob
from prbkit.testing.messages import ORIGIN, WorkerOrigin
from prbkit.testing.pruntime.light import LightClient

from .client import Client, RpcFailed, connect

CONFIG = DevnetConfig(history=70, set_period=20, justification_period=7)
ALICE, BOB = dev_account("Alice"), dev_account("Bob")


@pytest.fixture
async def net() -> AsyncIterator[Devnet]:
    async with Devnet(CONFIG) as devnet:
        yield devnet


@pytest.fixture
async def relay(net: Devnet) -> AsyncIterator[Client]:
    async with connect(net.relay_url) as client:
        yield client


@pytest.fixture
async def para(net: Devnet) -> AsyncIterator[Client]:
    async with connect(net.para_url) as client:
        yield client


def raw(text: str) -> bytes:
    return bytes.fromhex(text[2:])


async def metadata(client: Client) -> Metadata:
    return Metadata.decode(raw(await client.call("state_getMetadata")))


class Wallet:
    """Signs as Alice."""

    def __init__(self, client: Client, md: Metadata) -> None:
        self.client = client
        self.md = md

    async def sign(self, call: bytes, nonce: int, *, tip: int = 0, **change: Any) -> str:
        version = await self.client.call("state_getRuntimeVersion")
        genesis = raw(await self.client.call("chain_getBlockHash", 0))
        era = change.pop("era", None)
        checkpoint = genesis if era is None else None
        if checkpoint is None:
            checkpoint = raw(await self.client.call("chain_getBlockHash", era[1]))
        fields: dict[str, Any] = {
            "era": era,
            "nonce": nonce,
            "tip": tip,
            "spec_version": version["specVersion"],
            "transaction_version": version["transactionVersion"],
            "genesis_hash": genesis,
            "checkpoint_hash": checkpoint,
        }
        account = change.pop("account", ALICE)
        payload = signing_payload(self.md, call, **(fields | change))
        extrinsic = signed_extrinsic(
            self.md,
            call,
            account=account.public,
            signature=account.sign(payload),
            crypto="sr25519",
            era=era,
            nonce=nonce,
            tip=tip,
        )
        return "0x" + extrinsic.hex()


@pytest.fixture
async def wallet(para: Client) -> Wallet:
    return Wallet(para, await metadata(para))


async def test_a_worker_accepts_the_whole_chain_fed_by_rpc(
    net: Devnet, relay: Client, para: Client
) -> None:
    """All that a bridge does, by the shortest way: a worker's light client judges it."""
    md = await metadata(relay)
    keys = [
        "0x" + md.storage_key("Grandpa", "Authorities").hex(),
        "0x" + md.storage_key("Grandpa", "CurrentSetId").hex(),
        "0x" + b":grandpa_authorities".hex(),
    ]
    first = await para.call("chain_getBlockHash", 1)
    para_md = await metadata(para)
    data = await para.call(
        "state_getStorage",
        "0x" + para_md.storage_key("ParachainSystem", "ValidationData").hex(),
        first,
    )
    validation = para_md.decode_storage("ParachainSystem", "ValidationData", raw(data))
    start = validation["relay_parent_number"] - 1
    assert start == RELAY_GENESIS
    at = await relay.call("chain_getBlockHash", start)
    header = header_from_json(await relay.call("chain_getHeader", at))
    proof = [raw(n) for n in (await relay.call("state_getReadProof", keys, at))["proof"]]
    authorities = decode_authorities(raw(await relay.call("state_getStorage", keys[0], at)))
    para_genesis = await para.call("chain_getBlockHash", 0)
    state = [
        (raw(key), raw(value))
        for key, value in await para.call("state_getPairs", "0x", para_genesis)
    ]
    allowed = para_md.storage_key("PhalaRegistry", "RelaychainGenesisBlockHashAllowList")
    assert header_hash(header) in para_md.decode_storage(
        "PhalaRegistry", "RelaychainGenesisBlockHashAllowList", dict(state)[allowed]
    )
    worker = LightClient.start(header, authorities, 0, proof, state, 0)

    heads = "0x" + md.storage_key("Paras", "Heads", net.config.para_id).hex()
    final = net.chain("relay").finalized.number
    changes_of_set, segments = 0, 0
    while worker.next_relay <= final:
        finality = Reader(raw(await relay.call("grandpa_proveFinality", worker.next_relay)))
        target, justification = finality.take(32), blob.read(finality)
        last = Header.decode(
            header_from_json(await relay.call("chain_getHeader", "0x" + target.hex()))
        ).number
        # Every kept justification on the way ends a segment of its own.
        for number in range(worker.next_relay, last + 1):
            hash_of = await relay.call("chain_getBlockHash", number)
            found = (await relay.call("chain_getBlock", hash_of))["justifications"]
            if number == last or found is not None:
                break
        own = bytes(found[0][1]) if found is not None else justification
        batch = []
        for height in range(worker.next_relay, number + 1):
            hash_of = await relay.call("chain_getBlockHash", height)
            batch.append((header_from_json(await relay.call("chain_getHeader", hash_of)), None))
        changes_of_set += scheduled_change(batch[-1][0]) is not None
        worker.sync_relay([*batch[:-1], (batch[-1][0], own)])
        segments += 1
        value = await relay.call("state_getStorage", heads, hash_of)
        nodes = [
            raw(n) for n in (await relay.call("state_getReadProof", [heads], hash_of))["proof"]
        ]
        head = Header.decode(blob.decode(raw(value))).number
        hashes = await para.call("chain_getBlockHash", list(range(worker.next_para, head + 1)))
        headers = [
            header_from_json(await para.call("chain_getHeader", para_hash)) for para_hash in hashes
        ]
        worker.sync_para(headers, nodes)
        if head >= worker.next_block:
            ends = await para.call("chain_getBlockHash", [worker.next_block, head])
            await para.call("pha_getStorageChanges", *ends)
            for height in range(worker.next_block, head + 1):
                para_hash = await para.call("chain_getBlockHash", height)
                changes = raw(await para.call("pha_getStorageChangesAt", para_hash))
                worker.dispatch(height, *decode_storage_changes(changes))
    assert worker.set_id == changes_of_set == 3
    assert worker.next_block - 1 == net.chain("para").finalized.number
    assert segments >= 10


async def test_states_of_set_changes_hold_the_next_set(net: Devnet, relay: Client) -> None:
    md = await metadata(relay)
    for number in (19, 20, 21, 40):
        at = await relay.call("chain_getBlockHash", number)
        key = "0x" + md.storage_key("Grandpa", "CurrentSetId").hex()
        set_id = md.decode_storage(
            "Grandpa", "CurrentSetId", raw(await relay.call("state_getStorage", key, at))
        )
        assert set_id == number // 20
        key = "0x" + md.storage_key("Grandpa", "Authorities").hex()
        value = raw(await relay.call("state_getStorage", key, at))
        assert decode_authorities(value) == list(net.network.finality.voters(set_id).authorities)


async def test_a_genesis_headers_parent_has_a_runtime_version(para: Client) -> None:
    """polkadot.js, and with it PRB v2, asks for the version at the parent of block 0 too."""
    version = await para.call("state_getRuntimeVersion")
    assert await para.call("state_getRuntimeVersion", "0x" + "00" * 32) == version
    with pytest.raises(RpcFailed, match="UnknownBlock"):
        await para.call("state_getRuntimeVersion", "0x" + "01" * 32)


async def test_metadata_comes_by_every_way_a_node_has(para: Client) -> None:
    whole = raw(await para.call("state_getMetadata"))
    assert raw(await para.call("state_call", "Metadata_metadata", "0x")) == blob.write(whole)
    version = "0x0e000000"
    optional = raw(await para.call("state_call", "Metadata_metadata_at_version", version))
    assert optional == b"\1" + blob.write(whole)
    assert await para.call("state_call", "Metadata_metadata_at_version", "0x0f000000") == "0x00"
    versions = await para.call("state_call", "Metadata_metadata_versions", "0x")
    assert versions == "0x040e000000"
    with pytest.raises(RpcFailed):
        await para.call("state_call", "Metadata_metadata_at_version", "0x")


async def test_transfers_pay_and_change_the_state_of_their_block(
    net: Devnet, para: Client, wallet: Wallet
) -> None:
    md = wallet.md
    call = md.call("Balances", "transfer", dest={"Id": BOB.public}, value=5 * 10**12)
    extrinsic = await wallet.sign(call, 0, era=(64, 30))
    info = await para.call("payment_queryInfo", extrinsic)
    assert int(info["partialFee"]) > 0
    assert info["class"] == "normal"
    size = (len(extrinsic) // 2 - 1).to_bytes(4, "little").hex()
    answer = raw(
        await para.call("state_call", "TransactionPaymentApi_query_info", extrinsic + size)
    )
    assert int.from_bytes(answer[-16:], "little") == int(info["partialFee"])
    watch = await para.call("author_submitAndWatchExtrinsic", extrinsic)
    await net.produce(6)
    status: Any = await para.told(watch)
    while not (isinstance(status, dict) and "inBlock" in status):
        status = await para.told(watch)
    at = status["inBlock"]
    parent = (await para.call("chain_getHeader", at))["parentHash"]

    async def free(account: bytes, where: str) -> int:
        key = "0x" + md.storage_key("System", "Account", account).hex()
        value = await para.call("state_getStorage", key, where)
        balance: int = md.decode_storage("System", "Account", raw(value))["data"]["free"]
        return balance

    assert await free(BOB.public, at) - await free(BOB.public, parent) == 5 * 10**12
    spent = await free(ALICE.public, parent) - await free(ALICE.public, at)
    assert spent == 5 * 10**12 + int(info["partialFee"])
    key = "0x" + md.storage_key("System", "Events").hex()
    events = md.decode_events(raw(await para.call("state_getStorage", key, at)))
    assert ("Balances", "Transfer") in [(event.pallet, event.name) for event in events]


async def test_a_reorg_includes_a_transfer_again_and_only_once() -> None:
    async with Devnet(replace(CONFIG, finality_lag=6)) as net, connect(net.para_url) as para:
        wallet = Wallet(para, await metadata(para))
        call = wallet.md.call("Balances", "transfer", dest={"Id": BOB.public}, value=10**12)
        watch = await para.call("author_submitAndWatchExtrinsic", await wallet.sign(call, 0))
        statuses: list[Any] = []
        await net.produce(3)
        while not _named(statuses, "inBlock"):
            statuses.append(await para.told(watch))
        await net.reorg(5)
        await net.produce(12)
        while not _named(statuses, "finalized"):
            statuses.append(await para.told(watch))
        first, second = _named(statuses, "inBlock")
        assert _named(statuses, "retracted") == [first]
        assert _named(statuses, "finalized") == [second]
        nonce = await para.call("system_accountNextIndex", "0x" + ALICE.public.hex())
        assert nonce == 1
        retracted = net.chain("para").block(raw(first))
        assert retracted is not None
        assert not net.chain("para").is_canonical(retracted)


def _named(statuses: list[Any], name: str) -> list[str]:
    return [status[name] for status in statuses if isinstance(status, dict) and name in status]


async def test_nonces_count_what_lies_in_the_pool(para: Client, wallet: Wallet) -> None:
    address = ss58.encode(ALICE.public, 30)
    call = wallet.md.call("System", "remark", remark=b"x")
    assert await para.call("system_accountNextIndex", address) == 0
    for nonce in (0, 1, 3):
        await para.call("author_submitExtrinsic", await wallet.sign(call, nonce))
    assert await para.call("system_accountNextIndex", address) == 2
    await para.call("author_submitExtrinsic", await wallet.sign(call, 2))
    assert await para.call("system_accountNextIndex", address) == 4
    assert len(await para.call("author_pendingExtrinsics")) == 4
    onchain = await para.call(
        "state_call", "AccountNonceApi_account_nonce", "0x" + ALICE.public.hex()
    )
    assert onchain == "0x00000000"


async def refusal(para: Client, extrinsic: str) -> tuple[int, str | None]:
    with pytest.raises(RpcFailed) as caught:
        await para.call("author_submitExtrinsic", extrinsic)
    return caught.value.code, caught.value.data


async def test_extrinsics_are_checked_as_a_chain_checks_them(
    net: Devnet, para: Client, wallet: Wallet
) -> None:
    call = wallet.md.call("System", "remark", remark=b"x")
    bad_signature = (1010, "Transaction has a bad signature")
    for change in (
        {"spec_version": 1},
        {"transaction_version": 1},
        {"genesis_hash": bytes(32)},
        {"checkpoint_hash": bytes(32)},
    ):
        extrinsic = await wallet.sign(call, 0, era=(64, 20), **change)
        assert await refusal(para, extrinsic) == bad_signature
    ancient = await wallet.sign(call, 0, era=(4, 20))
    assert (await refusal(para, ancient))[0] == 1010
    poor = await wallet.sign(call, 0, account=dev_account("Nobody"))
    assert await refusal(para, poor) == (
        1010,
        "Inability to pay some fees (e.g. account balance too low)",
    )
    good = await wallet.sign(call, 0, tip=5)
    await para.call("author_submitExtrinsic", good)
    assert (await refusal(para, await wallet.sign(call, 0, tip=1)))[0] == 1014
    await net.produce(3)
    assert await refusal(para, await wallet.sign(call, 0)) == (1010, "Transaction is outdated")
    assert (await refusal(para, "0x" + blob.write(b"\x84" + bytes(40)).hex()))[0] == 1002


async def test_message_sequences_count_the_pools_bare_messages(
    para: Client, wallet: Wallet
) -> None:
    origin = ORIGIN.write(WorkerOrigin(bytes(32)))
    assert await para.call("pha_getMqNextSequence", origin.hex()) == 0

    def message(sequence: int) -> bytes:
        body = {"sender": {"Worker": bytes(32)}, "destination": b"x", "payload": b"y"}
        signed = {"message": body, "sequence": sequence, "signature": bytes(64)}
        return wallet.md.call("PhalaMq", "sync_offchain_message", signed_message=signed)

    # Bare messages in the pool count, those inside of a batch do not.
    for nonce, sequence in enumerate((0, 1)):
        await para.call("author_submitExtrinsic", await wallet.sign(message(sequence), nonce))
    batch = wallet.md.call("Utility", "force_batch", calls=[message(2)])
    await para.call("author_submitExtrinsic", await wallet.sign(batch, 2))
    assert len(await para.call("author_pendingExtrinsics")) == 3
    assert await para.call("pha_getMqNextSequence", origin.hex()) == 2
    for wrong in ("", "zz", "ff" * 40):
        with pytest.raises(RpcFailed, match="invalid sender"):
            await para.call("pha_getMqNextSequence", wrong)


async def test_an_upgrade_changes_version_and_metadata_and_is_told() -> None:
    config = replace(CONFIG, history=20, para=replace(CONFIG.para, upgrade_at=12))
    async with Devnet(config) as net, connect(net.para_url) as para:
        versions = await para.call("state_subscribeRuntimeVersion")
        before = await para.told(versions)
        await net.produce(12)
        after = await para.told(versions)
        assert after["specVersion"] == before["specVersion"] + 1
        hashes = await para.call("chain_getBlockHash", [11, 12, 13])
        old, new, newer = [
            (await para.call("state_getRuntimeVersion", at))["specVersion"] for at in hashes
        ]
        assert old + 1 == new == newer
        wallet = Wallet(para, await metadata(para))
        assert raw(await para.call("state_getMetadata", hashes[0])) != wallet.md.raw
        call = wallet.md.call("System", "remark", remark=b"x")
        watch = await para.call("author_submitAndWatchExtrinsic", await wallet.sign(call, 0))
        await net.produce(8)
        statuses = [await para.told(watch) for _ in range(4)]
        assert "finalized" in statuses[-1]
        codes = [
            await para.call("state_getStorageHash", "0x" + b":code".hex(), at) for at in hashes
        ]
        assert codes[0] != codes[1] == codes[2]


async def test_a_killed_devnet_goes_on_with_the_same_chain(tmp_path: Path) -> None:
    async def start() -> tuple[asyncio.subprocess.Process, list[str]]:
        arguments = ["--relay-port", "0", "--para-port", "0", "--block-time", "0.05"]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "prbkit.testing.devnet",
            *arguments,
            "--data-dir",
            str(tmp_path),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert process.stdout is not None
        async with asyncio.timeout(30):
            lines = [await process.stdout.readline() for _ in range(2)]
        return process, [line.split()[-1].decode() for line in lines]

    async def hashes(url: str, count: int) -> list[str]:
        async with connect(url) as client:
            heads = await client.call("chain_subscribeNewHeads")
            while int((await client.told(heads))["number"], 16) < count:
                pass
            found: list[str] = await client.call("chain_getBlockHash", list(range(count + 1)))
            return found

    process, urls = await start()
    try:
        before = [await hashes(urls[0], 24), await hashes(urls[1], 8)]
        process.send_signal(signal.SIGKILL)
        await process.wait()
        process, urls = await start()
        assert [await hashes(urls[0], 24), await hashes(urls[1], 8)] == before
        await hashes(urls[0], 40)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
