"""Workers on the chain: registering, benchmarks, pools, sessions, heartbeats, gatekeepers."""

from __future__ import annotations

import base64
import gzip
import json

import pytest

from prbkit._native import core
from prbkit.scale import Metadata
from prbkit.testing import messages
from prbkit.testing.devnet.accounts import dev_account
from prbkit.testing.devnet.dispatch import Context
from prbkit.testing.devnet.pallets import computation, pools, stake_pool
from prbkit.testing.devnet.para import PHA, PoolSettings
from prbkit.testing.devnet.storage import Storage
from tests.testing.devnet.driver import (
    ALICE,
    BLOCK_MS,
    BOB,
    RELAY_GENESIS,
    SETTINGS,
    START_MS,
    WORKER,
    Chain,
)

OTHER = dev_account("prbkit//worker//2")
POOL = "PhalaStakePoolv2"


@pytest.fixture
def chain():
    return Chain()


def info(chain, **changed):
    return {
        "version": 1,
        "machine_id": bytes(16),
        "pubkey": WORKER.public,
        "ecdh_pubkey": WORKER.public,
        "genesis_block_hash": RELAY_GENESIS,
        "features": [4, 1],
        "operator": ALICE.public,
        "para_id": 2004,
        "max_consensus_version": 1,
    } | changed


def register_v2(chain, attestation=None, **changed):
    return chain.run(
        BOB,
        "PhalaRegistry",
        "register_worker_v2",
        pruntime_info=info(chain, **changed),
        attestation=attestation,
    )


def worker_events(chain, pubkey=WORKER.public):
    return [
        each.event
        for each in chain.outbound()
        if isinstance(each, messages.WorkerEventWithKey) and each.pubkey == pubkey
    ]


# ------------------------------------------------------------------------------------- registering


def test_registering_asks_for_a_benchmark(chain):
    events = register_v2(chain)
    assert events == [
        (
            "PhalaRegistry.WorkerAdded",
            {"pubkey": WORKER.public, "attestation_provider": None, "confidence_level": 128},
        )
    ]
    assert worker_events(chain) == [messages.Registered(128), messages.BenchStart(2)]
    worker = chain.get("PhalaRegistry", "Workers", WORKER.public)
    assert (worker["operator"], worker["initial_score"]) == (ALICE.public, None)
    assert chain.get("PhalaRegistry", "WorkerAddedAt", WORKER.public) == 1
    assert register_v2(chain, operator=BOB.public)[0][0] == "PhalaRegistry.WorkerUpdated"
    assert chain.get("PhalaRegistry", "Workers", WORKER.public)["operator"] == BOB.public
    assert chain.get("PhalaRegistry", "WorkerAddedAt", WORKER.public) == 1
    chain.block()
    assert chain.outbound() == []


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"genesis_block_hash": bytes(32)}, "GenesisBlockHashRejected"),
        ({"para_id": 1}, "ParachainIdMismatch"),
    ],
)
def test_registrations_that_are_refused(chain, changed, error):
    assert register_v2(chain, **changed) == [("Failed", f"PhalaRegistry.{error}")]


def test_a_consensus_version_that_is_too_old(chain):
    key = chain.md.storage_key("PhalaRegistry", "PRuntimeConsensusVersion")
    chain.as_root("System", "set_storage", items=[(key, b"\2\0\0\0")])
    assert register_v2(chain) == [("Failed", "PhalaRegistry.InvalidConsensusVersion")]


def test_attestation_may_be_required():
    chain = Chain(none_attestation=False)
    assert register_v2(chain) == [("Failed", "PhalaRegistry.NoneAttestationDisabled")]
    assert chain.md.constant("PhalaRegistry", "NoneAttestationEnabled") is False


def report(encoded, status="OK", size=432):
    quote = bytes(368) + core.blake2b_256(encoded)
    body = {
        "isvEnclaveQuoteStatus": status,
        "isvEnclaveQuoteBody": base64.b64encode(quote.ljust(size, b"\0")).decode(),
    }
    return {
        "SgxIas": {
            "ra_report": json.dumps(body).encode(),
            "signature": b"",
            "raw_signing_cert": b"",
        }
    }


