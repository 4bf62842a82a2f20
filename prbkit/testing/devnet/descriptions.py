"""Types and pallets as tables that read like the pallets' own source.

A `TypeBook` holds type definitions and aliases as text, a `Pallet` the tables of one pallet. A
field's text is kept as its ``typeName`` and resolved through the aliases, so a table says
``who: T::AccountId`` and nothing else.

Definitions, one a line (or over several lines until the braces close)::

    alias  T::AccountId = AccountId32
    struct sp_core::crypto::AccountId32([u8; 32])
    struct frame_system::LastRuntimeUpgradeInfo { spec_version: Compact<u32>, spec_name: String }
    enum   frame_system::Phase { ApplyExtrinsic(u32), Finalization, Initialization }

Behind the path may stand ``as Name`` where its last segment is another definition's name too, then
type parameters, ``<T>`` without and ``<Balance: u128>`` with a type; those are aliases inside the
definition. A variant's index may stand before its name; else it is one more than the former.
``compact X`` is ``Compact<X>`` with ``X`` as its name, ``~X`` is ``X`` without a name. Text behind
``#`` becomes the docs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

__all__ = [
    "Definition",
    "Extension",
    "Field",
    "Pallet",
    "TypeBook",
    "Variant",
    "lines",
    "split",
    "table_variants",
]


@dataclass(frozen=True, slots=True)
class Field:
    """A field: its name, and its type as text."""

    name: str | None
    type: str


@dataclass(frozen=True, slots=True)
class Variant:
    """A variant of an enum; a call, an event or an error."""

    index: int
    name: str
    fields: tuple[Field, ...]
    docs: str = ""


@dataclass(frozen=True, slots=True)
class Definition:
    """A struct (`fields`) or an enum (`variants`); params are (name, type as text or None)."""

    path: str
    params: tuple[tuple[str, str | None], ...]
    fields: tuple[Field, ...] | None
    variants: tuple[Variant, ...] | None


def split(source: str, separator: str = ",") -> Iterator[str]:
    """Split at separators that stand in no bracket, and drop what is empty."""
    depth, start = 0, 0
    for at, char in enumerate(source):
        if char in "<([{":
            depth += 1
        elif char in ">)]}":
            depth -= 1
        elif char == separator and not depth:
            if part := source[start:at].strip():
                yield part
            start = at + 1
    if part := source[start:].strip():
        yield part


def _fields(source: str) -> tuple[Field, ...]:
    """Read ``(A, B)``, ``{ a: A, b: B }`` or nothing."""
    source = source.strip()
    if not source:
        return ()
    inner = source[1:-1]
    if source[0] == "(":
        return tuple(Field(None, part) for part in split(inner))
    return tuple(
        Field(name.strip(), rest.strip())
        for name, rest in (part.split(":", 1) for part in split(inner))
    )


def _variants(parts: Iterator[str] | Sequence[str]) -> tuple[Variant, ...]:
    found: list[Variant] = []
    following = 0
    for part in parts:
        body, _, docs = part.partition("#")
        match = re.fullmatch(r"(?:(\d+)\s+)?(\w+)\s*([({].*)?", body.strip(), re.DOTALL)
        if match is None:
            raise ValueError(f"no variant: {part!r}")
        index = int(match[1]) if match[1] else following
        found.append(Variant(index, match[2], _fields(match[3] or ""), docs.strip()))
        following = index + 1
    return tuple(found)


def lines(source: str) -> Iterator[str]:
    """Yield the lines, joined until their brackets close, without the empty ones."""
    pending = ""
    for line in source.splitlines():
        pending = f"{pending} {line.strip()}".strip()
        code = pending.partition("#")[0].replace("=>", "")
        if sum(map(code.count, "([{<")) <= sum(map(code.count, ")]}>")):
            if pending:
                yield pending
            pending = ""
    if pending:
        raise ValueError(f"brackets are not closed: {pending!r}")


def table_variants(source: str) -> tuple[Variant, ...]:
    """Read a table of calls, events or errors; ``name(a: A)`` has named fields here."""
    variants = []
    for variant in _variants(list(lines(source))):
        fields = tuple(
            Field(*map(str.strip, each.type.split(": ", 1))) if ": " in each.type else each
            for each in variant.fields
        )
        variants.append(Variant(variant.index, variant.name, fields, variant.docs))
    return tuple(variants)


class TypeBook:
    """Definitions and aliases by name."""

    def __init__(self, *sources: str) -> None:
        self.definitions: dict[str, Definition] = {}
        self.aliases: dict[str, str] = {}
        for source in sources:
            for line in lines(source):
                self._add(line.partition("#")[0].strip())

    def _add(self, line: str) -> None:
        kind, _, rest = line.partition(" ")
        if kind == "alias":
            name, _, target = rest.partition("=")
            self.aliases[name.strip()] = target.strip()
            return
        match = re.fullmatch(
            r"\s*([\w:]+)(?:\s+as\s+(\w+))?\s*(?:<(.*?)>)?\s*([({].*)?", rest, re.DOTALL
        )
        if match is None or kind not in ("struct", "enum"):
            raise ValueError(f"no definition: {line!r}")
        params = tuple(
            (name.strip(), target.strip() or None)
            for name, _, target in (part.partition(": ") for part in split(match[3] or ""))
        )
        body = match[4] or ""
        name = match[2] or match[1].rsplit("::", 1)[-1]
        if kind == "struct":
            definition = Definition(match[1], params, _fields(body), None)
        else:
            definition = Definition(match[1], params, None, _variants(split(body[1:-1])))
        if name in self.definitions:
            raise ValueError(f"{name} is defined twice")
        self.definitions[name] = definition


@dataclass(frozen=True, slots=True)
class Pallet:
    """The tables of one pallet.

    :param crate: path of the types Call, Event and Error, less ``::Call``.
    :param storage: lines ``Name: Default Type`` or ``Name: Optional Hasher Key => Type``, with
        several hashers comma-separated and a tuple of keys; ``= 0x…`` behind it sets a default.
    :param calls: lines ``[index] name(field: Type, …)``; so events and errors.
    :param constants: name → (type, SCALE value).
    """

    name: str
    index: int
    crate: str
    storage: str = ""
    calls: str = ""
    events: str = ""
    errors: str = ""
    constants: Mapping[str, tuple[str, bytes]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Extension:
    """A signed extension: what it adds to the extrinsic and to the bytes that are signed."""

    identifier: str
    type: str
    additional: str
