"""The two chains, walked from end to end with the light client."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from prbkit.errors import ConfigError
from prbkit.light import Trie, read_proof, verify_justification
from prbkit.testing.devnet.blocks import Block, blake2_256
from prbkit.testing.devnet.chain import Chain
from prbkit.testing.devnet.config import DevnetConfig
from prbkit.testing.devnet.finality import FinalityError, schedules_change
from prbkit.testing.devnet.network import ONBOARDING, RELAY_GENESIS, Network
from prbkit.testing.layouts import Reader, blob

from .tiny import AUTHORITIES, SET_ID, heads_key, tiny, transaction

CONFIG = DevnetConfig(set_period=10, justification_period=4)


def grown(steps: int, config: DevnetConfig = CONFIG) -> Network:
    network = Network(config, tiny(config))
    for _ in range(steps):
        network.step()
    return network


def assert_same_line(chain: Chain, blocks: list[Block]) -> None:
    assert [block.hash for block in chain.blocks(0, len(blocks) - 1)] == [b.hash for b in blocks]


def test_headers_chain_and_states_have_their_roots() -> None:
    network = grown(60)
    for chain in (network.relay, network.para):
        trie = Trie([], version=chain.state_version)
        parent = None
        for block in chain.blocks(0, chain.best.number):
            assert block.hash == blake2_256(block.encoded)
            assert block.parent_hash == (parent.hash if parent else bytes(32))
            assert trie.apply(list(block.changes.items())) == block.header.state_root
            assert dict(chain.state(block).pairs()) == dict(trie.items())
            parent = block


@pytest.mark.parametrize("validators", [1, 2, 3, 4, 7, 10])
def test_every_justification_holds_and_set_changes_are_signed_by_the_old_set(
    validators: int,
) -> None:
    network = grown(100, replace(CONFIG, validators=validators))
    relay, finality = network.relay, network.finality
    set_id, kept = 0, 0
    for block in relay.blocks(1, relay.finalized.number):
        justification = relay.justification(block.hash)
        assert (justification is not None) == (
            block.number % CONFIG.justification_period == 0 or schedules_change(block)
        )
        if justification is not None:
            kept += 1
            verify_justification(
                justification,
                target_hash=block.hash,
                target_number=block.number,
                authorities=list(finality.voters(set_id).authorities),
                set_id=set_id,
            )
        if schedules_change(block):
            set_id += 1
    assert set_id == finality.set_id >= 8
    assert kept > 25


def test_proofs_of_finality_lead_from_set_to_set() -> None:
    network = grown(57)
    relay, finality = network.relay, network.finality
    known, set_id = RELAY_GENESIS, 0
    while known < relay.finalized.number:
        proof = finality.prove(known + 1)
        assert proof is not None
        block, justification, headers = proof
        assert [header.number for header in headers] == list(range(known + 2, block.number + 1))
        verify_justification(
            justification,
            target_hash=block.hash,
            target_number=block.number,
            authorities=list(finality.voters(set_id).authorities),
            set_id=set_id,
        )
        known = block.number
        set_id += schedules_change(block)
    assert set_id == 5
    with pytest.raises(FinalityError):
        finality.prove(relay.best.number)


def test_relay_states_prove_authorities_and_para_heads() -> None:
    network = grown(60)
    relay, para = network.relay, network.para
    key = heads_key(CONFIG.para_id)
    seen = set()
    for block in (*relay.blocks(0, 40), *reversed(relay.blocks(0, 60))):
        proof = relay.prove(block, [SET_ID, AUTHORITIES, key])
        root = block.header.state_root
        set_id = int.from_bytes(read_proof(root, proof, SET_ID) or b"", "little")
        assert set_id == block.number // CONFIG.set_period
        head = read_proof(root, proof, key)
        if block.number < ONBOARDING:
            assert head is None
        else:
            assert head is not None
            included = para.block(blake2_256(blob.read(Reader(head))))
            assert included is not None
            assert included.number == (block.number - ONBOARDING) // CONFIG.backing_delay
            seen.add(included.number)
    assert len(seen) == 30


def test_the_parachain_is_tied_to_its_relay_parents_and_its_finality() -> None:
    network = grown(50)
    relay, para = network.relay, network.para
    first = para.at(1)
    assert first is not None
    relay_parent = relay.block(first.link)
    assert relay_parent is not None
    assert relay_parent.number - 1 == RELAY_GENESIS
    genesis = relay.at(RELAY_GENESIS)
    assert genesis is not None
    assert para.state(para.genesis)[b":seed"] == genesis.hash
    included = para.block(relay.finalized.link)
    assert included is not None
    assert para.finalized.hash == included.hash


def test_the_same_settings_make_the_same_chain_and_another_seed_another() -> None:
    first, second = grown(30), grown(30)
    assert first.relay.best.hash == second.relay.best.hash
    assert first.para.best.hash == second.para.best.hash
    other = grown(30, replace(CONFIG, seed=1))
    assert other.relay.genesis.hash != first.relay.genesis.hash


def test_extrinsics_are_included_once_and_told_their_way_to_finality() -> None:
    network = grown(6)
    statuses: list[object] = []
    network.para_pool.submit(transaction(1, 1))
    network.para_pool.submit(transaction(1, 0), statuses.append)
    while not any(isinstance(s, dict) and "finalized" in s for s in statuses):
        network.step()
    blocks = network.para.blocks(0, network.para.best.number)
    included = [x for block in blocks for x in block.extrinsics if x in map_of(1, 2)]
    assert included == [transaction(1, 0), transaction(1, 1)]
    names = [s if isinstance(s, str) else next(iter(s)) for s in statuses]  # type: ignore[call-overload]
    assert names == ["ready", "broadcast", "inBlock", "finalized"]


def map_of(account: int, count: int) -> set[bytes]:
    return {transaction(account, nonce) for nonce in range(count)}


def test_a_reorg_takes_para_blocks_and_extrinsics_back_and_puts_them_in_again() -> None:
    config = replace(CONFIG, finality_lag=6)
    network = grown(20, config)
    statuses: list[object] = []
    network.para_pool.submit(transaction(1, 0), statuses.append)
    while not any(isinstance(s, dict) and "inBlock" in s for s in statuses):
        network.step()
    gone, gone_para = network.relay.best, network.para.best
    final = network.relay.finalized
    network.reorg(5)
    assert not network.relay.is_canonical(gone)
    assert not network.para.is_canonical(gone_para)
    assert network.relay.is_final(final)
    assert dict(network.relay.state(gone).pairs())
    while not any(isinstance(s, dict) and "finalized" in s for s in statuses):
        network.step()
    names = [s if isinstance(s, str) else next(iter(s)) for s in statuses]  # type: ignore[call-overload]
    assert names.count("inBlock") == 2
    assert names[-1] == "finalized"
    line = network.para.blocks(0, network.para.best.number)
    assert sum(transaction(1, 0) in block.extrinsics for block in line) == 1
    for chain in (network.relay, network.para):
        trie = Trie([], version=chain.state_version)
        for block in chain.blocks(0, chain.best.number):
            assert trie.apply(list(block.changes.items())) == block.header.state_root
    with pytest.raises(LookupError):
        network.relay.state(gone)
    with pytest.raises(ValueError, match="only unfinalized"):
        network.reorg(20)


def test_a_journal_brings_the_same_chain_up_again(tmp_path: Path) -> None:
    config = replace(CONFIG, data_dir=tmp_path / "first")
    network = grown(25, config)
    network.para_pool.submit(transaction(3, 0))
    network.step()
    network.step()
    network.reorg(1)
    relay = list(network.relay.blocks(0, network.relay.best.number))
    para = list(network.para.blocks(0, network.para.best.number))
    with pytest.raises(ConfigError, match="in use"):
        Network(config, tiny(config))
    # No close() before: what a kill leaves is what was written until then.
    left = tmp_path / "left"
    shutil.copytree(tmp_path / "first", left)
    again = Network(replace(config, data_dir=left), tiny(config))
    assert_same_line(again.relay, relay)
    assert_same_line(again.para, para)
    assert again.relay.finalized.hash == network.relay.finalized.hash
    assert again.para.finalized.hash == network.para.finalized.hash
    assert again.finality.set_changes == network.finality.set_changes
    for chain in (again, network):
        for _ in range(20):
            chain.step()
        chain.close()
    assert again.relay.best.hash == network.relay.best.hash


@pytest.mark.parametrize("cut", [1, 7, 100, 1000])
def test_a_torn_journal_loses_only_its_end(tmp_path: Path, cut: int) -> None:
    config = replace(CONFIG, data_dir=tmp_path)
    network = grown(25, config)
    network.close()
    path = tmp_path / "chains.journal"
    path.write_bytes(path.read_bytes()[:-cut])
    again = Network(config, tiny(config))
    assert again.relay.best.number >= 20
    assert_same_line(again.relay, list(network.relay.blocks(0, again.relay.best.number)))
    while again.relay.best.number < 40:
        again.step()
    again.close()
    assert Network(config, tiny(config)).relay.best.hash == again.relay.best.hash


def test_another_devnets_directory_is_refused(tmp_path: Path) -> None:
    grown(3, replace(CONFIG, data_dir=tmp_path)).close()
    for other in (replace(CONFIG, seed=9), replace(CONFIG, set_period=11), replace(CONFIG, slot=7)):
        with pytest.raises(ConfigError, match="another devnet"):
            grown(3, replace(other, data_dir=tmp_path))
