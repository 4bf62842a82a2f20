"""The stock plugin `substrate`: a chain source over JSON-RPC 2.0 (WebSocket and HTTP)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from prbkit.hookspecs import hookimpl

if TYPE_CHECKING:
    from pydantic import BaseModel

    from prbkit.interfaces import ChainSource, Role
    from prbkit.settings import Settings

_SCHEMES = ("ws://", "wss://", "http://", "https://")


@hookimpl
def prbkit_schemes() -> Mapping[str, Sequence[str]]:
    return {"chain_source": ["ws", "wss", "http", "https"]}


@hookimpl
def prbkit_chain_source(url: str, role: Role, settings: Settings) -> ChainSource | None:
    """Make a source over all of the chain's endpoints that this plugin can speak to."""
    if not url.startswith(_SCHEMES):
        return None
    from .source import SubstrateSource

    return SubstrateSource.from_settings(url, role, settings)


@hookimpl
def prbkit_settings() -> Mapping[str, Callable[[], type[BaseModel]]]:
    def model() -> type[BaseModel]:
        from .settings import SubstrateSettings

        return SubstrateSettings

    return {"substrate": model}
