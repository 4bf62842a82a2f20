"""An ops program with a bridge inside: prints what a worker does, and restarts it once.

::

    prbkit devnet --workers 1 --block-time 0.5      # tells where the worker listens
    python examples/embed.py http://127.0.0.1:PORT  # ends when the worker computes again

The bridge runs in this program's event loop and keeps everything in a temporary folder. The
program hears its events, and uses its inventory and its methods as any peer would.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile

from pydantic import SecretStr

from prbkit import Bridge, Settings
from prbkit.events import WorkerChanged
from prbkit.interfaces import PoolSpec, WorkerSpec
from prbkit.wire import METHODS

OPERATOR = SecretStr("//Bob")  # owns pool 0 of a devnet
STAKE = 10_000 * 10**12  # base units: 10,000 PHA


async def run(relay: str, para: str, endpoint: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings.from_tree(
            {
                "services": ["data_provider", "lifecycle", "trader"],
                "data_dir": folder,
                "transport": "zmq+tcp://127.0.0.1:0",
                "relay": {"endpoints": [relay]},
                "para": {"endpoints": [para]},
                "trader": {"batch_age": 1.0},
            }
        )
        async with Bridge(settings) as bridge:
            inventory = await bridge.context.inventory()
            await inventory.create_pools([PoolSpec(pid=0, name="main", operator=OPERATOR)])
            await inventory.create_workers(
                [WorkerSpec(pid=0, name="w1", endpoint=endpoint, stake=STAKE)]
            )
            await restart_once(bridge)


async def restart_once(bridge: Bridge) -> None:
    """Print each change; restart the worker when it computes, and return when it does again."""
    restarted = False
    async for event in bridge.events():
        if not isinstance(event, WorkerChanged):
            continue
        print(event.name, event.state, event.message, flush=True)
        if event.state == "S_ACTIVE":
            if restarted:
                return
            restarted = True
            order = METHODS["RestartWorker"].request(ids=[event.worker])
            await bridge.context.call(bridge.peer_id, "RestartWorker", order)
            print(event.name, "is restarted", flush=True)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("worker", help="URL of a pRuntime")
    arguments.add_argument("--relay", default="ws://127.0.0.1:9944")
    arguments.add_argument("--para", default="ws://127.0.0.1:9945")
    given = arguments.parse_args()
    asyncio.run(run(given.relay, given.para, given.worker))