def test_attested_workers(chain):
    v1 = {k: v for k, v in info(chain).items() if k not in ("para_id", "max_consensus_version")}
    encoded = chain.md.encode("phala_types::WorkerRegistrationInfo", v1)

    def register(attestation):
        return chain.run(
            BOB, "PhalaRegistry", "register_worker", pruntime_info=v1, attestation=attestation
        )

    def failed(error):
        return [("Failed", f"PhalaRegistry.{error}")]

    bad = {"SgxIas": {"ra_report": b"[]", "signature": b"", "raw_signing_cert": b""}}
    assert register(bad) == failed("InvalidReport")
    assert register(report(b"other")) == failed("InvalidRuntimeInfoHash")
    assert register(report(encoded, "SIGNATURE_INVALID")) == failed("InvalidQuoteStatus")
    assert register(report(encoded, size=500)) == failed("UnknownQuoteBodyFormat")
    ((_, fields),) = register(report(encoded, "GROUP_OUT_OF_DATE"))
    assert (fields["attestation_provider"], fields["confidence_level"]) == ("Ias", 4)
    v2 = chain.md.encode("phala_types::WorkerRegistrationInfoV2", info(chain))
    ((_, fields),) = register_v2(chain, attestation=report(v2))
    assert (fields["attestation_provider"], fields["confidence_level"]) == ("Ias", 1)


def test_the_list_of_allowed_relay_blocks(chain):
    new = b"\x22" * 32
    add, remove = (f"{verb}_relaychain_genesis_block_hash" for verb in ("add", "remove"))
    assert chain.as_root("PhalaRegistry", add, genesis_block_hash=new) is None
    assert register_v2(chain, genesis_block_hash=new)[0][0] == "PhalaRegistry.WorkerAdded"
    error = chain.as_root("PhalaRegistry", add, genesis_block_hash=new)
    assert error == "PhalaRegistry.GenesisBlockHashAlreadyExists"
    assert chain.as_root("PhalaRegistry", remove, genesis_block_hash=new) is None
    error = chain.as_root("PhalaRegistry", remove, genesis_block_hash=new)
    assert error == "PhalaRegistry.GenesisBlockHashNotFound"


def test_endpoints(chain):
    def update(signing_time, *, content=messages.ENDPOINT_CONTENT, signature=None, worker=WORKER):
        payload = {
            "pubkey": worker.public,
            "versioned_endpoints": {"V1": ["https://worker"]},
            "signing_time": signing_time,
        }
        encoded = chain.md.encode("phala_types::WorkerEndpointPayload", payload)
        signature = signature or worker.sign(messages.wrap_content(encoded, content))
        return chain.run(
            BOB,
            "PhalaRegistry",
            "update_worker_endpoint",
            endpoint_payload=payload,
            signature=signature,
        )

    def failed(error):
        return [("Failed", f"PhalaRegistry.{error}")]

    assert update(START_MS, signature=b"short") == failed("InvalidSignatureLength")
    assert update(START_MS, content=0) == failed("InvalidSignature")
    assert update(START_MS + 10**9) == failed("InvalidEndpointSigningTime")
    assert update(START_MS - 5 * 3_600_000) == failed("InvalidEndpointSigningTime")
    assert update(START_MS) == failed("InvalidPubKey")
    chain.register()
    assert update(START_MS) == []
    assert chain.get("PhalaRegistry", "Endpoints", WORKER.public) == {"V1": ["https://worker"]}


# ---------------------------------------------------------------------------------------- messages


def test_a_benchmark_sets_the_score(chain):
    chain.register()
    begun = chain.now_ms
    for _ in range(3):
        chain.block()
    bench = messages.REGISTRY_EVENT.write(messages.BenchReport(begun, 12_345))
    events = chain.sync(bench)
    seconds = 4 * BLOCK_MS // 1000
    score = 12_345 // seconds * 6
    assert events == [
        ("PhalaRegistry.InitialScoreSet", {"pubkey": WORKER.public, "init_score": score})
    ]
    assert worker_events(chain) == [messages.BenchScore(score)]
    assert chain.get("PhalaRegistry", "Workers", WORKER.public)["initial_score"] == score
    chain.benchmark(iterations=10**18)
    assert chain.get("PhalaRegistry", "Workers", WORKER.public)["initial_score"] == 6000


