"""What is committed: documents in a blob store, and the index of them in memory.

Every commit is one atomic write of the documents, their index row and the mark of how far the
chain is committed, so that a process killed at any moment finds a state that was whole. Values
are framed (`frames`); index rows and marks are small and plain.

    genesis, relay/N, para/N, changes/N     documents (prbkit.blobs.documents)
    index/relay/N                           row of the segment that ends at N
    index/para/N                            sizes of the para blocks that one commit began at N
    mark/relay, mark/para                   where the sync goes on
    state/…, mark/state                     the parachain's state, and the block that it is of
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence

from prbkit.blobs import header_hash
from prbkit.blobs.documents import (
    GENESIS_KEY,
    Genesis,
    RelaySegment,
    changes_key,
    key_number,
    para_key,
    relay_key,
)
from prbkit.blobs.index import CommittedIndex
from prbkit.errors import CodecError, StoreError
from prbkit.interfaces import BlobStore, Head

from .facts import RelayTip, decode_head, encode_head
from .frames import seal, unseal
from .state import StateRow
from .staterows import STATE, decode_row, encode_rows

__all__ = ["Archive"]

_INDEX_RELAY = b"index/relay/"
_INDEX_PARA = b"index/para/"
_MARK_RELAY = b"mark/relay"
_MARK_PARA = b"mark/para"
_MARK_STATE = b"mark/state"
_ROW = struct.Struct(">IIQqII")
_NO_PARA = -1
_END = b"\xff\xff\xff\xff\xff"


class Archive:
    """Typed access to the store. `load` first; one writer, in one task per chain."""

    def __init__(self, store: BlobStore) -> None:
        self._store = store
        self.index = CommittedIndex(0)
        self._begun: tuple[Genesis, RelayTip, Head] | None = None
        self._changed = asyncio.Event()

    @property
    def begun(self) -> bool:
        """Whether there is a genesis document; nothing else is there without it."""
        return self._begun is not None

    @property
    def genesis(self) -> Genesis:
        return self._all[0]

    @property
    def relay(self) -> RelayTip:
        """The last committed relay block."""
        return self._all[1]

    @property
    def para(self) -> Head:
        """The last committed parachain block."""
        return self._all[2]

    @property
    def _all(self) -> tuple[Genesis, RelayTip, Head]:
        if self._begun is None:
            raise StoreError("nothing is committed yet", where=self._store.url)
        return self._begun

    async def load(self) -> None:
        """Read genesis, marks and index. Raises `StoreError` where they contradict each other."""
        self._begun = None
        self.index = CommittedIndex(0)
        raw, relay, para = await self._store.get_many([GENESIS_KEY, _MARK_RELAY, _MARK_PARA])
        if raw is None:
            return
        if relay is None or para is None:
            raise StoreError("the store has a genesis and no marks", where=self._store.url)
        try:
            genesis = Genesis.decode(await asyncio.to_thread(unseal, raw, "genesis"))
            tip, head = RelayTip.decode(relay), decode_head(para)
            index = CommittedIndex(genesis.relay_number + 1)
            async for _, row in self._store.scan(_INDEX_RELAY, _INDEX_RELAY + _END):
                first, last, set_id, number, size, tail_size = _ROW.unpack(row)
                index.add_segment(
                    first,
                    last,
                    set_id=set_id,
                    para_number=None if number == _NO_PARA else number,
                    size=size,
                    tail_size=tail_size,
                )
            async for _, row in self._store.scan(_INDEX_PARA, _INDEX_PARA + _END):
                for header_size, changes_size in struct.iter_unpack(">II", row):
                    index.add_para(
                        index.para_next, header_size=header_size, changes_size=changes_size
                    )
        except (CodecError, struct.error) as error:
            raise StoreError(
                f"the store's index is broken: {error}",
                where=self._store.url,
                hint="run `prbkit fsck`, then `prbkit repair --from N`",
            ) from error
        if index.relay_next != tip.number + 1 or index.para_next != head.number + 1:
            raise StoreError(
                f"the store's index ends at {index.relay_next - 1} and {index.para_next - 1}, its "
                f"marks at {tip.number} and {head.number}",
                where=self._store.url,
                hint="run `prbkit fsck`, then `prbkit repair --from N`",
            )
        self.index, self._begun = index, (genesis, tip, head)

    # --- committing ---

    async def commit_genesis(self, genesis: Genesis, para_header: bytes, tip: RelayTip) -> None:
        """Begin: the genesis document and the parachain's block 0."""
        index = CommittedIndex(genesis.relay_number + 1)
        index.add_para(0, header_size=len(para_header), changes_size=0)
        head = Head(0, header_hash(para_header))
        document = await asyncio.to_thread(lambda: seal(genesis.encode()))
        await self._store.commit(
            {
                GENESIS_KEY: document,
                para_key(0): seal(para_header),
                _INDEX_PARA + _be(0): struct.pack(">II", len(para_header), 0),
                _MARK_RELAY: tip.encode(),
                _MARK_PARA: encode_head(head),
            }
        )
        self.index, self._begun = index, (genesis, tip, head)
        self._tell()

    async def commit_relay(self, segment: RelaySegment, tip: RelayTip) -> None:
        """Commit a verified segment and the tip that it makes."""
        row = _ROW.pack(
            segment.first,
            segment.last,
            segment.set_id,
            _NO_PARA if segment.para_number is None else segment.para_number,
            segment.body_size,
            segment.tail_size,
        )
        document = await asyncio.to_thread(lambda: seal(segment.encode()))
        await self._store.commit(
            {
                relay_key(segment.last): document,
                _INDEX_RELAY + _be(segment.last): row,
                _MARK_RELAY: tip.encode(),
            }
        )
        self.index.add_segment(
            segment.first,
            segment.last,
            set_id=segment.set_id,
            para_number=segment.para_number,
            size=segment.body_size,
            tail_size=segment.tail_size,
        )
        self._begun = (self.genesis, tip, self.para)
        self._tell()

    async def commit_para(
        self,
        first: int,
        headers: Sequence[bytes],
        changes: Sequence[bytes],
        state: Sequence[StateRow] | None = None,
    ) -> None:
        """Commit verified parachain blocks from `first` on.

        :param state: what they change on the whole of the state that is kept, None where none is.
        """
        head = Head(first + len(headers) - 1, header_hash(headers[-1]))
        sizes = [(len(h), len(c)) for h, c in zip(headers, changes, strict=True)]

        def frame() -> dict[bytes, bytes]:
            puts = {para_key(first + n): seal(header) for n, header in enumerate(headers)}
            puts |= {changes_key(first + n): seal(change) for n, change in enumerate(changes)}
            return puts

        puts = await asyncio.to_thread(frame)
        puts[_INDEX_PARA + _be(first)] = b"".join(struct.pack(">II", *pair) for pair in sizes)
        puts[_MARK_PARA] = encode_head(head)
        deletes: Sequence[bytes] = ()
        if state is not None:
            rows, deletes = encode_rows(state)
            puts |= rows
            puts[_MARK_STATE] = encode_head(head)
        await self._store.commit(puts, deletes)
        for header_size, changes_size in sizes:
            self.index.add_para(
                self.index.para_next, header_size=header_size, changes_size=changes_size
            )
        self._begun = (self.genesis, self.relay, head)
        self._tell()

    async def commit_state(self, head: Head, rows: Sequence[StateRow]) -> None:
        """Commit what changes in the kept state up to a block that is committed itself."""
        puts, deletes = await asyncio.to_thread(encode_rows, rows)
        await self._store.commit(puts | {_MARK_STATE: encode_head(head)}, deletes)

    async def state(self) -> tuple[Head, list[StateRow]] | None:
        """The state that is kept and the block it is of, None where none is kept."""
        mark = await self._store.get(_MARK_STATE)
        if mark is None:
            return None
        rows = [decode_row(*row) async for row in self._store.scan(STATE, STATE + _END)]
        return decode_head(mark), rows

    async def drop_state(self) -> None:
        """Take the kept state away, in one commit."""
        await self._store.commit({}, await self._state_keys())

    async def _state_keys(self) -> list[bytes]:
        rows = self._store.scan(STATE, STATE + _END, keys_only=True)
        return [_MARK_STATE, *[key async for key, _ in rows]]

    async def truncate(self, relay: RelayTip, para: Head) -> int:
        """Take away all blocks behind a relay segment and a para block; how many keys went.

        One commit, so that what is left is whole at every moment.
        """
        deletes: list[bytes] = []
        puts = {_MARK_RELAY: relay.encode(), _MARK_PARA: encode_head(para)}
        for make, number in ((relay_key, relay.number), (para_key, para.number)):
            start = make(number + 1)
            async for key, _ in self._store.scan(start, start[:-4] + _END, keys_only=True):
                deletes.append(key)
        start = changes_key(para.number + 1)
        async for key, _ in self._store.scan(start, start[:-4] + _END, keys_only=True):
            deletes.append(key)
        start = _INDEX_RELAY + _be(relay.number + 1)
        async for key, _ in self._store.scan(start, _INDEX_RELAY + _END, keys_only=True):
            deletes.append(key)
        async for key, row in self._store.scan(_INDEX_PARA, _INDEX_PARA + _END):
            first = key_number(key)
            if first > para.number:
                deletes.append(key)
            elif first + len(row) // 8 - 1 > para.number:
                puts[key] = row[: 8 * (para.number - first + 1)]
        mark = await self._store.get(_MARK_STATE)
        if mark is not None and decode_head(mark).number > para.number:
            deletes += await self._state_keys()
        await self._store.commit(puts, deletes)
        await self.load()
        return len(deletes)

    # --- reading ---

    async def segment(self, last: int) -> RelaySegment | None:
        """The segment that ends at a relay block."""
        raw = await self.segment_bytes(last)
        if raw is None:
            return None
        try:
            return RelaySegment.decode(raw)
        except CodecError as error:
            raise StoreError(
                f"a stored segment cannot be read: {error}",
                where=f"relay segment {last}",
                hint="run `prbkit fsck`, then `prbkit repair --from N`",
            ) from error

    async def segment_bytes(self, last: int) -> bytes | None:
        frame = await self._store.get(relay_key(last))
        if frame is None:
            return None
        return await asyncio.to_thread(unseal, frame, f"relay segment {last}")

    async def segment_holding(self, number: int) -> RelaySegment | None:
        """The segment that holds a relay block."""
        position = self.index.find(number)
        if position is None:
            return None
        return await self.segment(self.index.segment(position).last)

    async def headers(self, first: int, last: int) -> list[bytes]:
        """Para headers first … last, all committed."""
        return await self._documents([para_key(n) for n in range(first, last + 1)], "para header")

    async def changes(self, first: int, last: int) -> list[bytes]:
        """Storage changes of the para blocks first … last, all committed."""
        keys = [changes_key(n) for n in range(first, last + 1)]
        return await self._documents(keys, "storage changes of para block")

    async def _documents(self, keys: Sequence[bytes], what: str) -> list[bytes]:
        frames = await self._store.get_many(keys)

        def read() -> list[bytes]:
            documents = []
            for key, frame in zip(keys, frames, strict=True):
                where = f"{what} {key_number(key)}"
                if frame is None:
                    raise StoreError(
                        "a stored document is missing",
                        where=where,
                        hint="run `prbkit fsck`, then `prbkit repair --from N`",
                    )
                documents.append(unseal(frame, where))
            return documents

        return await asyncio.to_thread(read)

    # --- waiting ---

    async def changed(self) -> None:
        """Return at the next commit."""
        await self._changed.wait()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _be(number: int) -> bytes:
    return number.to_bytes(4, "big")
