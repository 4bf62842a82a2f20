"""What an endpoint can do and how well it does: asked from time to time, shown, and acted upon.

Only how far it has got decides anything (an endpoint far behind the others is asked after them);
the rest is for the operator, who sees which node is pruned or slow before it matters.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from prbkit.errors import BlockNotFound, RpcError, StateDiscarded

from . import shapes
from .connection import Connection

__all__ = ["Abilities", "Sighting", "ask_abilities", "best_head", "score", "sight"]

_NOWHERE = "0x" + "ff" * 40
"""A storage prefix that nothing lies under."""


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a node does for us. None: it could not be told.

    :param archive: it has the state of block 1.
    :param proves_finality: it has ``grandpa_proveFinality``.
    :param storage_changes: it has ``pha_getStorageChanges``.
    :param allows_unsafe: it answers ``state_getPairs``.
    """

    archive: bool | None = None
    proves_finality: bool | None = None
    storage_changes: bool | None = None
    allows_unsafe: bool | None = None


@dataclass(frozen=True, slots=True)
class Sighting:
    """The newest finalized block of a node, and how long it took to say (seconds, smoothed)."""

    head: int
    latency: float

    def after(self, earlier: Sighting | None) -> Sighting:
        """This sighting with its latency smoothed over those before it."""
        if earlier is None:
            return self
        return replace(self, latency=0.7 * earlier.latency + 0.3 * self.latency)


async def sight(connection: Connection, timeout: float) -> Sighting:
    """Ask for the newest finalized block. Raises `SourceError` or `CodecError`."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    at = shapes.hash32(await connection.call("chain_getFinalizedHead", [], timeout))
    latency = loop.time() - start
    header = await connection.call("chain_getHeader", ["0x" + at.hex()], timeout)
    if not isinstance(header, dict):
        raise BlockNotFound("the node does not know its own finalized block")
    return Sighting(shapes.number(header.get("number")), latency)


async def ask_abilities(connection: Connection, timeout: float) -> Abilities:
    """Ask what a node can do. Raises `SourceError` where it is not there at all."""
    methods: Any = {}
    with contextlib.suppress(RpcError):  # some proxies hide it
        methods = await connection.call("rpc_methods", [], timeout)
    names = methods.get("methods") if isinstance(methods, dict) else None
    listed = set(map(str, names)) if isinstance(names, list) else None
    return Abilities(
        archive=await _is_archive(connection, timeout),
        proves_finality=None if listed is None else "grandpa_proveFinality" in listed,
        storage_changes=None if listed is None else "pha_getStorageChanges" in listed,
        allows_unsafe=await _allows_unsafe(connection, timeout),
    )


async def _is_archive(connection: Connection, timeout: float) -> bool | None:
    try:
        at = await connection.call("chain_getBlockHash", [1], timeout)
        if at is None:
            return None
        await connection.call("state_getStorage", [_NOWHERE, at], timeout)
    except (StateDiscarded, BlockNotFound):
        return False
    except RpcError:
        return None
    return True


async def _allows_unsafe(connection: Connection, timeout: float) -> bool:
    try:
        await connection.call("state_getPairs", [_NOWHERE], timeout)
    except RpcError:
        return False
    return True


def best_head(sightings: Iterable[Sighting | None]) -> int | None:
    """The newest finalized block that any node has told of."""
    return max((seen.head for seen in sightings if seen is not None), default=None)


def score(*, well: bool, behind: bool, sighting: Sighting | None, abilities: Abilities) -> float:
    """How good an endpoint is, from 0 (not to be used) to 1.

    A node as near as can be has 1; one that takes 100 ms to answer has half of that. Being
    pruned takes a quarter away, being behind the others three.
    """
    if not well:
        return 0.0
    value = 1.0 if sighting is None else 1 / (1 + sighting.latency / 0.1)
    if abilities.archive is False:
        value *= 0.75
    return round(value * (0.25 if behind else 1.0), 3)
