"""The lifecycle service: knows the inventory, has its workers run, answers PRB v2's calls.

Placing workers on runners is all that it does for them; what it knows of them are their reports.
A change of the inventory reaches the one runner that it concerns, at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prbkit.errors import NotFound, TransportError
from prbkit.events import AlarmChanged, WorkerChanged
from prbkit.interfaces import Caller, Inventory, Pool, Worker
from prbkit.wire import walkie

from . import api
from .control import LINE_LIMIT, Assignment, Line, WorkerReport
from .health import Alarm, Health
from .placement import place
from .runner import ORDERS, Runner

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from prbkit.interfaces import ServiceContext

__all__ = ["Manager"]

RUNNER = "prbkit_plugins.lifecycle.runner:main"
HELLO_TIMEOUT = 10.0
ALARM_INTERVAL = 5.0
"""Seconds between looks at whether something is wrong."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Child:
    """A runner in a process of its own; `line` is there while it is connected."""

    task: asyncio.Task[None] | None = None
    line: Line | None = None
    assigned: list[Assignment] = field(default_factory=list)


class Manager:
    """The service ``lifecycle``."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self._settings = context.section("lifecycle")
        self._workers: dict[str, Worker] = {}
        self._reports: dict[str, WorkerReport] = {}
        self._places: dict[str, int] = {}
        self._children: list[_Child] = []
        self._inline: Runner | None = None
        self._refresh = asyncio.Lock()
        self._health = Health(self._settings.stuck_after)
        self._alarms: Mapping[tuple[str, str], Alarm] = {}

    async def run(self) -> None:
        """Serve until cancelled."""
        inventory = await self._context.inventory()
        self._serve_calls(inventory)
        self._context.report_status("workers", self._status)
        self._context.report_status("alarms", self._alarm_status)
        if self._settings.config_mode:
            await self._watch(inventory, None, "")
        elif self._settings.runners == "inline":
            self._inline = Runner(self._context, self._reported)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._inline.run(), name="runner")
                group.create_task(self._watch(inventory, group, ""), name="inventory")
                group.create_task(self._watch_health(), name="health")
        else:
            async with self._socket() as path, asyncio.TaskGroup() as group:
                group.create_task(self._watch(inventory, group, path), name="inventory")
                group.create_task(self._watch_health(), name="health")

    # --- who runs where

    async def _watch(
        self, inventory: Inventory, group: asyncio.TaskGroup | None, path: str
    ) -> None:
        async with contextlib.aclosing(inventory.changes()) as changes:  # type: ignore[type-var]
            async for _ in changes:
                await self._take(inventory, group, path)

    async def _take(self, inventory: Inventory, group: asyncio.TaskGroup | None, path: str) -> None:
        """Make the runners run what the inventory says now."""
        async with self._refresh:
            pools = {pool.pid: pool for pool in await inventory.pools()}
            workers = await inventory.workers()
            self._workers = {worker.uuid: worker for worker in workers}
            for gone in self._reports.keys() - self._workers.keys():
                del self._reports[gone]
                self._health.forget(gone)
            if group is None:
                return
            # A pool that was made away with between the two reads takes its workers along.
            wanted = [self._assignment(w, pools[w.pid]) for w in workers if w.pid in pools]
            if self._inline is not None:
                self._inline.assign(wanted)
                return
            self._places = place(
                [a.worker.uuid for a in wanted], self._places, self._settings.runner_max_workers
            )
            await self._distribute(wanted, group, path)

    def _assignment(self, worker: Worker, pool: Pool) -> Assignment:
        enabled = worker.enabled and pool.enabled
        return Assignment(
            worker=worker if enabled == worker.enabled else _disabled(worker),
            operator=pool.owner if pool.owner is not None else pool.operator,
            sync_only=self._settings.sync_only or pool.sync_only or worker.sync_only,
        )

    async def _distribute(
        self, wanted: Sequence[Assignment], group: asyncio.TaskGroup, path: str
    ) -> None:
        runners = max(self._places.values(), default=-1) + 1
        while len(self._children) > runners:
            child = self._children.pop()
            if child.task is not None:
                child.task.cancel()
                await asyncio.wait({child.task})
        while len(self._children) < runners:
            number = len(self._children)
            child = _Child()
            self._children.append(child)
            name = f"runner-{number}"
            argument = {"socket": path, "name": str(number)}
            child.task = group.create_task(self._context.spawn(RUNNER, argument, name), name=name)
        for number, child in enumerate(self._children):
            mine = [a for a in wanted if self._places[a.worker.uuid] == number]
            if mine != child.assigned:
                child.assigned = mine
                await self._send_assignment(child)

    async def _send_assignment(self, child: _Child) -> None:
        if child.line is not None:
            with contextlib.suppress(TransportError):  # it connects again, and is told then
                await child.line.send({"assign": [a.as_json() for a in child.assigned]})

    @contextlib.asynccontextmanager
    async def _socket(self) -> AsyncIterator[str]:
        """Where runner processes reach this manager: a folder that only its owner may enter."""
        # Not under data_dir: the path of a Unix socket has some hundred bytes at most.
        with tempfile.TemporaryDirectory(prefix="prbkit-") as folder:
            path = str(Path(folder) / "manager")
            server = await asyncio.start_unix_server(self._connected, path, limit=LINE_LIMIT)
            try:
                yield path
            finally:
                server.close()
                for child in self._children:
                    if child.line is not None:
                        await child.line.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = Line(reader, writer)
        child: _Child | None = None
        try:
            async for said in line.receive():
                if "hello" in said and int(said["hello"]) < len(self._children):
                    child = self._children[int(said["hello"])]
                    child.line = line
                    await self._send_assignment(child)
                for report in said.get("reports", ()):
                    self._reported(WorkerReport(**report))
        finally:
            if child is not None and child.line is line:
                child.line = None
                self._runner_lost(child)
            await line.close()

    # --- how they are

    def _reported(self, report: WorkerReport) -> None:
        worker = self._workers.get(report.uuid)
        if worker is None:
            return
        before = self._reports.get(report.uuid, WorkerReport(report.uuid))
        self._reports[report.uuid] = report
        self._health.observe(report, worker.name, time.time())
        if (before.state, before.message) != (report.state, report.message):
            self._context.emit(
                WorkerChanged(
                    worker=worker.uuid,
                    name=worker.name,
                    state=report.state,
                    message=report.message,
                )
            )

    async def _watch_health(self) -> None:
        while True:
            await asyncio.sleep(ALARM_INTERVAL)
            self._look_at_health(time.time())

    def _look_at_health(self, now: float) -> None:
        before, self._alarms = self._alarms, self._health.alarms(now)
        for key in before.keys() - self._alarms.keys():
            self._tell_alarm(before[key], raised=False)
        for key in self._alarms.keys() - before.keys():
            log.warning("%s", self._tell_alarm(self._alarms[key], raised=True))

    def _tell_alarm(self, alarm: Alarm, *, raised: bool) -> str:
        self._context.emit(
            AlarmChanged(
                kind=alarm.kind,
                worker=alarm.worker,
                name=alarm.name,
                message=alarm.message,
                since=alarm.since,
                raised=raised,
            )
        )
        return f"{alarm.kind}: {alarm.name} {alarm.message}"

    def _alarm_status(self) -> Mapping[str, Any]:
        return {"alarms": [asdict(alarm) for alarm in self._alarms.values()]}

    def _runner_lost(self, child: _Child) -> None:
        for assignment in child.assigned:
            report = self._reports.get(assignment.worker.uuid)
            if report is not None and report.state not in ("S_IDLE", "S_KICKED"):
                message = "its runner is gone and is being started again"
                self._reported(replace(report, state="S_STARTING", message=message))

    def _report(self, worker: Worker) -> WorkerReport:
        return self._reports.get(worker.uuid, WorkerReport(worker.uuid))

    def _status(self) -> Mapping[str, Any]:
        rows = []
        for worker in sorted(self._workers.values(), key=lambda worker: worker.name):
            report = self._report(worker)
            rows.append(
                {
                    "name": worker.name,
                    "public_key": report.public_key,
                    "state": report.state,
                    "session_state": report.session_state,
                    "next_relay": report.next_relay,
                    "next_para": report.next_para,
                    "next_block": report.next_block,
                    "last_message": report.message,
                }
            )
        return {"workers": rows}

    # --- PRB v2's calls

    def _serve_calls(self, inventory: Inventory) -> None:
        def handle(name: str, method: Callable[[Any], Awaitable[Message]]) -> None:
            async def handler(caller: Caller, message: Message) -> Message:
                return await method(message)

            self._context.handle(name, handler)

        async def list_pools(message: walkie.Empty) -> Message:
            return api.pool_list(await inventory.pools())

        async def create_pools(message: walkie.CreatePool) -> Message:
            specs = [api.new_pool(pool) for pool in message.pools]
            return api.pool_list(await inventory.create_pools(specs))

        async def update_pools(message: walkie.UpdatePool) -> Message:
            items = [(api.ref_of(item.id), api.pool_changes(item.pool)) for item in message.items]
            answer = api.pool_list(await inventory.update_pools(items))
            for pool, (_, spec) in zip(answer.pools, items, strict=True):
                pool.deleted = spec.deleted
            return answer

        async def list_workers(message: walkie.Empty) -> Message:
            return api.worker_list(await inventory.workers())

        async def create_workers(message: walkie.CreateWorker) -> Message:
            specs = [api.new_worker(worker) for worker in message.workers]
            return api.worker_list(await inventory.create_workers(specs))

        async def update_workers(message: walkie.UpdateWorker) -> Message:
            items = [
                (api.ref_of(item.id), api.worker_changes(item.worker)) for item in message.items
            ]
            answer = api.worker_list(await inventory.update_workers(items))
            for worker, (_, spec) in zip(answer.workers, items, strict=True):
                worker.deleted = spec.deleted
            return answer

        async def status(message: walkie.UuidQueryRequest) -> Message:
            return self._states(message.ids or list(self._workers))

        handle("ListPool", list_pools)
        handle("CreatePool", create_pools)
        handle("UpdatePool", update_pools)
        handle("ListWorker", list_workers)
        handle("CreateWorker", create_workers)
        handle("UpdateWorker", update_workers)
        handle("GetWorkerStatus", status)
        for name, order in _METHODS.items():
            handle(name, self._orderly(order))

    def _orderly(self, order: str) -> Callable[[Any], Awaitable[Message]]:
        async def method(message: walkie.UuidQueryRequest) -> Message:
            ids = list(message.ids)
            for uuid in ids:
                self._known(uuid)
            for uuid in ids:
                await self._order(uuid, order)
            return self._states(ids)

        return method

    async def _order(self, uuid: str, order: str) -> None:
        if self._inline is not None:
            self._inline.order(uuid, ORDERS[order])
            return
        number = self._places.get(uuid)
        line = None if number is None else self._children[number].line
        if line is None:
            raise TransportError(
                f"the runner of worker {self._known(uuid).name} is not there now",
                hint="it is being started; try again in a moment",
            )
        await line.send({"order": order, "uuid": uuid})

    def _states(self, ids: Sequence[str]) -> Message:
        workers = [self._known(uuid) for uuid in ids]
        return walkie.WorkerStateUpdate(
            worker_states=[api.worker_state(worker, self._report(worker)) for worker in workers]
        )

    def _known(self, uuid: str) -> Worker:
        try:
            return self._workers[uuid]
        except KeyError:
            raise NotFound(f"there is no worker with uuid {uuid}") from None


_METHODS: Mapping[str, str] = {
    "RestartWorker": "restart",
    "RefreshRaAndRestartWorker": "refresh",
    "KickWorker": "kick",
}


def _disabled(worker: Worker) -> Worker:
    return replace(worker, enabled=False)
