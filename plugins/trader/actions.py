"""The stock trade actions: how a job's payload becomes calls of the chain.

Parts that a pRuntime has made (registration, reports, messages) arrive as SCALE and are put into
the call as they are, each checked to be exactly one value of the type that the metadata wants.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prbkit.blobs import encode_origin
from prbkit.errors import CodecError, TradeError
from prbkit.interfaces import OnceCall, Pool, TradeAction
from prbkit.scale import Metadata

__all__ = ["ACTIONS"]

MAX_MESSAGES = 10_000


class _Scale(bytes):
    """An argument that is SCALE already."""


def register_worker(metadata: Metadata, pool: Pool, payload: Mapping[str, Any]) -> Sequence[bytes]:
    """``pruntime_info``, ``attestation`` (SCALE of the call's arguments), ``v2`` (bool)."""
    v2 = payload.get("v2", False)
    if not isinstance(v2, bool):
        raise TradeError("the payload's `v2` is not true or false")
    name = "register_worker_v2" if v2 else "register_worker"
    info, attestation = _raw(payload, "pruntime_info"), _raw(payload, "attestation")
    return [_call(metadata, "PhalaRegistry", name, _Scale(info), _Scale(attestation))]


def add_worker(metadata: Metadata, pool: Pool, payload: Mapping[str, Any]) -> Sequence[bytes]:
    """``public_key``"""
    return [_call(metadata, "PhalaStakePoolv2", "add_worker", pool.pid, _key(payload))]


def start_computing(metadata: Metadata, pool: Pool, payload: Mapping[str, Any]) -> Sequence[bytes]:
    """``public_key``, ``stake``"""
    args = (pool.pid, _key(payload), _balance(payload, "stake"))
    return [_call(metadata, "PhalaStakePoolv2", "start_computing", *args)]


def restart_computing(
    metadata: Metadata, pool: Pool, payload: Mapping[str, Any]
) -> Sequence[bytes]:
    """``public_key``, ``stake``"""
    args = (pool.pid, _key(payload), _balance(payload, "stake"))
    return [_call(metadata, "PhalaStakePoolv2", "restart_computing", *args)]


def stop_computing(metadata: Metadata, pool: Pool, payload: Mapping[str, Any]) -> Sequence[bytes]:
    """``public_key``"""
    return [_call(metadata, "PhalaStakePoolv2", "stop_computing", pool.pid, _key(payload))]


def sync_messages(metadata: Metadata, pool: Pool, payload: Mapping[str, Any]) -> Sequence[OnceCall]:
    """``messages``: SCALE SignedMessages, one call each, in order.

    A message is known by its sender and sequence: the chain takes each once.
    """
    messages = payload.get("messages")
    if not isinstance(messages, list) or not 0 < len(messages) <= MAX_MESSAGES:
        raise TradeError(f"the payload's `messages` are not a list of 1 to {MAX_MESSAGES}")
    return [_message(metadata, _hex(message, "messages")) for message in messages]


def update_worker_endpoint(
    metadata: Metadata, pool: Pool, payload: Mapping[str, Any]
) -> Sequence[bytes]:
    """``endpoint_payload`` (SCALE WorkerEndpointPayload), ``signature``"""
    args = (_Scale(_raw(payload, "endpoint_payload")), _raw(payload, "signature"))
    return [_call(metadata, "PhalaRegistry", "update_worker_endpoint", *args)]


def any_call(metadata: Metadata, pool: Pool, payload: Mapping[str, Any]) -> Sequence[bytes]:
    """``call`` (SCALE)"""
    return [_raw(payload, "call")]


ACTIONS: Mapping[str, TradeAction] = {
    "REGISTER_WORKER": register_worker,
    "ADD_WORKER": add_worker,
    "START_COMPUTING": start_computing,
    "RESTART_COMPUTING": restart_computing,
    "STOP_COMPUTING": stop_computing,
    "BATCH_SYNC_MQ_MESSAGE": sync_messages,
    "UPDATE_WORKER_ENDPOINT": update_worker_endpoint,
    "CALL": any_call,
}


def _call(metadata: Metadata, pallet: str, name: str, *args: Any) -> bytes:
    """Encode a call by position, so that a renamed argument changes nothing."""
    try:
        found = metadata.pallet(pallet)
        variant = metadata.variants(found.calls).get(name)
        if variant is None:
            raise TradeError(f"the chain has no call {pallet}.{name}")
        if len(variant.fields) != len(args):
            raise TradeError(f"{pallet}.{name} takes {len(variant.fields)} arguments here")
        parts = [bytes([found.index, variant.index])]
        for field, value in zip(variant.fields, args, strict=True):
            if not isinstance(value, _Scale):
                parts.append(metadata.encode(field.type_id, value))
            elif metadata.skip(field.type_id, value) == len(value):
                parts.append(value)
            else:
                raise TradeError(f"the argument {field.name} of {pallet}.{name} has bytes too many")
    except CodecError as error:
        raise TradeError(f"{pallet}.{name} cannot be made: {error.message}") from error
    return b"".join(parts)


def _message(metadata: Metadata, signed: bytes) -> OnceCall:
    call = _call(metadata, "PhalaMq", "sync_offchain_message", _Scale(signed))
    _, _, args = metadata.decode_call(call)
    (value,) = args.values()
    sender = encode_origin(value["message"]["sender"])
    return OnceCall(call, f"PhalaMq:0x{sender.hex()}:{value['sequence']}")


def _hex(value: Any, name: str) -> bytes:
    if isinstance(value, str) and value.startswith("0x"):
        try:
            return bytes.fromhex(value[2:])
        except ValueError:
            pass
    raise TradeError(f"the payload's `{name}` is not 0x hex")


def _raw(payload: Mapping[str, Any], name: str) -> bytes:
    return _hex(payload.get(name), name)


def _key(payload: Mapping[str, Any]) -> bytes:
    key = _raw(payload, "public_key")
    if len(key) != 32:
        raise TradeError(f"the payload's `public_key` has {len(key)} bytes, not 32")
    return key


def _balance(payload: Mapping[str, Any], name: str) -> int:
    value = payload.get(name)
    if isinstance(value, str) and value.isascii() and value.isdigit() and int(value) < 1 << 128:
        return int(value)
    raise TradeError(f"the payload's `{name}` is not decimal text of a u128")
