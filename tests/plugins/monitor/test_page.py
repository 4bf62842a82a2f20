"""The monitor's page in a real browser: it shows the status, and goes on showing the newest."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestServer

from prbkit.wire import METHODS
from prbkit_plugins.monitor.service import Monitor

from .test_monitor import Bridge

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=8000",
    "--dump-dom",
)


@pytest.fixture
def browser() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    reason = "no browser is installed"
    if os.environ.get("PRBKIT_REQUIRE_DATA") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


class Moving(Bridge):
    """A bridge that commits a block at each look."""

    looks = 0

    async def _status(self, caller: Any, message: Any) -> Any:
        self.looks += 1
        return METHODS["GetStatus"].response(
            json=b'{"relay":{"target":900,"fetched":800,"committed":%d},"workers":{"workers":['
            b'{"name":"<b>w1</b>","state":"S_ACTIVE","session_state":"WorkerIdle","next_block":5}'
            b']},"jobs":{"finalized":4}}' % self.looks
        )


async def test_a_browser_shows_the_status_and_its_changes(browser: str, tmp_path: Path) -> None:
    bridge: Any = Moving(tmp_path, token="let me in", refresh=0.001)
    await bridge.own.open()
    await bridge.lifecycle.open()
    async with TestServer(Monitor(bridge).app()) as server:
        profile = f"--user-data-dir={tmp_path / 'profile'}"
        process = await asyncio.create_subprocess_exec(
            *(browser, *FLAGS, profile, str(server.make_url("/"))),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(60):
                shown = (await process.communicate())[0].decode()
        finally:
            if process.returncode is None:
                process.kill()
    (relay,) = re.findall(r"<tr><td>relay</td>(.*?)</tr>", shown)
    target, fetched, committed = re.findall(r"<td[^>]*>(\d+)</td>", relay)[:3]
    assert (target, fetched) == ("900", "800")
    assert int(committed) > 1, "the page has not asked again"
    assert "&lt;b&gt;w1&lt;/b&gt;" in shown, "names are text, never markup"
    assert '<td class="S_ACTIVE">S_ACTIVE</td>' in shown
    assert "4 finalized, 0 pending, 0 failed" in shown
