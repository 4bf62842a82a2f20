"""JSON as PRB v2's monitor speaks it."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from prbkit.errors import CodecError
from prbkit.wire import METHODS, PRPC, from_json, pruntime, to_json, walkie

CLASSES = sorted(
    {cls for m in METHODS.values() for cls in (m.request, m.response)}
    | {cls for pair in PRPC.values() for cls in pair},
    key=lambda cls: str(cls.DESCRIPTOR.full_name),
)


def test_pool_with_its_defaults() -> None:
    pool = walkie.Pool(pid=2**53, real_phala_ss58="5G", owner={"ss58_phala": "4"})
    assert to_json(pool) == {
        "uuid": "",
        "owner": {"mnemonic": "", "polkadotJson": "", "ss58Phala": "4", "ss58Polkadot": ""},
        "pid": "9007199254740992",
        "name": "",
        "enabled": False,
        "deleted": False,
        "realPhalaSs58": "5G",
        "syncOnly": False,
    }


def test_unset_fields_with_presence_are_left_out() -> None:
    written = to_json(walkie.UpdatePool(items=[{"id": {"name": "a"}}]))
    assert written == {"items": [{"id": {"name": "a"}}]}
    assert "publicKey" not in to_json(pruntime.PhactoryInfo())


def test_enums_bytes_and_unknown_enum_numbers() -> None:
    state = to_json(walkie.WorkerStateUpdate(worker_states=[{"status": 5}, {"status": 99}]))
    assert [s["status"] for s in state["workerStates"]] == ["S_ACTIVE", 99]
    assert to_json(walkie.RawBlob(data=b"\xff\xfe"))["data"] == "//4="


def test_a_request_of_the_monitor() -> None:
    body = {
        "pools": [
            {
                "pid": 1,
                "name": "pool1",
                "enabled": True,
                "owner": {"mnemonic": "//Alice"},
                "realPhalaSs58": None,
            }
        ]
    }
    made = from_json(walkie.CreatePool, body)
    expected = walkie.Pool(pid=1, name="pool1", enabled=True, owner={"mnemonic": "//Alice"})
    assert list(made.pools) == [expected]
    assert from_json(walkie.RawBlob, {"data": "__4"}).data == b"\xff\xfe"
    assert from_json(walkie.Pool, {"real_phala_ss58": "5", "pid": "7"}).pid == 7


@pytest.mark.parametrize(
    ("cls", "value", "place"),
    [
        (walkie.CreatePool, {"pools": [{"pid": "x"}]}, "$.pools[0].pid"),
        (walkie.CreatePool, {"pools": [{"pid": -1}]}, "$.pools[0].pid"),
        (walkie.CreatePool, {"pools": [{"pid": 1.0}]}, "$.pools[0].pid"),
        (walkie.CreatePool, {"pools": [{"pid": True}]}, "$.pools[0].pid"),
        (walkie.CreatePool, {"pools": {}}, "$.pools"),
        (walkie.CreatePool, {"pools": [None]}, "$.pools[0]"),
        (walkie.CreatePool, {"pool": []}, "$"),
        (walkie.CreatePool, [], "$"),
        (walkie.Pool, {"enabled": 1}, "$.enabled"),
        (walkie.Pool, {"name": 1}, "$.name"),
        (walkie.Pool, {"name": "\ud800"}, "$.name"),
        (walkie.Pool, {"realPhalaSs58": "a", "real_phala_ss58": "a"}, "$"),
        (walkie.RawBlob, {"data": "*"}, "$.data"),
        (walkie.RawBlob, {"data": "ä"}, "$.data"),
        (walkie.WorkerState, {"status": "S_GONE"}, "$.status"),
        (walkie.WorkerState, {"status": 99}, "$.status"),
        (walkie.PoolOrWorkerQueryIdentity, {"name": "a", "pid": 1}, "$"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_place(
    cls: type[Message], value: Any, place: str
) -> None:
    with pytest.raises(CodecError) as caught:
        from_json(cls, value)
    assert caught.value.where == place


def _scalar(field: Any) -> st.SearchStrategy[Any]:
    ranges = {
        FieldDescriptor.TYPE_INT32: (-(2**31), 2**31 - 1),
        FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
        FieldDescriptor.TYPE_UINT64: (0, 2**64 - 1),
    }
    if field.type in ranges:
        return st.integers(*ranges[field.type])
    if field.type == FieldDescriptor.TYPE_ENUM:
        return st.sampled_from(sorted(field.enum_type.values_by_number))
    if field.type == FieldDescriptor.TYPE_BOOL:
        return st.booleans()
    if field.type == FieldDescriptor.TYPE_BYTES:
        return st.binary(max_size=20)
    return st.text(st.characters(exclude_categories=["Cs"]), max_size=10)


def _fill(draw: st.DrawFn, message: Message, depth: int) -> None:
    for field in message.DESCRIPTOR.fields:
        if not draw(st.booleans()):
            continue
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            child = getattr(message, field.name)
            if depth > 2:
                continue
            if hasattr(child, "add"):
                for _ in range(draw(st.integers(0, 2))):
                    _fill(draw, child.add(), depth + 1)
            else:
                child.SetInParent()
                _fill(draw, child, depth + 1)
        elif hasattr(getattr(message, field.name), "extend"):
            getattr(message, field.name).extend(draw(st.lists(_scalar(field), max_size=3)))
        else:
            setattr(message, field.name, draw(_scalar(field)))


@st.composite
def messages(draw: st.DrawFn) -> Message:
    message = draw(st.sampled_from(CLASSES))()
    _fill(draw, message, 0)
    return message


@given(messages())
def test_reading_what_was_written_gives_the_message_again(message: Message) -> None:
    assert from_json(type(message), to_json(message)) == message


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["pools", "owner", "pid", "id", "items", "x"]), inner)
    ),
    max_leaves=12,
)


@given(st.sampled_from(CLASSES), _json)
def test_any_json_is_read_or_refused(cls: type[Message], value: Any) -> None:
    try:
        message = from_json(cls, value)
    except CodecError:
        return
    assert cls.FromString(message.SerializeToString()) == message
