"""The stock plugin `redis_queue`: the trade queue in Redis, for processes of several machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prbkit.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from prbkit.interfaces import TradeQueue
    from prbkit.settings import Settings


@hookimpl
def prbkit_schemes() -> Mapping[str, Sequence[str]]:
    return {"trade_queue": ["redis", "rediss", "unix"]}


@hookimpl
def prbkit_trade_queue(url: str, settings: Settings) -> TradeQueue | None:
    """Claim ``redis://``, ``rediss://`` and ``unix://``, with ``lease=S&history=N&name=TEXT``."""
    if not url.startswith(("redis://", "rediss://", "unix://")):
        return None
    from .queue import RedisQueue

    return RedisQueue.from_url(url)
