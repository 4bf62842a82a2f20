"""A block's writes over its parent's state, with the layers that failing calls roll back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prbkit.scale import Metadata
from prbkit.testing.devnet.runtime import Changes, State

__all__ = ["Storage"]


class Storage:
    """Storage of a runtime by pallet and item, in the value shapes of `prbkit.scale`.

    Reads fall through the layers to the base state, which is never written.
    """

    def __init__(self, md: Metadata, base: State) -> None:
        self.md = md
        self._base = base
        self._layers: list[Changes] = [{}]

    @property
    def changes(self) -> Changes:
        """Everything that was written, in the order of first writes."""
        if len(self._layers) != 1:
            raise RuntimeError("changes are taken outside of transactions")
        return self._layers[0]

    @contextmanager
    def layer(self) -> Iterator[None]:
        """Drop what is written inside if an exception leaves the block."""
        self._layers.append({})
        try:
            yield
        except BaseException:
            self._layers.pop()
            raise
        top = self._layers.pop()
        self._layers[-1].update(top)

    def read(self, key: bytes) -> bytes | None:
        """Return the raw value of a key."""
        for layer in reversed(self._layers):
            if key in layer:
                return layer[key]
        return self._base.get(key)

    def write(self, key: bytes, value: bytes | None) -> None:
        """Set a raw value; None deletes it."""
        self._layers[-1][key] = value

    def get(self, pallet: str, item: str, *keys: Any) -> Any:
        """Return an item's value, its default, or None where it is optional and not there."""
        raw = self.read(self.md.storage_key(pallet, item, *keys))
        return self.md.decode_storage(pallet, item, raw)

    def put(self, pallet: str, item: str, *keys_and_value: Any) -> None:
        """Set an item: its keys, then its value."""
        *keys, value = keys_and_value
        key = self.md.storage_key(pallet, item, *keys)
        self.write(key, self.md.encode_storage(pallet, item, value))

    def has(self, pallet: str, item: str, *keys: Any) -> bool:
        """Tell whether an item is stored."""
        return self.read(self.md.storage_key(pallet, item, *keys)) is not None

    def kill(self, pallet: str, item: str, *keys: Any) -> None:
        """Delete an item."""
        self.write(self.md.storage_key(pallet, item, *keys), None)

    def take(self, pallet: str, item: str, *keys: Any) -> Any:
        """Return an item's value and delete it."""
        value = self.get(pallet, item, *keys)
        self.kill(pallet, item, *keys)
        return value
