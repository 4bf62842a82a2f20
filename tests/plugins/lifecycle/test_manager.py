"""The service: PRB v2's calls on a hot inventory, in one process and with runners of their own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from prbkit.errors import Duplicated, InventoryError, NotFound
from prbkit.events import AlarmChanged
from prbkit.interfaces import Caller, PoolSpec, Ref, Worker, WorkerSpec
from prbkit.scale import Metadata, ss58
from prbkit.wire import METHODS, from_json, to_json
from prbkit_plugins.lifecycle.control import Assignment
from prbkit_plugins.lifecycle.manager import Manager
from prbkit_plugins.lifecycle.placement import place
from prbkit_plugins.lifecycle.runner import main
from prbkit_plugins.lifecycle.settings import LifecycleSettings
from prbkit_plugins.sqlite_inventory.inventory import SqliteInventory

from .fakes import Clock, FakeQueue
from .world import Chains, FakeContext, FakePRuntime, FakeTransport, Trader

OPERATOR = b"\x0a" * 32
STAKE = 100 * 10**12
DEADLINE = 30.0


class Plain:
    def seal(self, plaintext: bytes, associated_data: bytes) -> bytes:
        return plaintext

    def unseal(self, sealed: bytes, associated_data: bytes) -> bytes:
        return sealed


async def account_of(uri: SecretStr) -> bytes:
    return OPERATOR


class SpawningContext(FakeContext):
    """Runs a runner's `main` as a task that is started again when it ends, as a child would be."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.lives: list[asyncio.Task[None]] = []

    async def spawn(self, target: str, argument: Any, name: str) -> None:
        assert target == "prbkit_plugins.lifecycle.runner:main"
        while True:
            life = asyncio.ensure_future(main(self, argument))  # type: ignore[arg-type]
            self.lives.append(life)
            try:
                await asyncio.wait({life})
            finally:
                life.cancel()
                await asyncio.gather(life, return_exceptions=True)
            await asyncio.sleep(0.02)


class Service:
    def __init__(self, context: SpawningContext, trader: Trader) -> None:
        self.context = context
        self.trader = trader

    async def call(self, method: str, json: dict[str, Any]) -> dict[str, Any]:
        request = from_json(METHODS[method].request, json)
        caller = Caller("peer", may_command=True)
        return to_json(await self.context.handlers[method](caller, request))

    def workers(self) -> dict[str, dict[str, Any]]:
        return {row["name"]: row for row in self.context.reports["workers"]()["workers"]}

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE):
            while not condition():
                self.trader.work()
                await asyncio.sleep(0.02)

    async def until_state(self, name: str, state: str) -> None:
        await self.until(lambda: self.workers().get(name, {}).get("state") == state)


@pytest.fixture(scope="module")
def metadata(data_dir: Path) -> Metadata:
    return Metadata((data_dir / "metadata" / "rhala_1241_v14.scale").read_bytes())


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prbkit_plugins.lifecycle.feed.INFO_INTERVAL", 0.02)
    monkeypatch.setattr("prbkit_plugins.lifecycle.feed.RETRY", 0.02)
    monkeypatch.setattr("prbkit_plugins.lifecycle.follower.RETRY", 0.02)
    monkeypatch.setattr("prbkit_plugins.lifecycle.runner.REPORT_INTERVAL", 0.01)
    get_blob = FakeTransport.get_blob

    async def breathing(
        self: FakeTransport, peer: str, key: str, *, timeout: float
    ) -> bytes | None:
        if key.endswith("/wait"):
            await asyncio.sleep(0.01)
        return await get_blob(self, peer, key, timeout=timeout)

    monkeypatch.setattr(FakeTransport, "get_blob", breathing)


