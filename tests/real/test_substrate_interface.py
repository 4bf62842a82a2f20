"""substrate-interface, from PyPI, uses the devnet as it would use any node."""

from __future__ import annotations

import asyncio
from typing import Any

from prbkit.light import read_proof
from prbkit.testing.devnet import Devnet, DevnetConfig

CONFIG = DevnetConfig(history=40, block_time=0.1)


def _use(para_url: str, relay_url: str) -> dict[str, Any]:
    from substrateinterface import Keypair, SubstrateInterface

    seen: dict[str, Any] = {}
    with SubstrateInterface(url=para_url) as para, SubstrateInterface(url=relay_url) as relay:
        seen["chain"] = para.chain
        seen["para_id"] = para.query("ParachainInfo", "ParachainId").value
        seen["blocks"] = []
        for substrate in (para, relay):
            for number in range(1, 11):
                at = substrate.get_block_hash(number)
                block = substrate.get_block(at)
                events = [event.value["event_id"] for event in substrate.get_events(at)]
                seen["blocks"].append((block["header"]["number"], len(block["extrinsics"]), events))

        alice, bob = Keypair.create_from_uri("//Alice"), Keypair.create_from_uri("//Bob")
        before = para.query("System", "Account", [bob.ss58_address]).value["data"]["free"]
        call = para.compose_call(
            "Balances", "transfer_keep_alive", {"dest": bob.ss58_address, "value": 10**12}
        )
        for era in (None, {"period": 64}):
            extrinsic = para.create_signed_extrinsic(call, alice, era=era)
            receipt = para.submit_extrinsic(
                extrinsic, wait_for_inclusion=True, wait_for_finalization=era is not None
            )
            if era is not None:
                seen["success"] = receipt.is_success
                seen["fee"] = receipt.total_fee_amount
                seen["block"] = receipt.block_hash
        after = para.query("System", "Account", [bob.ss58_address]).value["data"]["free"]
        seen["received"] = after - before
        seen["payment"] = para.get_payment_info(call, alice)

        at = relay.get_chain_finalised_head()
        key = relay.create_storage_key("Paras", "Heads", [CONFIG.para_id]).to_hex()
        proof = relay.rpc_request("state_getReadProof", [[key], at])["result"]["proof"]
        seen["proof"] = (relay.get_block_header(at)["header"]["stateRoot"], key, proof)
        seen["head"] = relay.query("Paras", "Heads", [CONFIG.para_id], block_hash=at)
        seen["head_raw"] = relay.rpc_request("state_getStorage", [key, at])["result"]
    return seen


async def test_substrate_interface_reads_proves_and_submits() -> None:
    async with Devnet(CONFIG) as net:
        async with asyncio.timeout(100):
            seen = await asyncio.to_thread(_use, net.para_url, net.relay_url)
        para = net.chain("para")
    assert seen["chain"] == "Khala Local Testnet"
    assert seen["para_id"] == CONFIG.para_id
    for index, (number, extrinsics, events) in enumerate(seen["blocks"]):
        assert number == index % 10 + 1
        assert extrinsics >= 1
        assert "ExtrinsicSuccess" in events
    assert seen["success"]
    assert seen["fee"] > 0
    assert seen["received"] == 2 * 10**12
    assert seen["payment"]["partialFee"] > 0
    block = para.block(bytes.fromhex(seen["block"][2:]))
    assert block is not None
    assert para.is_canonical(block)
    root, key, nodes = seen["proof"]
    value = read_proof(
        bytes.fromhex(root[2:]),
        [bytes.fromhex(node[2:]) for node in nodes],
        bytes.fromhex(key[2:]),
    )
    assert value == bytes.fromhex(seen["head_raw"][2:])