def test_messages_that_change_nothing_count_all_the_same(chain):
    chain.register()
    from_the_future = messages.BenchReport(chain.now_ms * 2, 1)
    assert chain.sync(messages.REGISTRY_EVENT.write(from_the_future)) == []
    assert chain.sync(b"\xff garbage") == []
    no_pallets = messages.REGISTRY_EVENT.write(messages.BenchReport(START_MS, 10**6))
    assert chain.sync(no_pallets, topic=b"phala/registry/event") == []
    assert len(chain.get("PhalaMq", "OutboundMessages")) == 1
    assert chain.get("PhalaMq", "OffchainIngress", {"Worker": WORKER.public}) == 3
    assert chain.get("PhalaRegistry", "Workers", WORKER.public)["initial_score"] is None


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"sender": messages.PalletOrigin(b"PhalaRegistry")}, "PhalaMq.BadSender"),
        ({"sender": messages.AccountOrigin(ALICE.public)}, "PhalaMq.BadSender"),
        ({"topic": b""}, "PhalaMq.BadDestination"),
        ({"sender": messages.WorkerOrigin(OTHER.public)}, "PhalaRegistry.InvalidSignature"),
        ({"sender": messages.GatekeeperOrigin()}, "PhalaRegistry.MasterKeyUninitialized"),
        ({"sender": messages.ContractOrigin(bytes(32))}, "PhalaRegistry.UnknownContract"),
        ({"sender": messages.ClusterOrigin(bytes(32))}, "PhalaRegistry.UnknownCluster"),
    ],
)
def test_messages_that_are_refused(chain, options, error):
    assert chain.sync(b"", **options) == [("Failed", error)]


def test_a_message_out_of_sequence_in_a_batch(chain):
    calls = [
        chain.md.call(
            "PhalaMq",
            "sync_offchain_message",
            signed_message=chain.message(b"", topic=b"t", sequence=sequence),
        )
        for sequence in (0, 2, 1)
    ]
    events = chain.run(BOB, "Utility", "force_batch", calls=calls)
    assert [name for name, _ in events[:3]] == [
        "Utility.ItemCompleted",
        "Utility.ItemFailed",
        "Utility.ItemCompleted",
    ]


def test_a_signature_of_the_wrong_length(chain):
    message = chain.message(b"") | {"signature": b"short"}
    events = chain.run(BOB, "PhalaMq", "sync_offchain_message", signed_message=message)
    assert events == [("Failed", "PhalaRegistry.InvalidSignatureLength")]


def test_accounts_send_messages(chain):
    assert chain.run(BOB, "PhalaMq", "push_message", destination=b"topic", payload=b"x") == []
    (sent,) = chain.get("PhalaMq", "OutboundMessages")
    assert sent == {"sender": {"AccountId": BOB.public}, "destination": b"topic", "payload": b"x"}


# ------------------------------------------------------------------------------------------- pools


def test_pools(chain):
    ((name, fields),) = chain.run(BOB, POOL, "create")
    assert (name, fields["pid"], fields["cid"]) == (f"{POOL}.PoolCreated", 1, 10_001)
    pool = chain.get("PhalaBasePool", "Pools", 1)["StakePool"]
    assert pool["basepool"]["owner"] == BOB.public
    assert pool["basepool"]["pool_account_id"] == fields["pool_account_id"]
    assert chain.get("PhalaBasePool", "PoolCount") == 2
    assert chain.get("PhalaBasePool", "PoolCollections", 10_001) == 1
    wrapped = chain.run(BOB, "PhalaWrappedBalances", "wrap", amount=100 * PHA)
    assert [each[0] for each in wrapped][-1] == "PhalaWrappedBalances.Wrapped"
    contributed = chain.run(BOB, POOL, "contribute", pid=1, amount=60 * PHA, as_vault=None)
    assert [each[0] for each in contributed] == [
        "PhalaBasePool.NftCreated",
        "System.NewAccount",
        "Assets.Transferred",
        f"{POOL}.Contribution",
    ]
    base = chain.get("PhalaBasePool", "Pools", 1)["StakePool"]["basepool"]
    assert (base["total_value"], base["total_shares"]) == (60 * PHA, 60 * PHA)
    assert chain.get("Assets", "Account", 10_000, BOB.public)["balance"] == 40 * PHA