@contextlib.asynccontextmanager
async def serving(
    metadata: Metadata, folder: Path, **settings: Any
) -> AsyncIterator[tuple[Service, SqliteInventory]]:
    section = LifecycleSettings(
        poll_interval=0.02,
        retry_first=0.02,
        retry_most=0.1,
        job_retry_first=0.02,
        skip_ra=True,
        **settings,
    )
    chains = Chains(metadata)
    for _ in range(5):
        chains.grow()
    queue = FakeQueue(Clock())
    inventory = SqliteInventory(folder / "i.db", identity=Plain(), account_of=account_of)
    async with inventory:
        context = SpawningContext(FakeTransport(chains), queue, section, inventory)
        task = asyncio.create_task(Manager(context).run())  # type: ignore[arg-type]
        try:
            async with asyncio.timeout(DEADLINE):
                while "workers" not in context.reports:  # noqa: ASYNC110 - no event tells it
                    await asyncio.sleep(0)
            yield Service(context, Trader(chains, queue)), inventory
            assert not task.done(), task.exception()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


POOL = {"pid": "7", "name": "p", "enabled": True, "owner": {"mnemonic": "a secret"}}


async def test_prb2s_calls_make_list_and_change(
    metadata: Metadata, tmp_path: Path, quick: None
) -> None:
    async with serving(metadata, tmp_path, config_mode=True) as (service, inventory):
        made = await service.call("CreatePool", {"pools": [POOL]})
        assert made["pools"][0]["pid"] == "7"
        assert made["pools"][0]["owner"]["mnemonic"] == ""
        assert ss58.decode(made["pools"][0]["owner"]["ss58Phala"], 30).payload == OPERATOR
        worker = {"pid": "7", "name": "w", "endpoint": "http://w:8000", "stake": str(STAKE)}
        await service.call("CreateWorker", {"workers": [{**worker, "enabled": True}]})
        item = {"id": {"name": "w"}, "worker": {**worker, "name": "x", "enabled": True}}
        changed = await service.call("UpdateWorker", {"items": [item]})
        assert changed["workers"][0]["name"] == "x"
        assert len((await service.call("ListWorker", {}))["workers"]) == 1
        await service.until(lambda: "x" in service.workers())
        [state] = (await service.call("GetWorkerStatus", {}))["workerStates"]
        assert (state["status"], state["worker"]["name"]) == ("S_IDLE", "x")
        [pool] = await inventory.pools()
        assert (await inventory.operator_uri(pool)).get_secret_value() == "a secret"
        gone = {"items": [{"id": {"pid": "7"}, "pool": {"deleted": True}}]}
        assert (await service.call("UpdatePool", gone))["pools"][0]["deleted"]
        assert (await service.call("ListWorker", {}))["workers"] == []


async def test_errors_of_the_inventory_are_told_apart(
    metadata: Metadata, tmp_path: Path, quick: None
) -> None:
    async with serving(metadata, tmp_path, config_mode=True) as (service, _):
        await service.call("CreatePool", {"pools": [POOL]})
        with pytest.raises(Duplicated):
            await service.call("CreatePool", {"pools": [POOL]})
        with pytest.raises(NotFound):
            await service.call("UpdatePool", {"items": [{"id": {"pid": "8"}, "pool": {}}]})
        with pytest.raises(NotFound):
            await service.call("RestartWorker", {"ids": ["nobody"]})
        with pytest.raises(InventoryError):
            await service.call("UpdatePool", {"items": [{"pool": POOL}]})
        for stake in ("x", "-1", "1e3", "٣"):
            worker = {"pid": "7", "name": "w", "endpoint": "http://w", "stake": stake}
            with pytest.raises(InventoryError):
                await service.call("CreateWorker", {"workers": [worker]})


@pytest.mark.parametrize("runners", ["inline", "processes"])
async def test_changes_of_the_inventory_take_effect_at_once(
    metadata: Metadata, tmp_path: Path, quick: None, runners: str
) -> None:
    async with (
        serving(metadata, tmp_path, runners=runners, runner_max_workers=1) as (service, inventory),
        FakePRuntime(b"\x01" * 32, service.trader.chains) as one,
        FakePRuntime(b"\x02" * 32, service.trader.chains) as two,
    ):
        operator = SecretStr("//Operator")
        await inventory.create_pools([PoolSpec(pid=7, name="p", operator=operator)])
        await inventory.create_workers([WorkerSpec(pid=7, name="a", endpoint=one.url, stake=STAKE)])
        await service.until_state("a", "S_ACTIVE")
        await inventory.create_workers([WorkerSpec(pid=7, name="b", endpoint=two.url, stake=STAKE)])
        await service.until_state("b", "S_ACTIVE")
        assert one.calls.count("InitRuntime") == 1
        [uuid] = [w.uuid for w in await inventory.workers() if w.name == "b"]
        await service.call("KickWorker", {"ids": [uuid]})
        await service.until_state("b", "S_KICKED")
        await service.call("RestartWorker", {"ids": [uuid]})
        await service.until_state("b", "S_ACTIVE")
        await inventory.update_workers([(Ref(name="b"), WorkerSpec(deleted=True))])
        await service.until(lambda: set(service.workers()) == {"a"})
        await inventory.update_pools([(Ref(pid=7), PoolSpec(enabled=False))])
        await service.until_state("a", "S_IDLE")
        names = {event.name for event in service.context.events}
        assert names == {"a", "b"}
        assert len(service.trader.done) == 8


