"""Many workers on one runner: changes and misbehaviour of some cost the rest nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from prbkit.interfaces import Worker
from prbkit.scale import Metadata
from prbkit.testing.pruntime.counting import CountingServer
from prbkit_plugins.lifecycle.control import Assignment, WorkerReport
from prbkit_plugins.lifecycle.runner import Runner
from prbkit_plugins.lifecycle.settings import LifecycleSettings

from .fakes import Clock, FakeQueue
from .world import Chains, FakeContext, FakeTransport

WORKERS = 60
DEADLINE = 60.0


class Farm:
    """A runner, the chains it follows, and all that its workers reported, in order."""

    def __init__(self, metadata: Metadata, endpoint: str) -> None:
        self.chains = Chains(metadata)
        for _ in range(4):
            self.chains.grow()
        settings = LifecycleSettings(
            poll_interval=0.2, retry_first=0.05, retry_most=0.2, rpc_timeout=0.5, skip_ra=True
        )
        context = FakeContext(FakeTransport(self.chains), FakeQueue(Clock()), settings)
        self.endpoint = endpoint
        self.history: dict[str, list[WorkerReport]] = {}
        self.assigned: dict[str, Assignment] = {}
        self.runner = Runner(context, self._report)  # type: ignore[arg-type]

    def _report(self, report: WorkerReport) -> None:
        self.history.setdefault(report.uuid, []).append(report)

    def add(self, name: str, endpoint: str) -> None:
        worker = Worker(name, 7, name, endpoint)
        self.assigned[name] = Assignment(worker, None, sync_only=True)

    def assign(self) -> None:
        self.runner.assign(self.assigned.values())

    def last(self, name: str) -> WorkerReport:
        return self.history[name][-1]

    def at_tip(self, *names: str) -> bool:
        return all(
            name in self.history
            and self.last(name).state == "S_SYNCHED"
            and self.last(name).next_block == len(self.chains.para)
            for name in names
        )

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE):
            while True:
                if condition():
                    return
                await asyncio.sleep(0.02)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prbkit_plugins.lifecycle.feed.INFO_INTERVAL", 0.1)
    monkeypatch.setattr("prbkit_plugins.lifecycle.feed.RETRY", 0.05)


@contextlib.asynccontextmanager
async def farm(data_dir: Path) -> AsyncIterator[tuple[Farm, CountingServer]]:
    metadata = Metadata((data_dir / "metadata" / "rhala_1241_v14.scale").read_bytes())
    async with CountingServer(WORKERS + 10) as server:
        made = Farm(metadata, server.url)
        for number in range(WORKERS):
            made.add(f"w{number}", f"{server.url}/{number}")
        task = asyncio.create_task(made.runner.run())
        try:
            yield made, server
            assert not task.done(), task.exception()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_changes_of_some_disturb_no_other(data_dir: Path) -> None:
    async with farm(data_dir) as (made, server):
        made.assign()
        changed = [f"w{number}" for number in range(6)]
        others = [f"w{number}" for number in range(6, WORKERS)]
        await made.until(lambda: made.at_tip(*made.assigned))
        before = {name: len(made.history[name]) for name in others}

        add, move, disable, stake, endpoint, delete = changed
        made.chains.grow()
        made.add("new", f"{server.url}/{WORKERS}")
        for name, fields in (
            (move, {"pid": 8}),
            (disable, {"enabled": False}),
            (stake, {"stake": 5 * 10**12}),
            (endpoint, {"endpoint": f"{server.url}/{WORKERS + 1}"}),
        ):
            old = made.assigned[name]
            made.assigned[name] = replace(old, worker=replace(old.worker, **fields))
        del made.assigned[delete]
        made.assign()
        made.chains.grow()
        follow = [*others, add, move, stake, endpoint, "new"]
        await made.until(lambda: made.at_tip(*follow))
        await made.until(lambda: made.last(disable).state == "S_IDLE")
        for name in others:
            states = {report.state for report in made.history[name][before[name] - 1 :]}
            assert states == {"S_SYNCHED"}, f"{name} was disturbed"
        # A move or another stake does not begin a worker again, another endpoint does.
        assert "S_STARTING" not in {r.state for r in made.history[move][-5:]}
        assert sum(worker.refused for worker in server.workers) == 0


async def test_misbehaving_workers_cost_the_others_nothing(data_dir: Path) -> None:
    async def hang(request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        return web.Response()

    async def garbage(request: web.Request) -> web.Response:
        return web.Response(body=b"\xff\xff garbage")

    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=500, body=b"no")

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            while True:
                await response.write(bytes(2**16))
        return response

    app = web.Application()
    for handler in (hang, garbage, refuse, endless):
        app.router.add_post(f"/{handler.__name__}/{{rest:.*}}", handler)
    web_runner = web.AppRunner(app, shutdown_timeout=0.1)
    await web_runner.setup()
    await web.TCPSite(web_runner, "127.0.0.1", 0).start()
    base = f"http://127.0.0.1:{web_runner.addresses[0][1]}"
    try:
        async with farm(data_dir) as (made, server):
            good = list(made.assigned)
            for name in ("hang", "garbage", "refuse", "endless"):
                made.add(name, f"{base}/{name}")
            made.add("gone", "http://127.0.0.1:1")
            made.assign()
            says = {
                "hang": "no answer",
                "garbage": "not its message",
                "refuse": "no",
                "endless": "over|no answer",
                "gone": "cannot reach",
            }

            def all_told() -> bool:
                return all(
                    any(
                        report.state == "S_ERROR"
                        and any(part in report.message for part in text.split("|"))
                        for report in made.history.get(name, ())
                    )
                    for name, text in says.items()
                )

            await made.until(all_told)
            for _ in range(3):
                made.chains.grow()
                await made.until(lambda: made.at_tip(*good))
            for name in good:
                assert "S_ERROR" not in {report.state for report in made.history[name]}
            assert sum(worker.refused for worker in server.workers) == 0
    finally:
        await web_runner.cleanup()
