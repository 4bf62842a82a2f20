"""PRB v2's blobs: its key names and ranges, filled from our documents.

A *dry range* ends at each justified relay block, which is what our segments are; a *window* holds
all dry ranges of an authority set and exists once the set has ended. In a window's blob only the
last header keeps its justification. Para blocks are numbered from 1, in batches of 15.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from prbkit.blobs.documents import RelaySegment
from prbkit.blobs.index import CommittedIndex
from prbkit.blobs.planner import Dispatch, SyncCombined, assemble

__all__ = [
    "LAST_COMMITTED_PARA_BLOCK",
    "LAST_COMMITTED_PARENT_BLOCK",
    "PARA_BATCH",
    "Key",
    "Range",
    "dispatch_blob",
    "dry_ranges",
    "para_batch",
    "parse_key",
    "range_at",
    "sync_blob",
    "window_of",
    "windows",
]

LAST_COMMITTED_PARENT_BLOCK = "LAST_COMMITTED_PARENT_BLOCK"
LAST_COMMITTED_PARA_BLOCK = "LAST_COMMITTED_PARA_BLOCK"

PARA_BATCH = 15
NONE = -1


@dataclass(frozen=True, slots=True)
class Range:
    """Relay blocks and the para headers that they bring; para numbers are −1 where none is new."""

    relay_first: int
    relay_last: int
    para_first: int
    para_last: int

    @property
    def suffix(self) -> str:
        """The part of the keys that names the range."""
        return f"{self.relay_first}:{self.relay_last}:{self.para_first}:{self.para_last}"

    @property
    def dry_key(self) -> str:
        """Key of the blob where this is a dry range."""
        return f"drySyncHeader:{self.suffix}"

    @property
    def window_key(self) -> str:
        """Key of the blob where this is a window."""
        return f"blobRange:{self.suffix}:SyncHeaderReq"


KeyKind = Literal[
    "genesis",
    "para",
    "parent",
    "range",
    "dry",
    "window_blob",
    "dry_para",
    "para_buffer",
    "para_key",
    "window",
    "last_parent",
    "last_para",
]


@dataclass(frozen=True, slots=True)
class Key:
    """A parsed key: what it names and the numbers in it (`range` only where it names a range)."""

    kind: KeyKind
    number: int = NONE
    range: Range | None = None


_NUMBER = r"(0|[1-9]\d{0,9})"
_RANGE = rf"{_NUMBER}:{_NUMBER}:(-1|{_NUMBER}):(-1|{_NUMBER})"
_KEYS: list[tuple[re.Pattern[str], KeyKind]] = [
    (re.compile(rf"genesis:{_NUMBER}:pb"), "genesis"),
    (re.compile(rf"para:{_NUMBER}:pb"), "para"),
    (re.compile(rf"parent:{_NUMBER}:pb"), "parent"),
    (re.compile(rf"rangeByParentBlock:{_NUMBER}:pb"), "range"),
    (re.compile(rf"dryParaBlock:{_NUMBER}"), "dry_para"),
    (re.compile(rf"rangeParaBlock:buffer:{_NUMBER}"), "para_buffer"),
    (re.compile(rf"rangeParaBlock:key:{_NUMBER}"), "para_key"),
    (re.compile(rf"window:{_NUMBER}:pb"), "window"),
    (re.compile(rf"drySyncHeader:{_RANGE}"), "dry"),
    (re.compile(rf"blobRange:{_RANGE}:SyncHeaderReq"), "window_blob"),
    (re.compile(LAST_COMMITTED_PARENT_BLOCK), "last_parent"),
    (re.compile(LAST_COMMITTED_PARA_BLOCK), "last_para"),
]


def parse_key(key: str) -> Key | None:
    """Read one of PRB v2's keys; None for a text that is none of them."""
    for pattern, kind in _KEYS:
        if not (found := pattern.fullmatch(key)):
            continue
        if kind in ("dry", "window_blob"):
            relay_first, relay_last, para_first, _, para_last, _ = found.groups()
            numbers = (int(n) for n in (relay_first, relay_last, para_first, para_last))
            return Key(kind, range=Range(*numbers))
        return Key(kind, int(found[1])) if found.re.groups else Key(kind)
    return None


def range_at(index: CommittedIndex, start: int, stop: int) -> Range:
    """Return the range of the segments at positions start … stop of the index."""
    first, last = index.segment(start), index.segment(stop)
    before = (index.segment(start - 1).para_number or 0) if start else 0
    newest = last.para_number or 0
    if newest <= before:
        return Range(first.first, last.last, NONE, NONE)
    return Range(first.first, last.last, before + 1, newest)


def dry_ranges(index: CommittedIndex) -> Iterator[Range]:
    """Yield the dry range of each committed segment."""
    for position in range(len(index)):
        yield range_at(index, position, position)


def window_of(index: CommittedIndex, position: int) -> Range | None:
    """Return the window of the segment at a position, None while its authority set goes on.

    The index must begin where the set does, as one that begins at the relay genesis always does.
    """
    stop = index.set_end(position)
    if stop == len(index) - 1:
        return None
    return range_at(index, index.set_start(position), stop)


def windows(index: CommittedIndex) -> Iterator[Range]:
    """Yield the window of each authority set that has ended."""
    position = 0
    while position < len(index) and (found := window_of(index, position)) is not None:
        yield found
        position = index.set_end(position) + 1


def sync_blob(
    wanted: Range, segments: Sequence[RelaySegment], para_headers: bytes | Sequence[bytes]
) -> bytes:
    """Make the SyncCombinedHeadersReq of a dry range or a window from its segments.

    :param para_headers: SCALE headers para_first … para_last, as a list or a Vec<Header>.
    """
    para_last = wanted.para_last if wanted.para_first != NONE else wanted.para_first - 1
    request = SyncCombined(wanted.relay_first, wanted.relay_last, wanted.para_first, para_last)
    return assemble(request, segments, para_headers)


def dispatch_blob(
    first: int,
    last: int,
    para_headers: bytes | Sequence[bytes],
    changes: bytes | Sequence[bytes],
) -> bytes:
    """Make the DispatchBlockReq of para blocks first … last."""
    return assemble(Dispatch(first, last), (), para_headers, changes)


def para_batch(number: int, committed: int) -> tuple[int, int] | None:
    """Return the batch (first, last) that begins at a para block, if one does and is committed.

    :param committed: the last committed para block.
    """
    last = number + PARA_BATCH - 1
    if number < 1 or (number - 1) % PARA_BATCH or last > committed:
        return None
    return number, last
