"""pallet_grandpa and pallet_session: sets of authorities that rotate by plan."""

from __future__ import annotations

from typing import Any

from prbkit.testing.devnet.dispatch import Context
from prbkit.testing.layouts import Layout, fixed, u32, u64, vec

__all__ = ["WELL_KNOWN", "encode_authorities", "genesis", "rotate"]

Authorities = list[tuple[bytes, int]]

WELL_KNOWN = b":grandpa_authorities"
ENGINE = b"FRNK"
_SCHEDULED_CHANGE = b"\1"
_AUTHORITY: Layout[Any] = Layout(
    lambda each: fixed(32).write(each[0]) + u64.write(each[1]),
    lambda reader: (reader.take(32), reader.uint(8)),
)
_AUTHORITIES: Layout[Any] = vec(_AUTHORITY)


def encode_authorities(authorities: Authorities) -> bytes:
    """Return the SCALE AuthorityList."""
    encoded: bytes = _AUTHORITIES.write(authorities)
    return encoded


def _store(ctx: Context, set_id: int, authorities: Authorities) -> None:
    ctx.put("Grandpa", "CurrentSetId", set_id)
    ctx.put("Grandpa", "Authorities", authorities)
    ctx.storage.write(WELL_KNOWN, b"\1" + encode_authorities(authorities))


def genesis(ctx: Context, authorities: Authorities) -> None:
    """Write set 0."""
    _store(ctx, 0, authorities)
    ctx.put("Grandpa", "SetIdSession", 0, 0)


def rotate(ctx: Context, authorities: Authorities) -> list[Any]:
    """Enact the next set at once; return the digest items that schedule it, with delay 0.

    The state already holds the new set, while the block itself is still finalized by the old.
    """
    session = ctx.get("Session", "CurrentIndex") + 1
    set_id = ctx.get("Grandpa", "CurrentSetId") + 1
    ctx.put("Session", "CurrentIndex", session)
    ctx.deposit("Session", "NewSession", session_index=session)
    _store(ctx, set_id, authorities)
    ctx.put("Grandpa", "SetIdSession", set_id, session)
    ctx.deposit("Grandpa", "NewAuthorities", authority_set=authorities)
    change = _SCHEDULED_CHANGE + encode_authorities(authorities) + u32.write(0)
    return [{"Consensus": (ENGINE, change)}]
