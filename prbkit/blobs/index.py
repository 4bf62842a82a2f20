"""The small picture of what is committed that the planner reads, and how it travels.

It holds numbers and sizes only, in columns: some 32 bytes a relay segment and 16 a para block.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from dataclasses import dataclass

from prbkit._native import core
from prbkit.errors import CodecError

__all__ = ["CommittedIndex", "SegmentEntry"]

VERSION = 1

NO_PARA = -1

MAX_ENTRIES = 4096
"""Entries (of each kind) that a slice holds at most."""


@dataclass(frozen=True, slots=True)
class SegmentEntry:
    """A committed relay segment.

    `para_number` is the para head that block `last` includes, None for none. `size` is the bytes
    of its headers in a request, `tail_size` those of justification, proof and set change, which
    only the last segment of a request brings.
    """

    first: int
    last: int
    set_id: int
    para_number: int | None
    size: int
    tail_size: int


class CommittedIndex:
    """What is committed: relay segments and para blocks, both without gaps and only appended to.

    :param relay_first: the first relay block that the first segment holds.
    :param para_first: the first para block.
    """

    __slots__ = (
        "_changes_bytes",
        "_last",
        "_para",
        "_para_bytes",
        "_relay_bytes",
        "_set_id",
        "_tail",
        "para_first",
        "relay_first",
    )

    def __init__(self, relay_first: int, para_first: int = 0) -> None:
        self.relay_first = relay_first
        self.para_first = para_first
        self._last = array("I")
        self._set_id = array("Q")
        self._para = array("q")
        self._tail = array("I")
        # Sums of the sizes of all entries before one, so that a range's size is a subtraction.
        self._relay_bytes = array("Q", [0])
        self._para_bytes = array("Q", [0])
        self._changes_bytes = array("Q", [0])

    @property
    def relay_next(self) -> int:
        """The first relay block that is not committed."""
        return self._last[-1] + 1 if self._last else self.relay_first

    @property
    def para_next(self) -> int:
        """The first para block that is not committed."""
        return self.para_first + len(self._para_bytes) - 1

    def __len__(self) -> int:
        """Number of segments."""
        return len(self._last)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CommittedIndex):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    __hash__ = None  # type: ignore[assignment]

    def add_segment(
        self,
        first: int,
        last: int,
        *,
        set_id: int,
        para_number: int | None,
        size: int,
        tail_size: int,
    ) -> None:
        """Append a segment; it must follow the last one."""
        if first != self.relay_next or last < first:
            raise CodecError(
                f"segment {first} to {last} does not follow block {self.relay_next - 1}"
            )
        para = NO_PARA if para_number is None else para_number
        if self._set_id and (set_id < self._set_id[-1] or para < self._para[-1]):
            raise CodecError(f"segment {first} to {last} goes back in authority sets or para heads")
        self._last.append(last)
        self._set_id.append(set_id)
        self._para.append(para)
        self._tail.append(tail_size)
        self._relay_bytes.append(self._relay_bytes[-1] + size)

    def add_para(self, number: int, *, header_size: int, changes_size: int) -> None:
        """Append a para block; it must follow the last one. Block 0 has changes of no size."""
        if number != self.para_next:
            raise CodecError(f"para block {number} does not follow {self.para_next - 1}")
        self._para_bytes.append(self._para_bytes[-1] + header_size)
        self._changes_bytes.append(self._changes_bytes[-1] + changes_size)

    def find(self, number: int) -> int | None:
        """Position of the segment that holds a relay block, None if it isn't committed."""
        if not self.relay_first <= number < self.relay_next:
            return None
        return bisect_left(self._last, number)

    def segment(self, position: int) -> SegmentEntry:
        """Return the segment at a position."""
        first = self._last[position - 1] + 1 if position else self.relay_first
        para = self._para[position]
        return SegmentEntry(
            first,
            self._last[position],
            self._set_id[position],
            None if para == NO_PARA else para,
            self.relay_size(position, position),
            self._tail[position],
        )

    def set_start(self, position: int) -> int:
        """Position of the first committed segment of the authority set of the one at `position`."""
        return bisect_left(self._set_id, self._set_id[position])

    def set_end(self, position: int) -> int:
        """Position of the last committed segment of the authority set of the one at `position`."""
        return bisect_left(self._set_id, self._set_id[position] + 1) - 1

    def segments(self, first: int, last: int) -> list[SegmentEntry]:
        """Return the segments that hold the relay blocks first … last, all committed."""
        start, stop = self.find(first), self.find(last)
        if start is None or stop is None:
            raise CodecError(f"relay blocks {first} to {last} are not all committed")
        return [self.segment(i) for i in range(start, stop + 1)]

    def relay_size(self, start: int, stop: int) -> int:
        """Bytes of the headers of the segments at positions start … stop."""
        return self._relay_bytes[stop + 1] - self._relay_bytes[start]

    def tail_size(self, position: int) -> int:
        """Bytes that the segment at a position brings besides its headers, being the last."""
        return self._tail[position]

    def para_size(self, first: int, last: int) -> int:
        """Bytes of the para headers first … last; 0 where last < first."""
        return self._span(self._para_bytes, first, last)

    def changes_size(self, first: int, last: int) -> int:
        """Bytes of the storage changes of para blocks first … last; 0 where last < first."""
        return self._span(self._changes_bytes, first, last)

    def _span(self, sums: array[int], first: int, last: int) -> int:
        if last < first:
            return 0
        if first < self.para_first or last >= self.para_next:
            raise CodecError(f"para blocks {first} to {last} are not all committed")
        return sums[last + 1 - self.para_first] - sums[first - self.para_first]

    def slice(self, relay: int, para: int, limit: int = MAX_ENTRIES) -> bytes:
        """Return what lies at or after a relay and a para block, at most `limit` entries of each.

        A segment that holds `relay` comes whole, so a slice may begin before it.
        """
        start = 0 if relay <= self.relay_first else bisect_left(self._last, relay)
        stop = min(len(self), start + limit)
        para_start = min(max(para, self.para_first), self.para_next)
        para_stop = min(self.para_next, para_start + limit)
        first = self._last[start - 1] + 1 if start else self.relay_first
        parts = [bytes([VERSION]), _u32(first), core.compact(stop - start)]
        for i in range(start, stop):
            parts += [
                _u32(self._last[i]),
                self._set_id[i].to_bytes(8, "little"),
                b"\0" if self._para[i] == NO_PARA else b"\1" + _u32(self._para[i]),
                _u32(self.relay_size(i, i)),
                _u32(self._tail[i]),
            ]
        parts += [_u32(para_start), core.compact(para_stop - para_start)]
        for number in range(para_start, para_stop):
            parts += [
                _u32(self.para_size(number, number)),
                _u32(self.changes_size(number, number)),
            ]
        return b"".join(parts)

    @classmethod
    def decode(cls, data: bytes) -> CommittedIndex:
        """Read a slice as an index of its own, which begins where the slice does."""
        walker = core.Walker(data, "index slice")
        if (version := walker.u8()) != VERSION:
            walker.refuse(f"version {version} is not known")
        first = walker.u32()
        segments = []
        for _ in range(walker.count(least=21)):
            last, set_id = walker.u32(), walker.u64()
            para = walker.u32() if walker.option() else None
            segments.append((last, set_id, para, walker.u32(), walker.u32()))
        index = cls(first, walker.u32())
        for last, set_id, para, size, tail_size in segments:
            index.add_segment(
                index.relay_next,
                last,
                set_id=set_id,
                para_number=para,
                size=size,
                tail_size=tail_size,
            )
        for _ in range(walker.count(least=8)):
            index.add_para(index.para_next, header_size=walker.u32(), changes_size=walker.u32())
        walker.done()
        return index

    def extend(self, data: bytes) -> int:
        """Append what a slice has beyond this index; how many entries that were.

        :raises CodecError: for a slice that cannot be read, that leaves a gap, or that contradicts
            what is here; the index is unchanged then.
        """
        other = CommittedIndex.decode(data)
        start = 0
        if len(other):
            if other.relay_first > self.relay_next:
                raise CodecError(
                    f"the slice begins at relay block {other.relay_first}, "
                    f"{self.relay_next} is wanted"
                )
            found = other.find(self.relay_next)
            start = len(other) if found is None else found
            if start < len(other) and other.segment(start).first != self.relay_next:
                raise CodecError(f"the slice has no segment that begins at {self.relay_next}")
            if start < len(other) and self._last:
                entry = other.segment(start)
                para = NO_PARA if entry.para_number is None else entry.para_number
                if entry.set_id < self._set_id[-1] or para < self._para[-1]:
                    raise CodecError("the slice goes back in authority sets or para heads")
        fresh = max(0, other.para_next - self.para_next)
        if fresh and other.para_first > self.para_next:
            raise CodecError(
                f"the slice begins at para block {other.para_first}, {self.para_next} is wanted"
            )
        for i in range(start, len(other)):
            entry = other.segment(i)
            self.add_segment(
                entry.first,
                entry.last,
                set_id=entry.set_id,
                para_number=entry.para_number,
                size=entry.size,
                tail_size=entry.tail_size,
            )
        for number in range(other.para_next - fresh, other.para_next):
            self.add_para(
                number,
                header_size=other.para_size(number, number),
                changes_size=other.changes_size(number, number),
            )
        return len(other) - start + fresh


def _u32(value: int) -> bytes:
    return value.to_bytes(4, "little")
