"""A service context for tests of the trader: real settings and signers, the rest as given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from prbkit.errors import NotFound
from prbkit.events import Event
from prbkit.interfaces import Pool, Signer, TradeAction
from prbkit.settings import Settings
from prbkit_plugins import keyring, trader

__all__ = ["FixedInventory", "TestContext"]


class FixedInventory:
    """Pools that never change, each with its signer URI."""

    url = "fixed:"

    def __init__(self, pools: Mapping[int, tuple[Pool, str]]) -> None:
        self._pools = pools

    async def pools(self) -> Sequence[Pool]:
        return [pool for pool, _ in self._pools.values()]

    async def operator_uri(self, pool: Pool) -> SecretStr:
        uri = self._pools[pool.pid][1]
        if not uri:
            raise NotFound(f"pool {pool.pid} has no operator")
        return SecretStr(uri)


class TestContext:
    """What `Trader` uses of a `ServiceContext`."""

    __test__ = False

    def __init__(
        self, source: Any, queue: Any, inventory: FixedInventory, data_dir: Path, **section: Any
    ) -> None:
        self.settings = Settings.from_tree({"data_dir": str(data_dir), "trader": section})
        self.settings.bind_sections(trader.prbkit_settings())
        self._source, self._queue, self._inventory = source, queue, inventory
        self.events: list[Event] = []
        self.status: Callable[[], Mapping[str, Any]] = dict

    async def source(self, role: str) -> Any:
        assert role == "para"
        return self._source

    async def queue(self) -> Any:
        return self._queue

    async def inventory(self) -> Any:
        return self._inventory

    async def signer(self, uri: SecretStr) -> Signer:
        signer = await keyring.prbkit_signer(uri, self.settings)
        assert signer is not None
        return signer

    def trade_actions(self) -> Mapping[str, TradeAction]:
        return trader.prbkit_trade_actions()

    def section(self, name: str) -> Any:
        return self.settings.section(name)

    def emit(self, event: Event) -> None:
        self.events.append(event)

    def report_status(self, name: str, status: Callable[[], Mapping[str, Any]]) -> None:
        assert name == "jobs"
        self.status = status
