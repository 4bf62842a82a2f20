"""`prbkit serve`: run a bridge until interrupted; `--demo` brings a world of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prbkit import logs
from prbkit.bridge import Bridge
from prbkit.cli.common import echo_json
from prbkit.settings import Settings

if TYPE_CHECKING:
    from rich.live import Live

__all__ = ["DemoOptions", "serve", "serve_demo"]

REFRESH = 0.5
"""Seconds between looks at the status."""

log = logging.getLogger(__name__)


async def serve(config: Path | None, *, as_json: bool = False) -> None:
    """Run the services of the settings until SIGINT or SIGTERM; then tell the last status."""
    settings = Settings.load(config)
    logs.set_up(settings.log_level, settings.log_format)
    for note in settings.notes:
        log.warning(note)
    stop = _stop_on_signals()
    async with Bridge(settings) as bridge:
        failed = asyncio.ensure_future(bridge.wait())
        stopped = asyncio.ensure_future(stop.wait())
        await asyncio.wait({failed, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if failed.done():
            failed.result()
        failed.cancel()
        if as_json:
            echo_json(await bridge.status())


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What `serve --demo` was asked for; `block_time` is the relay chain's, in seconds."""

    workers: int
    block_time: float
    until_active: bool
    data_dir: Path | None


async def serve_demo(options: DemoOptions, *, as_json: bool = False) -> int:
    """Run a devnet, simulated workers and a whole bridge over them.

    :return: the exit code: 0, or 1 where a job failed before all workers were active.
    """
    from prbkit.testing.demo import World, create_inventory, demo_settings

    stop = _stop_on_signals()
    with contextlib.ExitStack() as stack:
        data_dir = options.data_dir
        if data_dir is None:
            data_dir = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="prbkit-demo-")))
        live = stack.enter_context(_live()) if sys.stderr.isatty() and not as_json else None
        _say(
            live,
            f"Starting a relay chain, a parachain and {options.workers} simulated workers, "
            f"with all their data in {data_dir} …",
        )
        async with World.start(
            workers=options.workers, block_time=options.block_time, data_dir=data_dir / "devnet"
        ) as world:
            settings = demo_settings(world, data_dir)
            logs.set_up("warning" if live else settings.log_level, settings.log_format)
            _say(live, "Starting the bridge …")
            async with Bridge(settings) as bridge:
                await create_inventory(world, await bridge.context.inventory())
                done = await _watch(bridge, options, stop, live)
                status = await bridge.status()
    if as_json:
        echo_json(status)
    return 0 if done or not options.until_active else 1


async def _watch(
    bridge: Bridge, options: DemoOptions, stop: asyncio.Event, live: Live | None
) -> bool:
    """Show the status until stopped, or until all workers are active and nothing is pending."""
    from prbkit.cli import view

    failed = asyncio.ensure_future(bridge.wait())
    started = time.monotonic()
    try:
        while not stop.is_set():
            if failed.done():
                failed.result()
            status = await bridge.status()
            if live is not None:
                note = _footer(bridge, status, options, time.monotonic() - started)
                live.update(view.render(status, note), refresh=True)
            if options.until_active and _all_active(status, options.workers):
                return True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), REFRESH)
    finally:
        failed.cancel()
    return False


def _footer(bridge: Bridge, status: dict[str, Any], options: DemoOptions, seconds: float) -> str:
    """The last line of the live view: where the monitor is, and how this ends."""
    page = bridge.context.status().get("monitor", {}).get("url", "not up yet")
    if options.until_active and _all_active(status, options.workers):
        end = f"all workers compute, after {seconds:.0f} s"
    else:
        end = "Ctrl-C ends it"
    return f"Monitor: {page} ({end})"


def _say(live: Live | None, text: str) -> None:
    if live is not None:
        live.update(text, refresh=True)


def _all_active(status: dict[str, Any], workers: int) -> bool:
    """All compute, on a chain whose authority set has changed at least twice: the whole path."""
    active = [
        worker
        for worker in status["workers"]
        if worker["state"] == "S_ACTIVE" and worker.get("session_state") == "WorkerIdle"
    ]
    return (
        len(active) >= workers
        and (status["relay"].get("set_changes") or 0) >= 2
        and status["jobs"]["pending"] == 0
    )


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop


@contextlib.contextmanager
def _live() -> Any:
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(stderr=True), auto_refresh=False) as live:
        yield live
