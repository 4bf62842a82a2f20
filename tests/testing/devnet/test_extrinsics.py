"""What the pool and the block's author refuse, and why."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace

import ed25519_zebra
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prbkit.scale import unsigned_extrinsic
from prbkit.testing import messages
from prbkit.testing.devnet.dispatch import Context
from prbkit.testing.devnet.executive import FEE_BASE, FEE_PER_BYTE, TREASURY, Executive
from prbkit.testing.devnet.para import PHA, ParaRuntime
from prbkit.testing.devnet.runtime import InvalidTransaction, UndecodableExtrinsic
from prbkit.testing.devnet.storage import Storage
from prbkit.testing.devnet.tables import BLOCK_HASH_COUNT
from tests.testing.devnet.driver import ALICE, BOB, WORKER, Chain


@pytest.fixture
def chain():
    made = Chain()
    made.block()
    return made


@pytest.fixture(scope="module")
def shared():
    made = Chain()
    made.block()
    return made


def remark(chain, data=b"hello"):
    return chain.md.call("System", "remark", remark=data)


def refused(chain, extrinsic):
    with pytest.raises(InvalidTransaction) as caught:
        chain.validate(extrinsic)
    return caught.value.kind


def test_valid_extrinsic_is_included(chain):
    extrinsic = chain.sign(ALICE, remark(chain))
    validity = chain.validate(extrinsic)
    assert validity.provides == (ALICE.public + bytes(4),)
    assert validity.requires == ()
    executed = chain.block(extrinsic)
    assert executed.extrinsics[2] == extrinsic
    assert executed.refused == []
    assert chain.nonce(ALICE) == 1


def test_long_payloads_are_hashed_before_signing(chain):
    extrinsic = chain.sign(ALICE, remark(chain, bytes(300)))
    assert not chain.block(extrinsic).refused


@pytest.mark.parametrize(
    "wrong",
    [
        {"genesis_hash": bytes(32)},
        {"checkpoint_hash": bytes(32)},
        {"spec_version": 1},
        {"transaction_version": 1},
        {"sign": BOB.sign},
        {"sign": lambda _: bytes(64)},
        {"sign": lambda _: bytes(65), "crypto": "ecdsa"},
        {"crypto": "ed25519"},
    ],
)
def test_wrong_signatures_are_bad_proof(chain, wrong):
    assert refused(chain, chain.sign(ALICE, remark(chain), **wrong)) == "BadProof"


def test_ed25519_accounts_can_sign(chain):
    secret, public = map(bytes, ed25519_zebra.ed_from_seed(b"\7" * 32))
    chain.run(ALICE, "Balances", "transfer", dest={"Id": public}, value=PHA)
    extrinsic = chain.sign(
        ALICE,
        remark(chain),
        nonce=0,
        account=public,
        crypto="ed25519",
        sign=lambda message: bytes(ed25519_zebra.ed_sign(secret, message)),
    )
    assert not chain.block(extrinsic).refused


def test_nonces(chain):
    early = chain.sign(ALICE, remark(chain), nonce=1)
    validity = chain.validate(early)
    assert validity.requires == (ALICE.public + bytes(4),)
    ((_, future),) = chain.block(early).refused
    assert (future.kind, future.retry) == ("Future", True)
    first = chain.sign(ALICE, remark(chain), nonce=0)
    assert not chain.block(first, early).refused
    assert refused(chain, first) == "Stale"
    ((_, stale),) = chain.block(first).refused
    assert (stale.kind, stale.retry) == ("Stale", False)
    assert (stale.code, stale.message) == (1010, "Invalid Transaction")
    assert stale.data == "Transaction is outdated"


def test_eras(chain):
    for _ in range(3):
        chain.block()
    extrinsic = chain.sign(ALICE, remark(chain), era=(4, 3))
    assert chain.validate(extrinsic).longevity == 3 + 4 - 5
    for _ in range(2):
        chain.block()
    # The next block would begin a new era, whose first hash is not known yet; then it is another.
    assert chain.head.number == 6
    assert refused(chain, extrinsic) == "AncientBirthBlock"
    chain.block()
    assert refused(chain, extrinsic) == "BadProof"
    assert chain.validate(chain.sign(ALICE, remark(chain))).longevity == (1 << 64) - 1


def test_an_era_that_begins_before_the_kept_hashes_is_ancient(chain):
    extrinsic = chain.sign(ALICE, remark(chain), era=(4096, 1))
    chain.validate(extrinsic)
    key = chain.md.storage_key("System", "BlockHash", 1)
    chain.block()
    while chain.head.number < BLOCK_HASH_COUNT + 2:
        assert key in chain.state
        chain.block()
    assert key not in chain.state
    assert refused(chain, extrinsic) == "AncientBirthBlock"
    assert chain.get("System", "BlockHash", 0) == chain.hashes[0]


def test_fees(chain):
    before = chain.get("System", "Account", ALICE.public)["data"]["free"]
    treasury = chain.get("System", "Account", TREASURY)["data"]["free"]
    extrinsic = chain.sign(ALICE, remark(chain), tip=7)
    weight, fee = chain.runtime.fee(chain.state, extrinsic)
    assert fee == FEE_BASE + FEE_PER_BYTE * len(extrinsic) + weight
    chain.block(extrinsic)
    after = chain.get("System", "Account", ALICE.public)["data"]["free"]
    assert before - after == fee + 7
    assert chain.get("System", "Account", TREASURY)["data"]["free"] == treasury + fee + 7
    paid = next(event for event in chain.events if event.name == "TransactionFeePaid")
    assert paid.fields == {"who": ALICE.public, "actual_fee": fee, "tip": 7}


def test_who_cannot_pay_is_refused(chain):
    assert refused(chain, chain.sign(WORKER, remark(chain))) == "Payment"
    ((_, refusal),) = chain.block(chain.sign(WORKER, remark(chain))).refused
    assert refusal.kind == "Payment"
    assert refused(chain, chain.sign(ALICE, remark(chain), tip=10**30)) == "Payment"


def test_inherents_are_not_for_the_pool(chain):
    call = chain.md.call("Timestamp", "set", now=1)
    assert refused(chain, unsigned_extrinsic(chain.md, call)) == "MandatoryValidation"
    assert refused(chain, chain.sign(ALICE, call)) == "MandatoryValidation"
    assert refused(chain, unsigned_extrinsic(chain.md, remark(chain))) == "NoUnsignedValidator"
    batch = chain.run(ALICE, "Utility", "force_batch", calls=[call])
    assert batch[0] == ("Utility.ItemFailed", {"error": "BadOrigin"})


def test_too_big_for_any_block(chain):
    assert refused(chain, chain.sign(ALICE, remark(chain, bytes(4 << 20)))) == "ExhaustsResources"


def test_a_full_block_leaves_the_rest_for_later(chain):
    large = [chain.sign(ALICE, remark(chain, bytes(2 << 20)), nonce=n) for n in range(2)]
    executed = chain.block(*large)
    assert executed.extrinsics[2:] == large[:1]
    ((_, refusal),) = executed.refused
    assert (refusal.kind, refusal.retry) == ("ExhaustsResources", True)
    assert not chain.block(large[1]).refused


def test_addresses_that_name_no_account(chain):
    call = chain.md.call("Balances", "transfer", dest={"Raw": b"x"}, value=1)
    assert chain.block(chain.sign(ALICE, call)).refused == []
    assert chain.own_events() == [("Failed", "CannotLookup")]


def test_calls_that_stand_too_deep_fail_in_order(chain):
    call = remark(chain)
    for _ in range(100):
        call = chain.md.call("Utility", "batch", calls=[call])
    assert chain.block(chain.sign(ALICE, call)).refused == []
    assert chain.own_events()[0][0] == "Utility.BatchInterrupted"
    assert chain.own_events()[0][1]["error"] == "Exhausted"


@given(data=st.data())
def test_hostile_bytes_are_refused_without_harm(shared, data):
    chain = shared
    good = bytearray(chain.sign(ALICE, remark(chain)))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(good) - 1))
        good[at] ^= data.draw(st.integers(1, 255))
    tampered = bytes(good[: data.draw(st.integers(0, len(good)))])
    with pytest.raises((InvalidTransaction, UndecodableExtrinsic)):
        chain.validate(tampered)
    executed = chain.execute(tampered)
    assert len(executed.extrinsics) == 2
    assert len(executed.refused) == 1


def test_bare_messages_keep_their_sequence(chain):
    chain.register()

    def bare(sequence, nonce):
        message = chain.message(b"", topic=b"nobody", sequence=sequence)
        call = chain.md.call("PhalaMq", "sync_offchain_message", signed_message=message)
        return chain.sign(BOB, call, nonce=nonce)

    first, second = bare(0, 0), bare(1, 1)
    ahead = chain.validate(second)
    assert len(ahead.requires) == 2
    assert ahead.requires[1] == chain.validate(first).provides[1]
    swapped = chain.execute(bare(1, 0))
    assert swapped.refused[0][1].kind == "Future"
    assert not chain.block(first, second).refused
    assert chain.get("PhalaMq", "OffchainIngress", {"Worker": WORKER.public}) == 2
    assert refused(chain, bare(1, 2)) == "Stale"
    assert chain.execute(bare(1, 2)).refused[0][1].data == "Transaction is outdated"


def test_real_extrinsics_have_the_payloads_and_signatures_that_are_checked(data_dir):
    """What the real runtime accepted passes the same check under its own metadata."""
    metadata = (data_dir / "metadata/rhala_1241_v14.scale").read_bytes()
    run = json.loads(gzip.decompress((data_dir / "runtime/extrinsics.json.gz").read_bytes()))
    own = ParaRuntime()
    version = replace(
        own.version,
        spec_version=run["specVersion"],
        transaction_version=run["transactionVersion"],
    )

    class Real(ParaRuntime):
        def __init__(self):
            Executive.__init__(self, metadata, version, own.settings)

    runtime = Real()
    assert run["items"]
    for item in run["items"]:
        era = item["era"]
        number = era["birthBlock"] + 1
        ctx = Context(Storage(runtime.md, {}), number, own.settings)
        ctx.put("System", "BlockHash", 0, unhex(run["genesisHashInPayload"]))
        ctx.put("System", "BlockHash", era["birthBlock"], unhex(item["checkpointHash"]))
        checked = runtime._check(ctx, unhex(item["extrinsic"]))
        assert checked.signed.nonce == item["nonce"]
        ctx.put("System", "BlockHash", era["birthBlock"], bytes(32))
        with pytest.raises(InvalidTransaction, match="BadProof"):
            runtime._check(ctx, unhex(item["extrinsic"]))


def unhex(text):
    return bytes.fromhex(text[2:])


def test_the_metadata_hash_extension_is_accepted_when_off():
    chain = Chain(metadata_hash=True)
    assert not chain.block(chain.sign(ALICE, remark(chain))).refused


def test_a_stale_message_in_a_batch_is_an_item_that_fails(chain):
    chain.register()
    payload = messages.WORKING_REPORT.write(messages.Heartbeat(0, 0, 0, 0))
    good, stale = (chain.message(payload, topic=b"nobody", sequence=0) for _ in range(2))
    calls = [
        chain.md.call("PhalaMq", "sync_offchain_message", signed_message=each)
        for each in (good, stale)
    ]
    events = chain.run(BOB, "Utility", "force_batch", calls=calls)
    assert [name for name, _ in events] == [
        "Utility.ItemCompleted",
        "Utility.ItemFailed",
        "Utility.BatchCompletedWithErrors",
    ]
    assert chain.error(events[1][1]["error"]) == "PhalaMq.BadSequence"