def test_pool_errors(chain):
    def failed(name, who=BOB, **args):
        ((outcome, error),) = chain.run(who, POOL, name, **args)
        assert outcome == "Failed"
        return error

    give = {"amount": PHA, "as_vault": None}
    assert failed("contribute", pid=9, **give) == "PhalaBasePool.PoolDoesNotExist"
    assert failed("contribute", pid=0, **give) == f"{POOL}.InsufficientBalance"
    tiny = {"amount": 1, "as_vault": None}
    assert failed("contribute", pid=0, **tiny) == f"{POOL}.InsufficientContribution"
    vault = {"amount": PHA, "as_vault": 3}
    assert failed("contribute", pid=0, **vault) == "PhalaBasePool.PoolTypeNotMatch"
    assert failed("set_cap", pid=0, cap=PHA) == f"{POOL}.UnauthorizedPoolOwner"
    assert failed("set_cap", ALICE, pid=0, cap=PHA) == f"{POOL}.InadequateCapacity"
    capped = chain.run(ALICE, POOL, "set_cap", pid=0, cap=100_000 * PHA)
    assert capped == [(f"{POOL}.PoolCapacitySet", {"pid": 0, "cap": 100_000 * PHA})]
    chain.run(BOB, "PhalaWrappedBalances", "wrap", amount=PHA)
    assert failed("contribute", pid=0, **give) == f"{POOL}.StakeExceedsCapacity"


def test_adding_workers(chain):
    def add(who=ALICE, pid=0):
        return chain.run(who, POOL, "add_worker", pid=pid, pubkey=WORKER.public)

    def failed(error):
        return [("Failed", error)]

    assert add() == failed(f"{POOL}.WorkerNotRegistered")
    chain.register()
    assert add(BOB) == failed(f"{POOL}.UnauthorizedOperator")
    assert add() == failed(f"{POOL}.BenchmarkMissing")
    chain.benchmark()
    assert add(pid=7) == failed("PhalaBasePool.PoolDoesNotExist")
    chain.run(BOB, POOL, "create")
    assert add(pid=1) == failed(f"{POOL}.UnauthorizedPoolOwner")
    session = stake_pool.session_account(0, WORKER.public)
    assert add() == [
        ("PhalaComputation.SessionBound", {"session": session, "worker": WORKER.public}),
        (f"{POOL}.PoolWorkerAdded", {"pid": 0, "worker": WORKER.public, "session": session}),
    ]
    assert add() == failed(f"{POOL}.WorkerExists")
    assert chain.get(POOL, "WorkerAssignments", WORKER.public) == 0
    assert chain.get("PhalaComputation", "WorkerBindings", WORKER.public) == session
    assert chain.get("PhalaComputation", "SessionBindings", session) == WORKER.public
    assert chain.session()["state"] == "Ready"
    chain.run(ALICE, POOL, "create")
    assert add(pid=2) == failed(f"{POOL}.FailedToBindSessionAndWorker")


