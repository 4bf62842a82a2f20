"""Trade jobs and their records as JSON: how queues and journals keep them and people see them.

Reading is strict and raises `QueueError`: what lies in a queue may come from another version, or
from someone who should not write there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from prbkit.errors import QueueError
from prbkit.interfaces import Head, JobError, JobRecord, JobState, TradeJob

__all__ = [
    "dump_job",
    "dump_record",
    "job_as_json",
    "job_from_json",
    "load_job",
    "load_record",
    "record_as_json",
    "record_from_json",
]


def job_as_json(job: TradeJob) -> dict[str, Any]:
    """Tell a job as plain JSON."""
    return {
        "key": job.key,
        "pid": job.pid,
        "action": job.action,
        "payload": dict(job.payload),
        "created_at": job.created_at,
    }


def job_from_json(value: Any) -> TradeJob:
    """Read `job_as_json` back."""
    fields = _mapping(value, "job")
    return TradeJob(
        key=_typed(fields, "key", str),
        pid=_typed(fields, "pid", int),
        action=_typed(fields, "action", str),
        payload=_mapping(fields.get("payload"), "payload"),
        created_at=float(_typed(fields, "created_at", int, float)),
    )


def record_as_json(record: JobRecord) -> dict[str, Any]:
    """Tell a record as plain JSON: hashes as 0x hex, times as Unix seconds."""
    block = record.block
    return {
        "job": job_as_json(record.job),
        "state": record.state.value,
        "updated_at": record.updated_at,
        "extrinsic_hash": _hex(record.extrinsic_hash),
        "block": None if block is None else {"number": block.number, "hash": _hex(block.hash)},
        "error": _error_as_json(record.error),
        "errors": [_error_as_json(error) for error in record.errors],
    }


def record_from_json(value: Any) -> JobRecord:
    """Read `record_as_json` back."""
    fields = _mapping(value, "record")
    try:
        state = JobState(_typed(fields, "state", str))
    except ValueError as error:
        raise QueueError(f"a job record holds an unknown state: {error}") from None
    block = fields.get("block")
    if block is not None:
        at = _mapping(block, "block")
        block = Head(_typed(at, "number", int), _raw(at.get("hash")) or b"")
    errors = fields.get("errors", [])
    if not isinstance(errors, list):
        raise QueueError("a job record's errors are not a list")
    return JobRecord(
        job=job_from_json(fields.get("job")),
        state=state,
        updated_at=float(_typed(fields, "updated_at", int, float)),
        extrinsic_hash=_raw(fields.get("extrinsic_hash")),
        block=block,
        error=_error_from_json(fields.get("error")),
        errors=tuple(_error_from_json(error) for error in errors),
    )


def dump_job(job: TradeJob) -> bytes:
    return orjson.dumps(job_as_json(job))


def load_job(data: bytes | str) -> TradeJob:
    return job_from_json(_parse(data))


def dump_record(record: JobRecord) -> bytes:
    return orjson.dumps(record_as_json(record))


def load_record(data: bytes | str) -> JobRecord:
    return record_from_json(_parse(data))


def _parse(data: bytes | str) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise QueueError(f"what the queue holds is not JSON: {error}") from None


def _error_as_json(error: JobError | None) -> dict[str, Any] | None:
    if error is None:
        return None
    return {
        "message": error.message,
        "pallet": error.pallet,
        "name": error.name,
        "docs": error.docs,
    }


def _error_from_json(value: Any) -> JobError | None:
    if value is None:
        return None
    fields = _mapping(value, "error")
    return JobError(
        message=_typed(fields, "message", str),
        pallet=_typed(fields, "pallet", str, type(None)),
        name=_typed(fields, "name", str, type(None)),
        docs=_typed(fields, "docs", str, type(None)),
    )


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise QueueError(f"a job's {what} is not a JSON object")
    return value


def _typed(fields: Mapping[str, Any], name: str, *types: type) -> Any:
    value = fields.get(name)
    if not isinstance(value, types) or isinstance(value, bool):
        raise QueueError(f"a job's field {name!r} is {type(value).__name__}")
    return value


def _hex(data: bytes | None) -> str | None:
    return None if data is None else f"0x{data.hex()}"


def _raw(value: Any) -> bytes | None:
    if value is None:
        return None
    try:
        return bytes.fromhex(value.removeprefix("0x"))
    except (AttributeError, ValueError):
        raise QueueError("a job record holds a hash that is not hex") from None
