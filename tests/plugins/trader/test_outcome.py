"""Outcomes and actions against what the real runtime did (data/runtime)."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from prbkit.errors import CodecError, TradeError
from prbkit.interfaces import OnceCall, Pool
from prbkit.scale import Event, Metadata
from prbkit_plugins.trader.actions import ACTIONS
from prbkit_plugins.trader.chain import extrinsic_hash
from prbkit_plugins.trader.outcome import call_errors, dispatch_error, holds_batch

POOL = Pool("p", 5, "five")
KEY = b"\x77" * 32


@pytest.fixture(scope="module")
def items(data_dir: Path) -> list[dict[str, Any]]:
    run = json.loads(gzip.decompress((data_dir / "runtime/extrinsics.json.gz").read_bytes()))
    return run["items"]


@pytest.fixture(scope="module")
def blocks(data_dir: Path, md: Metadata) -> dict[int, tuple[int, list[Event]]]:
    """Block → index of the run's extrinsic, and all events."""
    run = json.loads(gzip.decompress((data_dir / "runtime/events.json.gz").read_bytes()))
    return {
        item["number"]: (
            item["extrinsicIndex"],
            md.decode_events(bytes.fromhex(item["eventsScale"][2:])),
        )
        for item in run["items"]
    }


def event(pallet: str, name: str, fields: Any = (), index: int = 1) -> Event:
    return Event({"ApplyExtrinsic": index}, pallet, name, fields)


OK = event("System", "ExtrinsicSuccess", {"dispatch_info": {}})
DONE = event("Utility", "ItemCompleted")
FAILED = event("Utility", "ItemFailed", {"error": "BadOrigin"})


def test_each_item_has_its_own_outcome(md: Metadata) -> None:
    noise = event("Utility", "ItemFailed", {"error": "BadOrigin"}, index=2)
    events = [DONE, noise, FAILED, DONE, event("Utility", "BatchCompletedWithErrors"), OK]
    found = call_errors(md, events, 1, 3, proxied=False)
    assert [error and error.message for error in found] == [None, "BadOrigin", None]


def test_an_extrinsic_that_fails_fails_every_call(md: Metadata) -> None:
    index = md.pallet("Proxy").index
    error = {"Module": {"index": index, "error": b"\x01\0\0\0"}}
    failed = event("System", "ExtrinsicFailed", {"dispatch_error": error, "dispatch_info": {}})
    found = call_errors(md, [failed], 1, 3, proxied=True)
    assert [each and (each.pallet, each.name) for each in found] == [("Proxy", "NotFound")] * 3


def test_a_proxied_call_that_is_refused_fails_every_call(md: Metadata) -> None:
    executed = event("Proxy", "ProxyExecuted", {"result": {"Err": "BadOrigin"}})
    assert [
        each and each.message for each in call_errors(md, [executed, OK], 1, 2, proxied=True)
    ] == ["BadOrigin", "BadOrigin"]
    good = event("Proxy", "ProxyExecuted", {"result": {"Ok": ()}})
    assert call_errors(md, [DONE, executed, DONE, good, OK], 1, 2, proxied=True) == [None, None]


def test_a_batch_inside_a_lone_call_is_told_apart(md: Metadata) -> None:
    events = [FAILED, FAILED, event("Utility", "BatchCompletedWithErrors"), DONE, OK]
    assert call_errors(md, events, 1, 1, proxied=False) == [None]
    with pytest.raises(CodecError, match="3 calls, not 2"):
        call_errors(md, events, 1, 2, proxied=False)


def test_silence_is_no_success(md: Metadata) -> None:
    with pytest.raises(CodecError, match="say nothing"):
        call_errors(md, [DONE], 1, 1, proxied=False)


def test_errors_that_no_metadata_names(md: Metadata) -> None:
    assert dispatch_error(md, "CannotLookup").message == "CannotLookup"
    assert "FundsUnavailable" in dispatch_error(md, {"Token": "FundsUnavailable"}).message
    unknown = dispatch_error(md, {"Module": {"index": 250, "error": b"\1\0\0\0"}})
    assert "no pallet has index 250" in unknown.message
    assert dispatch_error(md, 7).message == "unknown error 7"


