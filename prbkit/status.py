"""What `prbkit status` tells: the parts that the services of all peers report, as one object."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson

from prbkit.errors import PrbError, TransportError

if TYPE_CHECKING:
    from prbkit.interfaces import Transport
    from prbkit.settings import Settings

__all__ = ["gather", "merge"]

DEADLINE = 5.0


async def gather(transport: Transport, settings: Settings) -> dict[str, Any]:
    """Ask every reachable peer, this process included, and merge the answers."""
    peers = transport.peers()
    parts = await asyncio.gather(*(_ask(transport, peer.peer_id) for peer in peers))
    return merge([part for part in parts if part], settings)


async def _ask(transport: Transport, peer_id: str) -> dict[str, Any]:
    from prbkit.wire import METHODS

    request = METHODS["GetStatus"].request()
    try:
        answer: Any = await transport.call(peer_id, "GetStatus", request, timeout=DEADLINE)
    except TransportError:
        return {}
    try:
        part = orjson.loads(answer.json)
    except ValueError as error:
        raise PrbError("a peer's status is not JSON", where=peer_id) from error
    return part if isinstance(part, dict) else {}


def merge(parts: list[dict[str, Any]], settings: Settings) -> dict[str, Any]:
    """One status of several processes' parts.

    Of several data providers the one that has committed most is told; workers of several
    lifecycle managers are one list; jobs of several traders are summed.
    """
    relay: dict[str, Any] = {
        "target": None, "fetched": None, "committed": None, "set_id": None, "set_changes": 0
    }  # fmt: skip
    para: dict[str, Any] = {"target": None, "fetched": None, "committed": None}
    jobs = {"finalized": 0, "failed": 0, "pending": 0}
    workers: list[dict[str, Any]] = []
    for part in parts:
        for known, name in ((relay, "relay"), (para, "para")):
            told = part.get(name) or {}
            if (told.get("committed") or -1) >= (known["committed"] or -1):
                known.update(told)
        workers.extend((part.get("workers") or {}).get("workers", ()))
        for state, count in (part.get("jobs") or {}).items():
            jobs[state] = jobs.get(state, 0) + count
    return {
        "relay": relay,
        "para": para,
        "workers": sorted(workers, key=lambda worker: str(worker.get("name"))),
        "jobs": jobs,
        "relay_rpc": next(iter(settings.relay.endpoints), None),
        "para_rpc": next(iter(settings.para.endpoints), None),
    }
