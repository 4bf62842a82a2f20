"""Runs up to some hundred workers on one event loop, in the manager's process or in a child.

In a child it does what the manager says over the control channel, and ends when that ends: the
supervisor starts it again, and the manager tells it anew what to run.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self

import aiohttp

from .control import Assignment, Line, WorkerReport
from .feed import Feeder
from .follower import Follower
from .jobs import JobBook
from .pccs import Pccs
from .states import Event
from .worker import Shared, WorkerLoop

if TYPE_CHECKING:
    from prbkit.interfaces import ServiceContext

__all__ = ["ORDERS", "Reporter", "Runner", "main"]

ORDERS: Mapping[str, Event] = {
    "restart": Event.RESTART,
    "refresh": Event.REFRESH,
    "kick": Event.KICK,
}

CONNECTIONS = 512
"""Most connections to workers at once."""

REPORT_INTERVAL = 0.2
"""Seconds over which changes are gathered before they are told."""

STATES_KEPT = 8
"""Most states of a worker in that time that are told each."""

log = logging.getLogger(__name__)


class Runner:
    """The workers of one process.

    :param report: told each change of a worker.
    """

    def __init__(self, context: ServiceContext, report: Callable[[WorkerReport], None]) -> None:
        self._context = context
        self._settings = context.section("lifecycle")
        self._report = report
        self._workers: dict[str, tuple[WorkerLoop, asyncio.Task[None]]] = {}
        self._wanted: dict[str, Assignment] = {}
        self._shared: Shared | None = None
        self._group: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Run what is assigned until cancelled."""
        settings = self._settings
        feeder = Feeder(await self._context.transport(), settings)
        book = JobBook(
            await self._context.queue(),
            retry_first=settings.job_retry_first,
            retry_most=settings.job_retry_most,
        )
        connector = aiohttp.TCPConnector(
            limit=CONNECTIONS,
            force_close=not settings.keep_alive,
            keepalive_timeout=settings.keep_alive_timeout if settings.keep_alive else None,
        )
        async with aiohttp.ClientSession(connector=connector) as session:
            follower = Follower(self._context, feeder)
            pccs = Pccs(
                settings.pccs_url,
                session,
                timeout=settings.pccs_timeout,
                age=settings.pccs_cache_age,
                verify=settings.pccs_verify,
            )
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(feeder.run(), name="feeder")
                    group.create_task(follower.run(), name="follower")
                    self._shared = Shared(settings, session, feeder, follower, book, pccs)
                    self._group = group
                    self._follow_wishes()
            finally:
                await pccs.close()
                self._group = self._shared = None
                self._workers.clear()

    def assign(self, assignments: Iterable[Assignment]) -> None:
        """Run exactly these workers; those that go on are not disturbed."""
        self._wanted = {a.worker.uuid: a for a in assignments}
        self._follow_wishes()

    def order(self, uuid: str, order: Event) -> None:
        """Pass an order on; a worker that is not here has none."""
        if uuid in self._workers:
            self._workers[uuid][0].order(order)

    def _follow_wishes(self) -> None:
        if self._group is None or self._shared is None:
            return
        for uuid in self._workers.keys() - self._wanted.keys():
            self._workers.pop(uuid)[1].cancel()
        for uuid, assignment in self._wanted.items():
            if uuid in self._workers:
                self._workers[uuid][0].assign(assignment)
                continue
            loop = WorkerLoop(assignment, self._shared, self._report)
            task = self._group.create_task(loop.run(), name=f"worker {assignment.worker.name}")
            self._workers[uuid] = (loop, task)


class Reporter:
    """Gathers reports; sends the newest that each worker gave in each state it went through."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._pending: dict[str, deque[WorkerReport]] = {}
        self._some = asyncio.Event()

    def __call__(self, report: WorkerReport) -> None:
        pending = self._pending.setdefault(report.uuid, deque(maxlen=STATES_KEPT))
        if pending and pending[-1].state == report.state:
            pending.pop()
        pending.append(report)
        self._some.set()

    async def run(self) -> None:
        while True:
            await self._some.wait()
            self._some.clear()
            pending, self._pending = self._pending, {}
            reports = [report.as_json() for each in pending.values() for report in each]
            await self._line.send({"reports": reports})
            await asyncio.sleep(REPORT_INTERVAL)


class _ManagerGone(Exception):
    """Ends the task group of a runner process."""


class _Open:
    """An open channel that is closed at the end."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.line: Line

    async def __aenter__(self) -> Self:
        self.line = await Line.connect(self._path)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.line.close()


async def main(context: ServiceContext, argument: Mapping[str, Any]) -> None:
    """Be a runner process: `argument` is {"socket": path, "name": this runner's name}."""
    async with _Open(argument["socket"]) as channel:
        line = channel.line
        reporter = Reporter(line)
        runner = Runner(context, reporter)
        await line.send({"hello": argument["name"]})

        async def obey() -> None:
            async for said in line.receive():
                if "assign" in said:
                    runner.assign(Assignment.from_json(value) for value in said["assign"])
                if "order" in said:
                    runner.order(said["uuid"], ORDERS[said["order"]])
            raise _ManagerGone

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(reporter.run(), name="reporter")
                group.create_task(obey(), name="orders")
                group.create_task(runner.run(), name="runner")
        except* _ManagerGone:
            log.info("the manager is gone; this runner ends")
