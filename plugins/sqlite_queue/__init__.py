"""The stock plugin `sqlite_queue`: the trade queue in a file, for processes of one machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prbkit.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from prbkit.interfaces import TradeQueue
    from prbkit.settings import Settings


@hookimpl
def prbkit_schemes() -> Mapping[str, Sequence[str]]:
    return {"trade_queue": ["sqlite"]}


@hookimpl
def prbkit_trade_queue(url: str, settings: Settings) -> TradeQueue | None:
    """Claim ``sqlite:PATH``, relative to the data folder, with ``?lease=S&history=N``."""
    if not url.startswith("sqlite:"):
        return None
    from .queue import SqliteQueue

    return SqliteQueue.from_url(url, settings.data_dir)
