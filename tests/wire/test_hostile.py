"""Messages that a peer or a browser made wrong: read, or refused with an error of ours."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf.message import DecodeError, Message
from hypothesis import given
from hypothesis import strategies as st

from prbkit.errors import CodecError, QueueError
from prbkit.interfaces import Head, JobError, JobRecord, JobState, TradeJob
from prbkit.jobs import dump_job, dump_record, load_job, load_record
from prbkit.wire import from_json, to_json, walkie
from tests.hostile import changed, settle

from .test_json import CLASSES

SAMPLES: list[Message] = [
    walkie.CreatePool(pools=[{"pid": 1, "name": "a", "owner": {"mnemonic": "//Alice"}}]),
    walkie.WorkerStateUpdate(worker_states=[{"status": 5, "public_key": "0x00"}]),
    walkie.RawBlob(data=b"\xff\xfe"),
]


@given(st.sampled_from(CLASSES), changed([s.SerializeToString() for s in SAMPLES]) | st.binary())
def test_any_bytes_are_a_message_or_refused(cls: type[Message], data: bytes) -> None:
    try:
        message = cls.FromString(data)
    except DecodeError:
        return
    # JSON says nothing of fields that are not known, and enums' unknown numbers are not read back.
    message.DiscardUnknownFields()
    again = settle(from_json, cls, to_json(message), error=CodecError)
    assert again is None or again == message


@given(changed([json.dumps(to_json(s)).encode() for s in SAMPLES]))
def test_changed_json_is_a_message_or_refused(text: bytes) -> None:
    try:
        value = json.loads(text)
    except ValueError:
        return
    for cls in {type(sample) for sample in SAMPLES}:
        settle(from_json, cls, value, error=CodecError)


@pytest.mark.parametrize(
    "value", ["\ud800", 10**5000, -(10**5000), "9" * 5000, float("nan")], ids=range(5)
)
def test_values_that_nothing_holds(value: Any) -> None:
    for name in ("pid", "name", "enabled", "owner"):
        with pytest.raises(CodecError):
            from_json(walkie.Pool, {name: value} if name != "name" else {name: [value]})
    with pytest.raises(CodecError):
        from_json(walkie.RawBlob, {"data": value if value != "9" * 5000 else "*"})


def test_a_name_that_is_not_text_is_refused() -> None:
    for key in ("\ud800", 7, None):
        with pytest.raises(CodecError):
            from_json(walkie.Pool, {key: 1})  # type: ignore[dict-item]


JOB = TradeJob(key="k", pid=1, action="a", payload={"x": "0x00"}, created_at=1.5)
RECORD = JobRecord(
    job=JOB,
    state=JobState.FAILED,
    updated_at=2.5,
    extrinsic_hash=b"\1" * 32,
    block=Head(7, b"\2" * 32),
    error=JobError("no", "System", "Name", "docs"),
    errors=(None, JobError("no", None, None, None)),
)


def test_jobs_and_records_are_read_back() -> None:
    assert load_job(dump_job(JOB)) == JOB
    assert load_record(dump_record(RECORD)) == RECORD


@given(changed([dump_job(JOB), dump_record(RECORD)]) | st.binary(max_size=40))
def test_whatever_lies_in_a_queue_is_a_job_or_refused(data: bytes) -> None:
    job = settle(load_job, data, error=QueueError)
    assert job is None or load_job(dump_job(job)) == job
    record = settle(load_record, data, error=QueueError)
    assert record is None or load_record(dump_record(record)) == record


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 100_000, "9" * 10_000, "\ud800"], ids=range(4)
)
def test_deep_or_endless_jobs_are_refused(text: str) -> None:
    for load in (load_job, load_record):
        with pytest.raises(QueueError):
            load(text)
