"""Balances, batches, proxies, sudo and the frame around blocks."""

from __future__ import annotations

import pytest

from prbkit._native import core
from prbkit.testing.devnet.dispatch import Context, DispatchFailed
from prbkit.testing.devnet.para import PHA, ParaRuntime, ParaSettings
from prbkit.testing.devnet.para_tables import PROXY_DEPOSIT_BASE, PROXY_DEPOSIT_FACTOR
from prbkit.testing.devnet.runtime import ParaInherents
from prbkit.testing.devnet.storage import Storage
from prbkit.testing.devnet.tables import EXISTENTIAL_DEPOSIT
from tests.testing.devnet.driver import ALICE, BOB, CHARLIE, DAVE, START_MS, Chain

NOBODY = b"\x77" * 32


@pytest.fixture
def chain():
    return Chain()


def names(events):
    return [name for name, _ in events]


def call(chain, pallet, name, /, **args):
    return chain.md.call(pallet, name, **args)


def free(chain, who):
    return chain.get("System", "Account", who)["data"]["free"]


# ---------------------------------------------------------------------------------------- balances


def test_transfer_to_a_new_account(chain):
    events = chain.run(ALICE, "Balances", "transfer", dest={"Id": NOBODY}, value=PHA)
    assert events == [
        ("System.NewAccount", {"account": NOBODY}),
        ("Balances.Endowed", {"account": NOBODY, "free_balance": PHA}),
        ("Balances.Transfer", {"from": ALICE.public, "to": NOBODY, "amount": PHA}),
    ]
    assert free(chain, NOBODY) == PHA


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (10**30, "Balances.InsufficientBalance"),
        (EXISTENTIAL_DEPOSIT - 1, "Balances.ExistentialDeposit"),
    ],
)
def test_transfers_that_fail(chain, value, error):
    before = free(chain, BOB.public)
    events = chain.run(BOB, "Balances", "transfer", dest={"Id": NOBODY}, value=value)
    assert events == [("Failed", error)]
    assert NOBODY not in b"".join(chain.state)
    paid = next(e for e in chain.events if e.name == "TransactionFeePaid").fields["actual_fee"]
    assert free(chain, BOB.public) == before - paid


def test_keep_alive(chain):
    events = chain.run(BOB, "Balances", "transfer_all", dest={"Id": NOBODY}, keep_alive=True)
    assert free(chain, BOB.public) == EXISTENTIAL_DEPOSIT
    assert names(events)[-1] == "Balances.Transfer"
    call_ = call(chain, "Balances", "transfer_keep_alive", dest={"Id": ALICE.public}, value=PHA)
    as_bob = {"who": {"Id": BOB.public}, "call": call_}
    chain.run(ALICE, "Balances", "transfer", dest={"Id": BOB.public}, value=PHA)
    result = dict(chain.run(ALICE, "Sudo", "sudo_as", **as_bob))
    assert result["Sudo.SudoAsDone"]["sudo_result"] == {"Ok": ()}
    result = dict(chain.run(ALICE, "Sudo", "sudo_as", **as_bob))
    error = result["Sudo.SudoAsDone"]["sudo_result"]["Err"]
    assert chain.error(error) == "Balances.InsufficientBalance"


def test_an_account_dies_when_it_is_emptied(chain):
    chain.run(ALICE, "Balances", "transfer", dest={"Id": NOBODY}, value=PHA)
    issued = chain.get("Balances", "TotalIssuance")
    dest = {"Id": ALICE.public}
    call_ = call(chain, "Balances", "transfer", dest=dest, value=PHA - 5)
    events = chain.run(ALICE, "Sudo", "sudo_as", who={"Id": NOBODY}, call=call_)
    assert names(events)[:3] == ["System.KilledAccount", "Balances.DustLost", "Balances.Transfer"]
    assert chain.get("Balances", "TotalIssuance") == issued - 5
    assert chain.md.storage_key("System", "Account", NOBODY) not in chain.state


def test_force_transfer_is_for_root(chain):
    args = {"source": {"Id": BOB.public}, "dest": {"Id": NOBODY}, "value": PHA}
    assert chain.run(BOB, "Balances", "force_transfer", **args) == [("Failed", "BadOrigin")]
    assert chain.as_root("Balances", "force_transfer", **args) is None
    assert free(chain, NOBODY) == PHA


