"""Initial sync of both chains beside a sequential client that makes PRB v2's round trips.

The devnet runs in a process of its own and answers each request 5 ms late. Both chains are synced
at once, verified in full (state roots too) and committed to LMDB. Printed are blocks per second
and ratios; nothing is asserted of time. `PRBKIT_BENCH_BLOCKS` sets the length of the relay chain.
"""

from __future__ import annotations

import asyncio
import os
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from prbkit_plugins.data_provider.archive import Archive
from prbkit_plugins.data_provider.follow import Follower
from prbkit_plugins.data_provider.settings import DataProviderSettings
from prbkit_plugins.lmdb.store import LmdbStore
from prbkit_plugins.substrate.settings import SubstrateSettings
from prbkit_plugins.substrate.source import SubstrateSource
from tests.benchmarks.devnet_process import Urls, devnet_process
from tests.benchmarks.sequential import SequentialClient

BLOCKS = int(os.environ.get("PRBKIT_BENCH_BLOCKS", "20000"))
SET_PERIOD = 2400
"""Blocks of an authority set: what Polkadot's sessions have (four hours of 6 s)."""
LATENCY = 0.005
PARA_ID = 2004

ENDPOINTS = {
    "5 ms": {"latency": LATENCY},
    "5 ms, no finality proofs": {"latency": LATENCY, "disabled": {"grandpa_proveFinality"}},
    "no latency": {},
}
TARGETS = {"5 ms": 300, "5 ms, no finality proofs": 30}


@dataclass(frozen=True, slots=True)
class Run:
    """A sync: its heights, and after how many seconds each chain was committed."""

    relay: int
    para: int
    relay_time: float
    para_time: float
    cpu: float

    @property
    def whole(self) -> float:
        return max(self.relay_time, self.para_time)

    def __str__(self) -> str:
        return (
            f"relay {self.relay / self.relay_time:.0f} blocks/s, "
            f"para {self.para / self.para_time:.0f} blocks/s, "
            f"whole {self.whole:.2f} s ({self.cpu:.2f} s of CPU)"
        )


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Urls]:
    with devnet_process(
        history=BLOCKS,
        set_period=SET_PERIOD,
        endpoints=ENDPOINTS,
        data_dir=tmp_path_factory.mktemp("devnet"),
    ) as urls:
        yield urls


async def sync(urls: tuple[str, str], path: Path) -> Run:
    """Sync a fresh store up to what the endpoints have finalized."""
    rpc, settings = SubstrateSettings(), DataProviderSettings(verify_state="full")
    relay_source = SubstrateSource([urls[0]], "relay", rpc)
    para_source = SubstrateSource([urls[1]], "para", rpc)
    store = LmdbStore(path)
    async with relay_source, para_source, store:
        target = await _reachable(relay_source)
        archive = Archive(store)
        await archive.load()
        follower = Follower(archive, relay_source, para_source, settings, lambda event: None)
        used = resource.getrusage(resource.RUSAGE_SELF)
        start = time.perf_counter()
        relay_time = 0.0
        task = asyncio.create_task(follower.run())
        try:
            async with asyncio.timeout(600):
                while not archive.begun or archive.relay.number < target:
                    await _more(archive, task)
                relay_time = time.perf_counter() - start
                while archive.para.number < archive.relay.para.number:
                    await _more(archive, task)
                para_time = time.perf_counter() - start
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        now = resource.getrusage(resource.RUSAGE_SELF)
        cpu = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
        return Run(archive.relay.number, archive.para.number, relay_time, para_time, cpu)


async def _reachable(source: SubstrateSource) -> int:
    """The newest block that a segment can end at: justified, where there are no proofs."""
    final = (await source.finalized_head()).number
    if await source.finality_proof(final) is not None:
        return final
    return max(final // 512 * 512, final // SET_PERIOD * SET_PERIOD)


async def _more(archive: Archive, task: asyncio.Task[None]) -> None:
    waiting = asyncio.create_task(archive.changed())
    await asyncio.wait([waiting, task], return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        waiting.cancel()
        task.result()


@pytest.fixture(scope="module")
def sequential(net: Urls) -> tuple[float, float]:
    return asyncio.run(SequentialClient.rates(*net["5 ms"], PARA_ID, 150))


@pytest.mark.parametrize("kind", TARGETS)
def test_sync_beside_a_sequential_client(
    kind: str,
    net: Urls,
    sequential: tuple[float, float],
    benchmark: BenchmarkFixture,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fresh(name: str = kind) -> Run:
        return asyncio.run(sync(net[name], tmp_path / name.replace(" ", "-")))

    run = benchmark.pedantic(fresh, rounds=1, iterations=1)
    relay, para = sequential
    relay_ratio = run.relay / run.relay_time / relay
    para_ratio = run.para / run.para_time / para
    lines = [
        f"{kind}: {run}",
        f"  sequential client: relay {relay:.1f} blocks/s, para {para:.1f} blocks/s",
        f"  relay {relay_ratio:.0f} x (target {TARGETS[kind]})",
        f"  para {para_ratio:.0f} x (target 20)",
    ]
    benchmark.extra_info.update(relay_ratio=relay_ratio, para_ratio=para_ratio)
    if kind == "5 ms":
        bare = fresh("no latency")
        benchmark.extra_info["latency_ratio"] = run.whole / bare.whole
        lines += [
            f"no latency: {bare}",
            f"  with latency {run.whole / bare.whole:.2f} x of the time without (target 1.5)",
        ]
    with capsys.disabled():
        print("\n" + "\n".join(lines))
