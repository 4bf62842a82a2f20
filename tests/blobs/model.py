"""A chain of small made-up blocks, and a model of pRuntime's counters that refuses as it does."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from prbkit.blobs import (
    AuthoritySetChange,
    CommittedIndex,
    Counters,
    RelayHeaders,
    RelaySegment,
    authority_set_change,
    decode_dispatch_block_req,
    decode_sync_combined_headers_req,
    decode_sync_header_req,
    decode_sync_para_header_req,
    encode_storage_changes,
    header_hash,
    header_number,
)
from prbkit.light import Header


class RefusedError(Exception):
    """What pRuntime would answer with an error."""


def header(parent: bytes, number: int, logs: tuple[bytes, ...] = ()) -> bytes:
    root = number.to_bytes(32, "little")
    made = Header.make(
        parent_hash=parent, number=number, state_root=root, extrinsics_root=root, logs=logs
    )
    return made.scale


@dataclass(frozen=True)
class Chain:
    """Relay segments and para blocks; a proof is the para number that it proves, in text."""

    relay: dict[int, bytes]
    segments: list[RelaySegment]
    para: list[bytes]
    changes: list[bytes]
    genesis: int

    @classmethod
    def make(cls, genesis: int, lengths: list[tuple[int, int, bool]]) -> Chain:
        """(relay blocks, para heads that they add, whether the set changes at the end) each."""
        relay = {genesis: header(bytes(32), genesis)}
        para = [header(bytes(32), 0)]
        segments: list[RelaySegment] = []
        number, set_id = genesis, 7
        for count, heads, ends_set in lengths:
            headers = []
            for _ in range(count):
                number += 1
                relay[number] = header(header_hash(relay[number - 1]), number)
                headers.append(relay[number])
            for _ in range(heads):
                para.append(header(header_hash(para[-1]), len(para)))
            change = (
                ([(bytes([set_id % 256]) * 32, 1)], set_id + 1, [b"node"]) if ends_set else None
            )
            segments.append(
                RelaySegment.make(
                    headers,
                    set_id=set_id,
                    justification=b"finalizes %d by %d" % (number, set_id),
                    para_number=len(para) - 1,
                    proof=[b"para head %d" % (len(para) - 1)],
                    change=change,
                )
            )
            set_id += ends_set
        changes = [encode_storage_changes([(b"key", bytes(n % 50))], []) for n in range(len(para))]
        return cls(relay, segments, para, changes, genesis)

    def index(self, segments: int, para: int) -> CommittedIndex:
        index = CommittedIndex(self.genesis + 1)
        for s in self.segments[:segments]:
            index.add_segment(
                s.first,
                s.last,
                set_id=s.set_id,
                para_number=s.para_number,
                size=s.body_size,
                tail_size=s.tail_size,
            )
        for n in range(para):
            index.add_para(
                n, header_size=len(self.para[n]), changes_size=len(self.changes[n]) if n else 0
            )
        return index


@dataclass
class Worker:
    """pRuntime's light client by the rules of its protocol, over the bytes of requests."""

    chain: Chain
    headernum: int
    para_headernum: int
    blocknum: int
    set_id: int
    waiting: bool = False
    para_head: int | None = None

    def counters(self) -> Counters:
        return Counters(self.headernum, self.para_headernum, self.blocknum, self.waiting)

    def sync_header(self, data: bytes) -> None:
        self._relay(*decode_sync_header_req(data))

    def sync_combined(self, data: bytes) -> None:
        relay, change, para, proof = decode_sync_combined_headers_req(data)
        self._relay(relay, change)
        if para:
            self._para(para, proof)

    def sync_para_header(self, data: bytes) -> None:
        self._para(*decode_sync_para_header_req(data))

    def _relay(self, relay: RelayHeaders, change: AuthoritySetChange | None) -> None:
        rest = [(h, j) for h, j in relay if header_number(h) >= self.headernum]
        if not rest or header_number(rest[0][0]) != self.headernum:
            raise RefusedError("gap in relay headers")
        parent = header_hash(self.chain.relay[self.headernum - 1])
        for scale, _ in rest:
            if scale[:32] != parent:
                raise RefusedError("parent hash")
            parent = header_hash(scale)
        last, justification = rest[-1]
        number = header_number(last)
        if justification != b"finalizes %d by %d" % (number, self.set_id):
            raise RefusedError("justification")
        inside = [s for s in self.chain.segments if s.change and self.headernum <= s.last < number]
        if inside:
            raise RefusedError("runs over a change of set")
        segment = next(s for s in self.chain.segments if s.last == number)
        if segment.change is not None:
            if change is None or authority_set_change(*change) != segment.change:
                raise RefusedError("set change missing")
            self.set_id += 1
        elif change is not None:
            raise RefusedError("set change from nowhere")
        self.headernum = number + 1
        self.para_head = segment.para_number
        self.waiting = True

    def _para(self, para: list[bytes], proof: list[bytes]) -> None:
        if not self.waiting:
            raise RefusedError("no relay headers before")
        rest = [h for h in para if header_number(h) >= self.para_headernum]
        if not rest:
            return
        if header_number(rest[0]) != self.para_headernum:
            raise RefusedError("gap in para headers")
        for before, after in pairwise(rest):
            if after[:32] != header_hash(before):
                raise RefusedError("para parent hash")
        last = header_number(rest[-1])
        if last != self.para_head or proof != [b"para head %d" % last]:
            raise RefusedError("para head is not proven")
        self.para_headernum = last + 1
        self.waiting = False

    def dispatch(self, data: bytes, most: int | None = None) -> None:
        """Apply blocks; `most` breaks off after so many, as an error in the middle does."""
        rest = [b for b in decode_dispatch_block_req(data) if header_number(b[0]) >= self.blocknum]
        for scale, changes in rest[:most]:
            number = header_number(scale)
            if number != self.blocknum or number >= self.para_headernum:
                raise RefusedError("block number")
            if changes != self.chain.changes[number]:
                raise RefusedError("state root")
            self.blocknum += 1