def test_issuance_is_the_sum_of_balances(chain):
    chain.start()
    chain.run(BOB, "PhalaWrappedBalances", "wrap", amount=5 * PHA)
    chain.run(BOB, "Balances", "transfer", dest={"Id": NOBODY}, value=PHA)
    prefix = chain.md.storage_prefix("System", "Account")
    total = 0
    for key, value in chain.state.items():
        if key.startswith(prefix):
            data = chain.md.decode_storage("System", "Account", value)["data"]
            total += data["free"] + data["reserved"]
    assert total == chain.get("Balances", "TotalIssuance")


# ----------------------------------------------------------------------------------------- utility


def test_order_of_events_in_a_force_batch(chain):
    calls = [
        call(chain, "System", "remark_with_event", remark=b"x"),
        call(chain, "Balances", "transfer", dest={"Id": NOBODY}, value=10**30),
        call(chain, "System", "remark", remark=b""),
    ]
    assert names(chain.run(ALICE, "Utility", "force_batch", calls=calls)) == [
        "System.Remarked",
        "Utility.ItemCompleted",
        "Utility.ItemFailed",
        "Utility.ItemCompleted",
        "Utility.BatchCompletedWithErrors",
    ]


def test_batch_stops_and_batch_all_undoes(chain):
    calls = [
        call(chain, "Balances", "transfer", dest={"Id": NOBODY}, value=PHA),
        call(chain, "Balances", "transfer", dest={"Id": NOBODY}, value=10**30),
        call(chain, "System", "remark_with_event", remark=b"x"),
    ]
    assert chain.run(ALICE, "Utility", "batch_all", calls=calls) == [
        ("Failed", "Balances.InsufficientBalance")
    ]
    assert free(chain, NOBODY) == 0
    events = chain.run(ALICE, "Utility", "batch", calls=calls)
    assert names(events)[-2:] == ["Utility.ItemCompleted", "Utility.BatchInterrupted"]
    assert events[-1][1]["index"] == 1
    assert free(chain, NOBODY) == PHA
    inner = call(chain, "Utility", "batch_all", calls=[])
    assert chain.run(ALICE, "Utility", "batch_all", calls=[inner]) == [
        ("Failed", "System.CallFiltered")
    ]


def test_too_many_calls(chain):
    remark = call(chain, "System", "remark", remark=b"")
    limit = chain.md.constant("Utility", "batched_calls_limit")
    too_many = call(chain, "Utility", "batch", calls=[remark] * (limit + 1))
    chain.block(chain.sign(ALICE, too_many))
    # Heavier than a block, so no author could include it.
    assert [refusal.kind for _, refusal in chain.executed.refused] == ["ExhaustsResources"]


# ------------------------------------------------------------------------------------------- proxy


def add_proxy(chain, who=ALICE, delegate=BOB.public, kind="StakePoolManager", delay=0):
    return chain.run(
        who, "Proxy", "add_proxy", delegate={"Id": delegate}, proxy_type=kind, delay=delay
    )


def by_proxy(chain, inner, who=BOB, real=ALICE.public, kind=None):
    return chain.run(who, "Proxy", "proxy", real={"Id": real}, force_proxy_type=kind, call=inner)


def test_order_of_events_in_a_proxied_force_batch(chain):
    add_proxy(chain)
    calls = [
        call(chain, "PhalaStakePoolv2", "create"),
        call(chain, "System", "remark", remark=b""),
    ]
    events = by_proxy(chain, call(chain, "Utility", "force_batch", calls=calls))
    assert names(events) == [
        "PhalaStakePoolv2.PoolCreated",
        "Utility.ItemCompleted",
        "Utility.ItemFailed",
        "Utility.BatchCompletedWithErrors",
        "Proxy.ProxyExecuted",
    ]
    assert events[0][1]["owner"] == ALICE.public
    assert chain.error(events[2][1]["error"]) == "System.CallFiltered"
    assert events[-1][1] == {"result": {"Ok": ()}}


def test_a_proxy_fails_inside_its_event(chain):
    add_proxy(chain, kind="Any")
    inner = call(chain, "Balances", "transfer", dest={"Id": NOBODY}, value=10**30)
    ((name, fields),) = by_proxy(chain, inner)
    assert name == "Proxy.ProxyExecuted"
    assert chain.error(fields["result"]["Err"]) == "Balances.InsufficientBalance"


