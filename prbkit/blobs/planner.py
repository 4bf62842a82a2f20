"""What to send a worker next: from any state that one can be in to the tip, by what is committed.

pRuntime refuses whatever does not continue its own counters, so a plan has to be right the first
time. The rules (protocol of pRuntime's light client):

- Relay headers start at `headernum`, the last one is justified, and none but the last changes the
  authority set. Segments end at justified blocks and never run over a change, so a batch is
  whole segments of one set, the first of which may be entered in its middle.
- Para headers start at `para_headernum` and end at exactly the head that the last accepted relay
  block includes; they are taken once after a relay batch, while `waiting_for_paraheaders`.
- That flag does not fall where no para header was new, and nobody waits for it to.
- Blocks are dispatched from `blocknum` on, below `para_headernum`.

Blocks are dispatched before more headers are sent, since a worker holds the headers in memory
until then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from prbkit._native import core
from prbkit.blobs.documents import RelaySegment
from prbkit.blobs.index import CommittedIndex
from prbkit.errors import CodecError

__all__ = [
    "Counters",
    "Dispatch",
    "Planner",
    "Request",
    "SyncCombined",
    "SyncHeaders",
    "SyncParaHeaders",
    "Wait",
    "assemble",
]

MAX_PARA_LAG = 64
"""Para blocks by which a worker's relay headers may run ahead of what is committed of the para
chain. Para headers up to the newest relay state's head go in one batch, so a relay chain synced
far ahead would make one that no worker takes."""


@dataclass(frozen=True, slots=True)
class Counters:
    """Where a worker is, as GetInfo tells it: each number is the NEXT one expected."""

    headernum: int
    para_headernum: int
    blocknum: int
    waiting_for_paraheaders: bool = False


@dataclass(frozen=True, slots=True)
class SyncHeaders:
    """Send the relay headers first … last alone."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class SyncParaHeaders:
    """Send the para headers first … last, proven at relay block `relay_last`."""

    first: int
    last: int
    relay_last: int


@dataclass(frozen=True, slots=True)
class SyncCombined:
    """Send relay headers first … last, then para headers para_first … para_last.

    `para_last` is para_first − 1 where there are no new para headers.
    """

    first: int
    last: int
    para_first: int
    para_last: int


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Send the para blocks first … last with their storage changes."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Send nothing until more is committed; `reason` says what is missing."""

    reason: str


Request = SyncHeaders | SyncParaHeaders | SyncCombined | Dispatch | Wait


class Planner:
    """Says the next request for a worker. Pure: it keeps no state.

    :param budget_bytes: size up to which requests are made; one segment or one block is sent
        whatever its size, since less cannot be.
    """

    __slots__ = ("budget_bytes",)

    def __init__(self, budget_bytes: int) -> None:
        if budget_bytes <= 0:
            raise ValueError("budget_bytes must be positive")
        self.budget_bytes = budget_bytes

    def next_request(self, counters: Counters, committed: CommittedIndex) -> Request:
        """Return what to send to a worker that is at `counters`."""
        dispatch = self._dispatch(counters, committed)
        if dispatch is not None:
            return dispatch
        para = self._para(counters, committed)
        if para is not None:
            return para
        return self._headers(counters, committed)

    def _dispatch(self, at: Counters, committed: CommittedIndex) -> Dispatch | None:
        first = at.blocknum
        last = min(at.para_headernum, committed.para_next) - 1
        if first < max(1, committed.para_first) or last < first:
            return None

        def size(stop: int) -> int:
            return committed.para_size(first, stop) + committed.changes_size(first, stop)

        return Dispatch(first, _largest(first, last, size, self.budget_bytes))

    def _para(self, at: Counters, committed: CommittedIndex) -> SyncParaHeaders | None:
        """Para headers for the relay state that the worker has, if it still takes them."""
        if not at.waiting_for_paraheaders:
            return None
        position = committed.find(at.headernum - 1)
        if position is None:
            return None
        segment = committed.segment(position)
        if segment.last != at.headernum - 1 or segment.para_number is None:
            return None
        if not _have_para(at.para_headernum, segment.para_number, committed):
            return None
        return SyncParaHeaders(at.para_headernum, segment.para_number, segment.last)

    def _headers(
        self, at: Counters, committed: CommittedIndex
    ) -> SyncHeaders | SyncCombined | Wait:
        if at.headernum < committed.relay_first:
            return Wait(
                f"relay block {at.headernum} lies before the first that is committed "
                f"({committed.relay_first})"
            )
        if at.headernum > committed.relay_next:
            return Wait(
                f"the worker wants relay block {at.headernum}, committed is up to "
                f"{committed.relay_next - 1}"
            )
        start = committed.find(at.headernum)
        if start is None:
            return Wait(f"relay block {at.headernum} is not committed yet")
        if at.para_headernum < committed.para_first:
            return Wait(
                f"para header {at.para_headernum} lies before the first that is committed "
                f"({committed.para_first})"
            )
        end = committed.set_end(start)
        combined = self._combined(at, committed, start, end)
        if combined is not None:
            return combined
        return self._relay_alone(at, committed, start, end)

    def _combined(
        self, at: Counters, committed: CommittedIndex, start: int, end: int
    ) -> SyncHeaders | SyncCombined | None:
        """As many whole segments as fit whose para heads are committed; None if not even one."""

        def head(position: int) -> int:
            para = committed.segment(position).para_number
            return -1 if para is None else para

        # Para heads rise with the segments, so those whose head is committed come first.
        ready = _largest(
            start - 1, end, lambda i: head(i) if i >= start else -1, committed.para_next - 1
        )
        if ready < start:
            return None

        def size(position: int) -> int:
            return (
                committed.relay_size(start, position)
                + committed.tail_size(position)
                + committed.para_size(at.para_headernum, head(position))
            )

        stop = _largest(start, ready, size, self.budget_bytes)
        last = committed.segment(stop)
        if last.para_number is None:
            return SyncHeaders(at.headernum, last.last)
        para_last = max(last.para_number, at.para_headernum - 1)
        return SyncCombined(at.headernum, last.last, at.para_headernum, para_last)

    def _relay_alone(
        self, at: Counters, committed: CommittedIndex, start: int, end: int
    ) -> SyncHeaders | Wait:
        segment = committed.segment(start)
        if (segment.para_number or 0) >= committed.para_next + MAX_PARA_LAG:
            return Wait(
                f"relay block {segment.last} includes para block {segment.para_number}, committed "
                f"is up to {committed.para_next - 1}"
            )
        return SyncHeaders(at.headernum, segment.last)


