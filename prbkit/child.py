"""Supervised child processes: a fresh interpreter with a fresh context from the same settings.

The parent writes one JSON line to the child's standard input (settings with their secrets never
stand in arguments or environment) and keeps the pipe open; when the pipe ends, also because the
parent was killed, the child stops.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import sys
import time
from typing import TYPE_CHECKING, Any

import orjson

from prbkit.errors import PluginError

if TYPE_CHECKING:
    from prbkit.context import Context

__all__ = ["run"]

BACKOFF_FIRST, BACKOFF_MOST, HEALTHY_AFTER = 0.5, 30.0, 60.0
STOP_WITHIN = 10.0
"""Seconds that a child may take to end by itself before it is killed."""

log = logging.getLogger(__name__)


async def run(context: Context, target: str, argument: Any, name: str) -> None:
    """Keep ``module:function`` running in a child process until cancelled.

    Started again with a growing delay when it dies; its log lines go to this process's stderr.
    """
    transport = await context.transport()
    order = {
        "tree": context.settings.tree(),
        "target": target,
        "argument": argument,
        "name": name,
        "parent": {"peer_id": transport.peer_id, "address": transport.address},
        "log_level": logging.getLogger().level,
        "log_format": context.settings.log_format,
    }
    backoff = BACKOFF_FIRST
    while True:
        started = time.monotonic()
        code = await _run_once(orjson.dumps(order) + b"\n", name)
        log.error("the child process %s ended with code %s; it is started again", name, code)
        if time.monotonic() - started > HEALTHY_AFTER:
            backoff = BACKOFF_FIRST
        await asyncio.sleep(backoff)
        backoff = min(backoff * 2, BACKOFF_MOST)


async def _run_once(order: bytes, name: str) -> int:
    # In a group of its own: a terminal's Ctrl-C is for the parent, which ends its children itself.
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "prbkit.child", stdin=asyncio.subprocess.PIPE, process_group=0
    )
    assert process.stdin is not None  # noqa: S101 - asked for just above
    try:
        with contextlib.suppress(ConnectionError):
            process.stdin.write(order)
            await process.stdin.drain()
        return await process.wait()
    finally:
        if process.returncode is None:
            process.stdin.close()
            await asyncio.shield(_end(process))


async def _end(process: asyncio.subprocess.Process) -> None:
    try:
        await asyncio.wait_for(process.wait(), STOP_WITHIN)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _serve() -> None:
    """The child's side."""
    from prbkit import logs
    from prbkit.context import Context, load_identity
    from prbkit.plugins import Plugins
    from prbkit.settings import Settings

    reader = asyncio.StreamReader(limit=64 * 2**20)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    order = orjson.loads(await reader.readline())
    logs.set_up(order["log_level"], order["log_format"], process=order["name"])
    settings = Settings.from_tree(order["tree"])
    settings = settings.replace(transport=settings.local_transport)
    plugins = Plugins(disabled=settings.disabled_plugins, files=settings.plugin_files)
    settings.bind_sections(plugins.settings())
    module, _, function = order["target"].partition(":")
    main = getattr(importlib.import_module(module), function, None)
    if main is None:
        raise PluginError("there is no such function to run", where=order["target"])
    identity = load_identity(settings).child()
    context = Context(settings, plugins, identity, spawner=run)
    await context.open(frozenset())
    try:
        await (await context.transport()).dial(order["parent"]["address"])
        work = asyncio.ensure_future(main(context, order["argument"]))
        parent_gone = asyncio.ensure_future(reader.read())
        done, rest = await asyncio.wait({work, parent_gone}, return_when=asyncio.FIRST_COMPLETED)
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        if work in done:
            work.result()
    finally:
        await context.close()


if __name__ == "__main__":
    asyncio.run(_serve())
