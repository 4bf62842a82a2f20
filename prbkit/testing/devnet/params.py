"""Parameters of JSON-RPC methods, read as strictly as a node reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = [
    "Param",
    "ParamsError",
    "block_number",
    "block_numbers",
    "hash32",
    "hex_bytes",
    "list_of",
    "read_params",
    "text",
    "unsigned",
]

Parser = Callable[[Any], Any]


class ParamsError(Exception):
    """A parameter does not fit; the text goes to the caller as the error's data."""


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter: how it is called, how it is read, and whether it may be left out or null."""

    name: str
    parse: Parser
    optional: bool = False


def hex_bytes(value: Any) -> bytes:
    """Read `0x` hex of any length."""
    if not isinstance(value, str):
        raise ParamsError(f"invalid type: {_kind(value)}, expected a 0x-prefixed hex string")
    if not value.startswith("0x"):
        raise ParamsError("expected a 0x-prefixed hex string: prefix is missing")
    try:
        return bytes.fromhex(value[2:]) if not value[2:].isspace() else _not_hex()
    except ValueError:
        return _not_hex()


def _not_hex() -> bytes:
    raise ParamsError("expected a 0x-prefixed hex string: it holds other characters")


def hash32(value: Any) -> bytes:
    data = hex_bytes(value)
    if len(data) != 32:
        raise ParamsError(f"invalid length {len(data)}, expected 32 bytes as 0x-prefixed hex")
    return data


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise ParamsError(f"invalid type: {_kind(value)}, expected a string")
    return value


def unsigned(bits: int) -> Parser:
    """Make a parser of plain JSON integers below 2**bits."""

    def parse(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ParamsError(f"invalid type: {_kind(value)}, expected u{bits}")
        if not 0 <= value < 1 << bits:
            raise ParamsError(f"invalid value: integer {value}, expected u{bits}")
        return value

    return parse


def block_number(value: Any) -> int:
    """Read a NumberOrHex that fits a u32."""
    if isinstance(value, str):
        try:
            value = int(value, 16) if value.startswith("0x") else -1
        except ValueError:
            value = -1
        if value < 0:
            raise ParamsError("expected a number or 0x-prefixed hex")
    number = unsigned(64)(value)
    if number >> 32:
        raise ParamsError(f"Block number {number} is too big for u32")
    return int(number)


def block_numbers(value: Any) -> int | list[int]:
    """Read a number or a list of numbers."""
    return list_of(block_number)(value) if isinstance(value, list) else block_number(value)


def list_of(parse: Parser) -> Parser:
    def parse_list(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise ParamsError(f"invalid type: {_kind(value)}, expected a sequence")
        return [parse(item) for item in value]

    return parse_list


def read_params(specs: Sequence[Param], given: Any) -> list[Any]:
    """Read positional or named parameters.

    :raises ParamsError: for one that is missing, of the wrong shape, or not known.
    """
    if given is None:
        given = []
    if isinstance(given, Mapping):
        unknown = given.keys() - {spec.name for spec in specs}
        if unknown:
            raise ParamsError(f"unknown field `{min(unknown)}`")
        values = [given.get(spec.name) for spec in specs]
    elif isinstance(given, list):
        if len(given) > len(specs):
            raise ParamsError(f"expected at most {len(specs)} parameters, got {len(given)}")
        values = [*given, *[None] * (len(specs) - len(given))]
    else:
        raise ParamsError("params must be a sequence or a map")
    out: list[Any] = []
    for spec, value in zip(specs, values, strict=True):
        if value is None:
            if not spec.optional:
                raise ParamsError(f"missing parameter `{spec.name}`")
            out.append(None)
        else:
            try:
                out.append(spec.parse(value))
            except ParamsError as error:
                raise ParamsError(f"{spec.name}: {error}") from None
    return out


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    return {bool: "boolean", int: "integer", float: "floating point", str: "string"}.get(
        type(value), "sequence" if isinstance(value, list) else "map"
    )
