"""Checks a store as if a stranger had written it, and takes away what must be fetched again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from prbkit.blobs import (
    decode_authority_set_change,
    decode_genesis_info,
    decode_storage_state,
    header_hash,
)
from prbkit.blobs.documents import RelaySegment
from prbkit.errors import CodecError, ConfigError, PrbError, StoreError, VerificationError
from prbkit.interfaces import Head
from prbkit.light import AuthoritySet, Header, check_chain, scheduled_change

from .archive import Archive
from .facts import RelayRange, RelayTip
from .keep import kept_state
from .state import ParaState
from .verify import checking, read_authorities, read_para_head, verify_relay

__all__ = ["Finding", "check", "repair"]

_BATCH = 200
_PLACE = "the store"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong: from which block on, of which chain, and what."""

    chain: str
    number: int
    problem: str

    def __str__(self) -> str:
        return f"{self.chain} block {self.number}: {self.problem}"


async def check(
    archive: Archive, progress: Callable[[str, int, int], None] = lambda *_: None
) -> AsyncIterator[Finding]:
    """Verify everything that is committed, as it was verified before; yield what does not hold.

    Of each chain the first finding is the last: what lies behind it hangs on it.

    :param progress: told the chain, how far it is checked, and how far that goes.
    """
    number = archive.genesis.relay_number
    try:
        (header,) = await archive.headers(0, 0)
        tip = _origin_tip(archive, header)
        pairs = await asyncio.to_thread(decode_storage_state, archive.genesis.state)
        root = Header.decode(header).state_root
        rows = [(None, key, value) for key, value in pairs]
        state = await asyncio.to_thread(ParaState, rows, root)
    except PrbError as error:
        yield Finding("relay", number, f"genesis: {error}")
        return
    heads = {0: header_hash(header)}
    try:
        for position in range(len(archive.index)):
            entry = archive.index.segment(position)
            number = entry.first
            segment = await archive.segment(entry.last)
            if segment is None:
                raise StoreError("the segment is missing", where=_PLACE)
            tip = await _check_segment(tip, segment, archive.genesis.para_id)
            if (segment.first, segment.para_number) != (entry.first, tip.para.number):
                raise StoreError("the index contradicts the segment", where=_PLACE)
            heads[tip.para.number] = tip.para.hash
            progress("relay", entry.last, archive.relay.number)
        if archive.relay != tip:
            raise StoreError("the mark contradicts the last segment", where=_PLACE)
    except PrbError as error:
        yield Finding("relay", number, str(error))
    parent = header_hash(header)
    first = 1
    try:
        while first <= archive.para.number:
            last = min(archive.para.number, first + _BATCH - 1)
            headers = await archive.headers(first, last)
            changes = await archive.changes(first, last)
            with checking("para header chain", _PLACE, f"para blocks {first} to {last}"):
                parent = check_chain(headers, parent, first)
                for at, each in enumerate(headers, first):
                    if heads.get(at, header_hash(each)) != header_hash(each):
                        raise VerificationError(f"block {at} is not the one that was included")
            with checking("state root", _PLACE, f"para blocks {first} to {last}"):
                await asyncio.to_thread(state.apply, headers, changes)
            progress("para", last, archive.para.number)
            first = last + 1
        if archive.para.hash != parent or archive.para.number > max(heads):
            raise StoreError("the mark contradicts the last block", where=_PLACE)
    except PrbError as error:
        yield Finding("para", first, str(error))
    try:
        await kept_state(archive)
    except PrbError as error:
        yield Finding("para", archive.para.number, f"kept state: {error}")


async def repair(archive: Archive, chain: str, first: int) -> int:
    """Take away block `first` of a chain and all that is derived from it; how many keys went.

    Of the relay chain the whole segment that holds it goes, and the parachain blocks that only
    later segments prove. Raises `ConfigError` for a block that is not committed.
    """
    if chain == "para":
        if not 1 <= first <= archive.para.number:
            raise ConfigError(
                f"para block {first} is not committed", hint=f"1 to {archive.para.number} are"
            )
        (header,) = await archive.headers(first - 1, first - 1)
        return await archive.truncate(archive.relay, Head(first - 1, header_hash(header)))
    position = archive.index.find(first)
    if position is None:
        raise ConfigError(
            f"relay block {first} is not committed",
            hint=f"{archive.index.relay_first} to {archive.relay.number} are",
        )
    tip = await _tip_after(archive, position - 1)
    para = archive.para
    if para.number > tip.para.number:
        para = tip.para
    return await archive.truncate(tip, para)


async def _check_segment(tip: RelayTip, segment: RelaySegment, para_id: int) -> RelayTip:
    change = segment.authority_set_change()
    raw = RelayRange(
        segment.headers(),
        segment.justification,
        segment.proof_nodes(),
        None if change is None else change[2],
    )
    after = await verify_relay(tip, raw, para_id, _PLACE)
    if segment.set_id != tip.authorities.set_id:
        raise VerificationError(f"the segment names authority set {segment.set_id}", where=_PLACE)
    if change is not None and AuthoritySet(tuple(change[0]), change[1]) != after.authorities:
        raise VerificationError("the segment's change is not what is scheduled", where=_PLACE)
    return after


def _origin_tip(archive: Archive, para_header: bytes) -> RelayTip:
    """The tip that the first segment follows, out of the genesis document; its proof checked."""
    header, authorities, set_id, proof = decode_genesis_info(archive.genesis.info)
    fields = Header.decode(header)
    sets = AuthoritySet(tuple(authorities), set_id)
    if read_authorities(fields.state_root, proof) != sets:
        raise VerificationError("the proof does not hold the authority set")
    if fields.number != archive.genesis.relay_number:
        raise CodecError(f"the header is of block {fields.number}")
    changes = scheduled_change(header) is not None
    return RelayTip(fields.number, fields.hash, sets, changes, Head(0, header_hash(para_header)))


async def _tip_after(archive: Archive, position: int) -> RelayTip:
    """The tip that the segment at a position makes; −1: the genesis."""
    (para_header,) = await archive.headers(0, 0)
    origin = _origin_tip(archive, para_header)
    if position < 0:
        return origin
    segment = await _segment(archive, position)
    header = segment.headers()[-1]
    fields = Header.decode(header)
    para = Header.decode(
        read_para_head(fields.state_root, segment.proof_nodes(), archive.genesis.para_id)
    )
    # The set in force is what the newest change before says, or the genesis.
    at = position
    while at >= 0:
        entry = archive.index.segment(at)
        last_of_set = archive.index.set_end(at) == at
        if last_of_set:
            change = (await _segment(archive, at)).change
            if change is not None:
                authorities, set_id, _ = decode_authority_set_change(change)
                sets = AuthoritySet(tuple(authorities), set_id)
                break
        at = _before_set(archive, entry.set_id)
    else:
        sets = origin.authorities
    return RelayTip(
        fields.number,
        fields.hash,
        sets,
        scheduled_change(header) is not None,
        Head(para.number, para.hash),
    )


def _before_set(archive: Archive, set_id: int) -> int:
    """Position of the last segment before an authority set, −1 for none."""
    low, high = 0, len(archive.index)
    while low < high:
        middle = (low + high) // 2
        if archive.index.segment(middle).set_id < set_id:
            low = middle + 1
        else:
            high = middle
    return low - 1


async def _segment(archive: Archive, position: int) -> RelaySegment:
    last = archive.index.segment(position).last
    segment = await archive.segment(last)
    if segment is None:
        raise StoreError("the segment is missing", where=f"relay segment {last}")
    return segment
