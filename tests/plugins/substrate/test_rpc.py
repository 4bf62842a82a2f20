"""Laws of the JSON-RPC core: each call gets its own answer, and no bytes bring it down."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prbkit.errors import BlockNotFound, RpcError, StateDiscarded, TransactionRejected
from prbkit_plugins.substrate.rpc import (
    Answered,
    BatchRefused,
    Failed,
    Garbage,
    Notified,
    RpcCore,
    RpcFailure,
    typed_error,
)

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)


def _answer(number: int, **members: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, **members}


@given(st.data())
def test_answers_in_any_order_and_grouping_reach_their_calls(data: st.DataObject) -> None:
    core = RpcCore()
    results = data.draw(st.lists(_JSON, min_size=1, max_size=20))
    numbers = [core.call("m", [n])[0] for n in range(len(results))]
    expected = dict(zip(numbers, results, strict=True))
    order = data.draw(st.permutations(numbers))
    got: dict[int, Any] = {}
    while order:
        size = data.draw(st.integers(1, len(order)))
        part, order = order[:size], order[size:]
        answers = [_answer(n, result=expected[n]) for n in part]
        frame = orjson.dumps(answers if size > 1 else answers[0])
        for event in core.receive(frame):
            assert isinstance(event, Answered)
            assert event.id not in got
            got[event.id] = event.result
    assert got == expected
    assert core.open_calls == 0


def test_a_refused_batch_fails_its_calls_alone_and_late_answers_of_it_are_dropped() -> None:
    core = RpcCore()
    single, _ = core.call("m", [])
    numbers, _ = core.batch("m", [[1], [2], [3]])
    assert core.receive(orjson.dumps(_answer(numbers[0], result=1))) == [Answered(numbers[0], 1)]
    refusal = {"jsonrpc": "2.0", "id": None, "error": {"code": -32010, "message": "too large"}}
    events = core.receive(orjson.dumps(refusal))
    failure = RpcFailure(-32010, "too large")
    assert events == [BatchRefused(numbers[1], failure), BatchRefused(numbers[2], failure)]
    assert core.receive(orjson.dumps([_answer(numbers[2], result=3)])) == []
    assert core.receive(orjson.dumps(_answer(single, result=0))) == [Answered(single, 0)]
    with pytest.raises(Garbage):
        core.receive(orjson.dumps(refusal))


@given(st.binary(max_size=200) | _JSON.map(orjson.dumps))
def test_any_bytes_give_events_or_garbage(frame: bytes) -> None:
    core = RpcCore()
    core.call("m", [])
    core.call("s", [], subscribe=True)
    try:
        events = core.receive(frame)
    except Garbage:
        return
    assert all(isinstance(event, Answered | Failed | Notified) for event in events)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "id": st.just(1) | _JSON,
            "result": _JSON,
            "error": _JSON,
            "method": _JSON,
            "params": _JSON | st.fixed_dictionaries({"subscription": _JSON, "result": _JSON}),
        },
    )
)
def test_almost_right_answers_give_events_or_garbage(item: dict[str, Any]) -> None:
    core = RpcCore()
    core.call("m", [], subscribe=True)
    try:
        events = core.receive(orjson.dumps(item))
    except Garbage:
        return
    for event in events:
        assert event.id == 1


@given(st.integers(1, 20), st.integers(-5, 40).filter(lambda n: n != 1))
def test_an_answer_to_what_was_not_asked_is_garbage(result: int, number: int) -> None:
    core = RpcCore()
    core.call("m", [])
    with pytest.raises(Garbage, match="not asked"):
        core.receive(orjson.dumps(_answer(number, result=result)))


def test_a_second_answer_to_one_call_is_garbage() -> None:
    core = RpcCore()
    number, _ = core.call("m", [])
    frame = orjson.dumps(_answer(number, result=1))
    core.receive(frame)
    with pytest.raises(Garbage):
        core.receive(frame)


@given(
    st.text(min_size=1, max_size=8) | st.integers(0, 10**9), st.lists(_JSON, max_size=5), st.data()
)
def test_notifications_reach_their_subscription_early_ones_too(
    name: str | int, told: list[Any], data: st.DataObject
) -> None:
    core = RpcCore()
    number, _ = core.call("sub", [], subscribe=True)
    early = data.draw(st.integers(0, len(told)))
    frames = [
        orjson.dumps({"method": "x", "params": {"subscription": name, "result": item}})
        for item in told
    ]
    events = [event for frame in frames[:early] for event in core.receive(frame)]
    events += core.receive(orjson.dumps(_answer(number, result=name)))
    events += [event for frame in frames[early:] for event in core.receive(frame)]
    assert [event.result for event in events if isinstance(event, Notified)] == told
    assert core.unsubscribe(number) is not None
    for frame in frames:
        assert core.receive(frame) == []


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (RpcFailure(1010, "Invalid Transaction", "Transaction is outdated"), TransactionRejected),
        (RpcFailure(1014, "Priority is too low"), TransactionRejected),
        (
            RpcFailure(4003, "Client error: UnknownBlock: State already discarded for 0x12"),
            StateDiscarded,
        ),
        (
            RpcFailure(
                -32000, "Client error: Api called for an unknown Block: State already discarded"
            ),
            StateDiscarded,
        ),
        (
            RpcFailure(4003, "UnknownBlock: Header was not found in the database"),
            BlockNotFound,
        ),
        (RpcFailure(-32000, "Block body not found"), BlockNotFound),
        (RpcFailure(-32601, "Method not found"), RpcError),
        (RpcFailure(0, "whatever"), RpcError),
    ],
)
def test_errors_get_their_type_and_name_the_endpoint(failure: RpcFailure, kind: type) -> None:
    error = typed_error(failure, "state_getStorage", where="ws://node")
    assert type(error) is kind
    assert error.where == "ws://node"
    assert failure.message in str(error)


def test_an_error_of_the_node_is_told_in_short_however_long_it_is() -> None:
    core = RpcCore()
    number, _ = core.call("m", [])
    (event,) = core.receive(
        orjson.dumps(
            _answer(number, error={"code": "x", "message": "m" * 10**6, "data": [1] * 9999})
        )
    )
    assert isinstance(event, Failed)
    assert event.failure.code == 0
    assert len(event.failure.message) + len(event.failure.data or "") < 1000
