"""The bridge: builds what the settings name, supervises the services, is the embedding API.

::

    async with Bridge(Settings.load("prbkit.toml")) as bridge:
        async for event in bridge.events():
            ...

Leaving the block stops the services and closes what was opened.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, Self

from prbkit import child
from prbkit.context import Context, load_identity
from prbkit.errors import ConfigError, PrbError
from prbkit.events import Event, ServiceFailed
from prbkit.plugins import Plugins

if TYPE_CHECKING:
    from prbkit.interfaces import Service, ServiceContext
    from prbkit.settings import Settings

__all__ = ["Bridge"]

BACKOFF_FIRST, BACKOFF_MOST = 1.0, 60.0
"""Seconds before a failed service is started again: doubled each time, from and up to."""
HEALTHY_AFTER = 120.0
"""A service that has run that many seconds starts with the first backoff again."""
DIAL_EVERY = 5.0

log = logging.getLogger(__name__)


class Bridge:
    """One process of a Runtime Bridge.

    :param settings: what to run, and on what.
    :param plugins: None finds the installed ones.

    Entering raises `ConfigError` and its kin for settings that cannot work; after that a service
    that fails is told as an event and started again.
    """

    def __init__(self, settings: Settings, *, plugins: Plugins | None = None) -> None:
        self.settings = settings
        self.plugins = plugins or Plugins(
            disabled=settings.disabled_plugins, files=settings.plugin_files
        )
        self._context: Context | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self.settings.bind_sections(self.plugins.settings())
        services = self.plugins.chosen_services(self.settings)
        identity = load_identity(self.settings)
        context = Context(self.settings, self.plugins, identity, spawner=child.run)
        try:
            await context.open(frozenset(services))
            self._context = context
            for name, make in services.items():
                task = asyncio.create_task(self._supervise(name, make), name=f"service {name}")
                self._tasks.append(task)
            for address in self.settings.boot_nodes:
                self._tasks.append(asyncio.create_task(self._dial(address), name=f"dial {address}"))
        except BaseException:
            await self.close()
            await context.close()
            raise
        log.info("Got my peer id: %s", self.peer_id)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop the services and close what was opened. May be called twice."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._context is not None:
            context, self._context = self._context, None
            await context.close()

    @property
    def context(self) -> Context:
        """The objects of this process. Raises RuntimeError outside of the ``async with`` block."""
        if self._context is None:
            raise RuntimeError("the bridge is not running: use it with 'async with'")
        return self._context

    @property
    def peer_id(self) -> str:
        return self.context.identity.peer_id

    async def events(self) -> AsyncIterator[Event]:
        """Yield what happens from now on; a reader that is far behind loses the oldest."""
        async with self.context.events() as events:
            async for event in events:
                yield event

    async def wait(self) -> None:
        """Wait for ever, or for the error of a setting that only shows when a service runs."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()

    async def status(self) -> dict[str, Any]:
        """What this process and all peers of the bridge report (design: `prbkit status`)."""
        from prbkit.status import gather

        return await gather(await self.context.transport(), self.settings)

    async def _supervise(self, name: str, make: Callable[[ServiceContext], Service]) -> None:
        """Run a service for ever. Only a wrong setting ends it."""
        backoff = BACKOFF_FIRST
        while True:
            started = time.monotonic()
            try:
                with self.context.scope() as scope:
                    await make(scope).run()
                reason = "it ended by itself"
            except* ConfigError as group:
                raise _first(group) from None
            except* Exception as group:
                error = _first(group)
                reason = str(error) or type(error).__name__
                expected = isinstance(error, PrbError)
                log.error("the service %s failed: %s", name, reason, exc_info=not expected)
            if time.monotonic() - started > HEALTHY_AFTER:
                backoff = BACKOFF_FIRST
            self.context.emit(ServiceFailed(service=name, error=reason, retry_in=backoff))
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, BACKOFF_MOST)

    async def _dial(self, address: str) -> None:
        """Get to know a boot node, and again whenever it was lost."""
        transport = await self.context.transport()
        told = False
        while True:
            try:
                await transport.dial(address)
                told = False
            except PrbError as error:
                if not told:
                    log.warning("cannot reach the boot node %s yet: %s", address, error)
                    told = True
            await asyncio.sleep(DIAL_EVERY)


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
