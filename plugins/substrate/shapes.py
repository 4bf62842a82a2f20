"""From a node's JSON to the values of `prbkit.interfaces`: shape checked, nothing trusted.

Each function raises `prbkit.errors.CodecError` for what is not of the right shape; the source
adds the endpoint.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prbkit.blobs import header_from_json, storage_changes_from_json
from prbkit.errors import CodecError
from prbkit.interfaces import Block, FinalityProof, RuntimeVersion
from prbkit.light import decode_finality_proof

__all__ = [
    "block",
    "changes",
    "changes_set",
    "data",
    "finality_proof",
    "hash32",
    "header",
    "hex_list",
    "number",
    "optional_data",
    "pairs",
    "read_proof",
    "runtime_version",
    "text",
]


def data(value: Any) -> bytes:
    """Bytes of ``0x…`` text."""
    if not isinstance(value, str) or not value.startswith("0x"):
        raise CodecError(f"{_short(value)} is no 0x hex")
    try:
        return bytes.fromhex(value[2:])
    except ValueError as error:
        raise CodecError(f"{_short(value)} is no 0x hex") from error


def optional_data(value: Any) -> bytes | None:
    return None if value is None else data(value)


def hash32(value: Any) -> bytes:
    raw = data(value)
    if len(raw) != 32:
        raise CodecError(f"a hash has 32 bytes, this one {len(raw)}")
    return raw


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise CodecError(f"{_short(value)} is no text")
    return value


def number(value: Any) -> int:
    """A whole number: of JSON, or as hex text (headers)."""
    if type(value) is int and value >= 0:
        return value
    if isinstance(value, str) and value.startswith("0x"):
        try:
            return int(value, 16)
        except ValueError:
            pass
    raise CodecError(f"{_short(value)} is no number")


def header(value: Any) -> bytes:
    """SCALE of a header in JSON-RPC's form."""
    if not isinstance(value, dict):
        raise CodecError(f"{_short(value)} is no header")
    return header_from_json(value)


def block(value: Any) -> Block:
    """A block of `chain_getBlock`; justifications as arrays of numbers or (older nodes) hex."""
    inner = _member(value, "block")
    found = _member(inner, "extrinsics")
    justifications: dict[bytes, bytes] = {}
    listed = value.get("justifications")
    if listed is not None:
        for item in _sequence(listed):
            pair = _sequence(item)
            if len(pair) != 2:
                raise CodecError("a justification is not a pair of engine and bytes")
            engine = _octets(pair[0])
            if len(engine) != 4:
                raise CodecError(f"an engine id has 4 bytes, this one {len(engine)}")
            justifications[engine] = _octets(pair[1])
    elif value.get("justification") is not None:
        justifications[b"FRNK"] = _octets(value["justification"])
    return Block(header(_member(inner, "header")), hex_list(found), justifications)


def finality_proof(value: Any) -> FinalityProof | None:
    """The answer of `grandpa_proveFinality`: hash, justification, unknown headers, in SCALE."""
    raw = optional_data(value)
    if raw is None:
        return None
    return FinalityProof(*decode_finality_proof(raw))


def read_proof(value: Any) -> list[bytes]:
    return hex_list(_member(value, "proof"))


def hex_list(value: Any) -> list[bytes]:
    return [data(item) for item in _sequence(value)]


def pairs(value: Any) -> list[tuple[bytes, bytes]]:
    result = []
    for item in _sequence(value):
        pair = _sequence(item)
        if len(pair) != 2:
            raise CodecError("a key and value pair has not two parts")
        result.append((data(pair[0]), data(pair[1])))
    return result


def changes_set(value: Any, keys: Sequence[bytes]) -> list[bytes | None]:
    """Values in the order of `keys`, of an answer of `state_queryStorageAt`."""
    found: dict[bytes, bytes | None] = dict.fromkeys(keys)
    for entry in _sequence(value):
        for item in _sequence(_member(entry, "changes")):
            pair = _sequence(item)
            if len(pair) != 2:
                raise CodecError("a storage change has not two parts")
            key = data(pair[0])
            if key not in found:
                raise CodecError(f"a value of key 0x{key.hex()} was not asked for")
            found[key] = optional_data(pair[1])
    return [found[key] for key in keys]


def changes(value: Any, count: int) -> list[bytes]:
    """SCALE StorageChanges of each block, of an answer of `pha_getStorageChanges`."""
    blocks = _sequence(value)
    if len(blocks) != count:
        raise CodecError(f"storage changes of {count} blocks were asked for, {len(blocks)} came")
    return [storage_changes_from_json(item) for item in blocks]


def runtime_version(value: Any) -> RuntimeVersion:
    return RuntimeVersion(
        text(_member(value, "specName")),
        number(_member(value, "specVersion")),
        number(value.get("transactionVersion", 0)),
    )


def _member(value: Any, name: str) -> Any:
    if not isinstance(value, Mapping) or name not in value:
        raise CodecError(f"{_short(value)} has no {name}")
    return value[name]


def _sequence(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise CodecError(f"{_short(value)} is no list")
    return value


def _octets(value: Any) -> bytes:
    if isinstance(value, str):
        return data(value)
    try:
        return bytes(_sequence(value))
    except (TypeError, ValueError) as error:
        raise CodecError("an array of bytes holds something else") from error


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:79] + "…"
