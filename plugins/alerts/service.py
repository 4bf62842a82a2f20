"""Hears events and passes them on, each to the webhook and to the program, in order.

Neither holds up the bridge: what they cannot take in time is tried again a few times and then
dropped with a log line, and a bounded queue stands before each.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import aiohttp
import orjson

from prbkit.errors import ConfigError, PrbError
from prbkit.events import AlarmChanged, WorkerChanged

from . import shapes

if TYPE_CHECKING:
    from prbkit.interfaces import ServiceContext, Worker

    from .settings import AlertsSettings

__all__ = ["Alerts"]

QUEUED = 1000
ANSWER_LIMIT = 65536

log = logging.getLogger(__name__)


class AlertError(PrbError):
    """An alert did not reach whom it was for."""

    code = "alerts"


class Alerts:
    """The service ``alerts``."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self._settings: AlertsSettings = context.section("alerts")

    async def run(self) -> None:
        """Pass events on until cancelled."""
        settings = self._settings
        if settings.webhook is None and not settings.command:
            raise ConfigError(
                "alerts are to be told to nobody",
                where="alerts",
                hint="set alerts.webhook or alerts.command",
            )
        async with (
            aiohttp.ClientSession() as session,
            self._context.events() as events,
            asyncio.TaskGroup() as group,
        ):
            sinks: list[_Sink] = []
            if settings.webhook is not None:
                url = settings.webhook.get_secret_value()
                sinks.append(_Sink("the webhook", lambda body: _post(session, url, body)))
            if settings.command:
                sinks.append(_Sink("the program", self._run_program))
            for sink in sinks:
                group.create_task(sink.run(settings), name=sink.name)
            async for event in events:
                if isinstance(event, (AlarmChanged, WorkerChanged)):
                    for sink in sinks:
                        prb3 = sink.name == "the webhook" and settings.webhook_format == "prb3"
                        body = await self._body(event, prb3=prb3)
                        if body is not None:
                            sink.put(orjson.dumps(body))

    async def _body(
        self, event: AlarmChanged | WorkerChanged, *, prb3: bool
    ) -> dict[str, Any] | None:
        if not prb3:
            wanted = isinstance(event, AlarmChanged) or self._settings.all_changes
            return shapes.generic(event) if wanted else None
        if isinstance(event, AlarmChanged):
            return None
        inventory = await self._context.inventory()
        workers: dict[str, Worker] = {worker.uuid: worker for worker in await inventory.workers()}
        return shapes.prb3(event, workers)

    async def _run_program(self, body: bytes) -> None:
        program = self._settings.command
        try:
            process = await asyncio.create_subprocess_exec(
                *program,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise AlertError(f"cannot be run: {error.strerror}", where=program[0]) from None
        try:
            await process.communicate(body)
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        if process.returncode:
            raise AlertError(f"ended with code {process.returncode}", where=program[0])


class _Sink:
    """Somebody to be told, and what still has to be."""

    def __init__(self, name: str, deliver: Callable[[bytes], Awaitable[None]]) -> None:
        self.name = name
        self._deliver = deliver
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(QUEUED)

    def put(self, body: bytes) -> None:
        """Queue it; the oldest goes where nothing more can be held."""
        if self._queue.full():
            self._queue.get_nowait()
        self._queue.put_nowait(body)

    async def run(self, settings: AlertsSettings) -> None:
        while True:
            await self._tell(await self._queue.get(), settings)

    async def _tell(self, body: bytes, settings: AlertsSettings) -> None:
        wait = settings.retry_first
        for attempt in range(1, settings.attempts + 1):
            try:
                async with asyncio.timeout(settings.timeout):
                    await self._deliver(body)
            except AlertError as error:
                failure = str(error)
            except TimeoutError:
                failure = f"no end within {settings.timeout:g} s"
            else:
                return
            if attempt < settings.attempts:
                await asyncio.sleep(wait)
                wait *= 2
        log.warning("an alert did not reach %s: %s", self.name, failure)


async def _post(session: aiohttp.ClientSession, url: str, body: bytes) -> None:
    """POST, with no word of the URL in what goes wrong: it may hold a token."""
    try:
        async with session.post(
            url, data=body, headers={"Content-Type": "application/json"}, allow_redirects=False
        ) as response:
            await response.content.read(ANSWER_LIMIT)
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise AlertError(f"cannot be reached ({type(error).__name__})") from None
    if not 200 <= response.status < 300:
        raise AlertError(f"it answered with status {response.status}")