def assemble(
    request: Request,
    segments: Sequence[RelaySegment] = (),
    para_headers: bytes | Sequence[bytes] = (),
    changes: bytes | Sequence[bytes] = (),
) -> bytes:
    """Splice the SCALE body of a request from documents.

    The result is a SyncHeaderReq, SyncParachainHeaderReq, SyncCombinedHeadersReq or
    DispatchBlockReq.

    :param segments: those that hold the request's relay blocks, in order; for SyncParaHeaders the
        one that ends at `relay_last`.
    :param para_headers: SCALE headers of the request's para blocks, as a list or a Vec<Header>.
    :param changes: SCALE StorageChanges of the request's blocks, as a list or a
        Vec<StorageChanges>.
    :raises CodecError: where what is given isn't what the request names.
    """
    match request:
        case SyncHeaders(first, last):
            return core.splice(_relay(first, last, segments))
        case SyncParaHeaders(first, last, relay_last):
            if len(segments) != 1 or segments[0].last != relay_last:
                raise CodecError(f"the segment that ends at relay block {relay_last} is needed")
            return core.splice([*_para(first, last, para_headers), segments[0].proof])
        case SyncCombined(first, last, para_first, para_last):
            relay = _relay(first, last, segments)
            para = _para(para_first, para_last, para_headers)
            proof = segments[-1].proof if para_last >= para_first else b"\0"
            return core.splice([*relay, *para, proof])
        case Dispatch(first, last):
            return _blocks(first, last, para_headers, changes)
        case Wait(reason):
            raise CodecError(f"nothing is to be sent: {reason}")


Part = bytes | tuple[bytes, int, int] | list[bytes]


def _relay(first: int, last: int, segments: Sequence[RelaySegment]) -> list[Part]:
    """Vec<HeaderToSync> with one justification, at its end, and Option<AuthoritySetChange>."""
    if not segments or not segments[0].first <= first <= segments[0].last:
        raise CodecError(f"the segment that holds relay block {first} is needed")
    if segments[-1].last != last:
        raise CodecError(f"the segment that ends at relay block {last} is needed")
    for before, after in pairwise(segments):
        if after.first != before.last + 1 or after.set_id != before.set_id:
            raise CodecError(f"segment {after.first} does not follow {before.last} in its set")
    end = segments[-1]
    skipped = 0
    if first > segments[0].first:
        skipped = core.skip_relay_headers(segments[0].body, first - segments[0].first)
    stop = len(end.body) - 1  # without the byte that says: no justification
    bodies: list[Part]
    if len(segments) == 1:
        bodies = [(end.body, skipped, stop)]
    else:
        head = segments[0].body
        between = [segment.body for segment in segments[1:-1]]
        bodies = [(head, skipped, len(head)), between, (end.body, 0, stop)]
    return [
        core.compact(last - first + 1),
        *bodies,
        b"\1",
        core.compact(len(end.justification)),
        end.justification,
        b"\0" if end.change is None else b"\1" + end.change,
    ]


def _headers(first: int, last: int, headers: bytes | Sequence[bytes]) -> Sequence[bytes]:
    if isinstance(headers, bytes | bytearray | memoryview):
        headers = core.split_headers(headers)
    if len(headers) != last - first + 1:
        raise CodecError(f"para headers {first} to {last} are needed, {len(headers)} are given")
    if headers and core.header_number(headers[0]) != first:
        raise CodecError(f"para header {first} is needed first")
    return headers


def _para(first: int, last: int, headers: bytes | Sequence[bytes]) -> list[Part]:
    """Vec<Header>: as it is where it was given so."""
    if isinstance(headers, bytes | bytearray | memoryview):
        vec = bytes(headers)
        core.check_headers(vec, first, last - first + 1)
        return [vec]
    given = list(_headers(first, last, headers))
    return [core.compact(len(given)), given]


def _blocks(
    first: int, last: int, headers: bytes | Sequence[bytes], changes: bytes | Sequence[bytes]
) -> bytes:
    given = _headers(first, last, headers)
    if isinstance(changes, bytes | bytearray | memoryview):
        changes = core.split_storage_changes(changes)
    if len(changes) != len(given):
        raise CodecError(f"changes of {len(given)} blocks are needed, {len(changes)} are given")
    pairs = zip(given, changes, strict=True)
    return core.splice([core.compact(len(given)), [part for pair in pairs for part in pair]])


def _have_para(first: int, last: int, committed: CommittedIndex) -> bool:
    """Whether there are para headers first … last and all of them are committed."""
    return committed.para_first <= first <= last < committed.para_next


def _largest(low: int, high: int, value: Callable[[int], int], most: int) -> int:
    """Largest n in low … high with value(n) ≤ most, `low` if there is none; value never falls."""
    while low < high:
        middle = (low + high + 1) // 2
        if value(middle) <= most:
            low = middle
        else:
            high = middle - 1
    return low