def test_starting_and_stopping(chain):
    chain.register()
    chain.benchmark()

    def run(name, who=ALICE, worker=WORKER.public, **args):
        return chain.run(who, POOL, name, pid=0, worker=worker, **args)

    def failed(error):
        return [("Failed", error)]

    stake = {"stake": 20_000 * PHA}
    assert run("start_computing", **stake) == failed(f"{POOL}.WorkerDoesNotExist")
    assert run("remove_worker") == failed(f"{POOL}.WorkerDoesNotExist")
    chain.run(ALICE, POOL, "add_worker", pid=0, pubkey=WORKER.public)
    assert run("start_computing", BOB, **stake) == failed(f"{POOL}.UnauthorizedPoolOwner")
    enough = 10**6 * PHA
    assert run("start_computing", stake=enough) == failed(f"{POOL}.InsufficientFreeStake")
    assert run("start_computing", stake=1) == failed("PhalaComputation.InsufficientStake")
    most = 90_000 * PHA
    assert run("start_computing", stake=most) == failed("PhalaComputation.TooMuchStake")
    assert run("stop_computing") == failed("PhalaComputation.WorkerNotComputing")
    events = run("start_computing", **stake)
    assert [name for name, _ in events] == [
        "PhalaComputation.WorkerStarted",
        "System.NewAccount",
        "Assets.Transferred",
        f"{POOL}.WorkingStarted",
    ]
    session = chain.session()
    assert session["state"] == "WorkerIdle"
    assert session["ve"] == session["v"] == events[0][1]["init_v"]
    assert worker_events(chain) == [
        messages.Started(0, session["ve"], session["benchmark"]["p_init"])
    ]
    assert chain.get("PhalaComputation", "OnlineWorkers") == 1
    account = stake_pool.session_account(0, WORKER.public)
    assert chain.get("PhalaComputation", "Stakes", account) == stake["stake"]
    assert run("start_computing", **stake) == failed("PhalaComputation.WorkerNotReady")
    assert run("remove_worker") == failed(f"{POOL}.WorkerIsNotReady")
    less = run("restart_computing", **stake)
    assert less == failed(f"{POOL}.CannotRestartWithLessStake")
    assert chain.session()["state"] == "WorkerIdle"
    more = run("restart_computing", stake=21_000 * PHA)
    assert more[-1][1]["amount"] == 21_000 * PHA
    assert [type(each) for each in worker_events(chain)] == [messages.Stopped, messages.Started]
    assert chain.get("PhalaComputation", "Stakes", account) == 21_000 * PHA
    assert run("stop_computing")[-1][0] == "PhalaComputation.WorkerStopped"
    assert chain.session()["state"] == "WorkerCoolingDown"
    assert chain.get("PhalaComputation", "OnlineWorkers") == 0
    assert run("stop_computing") == failed(f"{POOL}.WorkerAlreadyStopped")
    assert run("reclaim_pool_worker") == failed("PhalaComputation.CoolDownNotReady")
    chain.as_root("PhalaComputation", "set_cool_down_expiration", period=1)
    assert run("reclaim_pool_worker")[-1][0] == f"{POOL}.WorkerReclaimed"
    assert chain.session()["state"] == "Ready"
    assert run("remove_worker")[-1][0] == f"{POOL}.PoolWorkerRemoved"
    assert chain.session() is None
    pool = chain.get("PhalaBasePool", "Pools", 0)["StakePool"]
    assert (pool["workers"], pool["cd_workers"]) == ([], [])
    free = chain.get("Assets", "Account", 10_000, pool["basepool"]["pool_account_id"])
    assert free["balance"] == 100_000 * PHA


def test_a_worker_of_another_pool(chain):
    chain.start()
    chain.run(ALICE, POOL, "create")
    events = chain.run(ALICE, POOL, "remove_worker", pid=1, worker=WORKER.public)
    assert events == [("Failed", f"{POOL}.WorkerInAnotherPool")]


def test_a_low_score_is_no_start(chain):
    chain.register()
    chain.benchmark(iterations=100)
    chain.run(ALICE, POOL, "add_worker", pid=0, pubkey=WORKER.public)
    events = chain.run(
        ALICE, POOL, "start_computing", pid=0, worker=WORKER.public, stake=20_000 * PHA
    )
    assert events == [("Failed", "PhalaComputation.BenchmarkTooLow")]


def test_the_operator_takes_a_worker_back(chain):
    chain.start()
    session = stake_pool.session_account(0, WORKER.public)
    unbind = ("PhalaComputation", "unbind")
    assert chain.run(BOB, *unbind, session=session) == [("Failed", "PhalaComputation.BadSender")]
    events = chain.run(ALICE, *unbind, session=session)
    assert [name for name, _ in events] == [
        "PhalaComputation.WorkerStopped",
        "PhalaComputation.SessionUnbound",
        f"{POOL}.PoolWorkerRemoved",
    ]
    assert chain.get(POOL, "WorkerAssignments", WORKER.public) is None
    events = chain.run(ALICE, *unbind, session=session)
    assert events == [("Failed", "PhalaComputation.SessionNotBound")]


def test_pools_of_the_genesis():
    chain = Chain(pools=(PoolSettings(BOB.public, 7 * PHA), PoolSettings(ALICE.public, 0)))
    first, second = (chain.get("PhalaBasePool", "Pools", pid)["StakePool"] for pid in (0, 1))
    assert first["basepool"]["total_value"] == 7 * PHA
    account = chain.get("Assets", "Account", 10_000, first["basepool"]["pool_account_id"])
    assert account["balance"] == 7 * PHA
    assert second["basepool"]["total_value"] == 0
    asset = chain.get("Assets", "Asset", 10_000)
    assert (asset["supply"], asset["accounts"]) == (7 * PHA, 1)


