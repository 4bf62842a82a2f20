"""A cursor over SCALE bytes, for the two layouts that are walked without metadata.

Storage changes are scanned for a few keys among thousands, and a worker's messages are cut out
whole for the trader; neither needs its values decoded.
"""

from __future__ import annotations

from collections.abc import Iterator

from prbkit.errors import CodecError

__all__ = ["Cursor", "changed_values", "split_vec"]


class Cursor:
    """Reads forward; every read is checked against the end.

    :raises CodecError: by all methods, where the bytes end too early or make no sense.
    """

    __slots__ = ("_data", "offset")

    def __init__(self, data: bytes, offset: int = 0) -> None:
        self._data = data
        self.offset = offset

    @property
    def at_end(self) -> bool:
        return self.offset == len(self._data)

    def take(self, count: int) -> bytes:
        end = self.offset + count
        if end > len(self._data):
            raise CodecError(f"{end - len(self._data)} bytes are missing at offset {self.offset}")
        taken = self._data[self.offset : end]
        self.offset = end
        return taken

    def byte(self) -> int:
        return self.take(1)[0]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def compact(self) -> int:
        first = self.byte()
        mode = first & 3
        if mode == 0:
            return first >> 2
        if mode == 3:
            return self.number((first >> 2) + 4)
        more = 1 if mode == 1 else 3
        return (first | self.number(more) << 8) >> 2

    def count(self) -> int:
        """The length of a Vec, which cannot have more items than bytes are left."""
        count = self.compact()
        if count > len(self._data) - self.offset:
            raise CodecError(f"a length of {count} does not fit, before offset {self.offset}")
        return count

    def blob(self) -> bytes:
        return self.take(self.count())

    def since(self, offset: int) -> bytes:
        return self._data[offset : self.offset]

    def end(self) -> None:
        if not self.at_end:
            raise CodecError(f"{len(self._data) - self.offset} bytes are left over")


def changed_values(cursor: Cursor) -> Iterator[tuple[bytes, bytes | None]]:
    """Yield the (key, value) pairs of the main trie of one StorageChanges and go past it."""
    for _ in range(cursor.count()):
        key = cursor.blob()
        yield key, _optional_blob(cursor)
    for _ in range(cursor.count()):
        cursor.blob()
        for _ in range(cursor.count()):
            cursor.blob()
            _optional_blob(cursor)


def _optional_blob(cursor: Cursor) -> bytes | None:
    match cursor.byte():
        case 0:
            return None
        case 1:
            return cursor.blob()
    raise CodecError(f"an Option is neither 0 nor 1, at offset {cursor.offset - 1}")


def split_vec(data: bytes) -> tuple[int, bytes]:
    """The number of items of a Vec, and the bytes of all of them."""
    cursor = Cursor(data)
    return cursor.count(), data[cursor.offset :]
