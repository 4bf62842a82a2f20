"""A devnet as a program of its own: bring it up, say where it listens, stay until told to go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from prbkit.testing.devnet.blocks import blake2_256
from prbkit.testing.devnet.config import DEV_POOL, DEV_POOL_OPERATOR, DevnetConfig
from prbkit.testing.devnet.devnet import Devnet

__all__ = ["DEV_POOL", "DEV_POOL_OPERATOR", "Listening", "run_devnet"]


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a devnet and its simulated workers answer."""

    relay_url: str
    para_url: str
    workers: tuple[str, ...]


async def run_devnet(
    config: DevnetConfig,
    *,
    workers: int,
    worker_port: int = 0,
    tell: Callable[[Listening], object],
    stop: asyncio.Event,
) -> None:
    """Run a devnet, and simulated pRuntimes beside it, until `stop` is set.

    :param worker_port: of the first worker, the others follow; 0: any free ports.
    :param tell: called once, when everything listens.
    :raises ConfigError: for a port that is taken or a data directory of another devnet.
    """
    from prbkit.testing.pruntime import PRuntimeConfig, Server

    async with AsyncExitStack() as stack:
        net = await stack.enter_async_context(Devnet(config))
        servers = []
        for index in range(workers):
            seed = blake2_256(config.seed_bytes + b"worker %d" % index)
            port = worker_port + index if worker_port else 0
            server = Server(PRuntimeConfig(seed=seed), host=config.host, port=port)
            servers.append(await stack.enter_async_context(server))
        tell(Listening(net.relay_url, net.para_url, tuple(server.url for server in servers)))
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
