"""Contracts of services: what one gets, and what it must do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from prbkit.interfaces.base import Role
from prbkit.interfaces.chain import ChainSource
from prbkit.interfaces.inventory import Inventory, Signer
from prbkit.interfaces.store import BlobStore
from prbkit.interfaces.trade import TradeAction, TradeQueue
from prbkit.interfaces.transport import Caller, Transport

if TYPE_CHECKING:
    from google.protobuf.message import Message
    from pydantic import SecretStr

    from prbkit.identity import Identity
    from prbkit.settings import Settings

__all__ = ["Event", "Service", "ServiceContext"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of what happened (`prbkit.events`)."""


class ServiceContext(Protocol):
    """What a service gets: all that the settings named, and nothing global.

    The objects are opened on first use and closed by the bridge; each is one per process.
    """

    settings: Settings
    identity: Identity

    async def source(self, role: Role) -> ChainSource: ...

    async def store(self) -> BlobStore: ...

    async def transport(self) -> Transport: ...

    async def queue(self) -> TradeQueue: ...

    async def inventory(self) -> Inventory: ...

    async def signer(self, uri: SecretStr) -> Signer: ...

    def trade_actions(self) -> Mapping[str, TradeAction]: ...

    def section(self, name: str) -> Any:
        """The validated settings of a plugin (`prbkit_settings`)."""
        ...

    def emit(self, event: Event) -> None:
        """Tell plugins and embedders. Never raises, never blocks."""
        ...

    def events(self) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """Hear what happens in this process from now on; a slow reader loses the oldest."""
        ...

    def report_status(self, name: str, status: Callable[[], Mapping[str, Any]]) -> None:
        """Name a function that tells this service's part of `prbkit status`, as plain JSON."""
        ...

    async def call(
        self, peer_id: str, method: str, message: Message, *, timeout: float = 10.0
    ) -> Message: ...

    def handle(self, method: str, handler: Callable[[Caller, Message], Awaitable[Message]]) -> None:
        """Serve a method of `prbkit.wire.METHODS` for as long as this life of the service."""
        ...

    def serve_blobs(self, handler: Callable[[str], Awaitable[bytes | memoryview | None]]) -> None:
        """Serve blobs by key for as long as this life of the service."""
        ...

    async def spawn(self, target: str, argument: Any, name: str) -> None:
        """Run ``module:function`` in a supervised child process until cancelled.

        The function is ``async def f(context, argument)``; `argument` is plain JSON; the child
        builds its own context from the same settings (spawn, never fork) and is started again
        when it dies. Returns only by cancellation, which ends the child too.
        """
        ...


class Service(Protocol):
    """A part of the bridge that runs until it is cancelled; started again when it raises."""

    async def run(self) -> None: ...
