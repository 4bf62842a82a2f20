"""What a runner tells its manager: no state is left out, however short."""

from __future__ import annotations

import asyncio
from typing import Any

from prbkit_plugins.lifecycle.control import WorkerReport
from prbkit_plugins.lifecycle.runner import Reporter


class FakeLine:
    def __init__(self) -> None:
        self.sent: asyncio.Queue[Any] = asyncio.Queue()

    async def send(self, message: Any) -> None:
        self.sent.put_nowait(message)


async def test_each_state_is_told_once_with_what_came_last_in_it() -> None:
    line = FakeLine()
    reporter = Reporter(line)  # type: ignore[arg-type]
    for state, height in (("S_STARTING", 1), ("S_SYNCHING", 1), ("S_SYNCHING", 2), ("S_ACTIVE", 2)):
        reporter(WorkerReport("w", state=state, next_relay=height))
    running = asyncio.ensure_future(reporter.run())
    told = await line.sent.get()
    running.cancel()
    assert [(report["state"], report["next_relay"]) for report in told["reports"]] == [
        ("S_STARTING", 1),
        ("S_SYNCHING", 2),
        ("S_ACTIVE", 2),
    ]
