"""Workers from their first second to computing, and back there after every fault."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from prbkit.interfaces import Worker
from prbkit.scale import Metadata
from prbkit_plugins.lifecycle.control import Assignment, WorkerReport
from prbkit_plugins.lifecycle.runner import Runner
from prbkit_plugins.lifecycle.settings import LifecycleSettings
from prbkit_plugins.lifecycle.states import Event

from .fakes import Clock, FakeQueue
from .world import Chains, FakeContext, FakePRuntime, FakeTransport, Trader

OPERATOR = b"\x0a" * 32
STAKE = 100 * 10**12
DEADLINE = 30.0


@dataclass
class Bench:
    """A runner over one world, and what its workers reported."""

    chains: Chains
    transport: FakeTransport
    queue: FakeQueue
    trader: Trader
    runner: Runner
    reports: dict[str, WorkerReport] = field(default_factory=dict)
    history: list[WorkerReport] = field(default_factory=list)

    def report(self, report: WorkerReport) -> None:
        self.reports[report.uuid] = report
        self.history.append(report)

    async def until(self, condition: Callable[[], bool], *, work: bool = True) -> None:
        """Let blocks pass until it is so."""
        async with asyncio.timeout(DEADLINE):
            while not condition():
                if work:
                    self.trader.work()
                await asyncio.sleep(0.02)

    async def until_state(self, state: str, name: str = "w", *, work: bool = True) -> None:
        def reached() -> bool:
            return name in self.reports and self.reports[name].state == state

        await self.until(reached, work=work)

    def states(self, name: str = "w") -> list[str]:
        seen: list[str] = []
        for report in self.history:
            if report.uuid == name and (not seen or seen[-1] != report.state):
                seen.append(report.state)
        return seen


@pytest.fixture(scope="module")
def metadata(data_dir: Path) -> Metadata:
    return Metadata((data_dir / "metadata" / "rhala_1241_v14.scale").read_bytes())


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prbkit_plugins.lifecycle.feed.INFO_INTERVAL", 0.02)
    monkeypatch.setattr("prbkit_plugins.lifecycle.feed.RETRY", 0.02)
    monkeypatch.setattr("prbkit_plugins.lifecycle.follower.RETRY", 0.02)
    monkeypatch.setattr("prbkit_plugins.lifecycle.sender.FAILURE_WAIT_FIRST", 0.02)
    get_blob = FakeTransport.get_blob

    async def breathing(
        self: FakeTransport, peer: str, key: str, *, timeout: float
    ) -> bytes | None:
        if key.endswith("/wait"):
            await asyncio.sleep(0.01)
        return await get_blob(self, peer, key, timeout=timeout)

    monkeypatch.setattr(FakeTransport, "get_blob", breathing)


@contextlib.asynccontextmanager
async def bench(
    metadata: Metadata,
    blocks: int = 5,
    providers: tuple[str, ...] = ("provider",),
    lag: int = 0,
) -> AsyncIterator[Bench]:
    settings = LifecycleSettings(
        poll_interval=0.02,
        retry_first=0.02,
        retry_most=0.1,
        job_retry_first=0.02,
        skip_ra=True,
    )
    chains = Chains(metadata)
    for _ in range(blocks):
        chains.grow()
    transport = FakeTransport(chains, providers)
    transport.lag = lag
    queue = FakeQueue(Clock())
    context = FakeContext(transport, queue, settings)
    made: list[Bench] = []
    runner = Runner(context, lambda report: made[0].report(report))  # type: ignore[arg-type]
    made.append(Bench(chains, transport, queue, Trader(chains, queue), runner))
    task = asyncio.create_task(runner.run())
    try:
        yield made[0]
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def assignment(
    pruntime: FakePRuntime, name: str = "w", *, sync_only: bool = False, stake: int = STAKE
) -> Assignment:
    worker = Worker(name, 7, name, pruntime.url, stake)
    return Assignment(worker, OPERATOR, sync_only)


async def test_a_new_worker_ends_up_computing(metadata: Metadata) -> None:
    async with bench(metadata) as b, FakePRuntime(b"\x01" * 32, b.chains) as pruntime:
        b.runner.assign([assignment(pruntime)])
        await b.until_state("S_ACTIVE")
        assert b.states() == [
            "S_STARTING", "S_SYNCHING", "S_SYNCHED", "S_PRE_ACTIVE", "S_ACTIVE",
        ]  # fmt: skip
        assert [action for action, _ in b.trader.done] == [
            "REGISTER_WORKER", "BATCH_SYNC_MQ_MESSAGE", "ADD_WORKER", "START_COMPUTING",
        ]  # fmt: skip
        await b.until(lambda: b.reports["w"].message == "")
        assert b.reports["w"].session_state == "WorkerIdle"
        assert pruntime.most_in_flight == 1


async def test_many_workers_share_what_is_fetched(metadata: Metadata) -> None:
    async with bench(metadata, blocks=20) as b, contextlib.AsyncExitStack() as stack:
        pruntimes = [
            await stack.enter_async_context(FakePRuntime(bytes([n]) * 32, b.chains))
            for n in range(1, 9)
        ]
        b.runner.assign([assignment(p, f"w{n}") for n, p in enumerate(pruntimes)])
        await b.until(
            lambda: len(b.reports) == 8 and all(r.state == "S_ACTIVE" for r in b.reports.values())
        )
        documents = [key for _, key in b.transport.asked if "index" not in key]
        assert len(documents) == len(set(documents))
        assert len(b.trader.done) == len(set(b.trader.done)) == 8 * 4


async def test_a_worker_that_only_syncs_does_nothing_on_chain(metadata: Metadata) -> None:
    async with bench(metadata) as b, FakePRuntime(b"\x01" * 32, b.chains) as pruntime:
        b.runner.assign([assignment(pruntime, sync_only=True)])
        await b.until_state("S_SYNCHED")
        tip = len(b.chains.para) + 5
        await b.until(lambda: pruntime.blocknum >= tip)
        assert b.queue.puts == []
        b.runner.assign([assignment(pruntime)])
        await b.until_state("S_ACTIVE")


async def test_nothing_is_done_while_the_data_provider_lags(metadata: Metadata) -> None:
    async with (
        bench(metadata, lag=1_000) as b,
        FakePRuntime(b"\x01" * 32, b.chains) as pruntime,
    ):
        b.runner.assign([assignment(pruntime)])
        await b.until(lambda: pruntime.blocknum == len(b.chains.para), work=False)
        await b.until(lambda: "data provider is at" in b.reports["w"].message, work=False)
        assert b.reports["w"].state == "S_SYNCHING"
        assert b.queue.puts == []
        b.transport.lag = 0
        await b.until_state("S_ACTIVE")
        b.transport.lag = 1_000
        await b.until_state("S_SYNCHING", work=False)


async def test_a_worker_heals_when_its_pruntime_is_back(metadata: Metadata) -> None:
    async with bench(metadata) as b, FakePRuntime(b"\x01" * 32, b.chains) as pruntime:
        pruntime.unreachable = True
        b.runner.assign([assignment(pruntime)])
        await b.until_state("S_ERROR")
        assert "cannot reach pRuntime" in b.reports["w"].message
        pruntime.unreachable = False
        await b.until_state("S_ACTIVE")
        await b.until(lambda: b.reports["w"].message == "")


async def test_a_refusal_is_told_and_tried_again(metadata: Metadata) -> None:
    async with bench(metadata) as b, FakePRuntime(b"\x01" * 32, b.chains) as pruntime:
        b.runner.assign([assignment(pruntime)])
        await b.until_state("S_ACTIVE")
        pruntime.refuse = "enclave is tired"
        await b.until_state("S_ERROR")
        assert "enclave is tired" in b.reports["w"].message
        pruntime.refuse = ""
        await b.until_state("S_ACTIVE")


async def test_a_pruntime_that_lost_its_data_begins_again(metadata: Metadata) -> None:
    async with bench(metadata) as b, FakePRuntime(b"\x01" * 32, b.chains) as pruntime:
        b.runner.assign([assignment(pruntime)])
        await b.until_state("S_ACTIVE")
        pruntime.forget()
        await b.until(lambda: b.states()[-1] == "S_STARTING" or len(b.states()) > 5)
        await b.until_state("S_ACTIVE")
        assert len(b.trader.done) == 4


async def test_requests_shrink_for_a_worker_that_cannot_take_them(metadata: Metadata) -> None:
    async with bench(metadata) as b, FakePRuntime(b"\x01" * 32, b.chains) as pruntime:
        for _ in range(4):
            b.chains.grow([(bytes([n]) * 8, bytes(20_000)) for n in range(8)])
        pruntime.limit = 400_000
        b.runner.assign([assignment(pruntime)])
        await b.until_state("S_ACTIVE")


async def test_a_lost_queue_costs_no_job(metadata: Metadata) -> None:
    async with bench(metadata) as b, FakePRuntime(b"\x01" * 32, b.chains) as pruntime:
        b.runner.assign([assignment(pruntime)])
        await b.until(lambda: len(b.queue.puts) == 1, work=False)
        b.queue.lose()
        await b.until(lambda: len(b.queue.puts) == 2, work=False)
        assert len(set(b.queue.puts)) == 1
        await b.until_state("S_ACTIVE")
        assert len(b.trader.done) == 4


async def test_a_job_that_fails_is_told_and_tried_again(metadata: Metadata) -> None:
    async with bench(metadata) as b, FakePRuntime(b"\x01" * 32, b.chains) as pruntime:
        b.trader.fail.add("ADD_WORKER")
        b.runner.assign([assignment(pruntime)])
        await b.until(lambda: any("Pallet.Error" in r.message for r in b.history))
        b.trader.fail.clear()
        b.queue.clock.now += 1_000
        await b.until_state("S_ACTIVE")


async def test_a_raised_stake_restarts_computing(metadata: Metadata) -> None:
    async with bench(metadata) as b, FakePRuntime(b"\x01" * 32, b.chains) as pruntime:
        b.runner.assign([assignment(pruntime)])
        await b.until_state("S_ACTIVE")
        b.runner.assign([assignment(pruntime, stake=2 * STAKE)])
        await b.until(lambda: ("RESTART_COMPUTING", "01" * 32) in b.trader.done)
        await b.until_state("S_ACTIVE")
        assert len(b.trader.done) == 5


async def test_a_new_operator_is_registered(metadata: Metadata) -> None:
    async with bench(metadata) as b, FakePRuntime(b"\x01" * 32, b.chains) as pruntime:
        b.runner.assign([assignment(pruntime)])
        await b.until_state("S_ACTIVE")
        b.runner.assign([replace(assignment(pruntime), operator=b"\x0b" * 32)])
        await b.until(lambda: len(b.trader.done) == 5)
        assert b.trader.done[-1][0] == "REGISTER_WORKER"


async def test_a_refreshed_worker_is_registered_once_more(metadata: Metadata) -> None:
    async with bench(metadata) as b, FakePRuntime(b"\x01" * 32, b.chains) as pruntime:
        b.runner.assign([assignment(pruntime)])
        await b.until_state("S_ACTIVE")
        b.runner.order("w", Event.REFRESH)
        await b.until(lambda: len(b.trader.done) == 5)
        await b.until_state("S_ACTIVE")
        assert [action for action, _ in b.trader.done].count("REGISTER_WORKER") == 2


async def test_a_kicked_worker_is_left_alone_until_restarted(metadata: Metadata) -> None:
    async with bench(metadata) as b, FakePRuntime(b"\x01" * 32, b.chains) as pruntime:
        b.runner.assign([assignment(pruntime)])
        await b.until_state("S_ACTIVE")
        b.runner.order("w", Event.KICK)
        await b.until_state("S_KICKED")
        calls = len(pruntime.calls)
        assert pruntime.calls[-2:] == ["TakeCheckpoint", "kick"]
        tip = len(b.chains.para) + 5
        await b.until(lambda: len(b.chains.para) > tip)
        assert len(pruntime.calls) == calls
        b.runner.order("w", Event.RESTART)
        await b.until_state("S_ACTIVE")


async def test_a_disabled_worker_is_let_go_and_taken_up_again(metadata: Metadata) -> None:
    async with bench(metadata) as b, FakePRuntime(b"\x01" * 32, b.chains) as pruntime:
        given = assignment(pruntime)
        b.runner.assign([given])
        await b.until_state("S_ACTIVE")
        b.runner.assign([replace(given, worker=replace(given.worker, enabled=False))])
        await b.until_state("S_IDLE")
        calls = len(pruntime.calls)
        tip = len(b.chains.para) + 5
        await b.until(lambda: len(b.chains.para) > tip)
        assert len(pruntime.calls) == calls
        b.runner.assign([given])
        await b.until_state("S_ACTIVE")


async def test_another_provider_takes_over_in_the_middle(metadata: Metadata) -> None:
    async with (
        bench(metadata, providers=("one", "two")) as b,
        FakePRuntime(b"\x01" * 32, b.chains) as pruntime,
    ):
        b.runner.assign([assignment(pruntime)])
        await b.until(lambda: pruntime.blocknum > 2)
        [leader] = {peer for peer, key in b.transport.asked if "index" in key}
        b.transport.down.add(leader)
        await b.until_state("S_ACTIVE")
        tip = len(b.chains.para) + 5
        await b.until(lambda: pruntime.blocknum >= tip)


async def test_the_chain_is_read_once_and_then_followed(metadata: Metadata) -> None:
    async with bench(metadata) as b, FakePRuntime(b"\x01" * 32, b.chains) as pruntime:
        b.runner.assign([assignment(pruntime)])
        await b.until_state("S_ACTIVE")
        source = await b.runner._context.source("para")
        reads = source.reads  # type: ignore[attr-defined]
        tip = len(b.chains.para) + 30
        await b.until(lambda: pruntime.blocknum >= tip)
        assert source.reads == reads  # type: ignore[attr-defined]


async def test_a_worker_that_is_added_while_the_provider_lags_waits(metadata: Metadata) -> None:
    async with (
        bench(metadata) as b,
        FakePRuntime(b"\x01" * 32, b.chains) as one,
        FakePRuntime(b"\x02" * 32, b.chains) as two,
    ):
        b.runner.assign([assignment(one, "a")])
        await b.until_state("S_ACTIVE", "a")
        b.transport.lag = 1_000
        await b.until_state("S_SYNCHING", "a", work=False)
        b.runner.assign([assignment(one, "a"), assignment(two, "b")])
        await b.until_state("S_SYNCHING", "b")
        b.transport.lag = 0
        await b.until_state("S_ACTIVE", "a")
        await b.until_state("S_ACTIVE", "b")


async def test_a_defect_is_one_workers_alone(
    metadata: Metadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        bench(metadata) as b,
        FakePRuntime(b"\x01" * 32, b.chains) as one,
        FakePRuntime(b"\x02" * 32, b.chains) as two,
    ):
        read = b.runner._shared.follower.worker  # type: ignore[union-attr]

        def broken(public_key: bytes) -> object:
            if public_key == two.key:
                raise KeyError("operator")
            return read(public_key)

        monkeypatch.setattr(b.runner._shared.follower, "worker", broken)  # type: ignore[union-attr]
        b.runner.assign([assignment(one, "a"), assignment(two, "b")])
        await b.until_state("S_ACTIVE", "a")
        await b.until(lambda: any("a defect" in r.message for r in b.history))
        monkeypatch.setattr(b.runner._shared.follower, "worker", read)  # type: ignore[union-attr]
        await b.until_state("S_ACTIVE", "b")