# -------------------------------------------------------------------------------------- heartbeats


def test_challenges_and_silence():
    chain = Chain(challenges=True, unresponsive_after_sec=30)
    chain.start()
    challenges = [e for e in chain.outbound() if isinstance(e, messages.HeartbeatChallenge)]
    assert len(challenges) == 1
    assert challenges[0].online_target > 0
    heartbeat = messages.HeartbeatV2(0, chain.head.number, chain.now_ms, 50_000, 0, 0)
    events = chain.sync(messages.WORKING_REPORT.write(heartbeat), topic=messages.REPORT_TOPIC)
    assert [name for name, _ in events] == ["PhalaComputation.BenchmarkUpdated"]
    assert chain.session()["benchmark"]["iterations"] == 50_000
    while chain.session()["state"] == "WorkerIdle":
        assert chain.head.number < 20
        chain.block()
    assert worker_events(chain) == [messages.EnterUnresponsive()]
    late = messages.Heartbeat(0, chain.head.number, chain.now_ms, 60_000)
    events = chain.sync(messages.WORKING_REPORT.write(late), topic=messages.REPORT_TOPIC)
    assert events[-1][0] == "PhalaComputation.WorkerExitUnresponsive"
    assert chain.session()["state"] == "WorkerIdle"
    assert messages.ExitUnresponsive() in worker_events(chain)
    assert chain.as_root("PhalaComputation", "set_heartbeat_paused", paused=True) is None
    chain.block()
    assert chain.outbound() == []
    assert chain.as_root("PhalaComputation", "force_heartbeat") is None
    (challenge,) = chain.outbound()
    assert challenge == messages.HeartbeatChallenge(0, (1 << 256) - 1)


def test_gatekeepers_settle(chain):
    chain.start()
    assert chain.as_root("PhalaRegistry", "register_gatekeeper", gatekeeper=OTHER.public) == (
        "PhalaRegistry.WorkerNotFound"
    )
    error = chain.as_root("PhalaRegistry", "register_gatekeeper", gatekeeper=WORKER.public)
    assert error is None
    master = dev_account("prbkit//gatekeeper-master")
    chain.sync(messages.REGISTRY_EVENT.write(messages.MasterPubkey(master.public)))
    assert chain.get("PhalaRegistry", "GatekeeperMasterPubkey") == master.public

    def update(**changed):
        event = messages.WorkingInfoUpdate(chain.head.number, chain.now_ms, **changed)
        return chain.sync(
            messages.WORKING_INFO_UPDATE.write(event),
            topic=messages.UPDATE_TOPIC,
            worker=master,
            sender=messages.GatekeeperOrigin(),
        )

    assert update(offline=[WORKER.public])[0][0] == "PhalaComputation.WorkerEnterUnresponsive"
    assert chain.session()["state"] == "WorkerUnresponsive"
    back = update(recovered_to_online=[WORKER.public, OTHER.public])
    assert [name for name, _ in back] == ["PhalaComputation.WorkerExitUnresponsive"]
    settle = [messages.SettleInfo(WORKER.public, 5 << 64, 2 << 64, 0)]
    settled = update(settle=[*settle, messages.SettleInfo(OTHER.public, 0, 1 << 64, 0)])
    assert [name for name, _ in settled] == [
        "PhalaComputation.SessionSettled",
        "Balances.Transfer",
        "Assets.Issued",
        "Assets.Issued",
        f"{POOL}.RewardReceived",
        f"{POOL}.RewardDismissedNotInPool",
    ]
    assert settled[4][1] == {"pid": 0, "to_owner": 0, "to_stakers": 2 * PHA}
    base = chain.get("PhalaBasePool", "Pools", 0)["StakePool"]["basepool"]
    assert base["total_value"] == base["total_shares"] + 2 * PHA
    assert chain.session()["v"] == 5 << 64
    assert chain.session()["stats"]["total_reward"] == 2 * PHA
    event = messages.WorkingInfoUpdate(1, START_MS, settle=settle)
    dropped = chain.sync(
        messages.WORKING_INFO_UPDATE.write(event),
        topic=messages.UPDATE_TOPIC,
        worker=master,
        sender=messages.GatekeeperOrigin(),
    )
    assert dropped[0][0] == "PhalaComputation.SessionSettlementDropped"


