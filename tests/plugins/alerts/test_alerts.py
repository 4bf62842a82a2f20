"""What webhooks and programs are told, and that neither holds anything up."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web

from prbkit.errors import ConfigError
from prbkit.events import AlarmChanged, BlockFetched, Event, WorkerChanged
from prbkit.interfaces import Worker
from prbkit_plugins.alerts.service import Alerts
from prbkit_plugins.alerts.settings import AlertsSettings
from prbkit_plugins.alerts.shapes import prb3

ALARM = AlarmChanged(kind="down", worker="u", name="w", message="gone", since=1.0, raised=True)
CHANGE = WorkerChanged(worker="u", name="w", state="S_ERROR", message="gone")
WORKER = Worker("u", 7, "w", "http://w:8000", 10**12)


class Context:
    """What the service asks of its context."""

    def __init__(self, **settings: Any) -> None:
        self.settings = AlertsSettings(**settings)
        self.queue: asyncio.Queue[Event] = asyncio.Queue()

    def section(self, name: str) -> AlertsSettings:
        return self.settings

    async def inventory(self) -> Context:
        return self

    async def workers(self) -> Sequence[Worker]:
        return [WORKER]

    @contextlib.asynccontextmanager
    async def events(self) -> AsyncIterator[AsyncIterator[Event]]:
        async def stream() -> AsyncIterator[Event]:
            while True:
                yield await self.queue.get()

        yield stream()


class Hook:
    """A webhook."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[Any] = asyncio.Queue()
        self.failures = 0

    async def take(self, request: web.Request) -> web.Response:
        if self.failures:
            self.failures -= 1
            return web.Response(status=503)
        self.told.put_nowait(orjson.loads(await request.read()))
        return web.Response()


@pytest.fixture
async def hook() -> AsyncIterator[tuple[Hook, str]]:
    made = Hook()
    app = web.Application()
    app.router.add_post("/marker-token", made.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield made, f"http://127.0.0.1:{runner.addresses[0][1]}/marker-token"
    await runner.cleanup()


@contextlib.asynccontextmanager
async def running(context: Context) -> AsyncIterator[None]:
    task = asyncio.create_task(Alerts(context).run())  # type: ignore[arg-type]
    try:
        yield
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def soon(awaitable: Any) -> Any:
    return await asyncio.wait_for(awaitable, 20)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while True:
            if condition():
                return
            await asyncio.sleep(0.01)


async def test_alarms_reach_a_webhook_that_failed_at_first(hook: tuple[Hook, str]) -> None:
    server, url = hook
    server.failures = 2
    context = Context(webhook=url, retry_first=0.01)
    async with running(context):
        for event in (BlockFetched(role="relay", number=1), CHANGE, ALARM):
            context.queue.put_nowait(event)
        told = await soon(server.told.get())
    assert told == {
        "event": "alarm",
        "kind": "down",
        "worker": "u",
        "name": "w",
        "message": "gone",
        "since": 1.0,
        "raised": True,
    }


async def test_prb3s_webhook_gets_its_shape(hook: tuple[Hook, str]) -> None:
    server, url = hook
    context = Context(webhook=url, webhook_format="prb3")
    async with running(context):
        context.queue.put_nowait(ALARM)
        context.queue.put_nowait(CHANGE)
        told = await soon(server.told.get())
    assert told == prb3(CHANGE, {"u": WORKER})
    assert told["state"] == {"HasError": "gone"}
    assert told["worker"]["endpoint"] == "http://w:8000"
    assert (told["last_message"], told["session_info"]) == ("gone", None)


async def test_a_program_gets_json_on_stdin(tmp_path: Path) -> None:
    out = tmp_path / "told"
    text = f"import sys; open({str(out)!r} + '.new', 'w').write(sys.stdin.read())"
    text += f"; import os; os.rename({str(out)!r} + '.new', {str(out)!r})"
    context = Context(command=(sys.executable, "-c", text), all_changes=True)
    async with running(context):
        context.queue.put_nowait(CHANGE)
        await until(out.exists)
    assert orjson.loads(out.read_bytes())["event"] == "worker"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"webhook": "http://127.0.0.1:1/marker-token"}, "the webhook: cannot be reached"),
        ({"webhook": "no-url:marker-token"}, "the webhook: cannot be reached"),
        ({"command": (sys.executable, "-c", "import sys; sys.exit(3)")}, "code 3"),
        ({"command": ("/no/such/program",)}, "cannot be run"),
        (
            {"command": (sys.executable, "-c", "import time; time.sleep(60)"), "timeout": 0.05},
            "no end within",
        ),
    ],
)
async def test_who_cannot_be_told_costs_a_log_line_alone(
    settings: dict[str, Any], says: str, caplog: pytest.LogCaptureFixture
) -> None:
    context = Context(attempts=2, retry_first=0.01, **settings)
    with caplog.at_level(logging.WARNING):
        async with running(context):
            context.queue.put_nowait(ALARM)
            await until(lambda: bool(caplog.records))
    assert says in caplog.text
    assert "marker-token" not in caplog.text


async def test_alerts_to_nobody_are_a_wrong_setting() -> None:
    with pytest.raises(ConfigError, match=r"alerts\.webhook"):
        await Alerts(Context()).run()  # type: ignore[arg-type]
