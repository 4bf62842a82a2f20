"""SCALE as combinators, for the few types that no chain's metadata describes.

Worker messages and metadata itself have layouts that are known beforehand; everything else on the
devnet is encoded through `prbkit.scale` and the metadata. A `Layout` writes a value and reads it
back from a `Reader`, which refuses whatever runs past its end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from prbkit.errors import CodecError

__all__ = [
    "Layout",
    "Reader",
    "blob",
    "boolean",
    "compact",
    "enum",
    "fixed",
    "option",
    "struct",
    "text",
    "u8",
    "u16",
    "u32",
    "u64",
    "u128",
    "u256",
    "unit",
    "vec",
]

T = TypeVar("T")


class Reader:
    """Reads SCALE from the front of `data`; every read is checked against its end."""

    __slots__ = ("data", "offset")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.offset = 0

    def take(self, count: int) -> bytes:
        end = self.offset + count
        if end > len(self.data):
            raise CodecError(
                f"{count} bytes wanted at offset {self.offset}, {len(self.data) - self.offset} left"
            )
        part = self.data[self.offset : end]
        self.offset = end
        return bytes(part)

    def uint(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def compact(self) -> int:
        """Read a compact integer; an encoding longer than needed is refused, as in parity-codec."""
        first = self.uint(1)
        mode = first & 3
        if mode == 0:
            return first >> 2
        if mode == 3:
            size = (first >> 2) + 4
            value, least = self.uint(size), 1 << 30 if size == 4 else 1 << 8 * (size - 1)
        else:
            size = (1 << mode) - 1
            value = (first | self.uint(size) << 8) >> 2
            least = 1 << 6 if mode == 1 else 1 << 14
        if value < least:
            raise CodecError(f"compact integer is not in its shortest form before {self.offset}")
        return value

    def count(self, least_item: int = 1) -> int:
        """Read a length and refuse one that the bytes left cannot hold."""
        count = self.compact()
        if count * least_item > len(self.data) - self.offset:
            raise CodecError(f"length {count} at offset {self.offset} exceeds the bytes left")
        return count

    def finish(self) -> None:
        """Refuse bytes that are left over."""
        if self.offset != len(self.data):
            raise CodecError(f"{len(self.data) - self.offset} bytes left over")


@dataclass(frozen=True, slots=True)
class Layout(Generic[T]):
    """How one type is written and read."""

    write: Callable[[T], bytes]
    read: Callable[[Reader], T]

    def decode(self, data: bytes) -> T:
        """Read exactly one value; raise `CodecError` if it is cut short or bytes are left over."""
        reader = Reader(data)
        value = self.read(reader)
        reader.finish()
        return value


def _uint(size: int) -> Layout[int]:
    def write(value: int) -> bytes:
        try:
            return value.to_bytes(size, "little")
        except OverflowError:
            raise CodecError(f"{value} does not fit in u{8 * size}") from None

    return Layout(write, lambda reader: reader.uint(size))


u8, u16, u32, u64, u128, u256 = (_uint(1 << exponent) for exponent in range(6))


def _write_compact(value: int) -> bytes:
    if value < 0 or value >= 1 << 536:
        raise CodecError(f"{value} does not fit in a compact integer")
    if value < 1 << 6:
        return bytes([value << 2])
    if value < 1 << 14:
        return (value << 2 | 1).to_bytes(2, "little")
    if value < 1 << 30:
        return (value << 2 | 2).to_bytes(4, "little")
    size = max(4, (value.bit_length() + 7) // 8)
    return bytes([(size - 4) << 2 | 3]) + value.to_bytes(size, "little")


compact: Layout[int] = Layout(_write_compact, Reader.compact)


def _read_boolean(reader: Reader) -> bool:
    value = reader.uint(1)
    if value > 1:
        raise CodecError(f"{value} is no bool, at offset {reader.offset - 1}")
    return bool(value)


boolean: Layout[bool] = Layout(lambda value: bytes([value]), _read_boolean)
unit: Layout[None] = Layout(lambda _: b"", lambda _: None)

blob: Layout[bytes] = Layout(
    lambda value: _write_compact(len(value)) + value,
    lambda reader: reader.take(reader.count()),
)


def _read_text(reader: Reader) -> str:
    raw = blob.read(reader)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise CodecError(f"text before offset {reader.offset} is not UTF-8") from None


text: Layout[str] = Layout(lambda value: blob.write(value.encode()), _read_text)


def fixed(size: int) -> Layout[bytes]:
    """``[u8; size]``."""

    def write(value: bytes) -> bytes:
        if len(value) != size:
            raise CodecError(f"{len(value)} bytes given for [u8; {size}]")
        return bytes(value)

    return Layout(write, lambda reader: reader.take(size))


def vec(item: Layout[T]) -> Layout[list[T]]:
    """``Vec<item>``; `item` must take at least one byte."""
    return Layout(
        lambda values: _write_compact(len(values)) + b"".join(map(item.write, values)),
        lambda reader: [item.read(reader) for _ in range(reader.count())],
    )


def option(item: Layout[T]) -> Layout[T | None]:
    """``Option<item>``."""

    def read(reader: Reader) -> T | None:
        return item.read(reader) if _read_boolean(reader) else None

    return Layout(lambda value: b"\0" if value is None else b"\1" + item.write(value), read)


def struct(cls: type[T], /, **fields: Layout[Any]) -> Layout[T]:
    """A struct: `cls` is built from, and gives, the named fields in this order."""
    return Layout(
        lambda value: b"".join(each.write(getattr(value, name)) for name, each in fields.items()),
        lambda reader: cls(**{name: each.read(reader) for name, each in fields.items()}),
    )


def enum(variants: Mapping[int, tuple[type, Layout[Any]]]) -> Layout[Any]:
    """An enum whose variants are told apart by the class of the value."""
    by_class: dict[type, tuple[int, Layout[Any]]] = {
        cls: (index, layout) for index, (cls, layout) in variants.items()
    }

    def write(value: object) -> bytes:
        try:
            index, layout = by_class[type(value)]
        except KeyError:
            known: Sequence[str] = [cls.__name__ for cls in by_class]
            raise CodecError(f"{type(value).__name__} is none of {', '.join(known)}") from None
        return bytes([index]) + layout.write(value)

    def read(reader: Reader) -> object:
        index = reader.uint(1)
        if index not in variants:
            raise CodecError(f"no variant has index {index}, at offset {reader.offset - 1}")
        return variants[index][1].read(reader)

    return Layout(write, read)