def test_the_real_runs_extrinsics_read_as_they_went(
    md: Metadata, items: list[dict[str, Any]], blocks: dict[int, tuple[int, list[Event]]]
) -> None:
    batches = failures = 0
    for item in items:
        raw = bytes.fromhex(item["extrinsic"][2:])
        assert extrinsic_hash(raw).hex() == item["extrinsicHash"][2:]
        if item["number"] not in blocks:
            continue
        index, events = blocks[item["number"]]
        pallet, name, args = md.decode_call(bytes.fromhex(item["call"][2:]))
        proxied = (pallet, name) == ("Proxy", "proxy")
        while name in ("proxy", "sudo"):
            ((pallet, inner),) = args["call"].items()
            ((name, args),) = inner.items()
        if item["outcome"] == "ExtrinsicFailed":
            failed = item["dispatchError"]["Module"]
            expected = md.error(failed["index"], bytes.fromhex(failed["error"][2:]))
            for error in call_errors(md, events, index, 2, proxied=proxied):
                assert error is not None
                assert (error.pallet, error.name, error.docs) == expected
            failures += 1
        elif name in {"batch", "batch_all", "force_batch"}:
            found = call_errors(md, events, index, len(args["calls"]), proxied=proxied)
            told = [e for e in item["batchEvents"] if e["event"].startswith("Utility.Item")]
            assert [error is not None for error in found] == [
                each["event"] == "Utility.ItemFailed" for each in told
            ]
            batches += 1
    assert batches >= 2
    assert failures >= 2


def test_calls_that_make_batches_are_known(md: Metadata) -> None:
    remark = md.call("System", "remark", remark=b"x")
    batch = md.call("Utility", "batch", calls=[remark])
    assert not holds_batch(md, remark)
    assert holds_batch(md, batch)
    assert holds_batch(md, md.call("Sudo", "sudo", call=batch))
    with pytest.raises(CodecError):
        holds_batch(md, b"\xff\xff")


def test_the_stock_actions_make_the_calls_of_their_names(md: Metadata) -> None:
    public_key = "0x" + KEY.hex()

    def made(action: str, **payload: Any) -> list[tuple[str, str, dict[str, Any]]]:
        return [md.decode_call(call) for call in ACTIONS[action](md, POOL, payload)]

    assert made("ADD_WORKER", public_key=public_key) == [
        ("PhalaStakePoolv2", "add_worker", {"pid": 5, "pubkey": KEY})
    ]
    for action, name in (
        ("START_COMPUTING", "start_computing"),
        ("RESTART_COMPUTING", "restart_computing"),
    ):
        assert made(action, public_key=public_key, stake="12") == [
            ("PhalaStakePoolv2", name, {"pid": 5, "worker": KEY, "stake": 12})
        ]
    assert made("STOP_COMPUTING", public_key=public_key) == [
        ("PhalaStakePoolv2", "stop_computing", {"pid": 5, "worker": KEY})
    ]
    remark = md.call("System", "remark", remark=b"x")
    assert ACTIONS["CALL"](md, POOL, {"call": f"0x{remark.hex()}"}) == [remark]


def test_messages_of_workers_go_into_calls_as_they_are(md: Metadata, data_dir: Path) -> None:
    found = json.loads((data_dir / "runtime/mq_messages.json").read_text())
    raw = [item["signedMessage"] for item in found["items"]]
    calls = ACTIONS["BATCH_SYNC_MQ_MESSAGE"](md, POOL, {"messages": raw})
    assert len(calls) == len(raw)
    for call, message in zip(calls, raw, strict=True):
        assert isinstance(call, OnceCall)
        assert md.decode_call(call.call)[:2] == ("PhalaMq", "sync_offchain_message")
        assert call.call[2:] == bytes.fromhex(message[2:])
    with pytest.raises(TradeError, match="bytes too many"):
        ACTIONS["BATCH_SYNC_MQ_MESSAGE"](md, POOL, {"messages": [raw[0] + "00"]})


@pytest.mark.parametrize(
    ("action", "payload"),
    [
        ("ADD_WORKER", {}),
        ("ADD_WORKER", {"public_key": "0x77"}),
        ("ADD_WORKER", {"public_key": 7}),
        ("START_COMPUTING", {"public_key": "0x" + KEY.hex()}),
        ("START_COMPUTING", {"public_key": "0x" + KEY.hex(), "stake": 5}),
        ("START_COMPUTING", {"public_key": "0x" + KEY.hex(), "stake": "-5"}),
        ("START_COMPUTING", {"public_key": "0x" + KEY.hex(), "stake": str(1 << 128)}),
        ("BATCH_SYNC_MQ_MESSAGE", {"messages": []}),
        ("BATCH_SYNC_MQ_MESSAGE", {"messages": "0x00"}),
        ("BATCH_SYNC_MQ_MESSAGE", {"messages": ["0x00"]}),
        ("REGISTER_WORKER", {"pruntime_info": "0x00", "attestation": "0x00"}),
        ("REGISTER_WORKER", {"pruntime_info": "0x00", "attestation": "0x00", "v2": "yes"}),
        ("UPDATE_WORKER_ENDPOINT", {"endpoint_payload": "0x", "signature": "0x"}),
        ("CALL", {"call": "nonsense"}),
    ],
)
def test_a_payload_that_does_not_fit_is_refused(
    md: Metadata, action: str, payload: dict[str, Any]
) -> None:
    with pytest.raises(TradeError):
        ACTIONS[action](md, POOL, payload)
