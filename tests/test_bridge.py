"""The bridge: what it starts, starts again, tells, and refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prbkit import bridge as bridge_module
from prbkit.bridge import Bridge
from prbkit.context import load_identity
from prbkit.errors import ConfigError, IdentityError, StoreError
from prbkit.events import BlockFetched, ServiceFailed
from prbkit.interfaces import ServiceContext
from prbkit.plugins import Plugins
from prbkit.settings import Settings
from prbkit.wire import METHODS
from tests.toys import plugin, toy_transports


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge_module, "BACKOFF_FIRST", 0.001)
    monkeypatch.setattr(bridge_module, "BACKOFF_MOST", 0.001)


class Toy:
    """A service that runs the function it was given."""

    def __init__(self, context: ServiceContext, work: Callable[[Any], Any]) -> None:
        self._context = context
        self._work = work

    async def run(self) -> None:
        await self._work(self._context)


def make_bridge(folder: Path, work: Callable[[Any], Any], **tree: Any) -> Bridge:
    services = plugin(
        "toyservice", prbkit_services=lambda: {"toy": lambda context: Toy(context, work)}
    )
    settings = Settings.from_tree(
        {"services": ["toy"], "data_dir": str(folder), "transport": "toy:", **tree}
    )
    return Bridge(settings, plugins=Plugins(objects=[toy_transports(), services]))


async def test_a_service_that_fails_is_told_and_started_again(tmp_path: Path) -> None:
    lives = 0
    third = asyncio.Event()

    async def work(context: Any) -> None:
        nonlocal lives
        lives += 1
        if lives == 3:
            third.set()
            await asyncio.Event().wait()
        raise StoreError("the disk is full")

    async with make_bridge(tmp_path, work) as bridge:
        events = bridge.events()
        told = await anext(events)
        await third.wait()
    assert told == ServiceFailed(service="toy", error="the disk is full", retry_in=0.001)


async def test_a_wrong_setting_ends_the_bridge(tmp_path: Path) -> None:
    async def work(context: Any) -> None:
        await context.source("relay")

    async with make_bridge(tmp_path, work) as bridge:
        with pytest.raises(ConfigError, match=r"no endpoint of the relay chain.*relay\.endpoints"):
            await bridge.wait()


async def test_an_unknown_service_lists_the_known_ones(tmp_path: Path) -> None:
    bridge = make_bridge(tmp_path, lambda context: None, services=["tyo"])
    with pytest.raises(ConfigError, match=r"no plugin brings the service 'tyo'.*toy"):
        async with bridge:
            pass


async def test_methods_and_reports_go_with_the_life_that_made_them(tmp_path: Path) -> None:
    empty = METHODS["ListPool"].request()
    first, second = asyncio.Event(), asyncio.Event()

    async def work(context: Any) -> None:
        async def answer(caller: Any, message: Any) -> Any:
            return METHODS["ListPool"].response()

        if first.is_set():
            second.set()
            await asyncio.Event().wait()
        context.handle("ListPool", answer)
        context.report_status("jobs", lambda: {"finalized": 1})
        transport = await context.transport()
        await context.call(transport.peer_id, "ListPool", empty)
        assert (await bridge.status())["jobs"]["finalized"] == 1
        first.set()
        raise StoreError("and it is gone")

    async with make_bridge(tmp_path, work) as bridge:
        await second.wait()
        assert (await bridge.status())["jobs"]["finalized"] == 0
        with pytest.raises(Exception, match="no service here answers ListPool"):
            await bridge.context.call(bridge.peer_id, "ListPool", empty)


async def test_blobs_are_served_anew_by_each_life(tmp_path: Path) -> None:
    lives = 0
    again = asyncio.Event()

    async def work(context: Any) -> None:
        nonlocal lives
        lives += 1

        async def blob(key: str) -> bytes:
            return f"{key} of life {lives}".encode()

        context.serve_blobs(blob)
        if lives == 1:
            raise StoreError("and it is gone")
        again.set()
        await asyncio.Event().wait()

    async with make_bridge(tmp_path, work) as bridge:
        await again.wait()
        transport = await bridge.context.transport()
        assert await transport.get_blob(bridge.peer_id, "x") == b"x of life 2"


async def test_status_has_one_shape_whatever_runs(tmp_path: Path) -> None:
    async def work(context: Any) -> None:
        context.report_status("relay", lambda: {"target": 9, "fetched": 8, "committed": 7})
        running.set()
        await asyncio.Event().wait()

    running = asyncio.Event()
    async with make_bridge(tmp_path, work, relay={"endpoints": ["ws://relay"]}) as bridge:
        await running.wait()
        assert await bridge.status() == {
            "relay": {"target": 9, "fetched": 8, "committed": 7, "set_id": None, "set_changes": 0},
            "para": {"target": None, "fetched": None, "committed": None},
            "workers": [],
            "jobs": {"finalized": 0, "failed": 0, "pending": 0},
            "relay_rpc": "ws://relay",
            "para_rpc": None,
        }


async def test_a_slow_listener_loses_the_oldest_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prbkit.context.EVENTS_KEPT", 2)

    async def work(context: Any) -> None:
        await asyncio.Event().wait()

    async with make_bridge(tmp_path, work) as bridge, bridge.context.events() as events:
        for number in range(4):
            bridge.context.emit(BlockFetched(role="relay", number=number))
        assert [(await anext(events)).number for _ in range(2)] == [2, 3]  # type: ignore[attr-defined]


def test_an_identity_that_is_gone_is_not_replaced(tmp_path: Path) -> None:
    settings = Settings.from_tree({"data_dir": str(tmp_path)})
    peer_id = load_identity(settings).peer_id
    assert load_identity(settings).peer_id == peer_id
    (tmp_path / "identity.pem").unlink()
    with pytest.raises(IdentityError, match=f"{peer_id} is gone.*restore"):
        load_identity(settings)


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = Settings.from_tree({"data_dir": str(tmp_path / "file" / "data")})
    with pytest.raises(ConfigError, match=r"data folder cannot be used.*file/data.*set data_dir"):
        load_identity(settings)
