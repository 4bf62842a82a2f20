"""The substrate source keeps the chain source's contract, over WebSocket and over HTTP."""

from __future__ import annotations

from prbkit.interfaces import ChainSource, Role
from prbkit.testing.contracts.chain_source import ChainSourceContract
from prbkit_plugins.substrate.settings import SubstrateSettings
from prbkit_plugins.substrate.source import SubstrateSource

QUICK = SubstrateSettings(
    retry_first=0.01, retry_most=0.05, timeout=10, long_timeout=20, poll_interval=0.02
)


class TestWebSocket(ChainSourceContract):
    def make_source(self, url: str, role: Role) -> ChainSource:
        return SubstrateSource([url], role, QUICK)


class TestHttp(ChainSourceContract):
    def make_source(self, url: str, role: Role) -> ChainSource:
        settings = QUICK.model_copy(update={"ping_interval": 0.2})
        return SubstrateSource([url.replace("ws://", "http://")], role, settings)
