"""Messages as the JSON that PRB v2's monitor speaks.

protobufjs writes field names in camelCase, enums by name, bytes in base64 and 64-bit integers as
decimal text, and so do we; it leaves out what was not set on the wire, where we write the default
of every field that cannot be absent, so that a reader finds `enabled: false`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any, TypeAlias, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from prbkit.errors import CodecError

__all__ = ["from_json", "to_json"]

M = TypeVar("M", bound=Message)

# protobuf's implementations (upb, pure Python) each have descriptor classes of their own.
_Field: TypeAlias = Any

_MAX_DEPTH = 32
_RANGES = {
    FieldDescriptor.TYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_UINT64: (0, 2**64 - 1),
}
_DECIMAL = re.compile(r"-?[0-9]{1,20}", re.ASCII)


def to_json(message: Message) -> dict[str, Any]:
    """Return a message as JSON values.

    Fields with presence (messages, ``optional``, members of a oneof) are left out where unset. An
    enum's number that has no name is written as the number.
    """
    written: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        if field.has_presence and not message.HasField(field.name):
            continue
        value = getattr(message, field.name)
        if _is_repeated(field):
            written[field.json_name] = [_write(field, item) for item in value]
        else:
            written[field.json_name] = _write(field, value)
    return written


def from_json(cls: type[M], value: Mapping[str, Any]) -> M:
    """Make a message of JSON values; camelCase and the .proto's own names are taken.

    Null leaves a field unset; 64-bit integers may be numbers or decimal text, enums names or
    numbers, bytes base64 of either alphabet. Raises `CodecError` for an unknown field, two members
    of one oneof, or a value that does not fit, naming the place (``$.pools[0].pid``).
    """
    message = cls()
    _read_message(message, value, "$", 0)
    return message


def _is_repeated(field: _Field) -> bool:
    # `label` and `is_repeated` each exist in some of the protobuf versions allowed; a repeated
    # field is the only one here that has a list as its default.
    return isinstance(field.default_value, list)


def _write(field: _Field, value: Any) -> Any:
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        return to_json(value)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return base64.b64encode(value).decode()
    if field.type == FieldDescriptor.TYPE_UINT64:
        return str(value)
    if field.type == FieldDescriptor.TYPE_ENUM:
        known = field.enum_type.values_by_number.get(value)
        return value if known is None else known.name
    return value


def _fields(descriptor: Any) -> dict[str, _Field]:
    fields = {field.name: field for field in descriptor.fields}
    fields.update({field.json_name: field for field in descriptor.fields})
    return fields


def _read_message(message: Message, value: Any, place: str, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise CodecError("JSON is nested too deep", where=place)
    if not isinstance(value, Mapping):
        raise CodecError(f"expected an object, got {_kind(value)}", where=place)
    fields = _fields(message.DESCRIPTOR)
    seen: dict[str, str] = {}
    for name, item in value.items():
        field = fields.get(name)
        if field is None:
            raise CodecError(
                f"{message.DESCRIPTOR.name} has no field {name!r}",
                where=place,
                hint="known are " + ", ".join(f.json_name for f in message.DESCRIPTOR.fields),
            )
        if item is None:
            continue
        slot = field.containing_oneof.name if field.containing_oneof else field.name
        if slot in seen:
            raise CodecError(f"{name!r} is given beside {seen[slot]!r}", where=place)
        seen[slot] = name
        _read_field(message, field, item, f"{place}.{name}", depth)


def _read_field(message: Message, field: _Field, value: Any, place: str, depth: int) -> None:
    is_message = field.type == FieldDescriptor.TYPE_MESSAGE
    if _is_repeated(field):
        if not isinstance(value, list | tuple):
            raise CodecError(f"expected an array, got {_kind(value)}", where=place)
        target = getattr(message, field.name)
        for index, item in enumerate(value):
            if is_message:
                _read_message(target.add(), item, f"{place}[{index}]", depth + 1)
            else:
                target.append(_read_scalar(field, item, f"{place}[{index}]"))
    elif is_message:
        child = getattr(message, field.name)
        child.SetInParent()
        _read_message(child, value, place, depth + 1)
    else:
        setattr(message, field.name, _read_scalar(field, value, place))


def _read_scalar(field: _Field, value: Any, place: str) -> Any:
    if field.type == FieldDescriptor.TYPE_BOOL:
        if isinstance(value, bool):
            return value
        raise CodecError(f"expected a boolean, got {_kind(value)}", where=place)
    if field.type == FieldDescriptor.TYPE_STRING:
        if isinstance(value, str) and _is_utf8(value):
            return value
        raise CodecError(f"expected a text, got {_kind(value)}", where=place)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return _read_bytes(value, place)
    if field.type == FieldDescriptor.TYPE_ENUM:
        return _read_enum(field, value, place)
    return _read_integer(field, value, place)


def _is_utf8(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_bytes(value: Any, place: str) -> bytes:
    if not isinstance(value, str):
        raise CodecError(f"expected base64, got {_kind(value)}", where=place)
    text = value.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise CodecError("expected base64", where=place) from None


def _read_enum(field: _Field, value: Any, place: str) -> int:
    names = field.enum_type.values_by_name
    if isinstance(value, str) and value in names:
        return int(names[value].number)
    if type(value) is int and value in field.enum_type.values_by_number:
        return value
    raise CodecError(
        f"expected a {field.enum_type.name}, got {_kind(value)}",
        where=place,
        hint="known are " + ", ".join(names),
    )


def _read_integer(field: _Field, value: Any, place: str) -> int:
    low, high = _RANGES[field.type]
    number: int | None = None
    if type(value) is int:
        number = value
    elif isinstance(value, str) and _DECIMAL.fullmatch(value):
        number = int(value)
    if number is None:
        raise CodecError(f"expected an integer, got {_kind(value)}", where=place)
    if not low <= number <= high:
        # Python refuses to write out numbers of thousands of digits.
        shown = number if number.bit_length() <= 128 else f"a number of {number.bit_length()} bits"
        raise CodecError(f"{shown} is not from {low} to {high}", where=place)
    return number


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "an array", str: "a text", bool: "a boolean"}
    if value is None:
        return "null"
    return names.get(type(value), f"a {type(value).__name__}")
