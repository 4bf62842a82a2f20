"""State roots, extrinsics roots and header hashes of real chains."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest

from prbkit import blobs
from prbkit._native import core
from prbkit.errors import CodecError, VerificationError
from prbkit.light import Header, Trie, check_chain, genesis_header, ordered_root, scheduled_change

from .data import load, unhex


def pairs(spec: Any) -> list[tuple[bytes, bytes]]:
    top = spec["genesis"]["raw"]["top"]
    return [(unhex(key), unhex(value)) for key, value in top.items()]


@pytest.mark.parametrize("chain", ["khala", "rhala", "westend"])
def test_genesis_hash(data_dir: Path, chain: str) -> None:
    expected = load(data_dir / "chainspec" / "genesis_hashes.json")[chain]
    genesis = pairs(load(data_dir / "chainspec" / f"{chain}.json.gz"))
    trie = Trie(genesis)
    assert len(trie) == expected["keys"]
    assert trie.root == unhex(expected["stateRoot"])
    header = genesis_header(trie.root)
    assert header.scale == unhex(expected["genesisHeader"])
    assert header.hash == unhex(expected["genesisHash"])
    if wrong := expected.get("stateRootIfWronglyBuiltWithStateVersion1"):
        assert Trie(genesis, version=1).root == unhex(wrong)
    assert trie.items() == sorted(genesis)


def test_phala_dev_changes_give_each_state_root(data_dir: Path) -> None:
    trie = Trie(pairs(load(data_dir / "trie" / "phala_dev_genesis.json.gz")))
    roots = (data_dir / "trie" / "phala_dev_state_roots_0_20.txt").read_text().split()
    blocks = load(data_dir / "trie" / "phala_dev_changes_0_20.json.gz")["result"]
    assert len(roots) == len(blocks) == 21
    # The first block writes the genesis once more.
    assert trie.root == unhex(roots[0])
    for root, block in zip(roots, blocks, strict=True):
        scale = blobs.storage_changes_from_json(block)
        assert trie.apply(*blobs.decode_storage_changes(scale)) == unhex(root)
        assert trie.root == unhex(root)
    assert Trie(trie.items()).root == trie.root


def test_rhala_changes_give_each_state_root(data_dir: Path) -> None:
    run = load(data_dir / "trie" / "rhala_sim_2_20.json.gz")
    code = load(data_dir / "chainspec" / "rhala.json.gz")["genesis"]["raw"]["top"]["0x3a636f6465"]
    base = [(unhex(key), unhex(value)) for key, value in run["baseState"].items()]
    trie = Trie([*base, (b":code", unhex(code))])
    assert trie.root == unhex(run["baseStateRoot"])
    assert [int(block["number"]) for block in run["blocks"]] == list(range(2, 21))
    for block in run["blocks"]:
        scale = blobs.storage_changes_from_json(block["changes"])
        assert trie.apply(*blobs.decode_storage_changes(scale)) == unhex(block["stateRoot"])


def test_sidecar_headers(data_dir: Path) -> None:
    cases = load(data_dir / "headers" / "sidecar_headers.json")
    assert len(cases) == 43
    for case in cases:
        scale = blobs.header_from_json(case["header"])
        assert scale == unhex(case["scale"])
        header = Header.decode(scale)
        assert header.hash == unhex(case["hash"])
        given = case["header"]
        assert header.parent_hash == unhex(given["parentHash"])
        assert header.number == int(str(given["number"]), 0)
        assert header.state_root == unhex(given["stateRoot"])
        assert header.extrinsics_root == unhex(given["extrinsicsRoot"])
        assert list(header.logs) == [unhex(log) for log in given["digest"]["logs"]]


def test_para_heads(data_dir: Path) -> None:
    heads = load(data_dir / "headers" / "para_heads.json")
    assert len(heads) == 151
    numbers: dict[tuple[str, int], set[int]] = {}
    for case in heads:
        head = unhex(case["headData"])
        assert blobs.header_hash(head) == unhex(case["paraHead"])
        if not case["standardHeader"]:
            # Read cleanly or refused cleanly: nobody knows what such a parachain keeps there.
            with contextlib.suppress(CodecError):
                assert Header.decode(head).scale == head
            continue
        header = Header.decode(head)
        assert header.scale == head
        blobs.check_header(head)
        known = case["decoded"]
        assert header.parent_hash == unhex(known["parentHash"])
        assert header.number == int(known["number"])
        assert header.state_root == unhex(known["stateRoot"])
        assert header.extrinsics_root == unhex(known["extrinsicsRoot"])
        again = Header.make(
            parent_hash=header.parent_hash,
            number=header.number,
            state_root=header.state_root,
            extrinsics_root=header.extrinsics_root,
            logs=header.logs,
        )
        assert again == header
        numbers.setdefault((case["relayChain"], case["paraId"]), set()).add(header.number)
        for end in range(len(head)):
            with pytest.raises(CodecError):
                Header.decode(head[:end])
    assert {290851, 1149870, 2243216} <= numbers["kusama", 2004]
    assert {722044, 4647658} <= numbers["polkadot", 2035]


KINDS = {0: "Other", 4: "Consensus", 5: "Seal", 6: "PreRuntime", 8: "RuntimeEnvironmentUpdated"}


def test_special_headers(data_dir: Path) -> None:
    for facts in load(data_dir / "headers" / "special_headers.json"):
        scale = (data_dir / "headers" / facts["file"]).read_bytes()
        header = Header.decode(scale)
        assert header.scale == scale
        assert header.hash == unhex(facts["hash"])
        assert header.parent_hash == unhex(facts["parentHash"])
        assert header.number == facts["number"]
        assert header.state_root == unhex(facts["stateRoot"])
        assert header.extrinsics_root == unhex(facts["extrinsicsRoot"])
        assert len(header.logs) == len(facts["logs"])
        for log, known in zip(header.logs, facts["logs"], strict=True):
            assert (KINDS[log[0]], log[1:5].decode()) == (known["kind"], known["engine"])
            size = len(core.compact(known["length"])) + known["length"]
            assert len(log) == 5 + size
        known = next((log for log in facts["logs"] if "grandpaLog" in log), None)
        change = scheduled_change(scale)
        assert (change is None) == (known is None)
        if change is not None and known is not None:
            assert len(change.authorities) == known["nextAuthorities"]
            assert change.authorities[0][0] == unhex(known["firstAuthority"])
            assert change.authorities[-1][0] == unhex(known["lastAuthority"])
            assert {weight for _, weight in change.authorities} == {1}
            assert change.delay == known["delay"]


def test_westend_chain_and_extrinsics(data_dir: Path) -> None:
    blocks = load(data_dir / "headers" / "westend_1_128.json.gz")
    blocks = blocks if isinstance(blocks, list) else blocks["blocks"]
    genesis = unhex(load(data_dir / "chainspec" / "genesis_hashes.json")["westend"]["genesisHash"])
    headers = [unhex(block.get("header") or block["scale"]) for block in blocks]
    assert check_chain(headers, genesis, 1) == unhex(blocks[-1]["hash"])
    assert len(blocks) == 128
    for block, header in zip(blocks, headers, strict=True):
        assert blobs.header_hash(header) == unhex(block["hash"])
        extrinsics = [unhex(extrinsic) for extrinsic in block["extrinsics"]]
        assert ordered_root(extrinsics) == Header.decode(header).extrinsics_root
    with pytest.raises(VerificationError, match="stands where 2 should"):
        check_chain([headers[0], headers[2]], genesis, 1)
    with pytest.raises(VerificationError, match="parent of block 1"):
        check_chain(headers, bytes(32), 1)


@pytest.mark.parametrize(
    "name", ["polkadot_18468942", "polkadot_789629", "statemine_kusama_3356195"]
)
def test_blocks(data_dir: Path, name: str) -> None:
    block = load(data_dir / "blocks" / f"{name}.json.gz")
    header = Header.decode(blobs.header_from_json(block["header"]))
    assert header.hash == unhex(block["hash"])
    extrinsics = [unhex(extrinsic) for extrinsic in block["extrinsics"]]
    assert ordered_root(extrinsics) == header.extrinsics_root
