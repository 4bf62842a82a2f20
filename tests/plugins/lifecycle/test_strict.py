"""Workers of the strict simulator on a devnet, through the stock data provider and trader."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from prbkit.bridge import Bridge
from prbkit.interfaces import PoolSpec, WorkerSpec
from prbkit.settings import Settings
from prbkit.testing.devnet.accounts import dev_account
from prbkit.testing.devnet.config import DevnetConfig
from prbkit.testing.devnet.devnet import Devnet
from prbkit.testing.devnet.para import PHA, ParaSettings, PoolSettings
from prbkit.testing.pruntime import PRuntimeConfig, Server

DEADLINE = 120.0
BLOCK_TIME = 0.25

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


async def until(bridge: Bridge, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    status: dict[str, Any] = {}
    try:
        async with asyncio.timeout(DEADLINE):
            while True:
                status = await bridge.status()
                if condition(status):
                    return status
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"not within {DEADLINE:g} s, but: {status}") from None


def all_active(status: dict[str, Any]) -> bool:
    workers = status["workers"]
    return len(workers) == 2 and all(
        worker["state"] == "S_ACTIVE" and worker["session_state"] == "WorkerIdle"
        for worker in workers
    )


async def test_workers_compute_and_come_back_after_losing_everything(tmp_path: Path) -> None:
    pool = PoolSettings(owner=dev_account("Bob").public, stake=500_000 * PHA)
    config = DevnetConfig(
        block_time=BLOCK_TIME, set_period=12, history=60, para=ParaSettings(pools=(pool,))
    )
    async with AsyncExitStack() as stack:
        net = await stack.enter_async_context(Devnet(config))
        servers = [
            await stack.enter_async_context(Server(PRuntimeConfig(seed=bytes([number]) * 32)))
            for number in (1, 2)
        ]
        settings = Settings.from_tree(
            {
                "data_dir": str(tmp_path / "bridge"),
                "services": ["data_provider", "lifecycle", "trader"],
                "transport": "zmq+tcp://127.0.0.1:0",
                "relay": {"endpoints": [net.relay_url]},
                "para": {"endpoints": [net.para_url]},
                "trader": {"batch_age": 0.5},
                "lifecycle": {"runners": "inline", "poll_interval": 0.2, "retry_first": 0.2},
            }
        )
        bridge = await stack.enter_async_context(Bridge(settings))
        inventory = await bridge.context.inventory()
        await inventory.create_pools([PoolSpec(pid=0, name="p", operator=SecretStr("//Bob"))])
        await inventory.create_workers(
            [
                WorkerSpec(pid=0, name=f"w{number}", endpoint=server.url, stake=10_000 * PHA)
                for number, server in enumerate(servers)
            ]
        )
        status = await until(bridge, all_active)
        assert status["jobs"]["failed"] == 0
        jobs = status["jobs"]["finalized"]

        # One loses its data, the other is gone for a while: both come back without a new job.
        servers[0].core.crash()
        await servers[1].stop()
        await until(bridge, lambda status: status["workers"][1]["state"] == "S_ERROR")
        await servers[1].start()
        height = status["workers"][0]["next_block"]
        status = await until(
            bridge,
            lambda status: all_active(status) and status["workers"][0]["next_block"] > height,
        )
        assert (status["jobs"]["finalized"], status["jobs"]["failed"]) == (jobs, 0)
        refused = [name for server in servers for name in server.requests if name == "InitRuntime"]
        assert len(refused) == 3
