"""A devnet in a process of its own, seen through endpoints with different faults."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
from collections.abc import Iterator, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from prbkit.testing.devnet import Devnet, DevnetConfig, Faults

__all__ = ["devnet_process"]

Urls = Mapping[str, tuple[str, str]]
"""Name → the relay chain's and the parachain's URL."""


@contextlib.contextmanager
def devnet_process(
    *, history: int, set_period: int, endpoints: Mapping[str, Mapping[str, Any]], data_dir: Path
) -> Iterator[Urls]:
    """Run a devnet while the context lasts: for each name a pair of endpoints with those faults.

    :param history: relay blocks; half as many para blocks.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(
        target=_main, args=(theirs, history, set_period, dict(endpoints), data_dir), daemon=True
    )
    process.start()
    theirs.close()
    try:
        if not ours.poll(600):
            raise TimeoutError("the devnet did not come up")
        yield ours.recv()
    finally:
        ours.close()
        process.join(10)
        if process.is_alive():
            process.terminate()
            process.join(10)


def _main(
    pipe: Connection,
    history: int,
    set_period: int,
    endpoints: Mapping[str, Mapping[str, Any]],
    data_dir: Path,
) -> None:
    asyncio.run(_serve(pipe, history, set_period, endpoints, data_dir))


async def _serve(
    pipe: Connection,
    history: int,
    set_period: int,
    endpoints: Mapping[str, Mapping[str, Any]],
    data_dir: Path,
) -> None:
    config = DevnetConfig(
        history=history, set_period=set_period, justification_period=512, data_dir=data_dir
    )
    async with Devnet(config) as net:
        urls: dict[str, tuple[str, str]] = {}
        for name, faults in endpoints.items():
            relay = await net.add_endpoint("relay", faults=Faults(**faults))
            para = await net.add_endpoint("para", faults=Faults(**faults))
            urls[name] = (relay.url, para.url)
        pipe.send(urls)
        gone = asyncio.Event()
        # The other end is closed when the run is over, or by its death.
        asyncio.get_running_loop().add_reader(pipe.fileno(), gone.set)
        await gone.wait()
