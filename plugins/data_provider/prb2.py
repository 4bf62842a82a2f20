"""PRB v2's blobs by PRB v2's keys, made from the documents when they are asked for.

What the keys mean is in `prbkit.blobs.prb2`; the messages are those of
`Phala-Network/runtime-bridge`. Of relay blocks inside a segment the parachain's
head is not known; their `parent:{n}:pb` says nothing of it.
"""

from __future__ import annotations

import orjson
from google.protobuf.message import Message

from prbkit.blobs import header_hash, header_to_sync
from prbkit.blobs.index import CommittedIndex
from prbkit.blobs.prb2 import (
    NONE,
    Key,
    Range,
    dispatch_blob,
    para_batch,
    parse_key,
    range_at,
    sync_blob,
    window_of,
)
from prbkit.wire import walkie

from .archive import Archive

__all__ = ["Prb2Blobs"]


class Prb2Blobs:
    """Answers PRB v2's keys.

    :param limit: bytes of the biggest blob that is made.
    """

    def __init__(self, archive: Archive, limit: int) -> None:
        self._archive = archive
        self._limit = limit

    async def get(self, key: str) -> bytes | None:
        """The blob of a key, None where there is none (yet). Raises `StoreError`."""
        parsed = parse_key(key)
        if parsed is None or not self._archive.begun:
            return None
        match parsed:
            case Key("last_parent"):
                return b"%d" % self._archive.relay.number
            case Key("last_para"):
                return b"%d" % self._archive.para.number
            case Key("genesis", number):
                return self._genesis(number)
            case Key("para", number):
                return await self._para(number)
            case Key("parent", number):
                return await self._parent(number)
            case Key("range", number):
                return self._range(number)
            case Key("window", number):
                return self._window(number)
            case Key("dry" | "window_blob", _, Range() as wanted):
                return await self._sync(wanted)
            case Key("dry_para", number):
                return await self._blocks(number, number)
            case Key("para_buffer", number):
                batch = para_batch(number, self._archive.para.number)
                return None if batch is None else await self._blocks(*batch)
            case Key("para_key", number):
                return self._batch(number)
        return None

    @property
    def _index(self) -> CommittedIndex:
        return self._archive.index

    def _genesis(self, para_id: int) -> bytes | None:
        genesis = self._archive.genesis
        if para_id != genesis.para_id:
            return None
        return _bytes(
            walkie.Genesis(
                para_id=para_id,
                parent_number=genesis.relay_number,
                bridge_genesis_info=genesis.info,
                genesis_state=genesis.state,
            )
        )

    async def _para(self, number: int) -> bytes | None:
        if number > self._archive.para.number:
            return None
        (header,) = await self._archive.headers(number, number)
        block = await self._blocks(number, number) or b""
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
            set_id=segment.set_id,
            has_justification=ends,
            sync_header_data=header_to_sync(header, segment.justification if ends else None),
        )
        if ends:
            message.para_number = segment.para_number or 0
            message.para_proof = segment.proof
            if segment.change is not None:
                message.set_id += 1
                message.authority_set_change = segment.change
        return _bytes(message)

    def _range(self, first: int) -> bytes | None:
        position = self._index.find(first)
        if position is None or self._index.segment(position).first != first:
            return None
        dry = range_at(self._index, position, position)
        para = range(dry.para_first, dry.para_last + 1) if dry.para_first != NONE else ()
        message = walkie.RangeMeta(
            parent_start_block=first,
            parent_stop_block=dry.relay_last,
            para_start_block=dry.para_first,
            para_stop_block=dry.para_last,
            parent_range=range(first, dry.relay_last + 1),
            para_range=para,
            dry_sync_header_req_key=dry.dry_key,
            latest_set_id=self._set_after(position),
        )
        window = window_of(self._index, position)
        if window is not None:
            message.blob_parent_stop_block = window.relay_last
            message.blob_para_stop_block = window.para_last
            message.blob_sync_header_req_key = window.window_key
        return _bytes(message)

    def _set_after(self, position: int) -> int:
        """Id of the set that the state after a segment holds."""
        set_id = self._index.segment(position).set_id
        if position + 1 < len(self._index):
            return self._index.segment(position + 1).set_id
        return set_id + self._archive.relay.ends_set

    def _window(self, number: int) -> bytes | None:
        """PRB v2 counts windows from 0; each is one authority set."""
        index = self._index
        if not len(index):
            return None
        position = 0
        for _ in range(number):
            position = index.set_end(position) + 1
            if position == len(index):
                return None
        window = window_of(index, position)
        run = window or range_at(index, position, len(index) - 1)
        before = (index.segment(position - 1).para_number or 0) if position else 0
        return _bytes(
            walkie.Window(
                parent_start_block=run.relay_first,
                parent_stop_block=NONE if window is None else window.relay_last,
                para_start_block=before + 1,
                para_stop_block=NONE if window is None else window.para_last,
                window_id=number,
                set_id=index.segment(position).set_id,
                is_finished=window is not None,
            )
        )

    async def _sync(self, wanted: Range) -> bytes | None:
        index = self._index
        low, high = index.find(wanted.relay_first), index.find(wanted.relay_last)
        if low is None or high is None or low > high or range_at(index, low, high) != wanted:
            return None
        size = index.relay_size(low, high)
        some = wanted.para_first != NONE
        if some:
            if wanted.para_last > self._archive.para.number:
                return None
            size += index.para_size(wanted.para_first, wanted.para_last)
        if size > self._limit:
            return None
        segments = []
        for position in range(low, high + 1):
            segment = await self._archive.segment(index.segment(position).last)
            if segment is None:
                return None
            segments.append(segment)
        headers: list[bytes] = []
        if some:
            headers = await self._archive.headers(wanted.para_first, wanted.para_last)
        return sync_blob(wanted, segments, headers)

    def _batch(self, number: int) -> bytes | None:
        if not 1 <= number <= self._archive.para.number:
            return None
        batch = para_batch(number, self._archive.para.number)
        said: dict[str, object] = {}
        if batch is not None:
            said["bufferKey"] = f"rangeParaBlock:buffer:{number}"
        first, last = batch or (number, number)
        return orjson.dumps(said | {"firstBlockNumber": first, "lastBlockNumber": last})

    async def _blocks(self, first: int, last: int) -> bytes | None:
        if not 1 <= first <= last <= self._archive.para.number:
            return None
        headers = await self._archive.headers(first, last)
        changes = await self._archive.changes(first, last)
        return dispatch_blob(first, last, headers, changes)


def _bytes(message: Message) -> bytes:
    return message.SerializeToString()
