"""The world that `prbkit serve --demo` brings: a devnet and simulated workers in a child process.

They run in a process of their own, as real nodes and workers do, so that the bridge's process
shows what a bridge costs. The child ends when its standard input does, also because the parent was
killed.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from prbkit.errors import PrbError
from prbkit.interfaces import PoolSpec, WorkerSpec
from prbkit.settings import Settings

if TYPE_CHECKING:
    from prbkit.interfaces import Inventory

__all__ = ["World", "create_inventory", "demo_settings"]

READY_WITHIN = 60.0
STOP_WITHIN = 10.0
SET_BLOCKS = 24
"""Relay blocks of an authority set: short, so that a demo of a minute sees several."""
STAKE = 10_000 * 10**12


@dataclass(frozen=True, slots=True)
class World:
    """Where the demo's chains and workers answer, and who runs the pool (number 0)."""

    relay_url: str
    para_url: str
    workers: tuple[str, ...]
    pool_operator: str

    @classmethod
    @asynccontextmanager
    async def start(
        cls, *, workers: int, block_time: float, data_dir: Path
    ) -> AsyncIterator[World]:
        """Run the child while the context lasts. `block_time` is the relay's, in seconds."""
        order = {"workers": workers, "block_time": block_time, "data_dir": str(data_dir)}
        # In a group of its own: a terminal's Ctrl-C is for the parent alone.
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", __name__,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, process_group=0,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(order).encode() + b"\n")
            line = await asyncio.wait_for(process.stdout.readline(), READY_WITHIN)
            if not line:
                raise PrbError("the demo's devnet did not start", hint="see what it printed above")
            told = json.loads(line)
            yield cls(**{**told, "workers": tuple(told["workers"])})
        finally:
            process.stdin.close()
            try:
                await asyncio.wait_for(process.wait(), STOP_WITHIN)
            except TimeoutError:
                process.kill()
                await process.wait()


def demo_settings(world: World, data_dir: Path) -> Settings:
    """Settings of a bridge of all services over that world, listening on any free ports."""
    return Settings.from_tree(
        {
            "data_dir": str(data_dir / "bridge"),
            "transport": "zmq+tcp://127.0.0.1:0",
            "relay": {"endpoints": [world.relay_url]},
            "para": {"endpoints": [world.para_url]},
            "monitor": {"port": 0},
            "trader": {"batch_age": 1.0},
        },
        origin="the demo's settings",
    )


async def create_inventory(world: World, inventory: Inventory) -> None:
    """Tell the bridge of the pool and the workers, where it does not know them yet."""
    if not await inventory.pools():
        operator = SecretStr(world.pool_operator)
        await inventory.create_pools([PoolSpec(pid=0, name="demo", operator=operator)])
    known = {worker.name: worker for worker in await inventory.workers()}
    specs = [
        WorkerSpec(pid=0, name=f"worker-{index}", endpoint=url, stake=STAKE)
        for index, url in enumerate(world.workers)
    ]
    await inventory.create_workers([spec for spec in specs if spec.name not in known])


async def _serve() -> None:
    """The child's side."""
    from prbkit.testing.devnet.config import DevnetConfig
    from prbkit.testing.devnet.para import ParaSettings
    from prbkit.testing.devnet.run import DEV_POOL, DEV_POOL_OPERATOR, Listening, run_devnet

    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    order: dict[str, Any] = json.loads(await reader.readline())
    config = DevnetConfig(
        block_time=order["block_time"],
        set_period=SET_BLOCKS,
        para=ParaSettings(pools=(DEV_POOL,)),
        data_dir=Path(order["data_dir"]),
    )

    def tell(listening: Listening) -> None:
        world = {**asdict(listening), "pool_operator": DEV_POOL_OPERATOR}
        print(json.dumps(world), flush=True)

    stop = asyncio.Event()

    async def watch_parent() -> None:
        await reader.read()
        stop.set()

    async with asyncio.TaskGroup() as tasks:
        watch = tasks.create_task(watch_parent())
        await run_devnet(config, workers=order["workers"], tell=tell, stop=stop)
        watch.cancel()


if __name__ == "__main__":
    asyncio.run(_serve())