def test_calls_for_root_only(chain):
    session = bytes(32)
    for name, args in {
        "set_cool_down_expiration": {"period": 1},
        "force_heartbeat": {},
        "force_start_computing": {"session": session, "stake": 1},
        "force_stop_computing": {"session": session},
        "set_heartbeat_paused": {"paused": False},
    }.items():
        events = chain.run(BOB, "PhalaComputation", name, **args)
        assert events == [("Failed", "BadOrigin")]
    starting = {"session": session, "stake": 1}
    error = chain.as_root("PhalaComputation", "force_start_computing", **starting)
    assert error == "PhalaComputation.SessionNotFound"
    error = chain.as_root("PhalaComputation", "force_stop_computing", session=session)
    assert error == "PhalaComputation.SessionNotBound"


# ------------------------------------------------------------------------- the real chain's numbers


@pytest.fixture(scope="module")
def rhala(data_dir):
    """State of the real runtime's run, decoded by its own metadata."""
    md = Metadata.decode((data_dir / "metadata/rhala_1241_v14.scale").read_bytes())
    raw = json.loads(gzip.decompress((data_dir / "storage/rhala_state.json.gz").read_bytes()))
    items = raw if isinstance(raw, list) else raw["items"]
    return md, {bytes.fromhex(each["key"][2:]): bytes.fromhex(each["value"][2:]) for each in items}


def test_v_is_that_of_the_real_pallet(rhala):
    md, state = rhala
    prefix = md.storage_prefix("PhalaComputation", "Sessions")
    sessions = [
        md.decode_storage("PhalaComputation", "Sessions", value)
        for key, value in state.items()
        if key.startswith(prefix)
    ]
    chain = Chain()
    ctx = Context(Storage(chain.md, chain.state), 1, SETTINGS)
    for stake, score in ((20_000, 1074), (15_000, 738)):
        worker = {"initial_score": score, "confidence_level": 128}
        ve = computation._initial_v(ctx, worker, stake * PHA)
        found = [each["ve"] for each in sessions if each["benchmark"]["p_init"] == score]
        assert found == [ve]


def test_parameters_are_those_of_the_real_chain(data_dir):
    md = Metadata.decode((data_dir / "metadata/rhala_1241_v14.scale").read_bytes())
    raw = json.loads((data_dir / "storage/rhala_genesis.json").read_text())
    items = raw if isinstance(raw, list) else raw["items"]
    value = next(each["value"] for each in items if each["item"] == "TokenomicParameters")
    real = md.decode_storage("PhalaComputation", "TokenomicParameters", bytes.fromhex(value[2:]))
    assert computation.tokenomic_parameters() == real


def test_accounts_are_those_of_the_real_pallet(rhala):
    md, state = rhala
    prefix = md.storage_prefix("PhalaBasePool", "Pools")
    found = [
        md.decode_storage("PhalaBasePool", "Pools", value)["StakePool"]
        for key, value in state.items()
        if key.startswith(prefix)
    ]
    assert found
    for pool in found:
        base = pool["basepool"]
        own = pools.sub_account(b"bp/", base["pid"], base["owner"])
        assert base["pool_account_id"] == own
        assert pool["lock_account"] == pools.sub_account(b"sl/", base["pid"], base["owner"])
    prefix = md.storage_prefix(POOL, "SubAccountPreimages")
    for key, value in state.items():
        if key.startswith(prefix):
            (account,) = md.decode_storage_key(POOL, "SubAccountPreimages", key)
            pid, pubkey = md.decode_storage(POOL, "SubAccountPreimages", value)
            assert stake_pool.session_account(pid, pubkey) == account


def test_the_target_of_challenges_is_that_of_the_real_pallet():
    """The figure stands in the pallet's own tests."""
    chain = Chain()
    ctx = Context(Storage(chain.md, chain.state), 1, SETTINGS)
    assert computation._pow_target(ctx, 0) == 0
    assert computation._pow_target(ctx, 20) == int(
        "771946525395830978497002573683960742805751636319313395421818009383503547160"
    )
