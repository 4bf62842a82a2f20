"""A devnet as a program of its own: bring it up, say where it listens, stay until told to go."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack

from prbkit.testing.devnet.blocks import blake2_256
from prbkit.testing.devnet.config import DevnetConfig
from prbkit.testing.devnet.devnet import Devnet

__all__ = ["run_devnet"]


async def run_devnet(
    config: DevnetConfig, *, workers: int = 0, tell: Callable[[str], object] = print
) -> None:
    """Run a devnet, and simulated pRuntimes beside it, until SIGINT or SIGTERM.

    :param tell: gets one line for each thing that listens.
    :raises ConfigError: for a port that is taken or a data directory of another devnet.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        net = await stack.enter_async_context(Devnet(config))
        tell(f"relay chain  {net.relay_url}")
        tell(f"parachain    {net.para_url}")
        for index in range(workers):
            from prbkit.testing.pruntime import PRuntimeConfig, Server

            seed = blake2_256(config.seed_bytes + b"worker %d" % index)
            server = Server(PRuntimeConfig(seed=seed), host=config.host)
            tell(f"worker {index}     {(await stack.enter_async_context(server)).url}")
        running = asyncio.ensure_future(net.run())
        stopped = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                running.result()
        finally:
            running.cancel()
            stopped.cancel()
            await asyncio.gather(running, stopped, return_exceptions=True)
