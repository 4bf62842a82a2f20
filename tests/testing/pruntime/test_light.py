"""What a simulated pRuntime accepts, and every reason for which it refuses."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from prbkit import blobs
from prbkit.light import Header, Trie, encode_authorities
from prbkit.testing.pruntime import PRuntimeConfig
from prbkit.testing.pruntime.core import WORKERS, Core, Poisoned, Refused
from prbkit.testing.pruntime.light import LightClient
from prbkit.wire import pruntime as rpc

from .world import (
    AUTHORITIES,
    SEED,
    SET_ID,
    WELL_KNOWN,
    Relay,
    World,
    counters,
    dispatch,
    numbered,
    sync_combined,
    sync_para,
    sync_relay,
)


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def refused(match: str) -> object:
    return pytest.raises(Refused, match=match)


# --- InitRuntime


def test_init_sets_the_counters(world: World) -> None:
    core = Core(PRuntimeConfig(seed=SEED))
    assert not core.get_info().initialized
    answer = core.init_runtime(world.init())
    assert answer.encoded_public_key == core.public_key
    assert counters(core) == (2, 0, 1, False)
    info = core.get_info()
    assert info.initialized
    assert info.can_load_chain_state
    assert not info.registered
    assert counters(world.started(first_para_header=1)) == (2, 1, 1, False)


def test_init_is_done_once(world: World) -> None:
    with refused("already initialized"):
        world.started().init_runtime(world.init())


def test_a_genesis_proof_must_hold_grandpas_own_list(world: World) -> None:
    core = Core(PRuntimeConfig(seed=SEED))
    with pytest.raises(Poisoned):
        core.init_runtime(world.init(proof=world.genesis_proof(WELL_KNOWN, SET_ID)))
    assert not core.get_info().initialized
    core.init_runtime(world.init(proof=world.genesis_proof(AUTHORITIES)))
    assert core.get_info().initialized


def test_the_well_known_list_counts_where_the_other_is_proven_absent(world: World) -> None:
    """As on chains that have moved it; the value begins with a version byte."""
    pairs = [(WELL_KNOWN, b"\1" + encode_authorities(world.authorities()))]
    trie = Trie([*pairs, (AUTHORITIES[:-1] + b"\0", b"beside"), (b"far", b"off" * 20)])
    header = Header.make(
        parent_hash=bytes(32), number=1, state_root=trie.root, extrinsics_root=bytes(32), logs=()
    ).scale
    core = Core(PRuntimeConfig(seed=SEED))
    with pytest.raises(Poisoned):
        core.init_runtime(world.init(header=header, proof=trie.proof([WELL_KNOWN])))
    core.init_runtime(world.init(header=header, proof=trie.proof([WELL_KNOWN, AUTHORITIES])))
    assert core.get_info().headernum == 2


@pytest.mark.parametrize("change", ["another list", "another weight", "another order", "none"])
def test_authorities_that_are_not_the_proven_ones_kill(world: World, change: str) -> None:
    right = world.authorities()
    wrong = {
        "another list": world.authorities(1),
        "another weight": [(key, weight + 1) for key, weight in right],
        "another order": right[::-1],
        "none": [],
    }[change]
    with pytest.raises(Poisoned):
        Core(PRuntimeConfig(seed=SEED)).init_runtime(world.init(authorities=wrong))


@pytest.mark.parametrize("bad", [[], [b""], [b"\0" * 40]])
def test_a_proof_of_nothing_kills(world: World, bad: list[bytes]) -> None:
    with pytest.raises(Poisoned):
        Core(PRuntimeConfig(seed=SEED)).init_runtime(world.init(proof=bad))


def test_init_refuses_what_is_not_scale(world: World) -> None:
    core = Core(PRuntimeConfig(seed=SEED))
    for field in ("encoded_genesis_info", "encoded_genesis_state"):
        request = world.init()
        setattr(request, field, getattr(request, field)[:-1])
        with refused("Decode error"):
            core.init_runtime(request)


def test_the_genesis_state_must_name_its_parachain(world: World) -> None:
    with refused("ParachainId"):
        Core(PRuntimeConfig(seed=SEED)).init_runtime(world.init(state=[(b"a", b"b")]))


@pytest.mark.parametrize(
    "call",
    [
        lambda core, world: sync_relay(core, world.relay(2, 4)),
        lambda core, world: sync_para(core, world.para(0, 1), []),
        lambda core, world: sync_combined(core, world.relay(2, 4), [], []),
        lambda core, world: dispatch(core, []),
        lambda core, world: core.load_chain_state(rpc.ChainState(block_number=1)),
        lambda core, world: core.get_runtime_info(rpc.GetRuntimeInfoRequest()),
        lambda core, world: core.take_checkpoint(),
    ],
)
def test_nothing_is_done_before_init(world: World, call: Callable[[Core, World], object]) -> None:
    with refused("not initialized"):
        call(Core(PRuntimeConfig(seed=SEED)), world)


def test_before_init_there_are_no_messages() -> None:
    answer = Core(PRuntimeConfig(seed=SEED)).get_egress_messages()
    assert blobs.decode_egress(answer.encoded_messages) == []


# --- relay headers


def test_relay_headers_up_to_a_justified_one(world: World) -> None:
    core = world.started()
    assert sync_relay(core, world.relay(2, 4)) == 4
    assert counters(core) == (5, 0, 1, True)
    assert sync_relay(core, world.relay(5, 12)) == 12


def test_known_relay_headers_are_skipped(world: World) -> None:
    core = world.started()
    sync_relay(core, world.relay(2, 8))
    assert sync_relay(core, world.relay(2, 4)) == 8
    assert sync_relay(core, world.relay(4, 12)) == 12
    assert sync_relay(core, []) == 12


def _without_one(headers: Relay) -> Relay:
    return headers[:2] + headers[3:]


def _without_first(headers: Relay) -> Relay:
    return headers[1:]


def _not_justified(headers: Relay) -> Relay:
    return headers[:-1]


def _justified_in_the_middle(headers: Relay) -> Relay:
    return [(headers[0][0], headers[-1][1]), *headers[1:-1]]


def _another_justification(headers: Relay) -> Relay:
    return [*headers[:-1], (headers[-1][0], b"\0" * 100)]


def _swapped(headers: Relay) -> Relay:
    return [headers[0], headers[2], headers[1], *headers[3:]]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (_without_one, "Unexpected header"),
        (_swapped, "Unexpected header"),
        (_without_first, "Unexpected header"),
        (_not_justified, "no justification"),
        (_justified_in_the_middle, "no justification"),
        (_another_justification, "bad justification"),
    ],
)
def test_relay_headers_that_are_refused(
    world: World, change: Callable[[Relay], Relay], why: str
) -> None:
    core = world.started()
    before = counters(core)
    with refused(why):
        sync_relay(core, change(world.relay(2, 8)))
    assert counters(core) == before
    assert sync_relay(core, world.relay(2, 8)) == 8


@pytest.mark.parametrize("at", [0, 1])
def test_relay_headers_must_follow_their_parents(world: World, at: int) -> None:
    """Also the first one, which must follow what was accepted last."""
    headers = world.relay(2, 8)
    headers[at] = (b"\1" * 32 + headers[at][0][32:], None)
    with refused("does not follow"):
        sync_relay(world.started(), headers)


def test_a_justification_of_another_block_is_refused(world: World) -> None:
    headers, other = world.relay(2, 8), world.relay(2, 4)[-1][1]
    with refused("bad justification"):
        sync_relay(world.started(), [*headers[:-1], (headers[-1][0], other)])


def test_a_batch_ends_where_the_set_changes(world: World) -> None:
    change = world.changing[0]
    core = world.started()
    with refused("bad justification"):
        sync_relay(core, world.relay(2, change + 4))
    assert sync_relay(core, world.relay(2, change)) == change
    assert sync_relay(core, world.relay(change + 1, change + 4)) == change + 4


def test_the_genesis_set_id_signs_the_first_set(world: World) -> None:
    """The set id is not proven at init; a wrong one shows at the first justification."""
    core = Core(PRuntimeConfig(seed=SEED))
    core.init_runtime(world.init(set_id=1))
    with refused("bad justification"):
        sync_relay(core, world.relay(2, 4))


def test_bytes_that_are_no_headers_are_refused(world: World) -> None:
    core = world.started()
    for junk in (b"\4", b"\4\0\0", b"\xff" * 40):
        with refused("Decode error"):
            core.sync_header(rpc.HeadersToSync(encoded_headers=junk))
        with refused("Decode error"):
            core.sync_para_header(rpc.ParaHeadersToSync(encoded_headers=junk))
        with refused("Decode error"):
            core.dispatch_blocks(rpc.Blocks(encoded_blocks=junk))
    assert counters(core) == (2, 0, 1, False)


# --- para headers


def test_para_headers_up_to_the_proven_head(world: World) -> None:
    core = world.started()
    sync_relay(core, world.relay(2, 8))
    head = world.head(8)
    assert sync_para(core, world.para(0, head), world.head_proof(8)) == head
    assert counters(core) == (9, head + 1, 1, False)


def test_para_headers_come_once_for_each_relay_batch(world: World) -> None:
    core = world.started()
    with refused("no relay header"):
        sync_para(core, world.para(0, world.head(8)), world.head_proof(8))
    sync_relay(core, world.relay(2, 8))
    sync_para(core, world.para(0, world.head(8)), world.head_proof(8))
    with refused("no relay header"):
        sync_para(core, world.para(0, world.head(12)), world.head_proof(12))


def test_only_the_newest_relay_state_counts(world: World) -> None:
    core = world.started()
    sync_relay(core, world.relay(2, 4))
    sync_relay(core, world.relay(5, 8))
    with refused("not the head|bad para header proof"):
        sync_para(core, world.para(0, world.head(4)), world.head_proof(4))
    assert counters(core)[3]
    assert sync_para(core, world.para(0, world.head(8)), world.head_proof(8)) == world.head(8)


@pytest.mark.parametrize("off", [-1, 1])
def test_the_last_para_header_must_be_the_head(world: World, off: int) -> None:
    core = world.started()
    sync_relay(core, world.relay(2, 8))
    with refused("not the head"):
        sync_para(core, world.para(0, world.head(8) + off), world.head_proof(8))
    assert counters(core) == (9, 0, 1, True)


def test_para_headers_begin_where_they_are_expected(world: World) -> None:
    core = world.started()
    sync_relay(core, world.relay(2, 8))
    with refused("Unexpected para header"):
        sync_para(core, world.para(1, world.head(8)), world.head_proof(8))
    headers = world.para(0, world.head(8))
    with refused("Unexpected para header"):
        sync_para(core, [*headers[:1], *headers[2:]], world.head_proof(8))


def test_para_headers_chain_inside_a_batch(world: World) -> None:
    core = world.started()
    sync_relay(core, world.relay(2, 8))
    headers = world.para(0, world.head(8))
    forged = bytes(32) + headers[1][32:]
    with refused("does not follow"):
        sync_para(core, [headers[0], forged, *headers[2:]], world.head_proof(8))
    assert sync_para(core, headers, world.head_proof(8)) == world.head(8)


@pytest.mark.parametrize("proof", [[], [b"\0"], [b"\xff" * 64]])
def test_a_bad_proof_of_the_head_is_refused(world: World, proof: list[bytes]) -> None:
    core = world.started()
    sync_relay(core, world.relay(2, 8))
    with refused("bad para header proof"):
        sync_para(core, world.para(0, world.head(8)), proof)


def test_known_para_headers_are_skipped_without_a_look_at_their_proof(world: World) -> None:
    """And the flag stays: nobody may wait for it to fall."""
    core = world.synced(8)
    sync_relay(core, world.relay(9, 12))
    assert sync_para(core, world.para(0, world.head(8)), [b"junk"]) == world.head(8)
    assert counters(core)[3]
    assert sync_para(core, world.para(0, world.head(12)), world.head_proof(12)) == world.head(12)


# --- both at once


def test_combined_headers(world: World) -> None:
    core = world.started()
    head = world.head(8)
    both = sync_combined(core, world.relay(2, 8), world.para(0, head), world.head_proof(8))
    assert both == (8, head)


def test_relay_progress_stays_where_the_para_part_is_refused(world: World) -> None:
    core = world.started()
    with refused("not the head"):
        sync_combined(core, world.relay(2, 8), world.para(0, 1), world.head_proof(8))
    assert counters(core) == (9, 0, 1, True)


def test_without_para_headers_the_answer_wraps_around(world: World) -> None:
    assert sync_combined(world.started(), world.relay(2, 4), [], []) == (4, 2**32 - 1)
    assert sync_combined(world.synced(8), world.relay(9, 12), [], []) == (12, world.head(8))


# --- blocks


def test_blocks_in_order_up_to_the_headers(world: World) -> None:
    core = world.synced(12)
    head = world.head(12)
    assert dispatch(core, [(n, world.changes(n)) for n in (1, 2)]) == 2
    assert dispatch(core, [(n, world.changes(n)) for n in range(1, head + 1)]) == head
    assert core.get_info().state_root == Trie(world.state(head)).root.hex()
    with refused(f"header {head + 1} is not synced"):
        dispatch(core, [(head + 1, world.changes(head + 1))])


def test_known_blocks_are_a_success(world: World) -> None:
    core = world.synced(12, dispatched=3)
    assert dispatch(core, [(n, b"\0\0") for n in (0, 1, 2, 3)]) == 3
    assert dispatch(core, []) == 3


def test_blocks_out_of_turn_are_refused(world: World) -> None:
    core = world.synced(12)
    with refused("expected 1, got 2"):
        dispatch(core, [(2, world.changes(2))])
    with refused("expected 2, got 3"):
        dispatch(core, [(1, world.changes(1)), (3, world.changes(3))])
    assert counters(core)[2] == 2
    with refused("expected 3, got 2"):
        dispatch(core, [(2, world.changes(2)), (2, world.changes(2))])


def test_blocks_before_a_failing_one_stay(world: World) -> None:
    core = world.synced(12)
    wrong = blobs.encode_storage_changes([(b"more", b"than it should")])
    with refused("State root mismatch at block 3"):
        dispatch(core, [(1, world.changes(1)), (2, world.changes(2)), (3, wrong)])
    assert counters(core)[2] == 3
    assert dispatch(core, [(n, world.changes(n)) for n in (3, 4)]) == 4


def test_the_genesis_state_must_be_that_of_header_0(world: World) -> None:
    core = Core(PRuntimeConfig(seed=SEED))
    core.init_runtime(world.init(state=[*world.state(0), (b"more", b"1")]))
    sync_combined(core, world.relay(2, 8), world.para(0, world.head(8)), world.head_proof(8))
    undo = blobs.decode_storage_changes(world.changes(1))[0]
    with refused("not that of para header 0"):
        dispatch(core, [(1, blobs.encode_storage_changes([*undo, (b"more", None)]))])


def test_a_second_dispatch_while_one_runs_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    core = world.synced(8)
    begun, go_on = threading.Event(), threading.Event()
    original = LightClient.dispatch

    def slow(self: LightClient, *args: object) -> None:
        begun.set()
        assert go_on.wait(60)
        original(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(LightClient, "dispatch", slow)
    first = threading.Thread(target=dispatch, args=(core, [(1, world.changes(1))]))
    first.start()
    assert begun.wait(60)
    with refused("RCU in progress"):
        dispatch(core, [(1, world.changes(1))])
    assert core.get_info().blocknum == 1, "GetInfo answers meanwhile"
    go_on.set()
    first.join(60)
    monkeypatch.undo()
    assert dispatch(core, [(n, world.changes(n)) for n in (1, 2)]) == 2


# --- LoadChainState


def load(core: Core, number: int, state: list[tuple[bytes, bytes]]) -> None:
    core.load_chain_state(
        rpc.ChainState(block_number=number, encoded_state=blobs.storage_state(state))
    )


def test_a_loaded_state_skips_para_blocks_and_no_relay_header(world: World) -> None:
    core = world.started()
    load(core, 5, world.state(5))
    assert counters(core) == (2, 5, 6, False)
    assert not core.get_info().can_load_chain_state
    for last in (8, 12, 16):
        sync_relay(core, world.relay(core.get_info().headernum, last))
    sync_para(core, world.para(5, world.head(16)), world.head_proof(16))
    assert dispatch(core, [(6, world.changes(6))]) == 6


def test_a_state_is_loaded_once_and_before_any_relay_header(world: World) -> None:
    core = world.started()
    load(core, 5, world.state(5))
    with refused("Can not load chain state"):
        load(core, 6, world.state(6))
    core = world.started()
    with refused("no justification"):
        sync_relay(core, world.relay(2, 3))
    with refused("Can not load chain state"):
        load(core, 5, world.state(5))


def test_a_tried_para_header_alone_forbids_no_loading(world: World) -> None:
    core = world.started()
    with refused("no relay header"):
        sync_para(core, world.para(0, 3), [])
    load(core, 5, world.state(5))


def test_states_that_are_not_loaded(world: World) -> None:
    core = world.started()
    state = world.state(5)
    with refused("genesis|block 0"):
        load(core, 0, world.state(0))
    client_para_id = b"\1\2\3\4"
    other = [(key, client_para_id if value == b"\xd4\7\0\0" else value) for key, value in state]
    with refused("another parachain"):
        load(core, 5, other)
    with refused("already registered"):
        load(core, 5, [*state, (WORKERS + bytes(8) + core.public_key, b"info")])
    with refused("Decode error"):
        core.load_chain_state(rpc.ChainState(block_number=5, encoded_state=b"\4"))
    assert counters(core) == (2, 0, 1, False)
    load(core, 5, state)


def test_a_wrong_loaded_state_shows_at_the_first_block(world: World) -> None:
    core = world.started()
    load(core, 5, [*world.state(5), (b"more", b"1")])
    for last in (8, 12, 16):
        sync_relay(core, world.relay(core.get_info().headernum, last))
    sync_para(core, world.para(5, world.head(16)), world.head_proof(16))
    undo = blobs.decode_storage_changes(world.changes(6))[0]
    with refused("not that of para header 5"):
        dispatch(core, [(6, blobs.encode_storage_changes([*undo, (b"more", None)]))])


# --- life


def test_it_attests_itself_only_after_a_dispatched_block(world: World) -> None:
    core = world.synced(8)
    ask = rpc.GetRuntimeInfoRequest(force_refresh_ra=True)
    assert not core.get_runtime_info(ask).HasField("attestation")
    dispatch(core, [(1, world.changes(1))])
    assert core.get_runtime_info(ask).HasField("attestation")


def test_a_crash_goes_back_to_the_checkpoint(world: World) -> None:
    core = world.synced(12, dispatched=2)
    core.take_checkpoint()
    saved = counters(core)
    dispatch(core, [(3, world.changes(3))])
    sync_relay(core, world.relay(13, 16))
    core.crash()
    assert counters(core) == saved
    assert dispatch(core, [(n, world.changes(n)) for n in (3, 4)]) == 4
    core.crash()
    assert counters(core) == saved, "a checkpoint serves more than once"


def test_a_crash_without_a_checkpoint_loses_everything(world: World) -> None:
    core = world.synced(8, dispatched=1)
    core.crash()
    assert not core.get_info().initialized
    core.init_runtime(world.init())
    assert counters(core) == (2, 0, 1, False)


def test_only_the_number_of_a_dispatched_header_is_read() -> None:
    assert blobs.header_number(numbered(70_000)) == 70_000
