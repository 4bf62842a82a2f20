"""PRB v2's blobs by PRB v2's keys, made from the documents when they are asked for.

Key names, ranges and messages as of `Phala-Network/runtime-bridge` (protocol.md, 7): a dry range
is one of our segments, a window all segments of an authority set. Of relay blocks inside a
segment the parachain's head is not known; their `parent:{n}:pb` says nothing of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import orjson

from prbkit.blobs import (
    Dispatch,
    SyncCombined,
    assemble,
    header_hash,
    header_to_sync,
)
from prbkit.blobs.documents import RelaySegment
from prbkit.blobs.index import CommittedIndex
from prbkit.wire import walkie

from .archive import Archive

__all__ = ["BATCH", "Prb2Blobs"]

BATCH = 15
"""Para blocks in one ``rangeParaBlock:buffer``."""


class Prb2Blobs:
    """Answers PRB v2's keys.

    :param limit: bytes of the biggest blob that is made.
    """

    def __init__(self, archive: Archive, limit: int) -> None:
        self._archive = archive
        self._limit = limit
        self._kinds: dict[str, Callable[..., Awaitable[bytes | None]]] = {
            "genesis": self._genesis,
            "para": self._para,
            "parent": self._parent,
            "rangeByParentBlock": self._range,
            "window": self._window,
            "drySyncHeader": self._sync,
            "blobRange": self._sync,
            "dryParaBlock": self._dispatch_one,
            "rangeParaBlock": self._dispatch,
        }

    async def get(self, key: str) -> bytes | None:
        """The blob of a key, None where there is none (yet)."""
        if not self._archive.begun:
            return None
        if key == "LAST_COMMITTED_PARENT_BLOCK":
            return b"%d" % self._archive.relay.number
        if key == "LAST_COMMITTED_PARA_BLOCK":
            return b"%d" % self._archive.para.number
        kind, *parts = key.split(":")
        make = self._kinds.get(kind)
        if make is None:
            return None
        if kind == "rangeParaBlock":
            if len(parts) != 2 or parts[0] not in ("key", "buffer"):
                return None
            number = _number(parts[1])
            return None if number is None else await make(parts[0], number)
        suffix = {"blobRange": "SyncHeaderReq", "drySyncHeader": "", "dryParaBlock": ""}
        wanted = suffix.get(kind, "pb")
        if wanted and (not parts or parts.pop() != wanted):
            return None
        numbers = [_number(part) for part in parts]
        if None in numbers or len(numbers) != (4 if make == self._sync else 1):
            return None
        return await make(*numbers)

    @property
    def _index(self) -> CommittedIndex:
        return self._archive.index

    async def _genesis(self, para_id: int) -> bytes | None:
        genesis = self._archive.genesis
        if para_id != genesis.para_id:
            return None
        message = walkie.Genesis(
            para_id=para_id,
            parent_number=genesis.relay_number,
            bridge_genesis_info=genesis.info,
            genesis_state=genesis.state,
        )
        return _bytes(message)

    async def _para(self, number: int) -> bytes | None:
        if not self._has_para(number, number):
            return None
        (header,) = await self._archive.headers(number, number)
        block = b"" if number == 0 else await self._blocks(number, number)
        return _bytes(
            walkie.ParaBlock(
                number=number,
                hash=header_hash(header),
                header=header,
                dispatch_block_data=block[1:],  # the block without the length of the list
            )
        )

    async def _parent(self, number: int) -> bytes | None:
        segment = await self._archive.segment_holding(number)
        if segment is None:
            return None
        header = segment.headers()[number - segment.first]
        ends = number == segment.last
        message = walkie.ParentBlock(
            number=number,
            hash=header_hash(header),
            header=header,
            set_id=_set_after(segment) if ends else segment.set_id,
            has_justification=ends,
            sync_header_data=header_to_sync(header, segment.justification if ends else None),
        )
        if ends:
            message.para_number = segment.para_number or 0
            message.para_proof = segment.proof
            if segment.change is not None:
                message.authority_set_change = segment.change
        return _bytes(message)

    async def _range(self, first: int) -> bytes | None:
        position = self._index.find(first)
        if position is None or self._index.segment(position).first != first:
            return None
        entry = self._index.segment(position)
        start, stop = self._para_range(position, position)
        message = walkie.RangeMeta(
            parent_start_block=first,
            parent_stop_block=entry.last,
            para_start_block=start,
            para_stop_block=stop,
            parent_range=range(first, entry.last + 1),
            para_range=range(start, stop + 1) if stop != -1 else (),
            dry_sync_header_req_key=f"drySyncHeader:{first}:{entry.last}:{start}:{stop}",
        )
        window = self._window_of(position)
        ends = self._ends_set(position)
        message.latest_set_id = entry.set_id + ends
        if window is not None:
            low, high = window
            para = self._para_range(low, high)
            begin, end = self._index.segment(low).first, self._index.segment(high).last
            message.blob_parent_stop_block = end
            message.blob_para_stop_block = para[1]
            message.blob_sync_header_req_key = (
                f"blobRange:{begin}:{end}:{para[0]}:{para[1]}:SyncHeaderReq"
            )
        return _bytes(message)

    async def _window(self, number: int) -> bytes | None:
        index = self._index
        if not len(index):
            return None
        first_set = index.segment(0).set_id
        low = self._first_of_set(first_set + number)
        if low is None:
            return None
        window = self._window_of(low)
        message = walkie.Window(
            parent_start_block=index.segment(low).first,
            para_start_block=self._para_before(low) + 1,
            parent_stop_block=-1,
            para_stop_block=-1,
            window_id=number,
            set_id=index.segment(low).set_id,
        )
        if window is not None:
            message.parent_stop_block = index.segment(window[1]).last
            message.para_stop_block = self._para_range(*window)[1]
            message.is_finished = True
        return _bytes(message)

    async def _sync(self, first: int, last: int, para_first: int, para_last: int) -> bytes | None:
        low, high = self._index.find(first), self._index.find(last)
        if low is None or high is None or low > high:
            return None
        if self._index.segment(low).first != first or self._index.segment(high).last != last:
            return None
        if (para_first, para_last) != self._para_range(low, high):
            return None
        none = para_last == -1
        size = self._index.relay_size(low, high)
        if not none:
            if not self._has_para(para_first, para_last):
                return None
            size += self._index.para_size(para_first, para_last)
        if size > self._limit:
            return None
        segments = []
        for position in range(low, high + 1):
            segment = await self._archive.segment(self._index.segment(position).last)
            if segment is None:
                return None
            segments.append(segment)
        headers = [] if none else await self._archive.headers(para_first, para_last)
        span = (0, -1) if none else (para_first, para_last)
        return assemble(SyncCombined(first, last, *span), segments, headers)

    async def _dispatch_one(self, number: int) -> bytes | None:
        return await self._blocks(number, number) if self._has_para(number, number) else None

    async def _dispatch(self, what: str, number: int) -> bytes | None:
        last = number + BATCH - 1
        batch = number % BATCH == 1 and self._has_para(number, last)
        if what == "buffer":
            return await self._blocks(number, last) if batch else None
        if number < 1 or not self._has_para(number, number):
            return None
        said: dict[str, object] = {}
        if batch:
            said["bufferKey"] = f"rangeParaBlock:buffer:{number}"
        said |= {"firstBlockNumber": number, "lastBlockNumber": last if batch else number}
        return orjson.dumps(said)

    async def _blocks(self, first: int, last: int) -> bytes:
        headers = await self._archive.headers(first, last)
        changes = await self._archive.changes(first, last)
        return assemble(Dispatch(first, last), (), headers, changes)

    # --- ranges and windows ---

    def _has_para(self, first: int, last: int) -> bool:
        return 0 <= first <= last < self._index.para_next

    def _para_before(self, position: int) -> int:
        return (self._index.segment(position - 1).para_number or 0) if position else 0

    def _para_range(self, low: int, high: int) -> tuple[int, int]:
        """First and last para block of the segments low … high; −1 twice for none."""
        start, stop = self._para_before(low) + 1, self._index.segment(high).para_number or 0
        return (start, stop) if stop >= start else (-1, -1)

    def _ends_set(self, position: int) -> bool:
        """Whether a segment is known to be the last of its authority set."""
        if position + 1 < len(self._index):
            index = self._index
            return index.segment(position + 1).set_id > index.segment(position).set_id
        return self._archive.relay.ends_set

    def _window_of(self, position: int) -> tuple[int, int] | None:
        """Positions of the first and last segment of a finished set, None while it runs."""
        high = self._index.set_end(position)
        if not self._ends_set(high):
            return None
        low = self._first_of_set(self._index.segment(position).set_id)
        return None if low is None else (low, high)

    def _first_of_set(self, set_id: int) -> int | None:
        low, high = 0, len(self._index)
        while low < high:
            middle = (low + high) // 2
            if self._index.segment(middle).set_id < set_id:
                low = middle + 1
            else:
                high = middle
        if low == len(self._index) or self._index.segment(low).set_id != set_id:
            return None
        return low


def _set_after(segment: RelaySegment) -> int:
    return segment.set_id + (segment.change is not None)


def _number(text: str) -> int | None:
    if text == "-1":
        return -1
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else None


def _bytes(message: object) -> bytes:
    raw: bytes = message.SerializeToString()  # type: ignore[attr-defined]
    return raw