@pytest.mark.parametrize(
    ("kind", "allowed", "forbidden"),
    [
        ("NonTransfer", ("PhalaStakePoolv2", "create"), ("Balances", "transfer_all")),
        ("StakePoolManager", ("PhalaStakePoolv2", "create"), ("Proxy", "remove_proxies")),
        ("Any", ("Proxy", "remove_proxies"), None),
        ("Governance", ("Utility", "batch"), ("PhalaStakePoolv2", "create")),
        ("Collator", None, ("PhalaStakePoolv2", "create")),
        ("CancelProxy", None, ("PhalaStakePoolv2", "create")),
    ],
)
def test_proxy_types(chain, kind, allowed, forbidden):
    args = {
        "batch": {"calls": []},
        "transfer_all": {"dest": {"Id": NOBODY}, "keep_alive": True},
    }
    add_proxy(chain, kind=kind)
    for wanted, result in ((forbidden, False), (allowed, True)):
        if wanted is not None:
            inner = call(chain, *wanted, **args.get(wanted[1], {}))
            outcome = by_proxy(chain, inner)[-1][1]["result"]
            assert ("Ok" in outcome) is result
            if not result:
                assert chain.error(outcome["Err"]) == "System.CallFiltered"


def test_a_proxy_cannot_widen_itself(chain):
    add_proxy(chain, kind="NonTransfer")
    wider = call(
        chain, "Proxy", "add_proxy", delegate={"Id": CHARLIE.public}, proxy_type="Any", delay=0
    )
    outcome = by_proxy(chain, wider)[-1][1]["result"]
    assert chain.error(outcome["Err"]) == "System.CallFiltered"


def test_proxy_errors(chain):
    remark = call(chain, "System", "remark", remark=b"")
    assert by_proxy(chain, remark) == [("Failed", "Proxy.NotProxy")]
    assert add_proxy(chain, delegate=ALICE.public) == [("Failed", "Proxy.NoSelfProxy")]
    assert names(add_proxy(chain)) == ["Balances.Reserved", "Proxy.ProxyAdded"]
    assert add_proxy(chain) == [("Failed", "Proxy.Duplicate")]
    assert by_proxy(chain, remark, kind="Any") == [("Failed", "Proxy.NotProxy")]
    add_proxy(chain, delegate=DAVE.public, delay=5)
    assert by_proxy(chain, remark, who=DAVE) == [("Failed", "Proxy.Unannounced")]
    held = chain.get("System", "Account", ALICE.public)["data"]["reserved"]
    assert held == PROXY_DEPOSIT_BASE + 2 * PROXY_DEPOSIT_FACTOR
    unknown = {"delegate": {"Id": NOBODY}, "proxy_type": "Any", "delay": 0}
    assert chain.run(ALICE, "Proxy", "remove_proxy", **unknown) == [("Failed", "Proxy.NotFound")]
    own = {"delegate": {"Id": BOB.public}, "proxy_type": "StakePoolManager", "delay": 0}
    assert names(chain.run(ALICE, "Proxy", "remove_proxy", **own)) == [
        "Balances.Unreserved",
        "Proxy.ProxyRemoved",
    ]
    chain.run(ALICE, "Proxy", "remove_proxies")
    assert chain.get("System", "Account", ALICE.public)["data"]["reserved"] == 0


def test_too_many_proxies(chain):
    adds = [
        call(
            chain,
            "Proxy",
            "add_proxy",
            delegate={"Id": bytes([i]) * 32},
            proxy_type="Any",
            delay=0,
        )
        for i in range(33)
    ]
    events = chain.run(BOB, "Utility", "force_batch", calls=adds)
    failed = [fields for name, fields in events if name == "Utility.ItemFailed"]
    assert [chain.error(each["error"]) for each in failed] == ["Proxy.TooMany"]


# -------------------------------------------------------------------------------------------- sudo


def test_sudo(chain):
    remark = call(chain, "System", "remark", remark=b"")
    assert chain.run(BOB, "Sudo", "sudo", call=remark) == [("Failed", "Sudo.RequireSudo")]
    before = free(chain, ALICE.public)
    assert chain.as_root("System", "set_storage", items=[(b"raw", b"value")]) is None
    assert chain.state[b"raw"] == b"value"
    assert free(chain, ALICE.public) == before
    assert chain.as_root("System", "kill_storage", keys=[b"raw"]) is None
    assert b"raw" not in chain.state
    assert chain.as_root("System", "remark", remark=b"") == "BadOrigin"
    events = chain.run(ALICE, "Sudo", "set_key", new={"Id": BOB.public})
    assert events == [("Sudo.KeyChanged", {"old_sudoer": ALICE.public})]
    assert names(chain.run(BOB, "Sudo", "sudo", call=remark)) == ["Sudo.Sudid"]


# ------------------------------------------------------------------------------------------ blocks


def test_the_same_inputs_give_the_same_block():
    chains = [Chain(), Chain()]
    assert chains[0].state == chains[1].state
    extrinsic = chains[0].sign(ALICE, call(chains[0], "PhalaStakePoolv2", "create"))
    left, right = (each.block(extrinsic) for each in chains)
    assert list(left.changes.items()) == list(right.changes.items())
    assert (left.extrinsics, left.digest_logs) == (right.extrinsics, right.digest_logs)


