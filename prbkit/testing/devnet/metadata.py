"""V14 metadata out of the tables of `prbkit.testing.devnet.descriptions`.

`build` interns every type once, and writes types, pallets and the extrinsic's format.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence, Set

from prbkit.testing.devnet.descriptions import (
    Definition,
    Extension,
    Field,
    Pallet,
    TypeBook,
    Variant,
    lines,
    split,
    table_variants,
)
from prbkit.testing.layouts import blob, compact, text, u8, u32

__all__ = ["build"]

_PRIMITIVES = {
    "bool": 0,
    "char": 1,
    "str": 2,
    **{f"u{8 << size}": 3 + size for size in range(6)},
    **{f"i{8 << size}": 9 + size for size in range(6)},
}
_HASHERS = {
    name: index
    for index, name in enumerate(
        (
            "Blake2_128",
            "Blake2_256",
            "Blake2_128Concat",
            "Twox128",
            "Twox256",
            "Twox64Concat",
            "Identity",
        )
    )
}
_MODIFIERS = {"Optional": 0, "Default": 1}


def _texts(docs: str) -> bytes:
    return compact.write(1) + text.write(docs) if docs else compact.write(0)


def _name(value: str | None) -> bytes:
    return b"\0" if value is None else b"\1" + text.write(value)


class _Registry:
    """Types by id; each structure is there once."""

    def __init__(self, book: TypeBook) -> None:
        self.book = book
        self.encoded: list[bytes] = []
        self.defaults: list[Callable[[], bytes]] = []
        self.ids: dict[object, int] = {}

    def intern(self, key: object, make: Callable[[], tuple[bytes, Callable[[], bytes]]]) -> int:
        """Return the id of `key`; `make` gives the type's SCALE and its default's on first use.

        The id is taken before `make` runs, so a type may hold itself.
        """
        if key not in self.ids:
            self.ids[key] = id_ = len(self.encoded)
            self.encoded.append(b"")
            self.defaults.append(bytes)
            self.encoded[id_], self.defaults[id_] = make()
        return self.ids[key]

    def default(self, id_: int) -> bytes:
        return self.defaults[id_]()

    def resolve(self, source: str, local: Mapping[str, str] | None = None) -> int:
        """Return the id of the type that `source` names."""
        source = " ".join(source.split())
        if source.startswith("compact "):
            return self.resolve(f"Compact<{source[8:]}>", local)
        if local and source in local:
            return self.resolve(local[source], {k: v for k, v in local.items() if k != source})
        if source in self.book.aliases:
            return self.resolve(self.book.aliases[source], local)
        if source in _PRIMITIVES:
            return self._primitive(source)
        if source.startswith("("):
            return self._tuple([self.resolve(part, local) for part in split(source[1:-1])])
        if source.startswith("["):
            item, _, length = source[1:-1].rpartition(";")
            return self._array(self.resolve(item, local), int(length))
        head, _, rest = source.partition("<")
        name = head.rsplit("::", 1)[-1]
        arguments = list(split(rest[:-1])) if rest else []
        if name in self.book.definitions:
            return self._defined(name)
        if name == "Box":
            return self.resolve(arguments[0], local)
        ids = [self.resolve(part, local) for part in arguments if part != "S"]
        builtin = _BUILTINS.get(name)
        if builtin is None or not ids:
            raise ValueError(f"no type is called {source!r}")
        return builtin(self, ids)

    def _primitive(self, name: str) -> int:
        size = {"bool": 1, "str": 1}.get(name) or int(name[1:]) // 8
        return self.intern(
            name,
            lambda: (_type(b"\5" + u8.write(_PRIMITIVES[name])), lambda: bytes(size)),
        )

    def _tuple(self, ids: list[int]) -> int:
        return self.intern(
            ("tuple", *ids),
            lambda: (
                _type(b"\4" + compact.write(len(ids)) + b"".join(map(compact.write, ids))),
                lambda: b"".join(map(self.default, ids)),
            ),
        )

    def _array(self, item: int, length: int) -> int:
        return self.intern(
            ("array", item, length),
            lambda: (
                _type(b"\3" + u32.write(length) + compact.write(item)),
                lambda: self.default(item) * length,
            ),
        )

    def _sequence(self, ids: list[int]) -> int:
        return self.intern(
            ("sequence", *ids),
            lambda: (_type(b"\2" + compact.write(ids[0])), lambda: b"\0"),
        )

    def _compact(self, ids: list[int]) -> int:
        return self.intern(
            ("compact", *ids),
            lambda: (_type(b"\6" + compact.write(ids[0])), lambda: b"\0"),
        )

    def _option(self, ids: list[int]) -> int:
        variants = [(0, "None", [], ""), (1, "Some", [(None, ids[0], None)], "")]
        return self.intern(
            ("option", *ids),
            lambda: (
                _type(_variant_def(variants), "Option", [("T", ids[0])]),
                lambda: b"\0",
            ),
        )

    def _result(self, ids: list[int]) -> int:
        variants = [
            (0, "Ok", [(None, ids[0], None)], ""),
            (1, "Err", [(None, ids[1], None)], ""),
        ]
        return self.intern(
            ("result", *ids),
            lambda: (
                _type(_variant_def(variants), "Result", [("T", ids[0]), ("E", ids[1])]),
                lambda: b"\0" + self.default(ids[0]),
            ),
        )

    def _wrapped(
        self, path: str, params: list[tuple[str, int | None]], inner: int, name: str | None
    ) -> int:
        """Intern a struct around `inner` alone, as collections and bounded vectors are."""
        return self.intern(
            (path, *params),
            lambda: (
                _type(b"\0" + _fields_scale([(None, inner, name)]), path, params),
                lambda: self.default(inner),
            ),
        )

    def _set(self, ids: list[int]) -> int:
        return self._wrapped("BTreeSet", [("T", ids[0])], self._sequence(ids), None)

    def _map(self, ids: list[int]) -> int:
        items = self._sequence([self._tuple(ids)])
        return self._wrapped("BTreeMap", [("K", ids[0]), ("V", ids[1])], items, None)

    def _bounded(self, ids: list[int]) -> int:
        path = "bounded_collections::bounded_vec::BoundedVec"
        return self._wrapped(path, [("T", ids[0]), ("S", None)], self._sequence(ids), "Vec<T>")

    def _weak_bounded(self, ids: list[int]) -> int:
        path = "bounded_collections::weak_bounded_vec::WeakBoundedVec"
        return self._wrapped(path, [("T", ids[0]), ("S", None)], self._sequence(ids), "Vec<T>")

    def _defined(self, name: str) -> int:
        definition = self.book.definitions[name]
        return self.add(name, definition)

    def add(self, key: object, definition: Definition) -> int:
        """Intern a struct or an enum under `key`."""
        local = {param: target for param, target in definition.params if target is not None}

        def fields(items: Sequence[Field]) -> list[tuple[str | None, int, str | None]]:
            return [
                (
                    item.name,
                    self.resolve(item.type.removeprefix("~"), local),
                    None if item.type[0] == "~" else item.type.removeprefix("compact "),
                )
                for item in items
            ]

        def make() -> tuple[bytes, Callable[[], bytes]]:
            params: list[tuple[str, int | None]] = [
                (param, None if target is None else self.resolve(target))
                for param, target in definition.params
            ]
            if definition.variants is None:
                members = fields(definition.fields or ())
                return (
                    _type(b"\0" + _fields_scale(members), definition.path, params),
                    lambda: b"".join(self.default(id_) for _, id_, _ in members),
                )
            variants = [(v.index, v.name, fields(v.fields), v.docs) for v in definition.variants]
            first = min(variants, default=None, key=lambda each: each[0])

            def default() -> bytes:
                if first is None:
                    return b""
                return bytes([first[0]]) + b"".join(self.default(id_) for _, id_, _ in first[2])

            return _type(_variant_def(variants), definition.path, params), default

        return self.intern(key, make)

    def scale(self) -> bytes:
        return compact.write(len(self.encoded)) + b"".join(
            compact.write(id_) + encoded for id_, encoded in enumerate(self.encoded)
        )


_BUILTINS: dict[str, Callable[[_Registry, list[int]], int]] = {
    "Vec": _Registry._sequence,
    "VecDeque": _Registry._sequence,
    "Compact": _Registry._compact,
    "Option": _Registry._option,
    "Result": _Registry._result,
    "BTreeSet": _Registry._set,
    "BTreeMap": _Registry._map,
    "BoundedVec": _Registry._bounded,
    "WeakBoundedVec": _Registry._weak_bounded,
}


def _type(
    definition: bytes, path: str = "", params: Sequence[tuple[str, int | None]] = ()
) -> bytes:
    segments = path.split("::") if path else []
    return b"".join(
        [
            compact.write(len(segments)),
            *map(text.write, segments),
            compact.write(len(params)),
            *(
                text.write(name) + (b"\0" if id_ is None else b"\1" + compact.write(id_))
                for name, id_ in params
            ),
            definition,
            _texts(""),
        ]
    )


def _fields_scale(fields: Sequence[tuple[str | None, int, str | None]]) -> bytes:
    return compact.write(len(fields)) + b"".join(
        _name(name) + compact.write(id_) + _name(type_name) + _texts("")
        for name, id_, type_name in fields
    )


def _variant_def(
    variants: Sequence[tuple[int, str, Sequence[tuple[str | None, int, str | None]], str]],
) -> bytes:
    return (
        b"\1"
        + compact.write(len(variants))
        + b"".join(
            text.write(name) + _fields_scale(fields) + u8.write(index) + _texts(docs)
            for index, name, fields, docs in variants
        )
    )


# -------------------------------------------------------------------------------------- the whole


def build(
    runtime: str, book: TypeBook, pallets: Sequence[Pallet], extensions: Sequence[Extension]
) -> bytes:
    """Return V14 metadata.

    :param runtime: crate that RuntimeCall and RuntimeEvent lie in; ends in ``_runtime``.
    :param book: the definitions that the tables use; those of the tables are added to it.
    """
    tables: set[str] = set()
    for pallet in pallets:
        for kind, source in (
            ("Call", pallet.calls),
            ("Event", pallet.events),
            ("Error", pallet.errors),
        ):
            if source:
                tables.add(pallet.name + kind)
                book.definitions[pallet.name + kind] = Definition(
                    f"{pallet.crate}::{kind}", (("T", None),), None, table_variants(source)
                )
    for outer, kind in (("RuntimeCall", "Call"), ("RuntimeEvent", "Event")):
        book.definitions[outer] = Definition(
            f"{runtime}::{outer}",
            (),
            None,
            tuple(
                Variant(each.index, each.name, (Field(None, each.name + kind),))
                for each in pallets
                if each.name + kind in tables
            ),
        )
    book.definitions["Era"] = _era()
    book.definitions["UncheckedExtrinsic"] = _unchecked_extrinsic(extensions)
    registry = _Registry(book)
    registry.resolve("AccountId32")
    encoded = [_pallet(registry, pallet, tables) for pallet in pallets]
    extrinsic = _extrinsic(registry, extensions)
    own = registry.add("Runtime", Definition(f"{runtime}::Runtime", (), (), None))
    return b"".join(
        [
            b"meta\x0e",
            registry.scale(),
            compact.write(len(encoded)),
            *encoded,
            extrinsic,
            compact.write(own),
        ]
    )


def _pallet(registry: _Registry, pallet: Pallet, tables: Set[str]) -> bytes:
    def optional(kind: str) -> bytes:
        if pallet.name + kind not in tables:
            return b"\0"
        return b"\1" + compact.write(registry.resolve(pallet.name + kind))

    items = [_storage_item(registry, line) for line in lines(pallet.storage)]
    storage = b"\0"
    if items:
        storage = b"\1" + text.write(pallet.name) + compact.write(len(items)) + b"".join(items)
    return b"".join(
        [
            text.write(pallet.name),
            storage,
            optional("Call"),
            optional("Event"),
            compact.write(len(pallet.constants)),
            *(
                text.write(name)
                + compact.write(registry.resolve(type_))
                + blob.write(value)
                + _texts("")
                for name, (type_, value) in pallet.constants.items()
            ),
            optional("Error"),
            u8.write(pallet.index),
        ]
    )


def _storage_item(registry: _Registry, line: str) -> bytes:
    code, _, docs = line.partition("#")
    match = re.fullmatch(
        r"(\w+): (Optional|Default) (?:((?:\w+, )*\w+) (\S.*?) => )?(.*?)(?: = 0x(\w+))?",
        code.strip(),
    )
    if match is None:
        raise ValueError(f"no storage item: {line!r}")
    name, modifier, hashers, key, value, default = match.groups()
    value_id = registry.resolve(value)
    fallback = b"\0"
    if modifier == "Default":
        fallback = bytes.fromhex(default) if default else registry.default(value_id)
    kind = b"\0" + compact.write(value_id)
    if hashers is not None:
        names = [each.strip() for each in hashers.split(",")]
        kind = b"".join(
            [
                b"\1",
                compact.write(len(names)),
                *(u8.write(_HASHERS[each]) for each in names),
                compact.write(registry.resolve(key)),
                compact.write(value_id),
            ]
        )
    return b"".join(
        [
            text.write(name),
            u8.write(_MODIFIERS[modifier]),
            kind,
            blob.write(fallback),
            _texts(docs.strip()),
        ]
    )


def _unchecked_extrinsic(extensions: Sequence[Extension]) -> Definition:
    return Definition(
        "sp_runtime::generic::unchecked_extrinsic::UncheckedExtrinsic",
        (
            ("Address", "MultiAddress"),
            ("Call", "RuntimeCall"),
            ("Signature", "MultiSignature"),
            ("Extra", "(" + ", ".join(each.type for each in extensions) + ")"),
        ),
        (Field(None, "Vec<u8>"),),
        None,
    )


def _extrinsic(registry: _Registry, extensions: Sequence[Extension]) -> bytes:
    return b"".join(
        [
            compact.write(registry.resolve("UncheckedExtrinsic")),
            u8.write(4),
            compact.write(len(extensions)),
            *(
                text.write(each.identifier)
                + compact.write(registry.resolve(each.type))
                + compact.write(registry.resolve(each.additional))
                for each in extensions
            ),
        ]
    )


def _era() -> Definition:
    """Make the type of an era: one variant for each first byte; a second one follows if mortal."""
    mortal = (Variant(byte, f"Mortal{byte}", (Field(None, "~u8"),)) for byte in range(1, 256))
    return Definition(
        "sp_runtime::generic::era::Era", (), None, (Variant(0, "Immortal", ()), *mortal)
    )
