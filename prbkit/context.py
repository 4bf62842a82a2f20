"""What a service gets: the objects that the settings name, opened once and closed in order.

A process has one `Context`; each service works with a scope of it (`Context.scope`), so that what
a service registered goes away with it when it fails and is made anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Self, TypeVar

import orjson

from prbkit.errors import ConfigError, IdentityError, NotFound
from prbkit.events import Event, PeerFound, PeerLost
from prbkit.identity import Identity

if TYPE_CHECKING:
    from pathlib import Path

    from google.protobuf.message import Message
    from pydantic import SecretStr

    from prbkit.interfaces import (
        BlobStore,
        Caller,
        ChainSource,
        Inventory,
        Lifetime,
        Peer,
        Role,
        Signer,
        TradeAction,
        TradeQueue,
        Transport,
    )
    from prbkit.plugins import Plugins
    from prbkit.settings import Settings

__all__ = ["Context", "Scope", "load_identity", "next_key"]

EVENTS_KEPT = 10_000
"""Events that a slow subscriber may be behind before it loses the oldest."""

log = logging.getLogger(__name__)
_L = TypeVar("_L", bound="Lifetime")


class Context:
    """The objects of one process, as the settings name them.

    :param settings: validated, its sections bound.
    :param identity: proves this process to its peers and seals secrets.
    :param spawner: runs a child process until cancelled (`prbkit.child`).
    """

    def __init__(
        self,
        settings: Settings,
        plugins: Plugins,
        identity: Identity,
        *,
        spawner: Callable[[Context, str, Any, str], Awaitable[None]],
    ) -> None:
        self.settings = settings
        self.plugins = plugins
        self.identity = identity
        self._spawner = spawner
        self._stack = AsyncExitStack()
        self._made: dict[str, asyncio.Task[Any]] = {}
        self._handlers: dict[str, Callable[[Caller, Message], Awaitable[Message]]] = {}
        self._served: set[str] = set()
        self._blobs: Callable[[str], Awaitable[bytes | memoryview | None]] | None = None
        self._blobs_served = False
        self._status: dict[str, Callable[[], Mapping[str, Any]]] = {}
        self._subscribers: list[_Subscriber] = []
        self._transport: Transport | None = None

    async def open(self, roles: frozenset[str]) -> None:
        """Open the transport, on which everything else is reached."""
        transport = await self.plugins.transport(
            self.settings.transport, self.identity, self.settings
        )
        transport.roles = roles
        transport.on_peer = self._on_peer
        self._transport = await self._stack.enter_async_context(transport)
        self.handle("GetStatus", self._get_status)

    async def close(self) -> None:
        for task in self._made.values():
            task.cancel()
        await asyncio.gather(*self._made.values(), return_exceptions=True)
        self._made.clear()
        await self._stack.aclose()

    def scope(self) -> Scope:
        """A view of this context for one life of one service."""
        return Scope(self)

    # --- objects -----------------------------------------------------------------------------

    async def source(self, role: Role) -> ChainSource:
        endpoints = getattr(self.settings, role).endpoints
        if not endpoints:
            raise ConfigError(
                f"no endpoint of the {role} chain is set",
                where=f"{role}.endpoints",
                hint=f'give one: [{role}] endpoints = ["ws://…"]',
            )
        return await self._once(
            f"source {role}",
            lambda: self.plugins.chain_source(endpoints[0], role, self.settings),
        )

    async def store(self) -> BlobStore:
        return await self._once(
            "store", lambda: self.plugins.blob_store(self.settings.store, self.settings)
        )

    async def transport(self) -> Transport:
        if self._transport is None:
            raise RuntimeError("the context is not open")
        return self._transport

    async def queue(self) -> TradeQueue:
        return await self._once(
            "queue", lambda: self.plugins.trade_queue(self.settings.queue, self.settings)
        )

    async def inventory(self) -> Inventory:
        return await self._once(
            "inventory",
            lambda: self.plugins.inventory(self.settings.inventory, self.identity, self.settings),
        )

    async def signer(self, uri: SecretStr) -> Signer:
        return await self.plugins.signer(uri, self.settings)

    async def _once(self, name: str, make: Callable[[], Awaitable[_L]]) -> _L:
        """Make and open an object on first use; a failed one is tried again by the next call."""
        task = self._made.get(name)
        if task is None or (task.done() and (task.cancelled() or task.exception())):
            task = self._made[name] = asyncio.create_task(self._open(make), name=f"open {name}")
        return await asyncio.shield(task)

    async def _open(self, make: Callable[[], Awaitable[_L]]) -> _L:
        thing = await make()
        await thing.open()
        self._stack.push_async_callback(thing.close)
        return thing

    # --- composition -------------------------------------------------------------------------

    def trade_actions(self) -> Mapping[str, TradeAction]:
        return self.plugins.trade_actions()

    def section(self, name: str) -> Any:
        return self.settings.section(name)

    # --- telling -----------------------------------------------------------------------------

    def emit(self, event: Event) -> None:
        self.plugins.event(event)
        for subscriber in self._subscribers:
            subscriber.put(event)

    @asynccontextmanager
    async def events(self) -> AsyncIterator[AsyncIterator[Event]]:
        """Subscribe to all events from now on."""
        subscriber = _Subscriber()
        self._subscribers.append(subscriber)
        try:
            yield subscriber
        finally:
            self._subscribers.remove(subscriber)

    def _on_peer(self, peer: Peer, found: bool) -> None:
        self.emit(PeerFound(peer=peer) if found else PeerLost(peer=peer))

    def report_status(self, name: str, status: Callable[[], Mapping[str, Any]]) -> None:
        self._status[name] = status

    def status(self) -> dict[str, Any]:
        """What the services of this process report, by name."""
        return {name: report() for name, report in self._status.items()}

    async def _get_status(self, caller: Caller, message: Message) -> Message:
        from prbkit.wire import METHODS

        return METHODS["GetStatus"].response(json=orjson.dumps(self.status()))

    # --- talking -----------------------------------------------------------------------------

    async def call(
        self, peer_id: str, method: str, message: Message, *, timeout: float = 10.0
    ) -> Message:
        transport = await self.transport()
        return await transport.call(peer_id, method, message, timeout=timeout)

    def handle(self, method: str, handler: Callable[[Caller, Message], Awaitable[Message]]) -> None:
        if self._transport is None:
            raise RuntimeError("the context is not open")
        self._handlers[method] = handler
        if method not in self._served:
            self._served.add(method)
            self._transport.handle(method, self._dispatcher(method))

    def _dispatcher(self, method: str) -> Callable[[Caller, Message], Awaitable[Message]]:
        async def dispatch(caller: Caller, message: Message) -> Message:
            handler = self._handlers.get(method)
            if handler is None:
                raise NotFound(f"no service here answers {method} now", hint="try again later")
            return await handler(caller, message)

        return dispatch

    def serve_blobs(
        self, handler: Callable[[str], Awaitable[bytes | memoryview | None]] | None
    ) -> None:
        """Serve blobs with another handler from now on; None: with none."""
        if self._transport is None:
            raise RuntimeError("the context is not open")
        self._blobs = handler
        if not self._blobs_served:
            self._blobs_served = True
            self._transport.serve_blobs(self._find_blob)

    async def _find_blob(self, key: str) -> bytes | memoryview | None:
        return None if self._blobs is None else await self._blobs(key)

    async def spawn(self, target: str, argument: Any, name: str) -> None:
        await self._spawner(self, target, argument, name)


class Scope:
    """A context for one life of one service: what it registers goes when the scope is left."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._methods: list[str] = []
        self._reports: list[str] = []
        self._serves_blobs = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        for method in self._methods:
            self._context._handlers.pop(method, None)
        for name in self._reports:
            self._context._status.pop(name, None)
        if self._serves_blobs:
            self._context.serve_blobs(None)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def handle(self, method: str, handler: Callable[[Caller, Message], Awaitable[Message]]) -> None:
        self._context.handle(method, handler)
        self._methods.append(method)

    def serve_blobs(self, handler: Callable[[str], Awaitable[bytes | memoryview | None]]) -> None:
        self._context.serve_blobs(handler)
        self._serves_blobs = True

    def report_status(self, name: str, status: Callable[[], Mapping[str, Any]]) -> None:
        self._context.report_status(name, status)
        self._reports.append(name)