async def test_a_runner_that_dies_costs_the_others_nothing(
    metadata: Metadata, tmp_path: Path, quick: None
) -> None:
    async with (
        serving(metadata, tmp_path, runner_max_workers=1) as (service, inventory),
        FakePRuntime(b"\x01" * 32, service.trader.chains) as one,
        FakePRuntime(b"\x02" * 32, service.trader.chains) as two,
    ):
        operator = SecretStr("//Operator")
        await inventory.create_pools([PoolSpec(pid=7, name="p", operator=operator)])
        await inventory.create_workers(
            [
                WorkerSpec(pid=7, name="a", endpoint=one.url, stake=STAKE),
                WorkerSpec(pid=7, name="b", endpoint=two.url, stake=STAKE),
            ]
        )
        await service.until_state("a", "S_ACTIVE")
        await service.until_state("b", "S_ACTIVE")
        events = len(service.context.events)
        service.context.lives[0].cancel()
        await service.until(lambda: len(service.context.lives) == 3)
        await service.until_state("a", "S_ACTIVE")
        await service.until_state("b", "S_ACTIVE")
        assert len({event.name for event in service.context.events[events:]}) <= 1
        assert len(service.trader.done) == 8


@given(
    st.lists(st.integers(0, 30), unique=True),
    st.lists(st.integers(0, 30), unique=True),
    st.integers(1, 7),
)
def test_workers_are_spread_and_stay_where_they_are(
    first: list[int], second: list[int], most: int
) -> None:
    before = place(map(str, first), {}, most)
    after = place(map(str, second), before, most)
    assert set(after) == set(map(str, second))
    runners = -(-len(second) // most)
    counts = [list(after.values()).count(runner) for runner in range(runners)]
    assert sum(counts) == len(second)
    assert all(count <= most for count in counts)
    kept = [uuid for uuid in after if before.get(uuid, runners) < runners]
    assert all(after[uuid] == before[uuid] for uuid in kept)
    assert place(map(str, second), after, most) == after


def test_an_assignment_survives_the_channel() -> None:
    worker = Worker("u", 7, "w", "http://w", 2**100, True, False)
    given_ = Assignment(worker, OPERATOR, True)
    assert Assignment.from_json(given_.as_json()) == given_


async def test_a_worker_that_is_gone_is_an_alarm_until_it_is_let_go(
    metadata: Metadata, tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prbkit_plugins.lifecycle.manager.ALARM_INTERVAL", 0.01)
    async with serving(metadata, tmp_path, runners="inline", stuck_after=0.05) as (service, made):
        await made.create_pools([PoolSpec(pid=7, name="p", operator=SecretStr("x"))])
        await made.create_workers([WorkerSpec(pid=7, name="w", endpoint="http://127.0.0.1:1")])

        def alarms(raised: bool) -> list[AlarmChanged]:
            events = service.context.events
            return [e for e in events if isinstance(e, AlarmChanged) and e.raised is raised]

        await service.until(lambda: bool(alarms(True)))
        [alarm] = alarms(True)
        assert (alarm.kind, alarm.name) == ("down", "w")
        assert "cannot reach pRuntime" in alarm.message
        assert service.context.reports["alarms"]()["alarms"][0]["name"] == "w"
        await made.update_workers([(Ref(name="w"), WorkerSpec(enabled=False))])
        await service.until(lambda: bool(alarms(False)))
        assert service.context.reports["alarms"]()["alarms"] == []