def test_every_key_of_the_state_is_described(chain):
    chain.start()
    chain.run(ALICE, "Proxy", "add_proxy", delegate={"Id": BOB.public}, proxy_type="Any", delay=0)
    items = {
        chain.md.storage_prefix(pallet.name, item): (pallet.name, item)
        for pallet in chain.md.pallets.values()
        for item in pallet.storage
    }
    for key, value in chain.state.items():
        if key.startswith(b":"):
            continue
        pallet, item = items[key[:32]]
        params = chain.md.decode_storage_key(pallet, item, key)
        assert chain.md.storage_key(pallet, item, *params) == key
        decoded = chain.md.decode_storage(pallet, item, value)
        assert chain.md.encode_storage(pallet, item, decoded) == value


def test_what_a_block_leaves(chain):
    executed = chain.block()
    chain.block()
    assert chain.get("System", "Number") == 2
    assert chain.get("System", "ParentHash") == chain.hashes[1]
    assert [chain.get("System", "BlockHash", n) for n in (0, 1)] == chain.hashes[:2]
    assert chain.get("Timestamp", "Now") == chain.now_ms
    assert chain.get("ParachainSystem", "ValidationData")["relay_parent_number"] == 4
    assert chain.get("ParachainInfo", "ParachainId") == 2004
    assert chain.get("System", "EventCount") == len(chain.events) == 2
    digest = chain.get("System", "Digest")["logs"]
    assert [chain.md.encode("sp_runtime::generic::digest::DigestItem", x) for x in digest] == (
        chain.executed.digest_logs
    )
    assert digest[0]["PreRuntime"][0] == b"aura"
    calls = [chain.md.decode_call(x[2:] if x[0] & 3 == 0 else x[3:]) for x in executed.extrinsics]
    assert [found[:2] for found in calls] == [
        ("Timestamp", "set"),
        ("ParachainSystem", "set_validation_data"),
    ]


def test_an_author_that_breaks_the_rules(chain):
    chain.block()

    def author(timestamp, relay):
        inherents = ParaInherents(timestamp, b"", relay, bytes(32))
        chain.runtime.execute_block(chain.state, 2, chain.hashes[-1], inherents, [])

    with pytest.raises(ValueError, match="block time"):
        author(START_MS, 4)
    with pytest.raises(ValueError, match="relay parent"):
        author(START_MS + 60_000, 2)


def test_the_runtime_upgrades():
    chain = Chain(upgrade_at=2)
    old = chain.runtime
    chain.block()
    before = chain.sign(BOB, call(chain, "System", "remark", remark=b""))
    code = chain.state[b":code"]
    executed = chain.block()
    assert chain.state[b":code"] != code
    assert executed.digest_logs[-1] == b"\x08"
    assert ("System", "CodeUpdated") in [(e.pallet, e.name) for e in chain.events]
    assert chain.runtime.version.spec_version == old.version.spec_version + 1
    assert chain.runtime.metadata != old.metadata
    assert "DevnetUpgrade" not in old.md.pallets
    executed = chain.block(before)
    assert [refusal.kind for _, refusal in executed.refused] == ["BadProof"]
    assert chain.get("DevnetUpgrade", "UpgradedAt") == 3
    assert chain.get("System", "LastRuntimeUpgrade")["spec_version"] == 1242
    assert chain.run(BOB, "System", "remark", remark=b"") == []
    assert chain.runtime.upgrade is None


def test_layers_roll_back():
    runtime = ParaRuntime(ParaSettings())
    storage = Storage(runtime.md, {b"base": b"1"})
    ctx = Context(storage, 1, runtime.settings)
    storage.write(b"a", b"1")

    def fails():
        with ctx.transaction():
            storage.write(b"a", b"2")
            storage.write(b"base", None)
            with ctx.transaction():
                ctx.deposit("System", "CodeUpdated")
            assert (storage.read(b"a"), storage.read(b"base")) == (b"2", None)
            raise DispatchFailed("Other")

    with pytest.raises(DispatchFailed):
        fails()
    assert (storage.read(b"a"), storage.read(b"base"), ctx.events) == (b"1", b"1", [])
    assert storage.changes == {b"a": b"1"}


def test_remarks_are_hashed(chain):
    events = chain.run(BOB, "System", "remark_with_event", remark=b"words")
    assert events == [
        ("System.Remarked", {"sender": BOB.public, "hash": core.blake2b_256(b"words")})
    ]