class _Subscriber:
    """A bounded queue of events that drops the oldest."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque(maxlen=EVENTS_KEPT)
        self._arrived = asyncio.Event()

    def put(self, event: Event) -> None:
        self._events.append(event)
        self._arrived.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while not self._events:
            self._arrived.clear()
            await self._arrived.wait()
        return self._events.popleft()


def load_identity(settings: Settings) -> Identity:
    """The identity of the settings' data folder, made on the first start.

    Raises `IdentityError` where the folder had one (the id of each of its keys is noted beside
    the data) and the key file is gone: a fresh key could not open the secrets that are sealed
    there; and where a rotation of the sealing key was cut off. Raises `ConfigError` where the
    folder cannot be written.
    """
    sealing = settings.data_path(settings.sealing_key or settings.identity)
    if next_key(sealing).exists():
        raise IdentityError(
            "a rotation of the key was cut off",
            where=str(sealing),
            hint="finish it with `prbkit identity rotate`",
        )
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        identity = _load_noted(settings.data_path(settings.identity), settings.data_path("peer_id"))
        if settings.sealing_key is None:
            return identity
        return identity.sealing_as(_load_noted(sealing, settings.data_path("sealing_id")))
    except OSError as error:
        raise ConfigError(
            f"the data folder cannot be used: {error.strerror}",
            where=str(error.filename or settings.data_dir),
            hint="set data_dir to a folder that this user may write",
        ) from None


def next_key(file: Path) -> Path:
    """Where a rotation keeps the key that will take the place of `file`."""
    return file.with_name(file.name + ".next")


def _load_noted(file: Path, note: Path) -> Identity:
    if not file.exists() and note.exists():
        raise IdentityError(
            f"the key of peer {note.read_text().strip()} is gone, and secrets may be sealed by it",
            where=str(file),
            hint="put it back with `prbkit identity restore BACKUP`, or delete "
            f"{note} to start with a new one",
        )
    identity = Identity.load_or_create(file)
    note.write_text(identity.peer_id + "\n")
    return identity
