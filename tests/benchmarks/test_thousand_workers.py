"""A thousand workers at the chain's tip on one runner: its CPU, how late it is, its memory.

The workers are the simulator's counting mode in a process of their own; the chain grows in this
one, a block at a time, and what the runner takes of a data provider comes without a network.
PRBKIT_BENCH_WORKERS, PRBKIT_BENCH_BLOCKS and PRBKIT_BENCH_BLOCK_TIME (seconds) change the sizes.
Figures on a machine that others use say more of those others than of the runner, CPU time
excepted: what is asserted is that no request was refused and that CPU stays under one core.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from prbkit.interfaces import Worker
from prbkit.scale import Metadata
from prbkit_plugins.lifecycle.control import Assignment, WorkerReport
from prbkit_plugins.lifecycle.runner import Runner
from prbkit_plugins.lifecycle.settings import LifecycleSettings
from tests.plugins.lifecycle.fakes import Clock, FakeQueue
from tests.plugins.lifecycle.world import Chains, FakeContext, FakeTransport

WORKERS = int(os.environ.get("PRBKIT_BENCH_WORKERS", "1000"))
BLOCKS = int(os.environ.get("PRBKIT_BENCH_BLOCKS", "5"))
BLOCK_TIME = float(os.environ.get("PRBKIT_BENCH_BLOCK_TIME", "12"))
DEADLINE = 120.0
CHANGES = [(number.to_bytes(8, "little") * 4, bytes(200)) for number in range(250)]
"""Of one block: some 58 KB, as a busy block of Khala has."""


class Provider(FakeTransport):
    """Tells of a new block when there is one, as a data provider does on ``…/wait``."""

    def __init__(self, chains: Chains) -> None:
        super().__init__(chains)
        self.grown = asyncio.Event()

    async def get_blob(self, peer_id: str, key: str, *, timeout: float = 150) -> bytes | None:
        if key.endswith("/wait"):
            await self.grown.wait()
            self.grown.clear()
        return await super().get_blob(peer_id, key, timeout=timeout)


@contextlib.asynccontextmanager
async def counting(workers: int) -> AsyncIterator[str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "prbkit.testing.pruntime.counting", "--workers", str(workers)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(DEADLINE):
            url = (await process.stdout.readline()).decode().strip()
        yield url
    finally:
        process.stdin.close()
        await process.wait()


def resident() -> int:
    """Bytes of anonymous memory of this process."""
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.timeout(600)
def test_a_thousand_workers_at_the_tip(benchmark: Any, data_dir: Path) -> None:
    benchmark.pedantic(lambda: asyncio.run(_at_the_tip(data_dir)), rounds=1, iterations=1)


async def _at_the_tip(data_dir: Path) -> None:
    chains = Chains(Metadata((data_dir / "metadata" / "rhala_1241_v14.scale").read_bytes()))
    for _ in range(3):
        chains.grow(CHANGES)
    transport = Provider(chains)
    context = FakeContext(transport, FakeQueue(Clock()), LifecycleSettings(skip_ra=True))
    reports: dict[str, WorkerReport] = {}
    runner = Runner(context, lambda report: reports.update({report.uuid: report}))  # type: ignore[arg-type]
    task = asyncio.create_task(runner.run())
    try:
        async with counting(WORKERS) as url, aiohttp.ClientSession() as session:
            before = resident()
            runner.assign(
                Assignment(Worker(f"w{n}", 7, f"w{n}", f"{url}/{n}"), None, sync_only=True)
                for n in range(WORKERS)
            )
            tip = len(chains.para)
            await _all_have(reports, tip)
            memory = resident() - before
            used, began = time.process_time(), time.monotonic()
            grown: dict[int, float] = {}
            for number in range(BLOCKS):
                grown[chains.grow(CHANGES)] = time.monotonic()
                transport.grown.set()
                await asyncio.sleep(began + (number + 1) * BLOCK_TIME - time.monotonic())
            await _all_have(reports, tip + BLOCKS)
            cores = (time.process_time() - used) / (time.monotonic() - began)
            async with session.get(f"{url}/times") as answer:
                told: Any = await answer.json()
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    delays = sorted(
        at - grown[int(block)]
        for worker in told["dispatched"]
        for block, at in worker.items()
        if int(block) in grown
    )
    assert len(delays) == WORKERS * BLOCKS
    print(
        f"\n{WORKERS} workers, {BLOCKS} blocks of {BLOCK_TIME:g} s: the runner used {cores:.2f} "
        f"cores (the simulator {told['cpu']:.1f} s for {told['requests']} requests in all); commit "
        f"to dispatch p50 {delays[len(delays) // 2]:.2f} s, "
        f"p99 {delays[int(len(delays) * 0.99)]:.2f} s; {memory / WORKERS / 1024:.0f} KB a worker; "
        f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs"
    )
    assert told["refused"] == 0
    assert cores < 1


async def _all_have(reports: dict[str, WorkerReport], blocks: int) -> None:
    async with asyncio.timeout(DEADLINE):
        while True:
            if len(reports) == WORKERS and all(r.next_block >= blocks for r in reports.values()):
                return
            await asyncio.sleep(0.2)
