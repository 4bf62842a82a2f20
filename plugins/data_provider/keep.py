"""Has the parachain's state at hand: from the store, or by replaying what is committed.

The rows in the store are used only if they give the state root of the block that they are of, so
that a damaged store costs a replay and never a false check.
"""

from __future__ import annotations

import asyncio
import logging

from prbkit.blobs import decode_storage_state
from prbkit.errors import CodecError, StoreError, VerificationError
from prbkit.interfaces import Head
from prbkit.light import Header

from .archive import Archive
from .state import ParaState
from .verify import checking

__all__ = ["kept_state", "ready_state"]

log = logging.getLogger(__name__)


async def ready_state(archive: Archive, number: int, batch: int) -> ParaState:
    """The state after a committed para block, kept in the store from then on.

    :param batch: blocks replayed at once where the store's state is older.
    :raises VerificationError: where what is committed does not give the state roots.
    """
    try:
        state = await kept_state(archive)
    except (CodecError, StoreError, VerificationError) as error:
        log.warning("the kept state of the parachain is of no use and made again: %s", error)
        await archive.drop_state()
        state = None
    if state is not None and state.number > number:
        raise StoreError(f"the kept state is of block {state.number}, beyond block {number}")
    if state is None:
        pairs = await asyncio.to_thread(decode_storage_state, archive.genesis.state)
        rows = [(None, key, value) for key, value in pairs]
        (header,) = await archive.headers(0, 0)
        fields = Header.decode(header)
        state = await asyncio.to_thread(ParaState, rows, fields.state_root)
        await archive.commit_state(Head(0, fields.hash), rows)
    while state.number < number:
        first = state.number + 1
        last = min(number, state.number + batch)
        headers = await archive.headers(first, last)
        changes = await archive.changes(first, last)
        with checking("state root", "the store", f"para blocks {first} to {last}"):
            changed = await asyncio.to_thread(state.apply, headers, changes)
        await archive.commit_state(Head(last, Header.decode(headers[-1]).hash), changed)
    return state


async def kept_state(archive: Archive) -> ParaState | None:
    """The state that the store keeps, None where it keeps none.

    :raises VerificationError: where its rows do not give the state root of their block.
    """
    kept = await archive.state()
    if kept is None:
        return None
    head, rows = kept
    (header,) = await archive.headers(head.number, head.number)
    fields = Header.decode(header)
    if fields.hash != head.hash:
        raise VerificationError(f"the kept state is of another block {head.number}")
    return await asyncio.to_thread(ParaState, rows, fields.state_root, head.number)
