"""The monitor: its page, PRB v2's proxy, metrics, and who may change what."""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from prbkit.errors import Duplicated
from prbkit.settings import Settings
from prbkit.wire import METHODS
from prbkit_plugins.monitor.service import Monitor
from prbkit_plugins.monitor.settings import MonitorSettings
from tests.toys import ToyTransport

TOKEN = {"Authorization": "Bearer let me in"}
CREATE_POOL = {
    "pools": [
        {
            "pid": 1,
            "name": "pool1",
            "enabled": True,
            "owner": {"mnemonic": "//Alice"},
            "syncOnly": False,
        }
    ]
}


class Bridge:
    """A network of two: the monitor's own process and a lifecycle manager."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        network: dict[str, ToyTransport] = {}
        self.own = ToyTransport("QmMonitor", network)
        self.lifecycle = ToyTransport("QmLifecycle", network)
        self.lifecycle.roles = frozenset({"lifecycle"})
        self.created: list[Any] = []
        self.lifecycle.handle("CreatePool", self._create_pool)
        self.lifecycle.handle("GetStatus", self._status)
        self.settings = Settings.from_tree({"data_dir": str(folder)})
        self._section = MonitorSettings(**settings)

    async def _create_pool(self, caller: Any, message: Any) -> Any:
        if self.created:
            raise Duplicated("the pid 1 is taken")
        self.created.extend(message.pools)
        return METHODS["CreatePool"].response(pools=message.pools)

    async def _status(self, caller: Any, message: Any) -> Any:
        return METHODS["GetStatus"].response(
            json=b'{"relay":{"target":9,"fetched":8,"committed":7,"set_id":3},'
            b'"workers":{"workers":[{"name":"w1","state":"S_ACTIVE","next_relay":8}]},'
            b'"jobs":{"finalized":4}}'
        )

    async def transport(self) -> ToyTransport:
        return self.own

    def section(self, name: str) -> MonitorSettings:
        return self._section


@pytest.fixture
async def bridge(tmp_path: Path) -> Bridge:
    bridge = Bridge(tmp_path, token="let me in")
    await bridge.own.open()
    await bridge.lifecycle.open()
    return bridge


@pytest.fixture
async def client(bridge: Any) -> AsyncIterator[TestClient[Any, Any]]:
    async with TestClient(TestServer(Monitor(bridge).app())) as client:
        yield client


async def test_the_page_is_served_with_its_guards(client: TestClient[Any, Any]) -> None:
    answer = await client.get("/")
    assert answer.status == 200
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert "<title>prbkit" in await answer.text()


async def test_status_and_metrics_tell_the_same(client: TestClient[Any, Any]) -> None:
    status = await (await client.get("/api/status")).json()
    assert status["relay"]["committed"] == 7
    metrics = await (await client.get("/metrics")).text()
    assert 'prbkit_height{chain="relay",stage="committed"} 7.0' in metrics
    assert 'prbkit_workers{state="S_ACTIVE"} 1.0' in metrics
    assert 'prbkit_jobs{state="finalized"} 4.0' in metrics
    assert (await client.get("/readyz")).status == 200


async def test_peers_are_told_as_prb2_tells_them(client: TestClient[Any, Any]) -> None:
    told = await (await client.post("/ptp/discover")).json()
    assert told["dataProviders"] == []
    assert told["lifecycleManagers"] == [
        {
            "peerId": "QmLifecycle",
            "hostname": "host",
            "role": 3,
            "chainIdentity": "0xchain",
            "bridgeIdentity": "default",
            "remoteAddr": "toy:QmLifecycle",
        }
    ]


async def test_prb2s_create_pool_body_works_as_it_is(
    client: TestClient[Any, Any], bridge: Bridge
) -> None:
    answer = await client.post("/ptp/proxy/QmLifecycle/CreatePool", json=CREATE_POOL, headers=TOKEN)
    told = await answer.json()
    assert answer.status == 200
    assert told["hasError"] is False
    assert bridge.created[0].name == "pool1"
    assert bridge.created[0].owner.mnemonic == "//Alice"
    again = await client.post("/ptp/proxy/QmLifecycle/CreatePool", json=CREATE_POOL, headers=TOKEN)
    assert again.status == 409
    assert (await again.json())["error"]["type"] == "DUPLICATED"


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}])
async def test_a_change_without_the_token_is_refused(
    client: TestClient[Any, Any], bridge: Bridge, headers: dict[str, str]
) -> None:
    answer = await client.post(
        "/ptp/proxy/QmLifecycle/CreatePool", json=CREATE_POOL, headers=headers
    )
    assert answer.status == 401
    assert bridge.created == []


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("/ptp/proxy/QmNobody/ListPool", b"{}", 502, "no such peer"),
        ("/ptp/proxy/QmLifecycle/Nonsense", b"{}", 404, "no method"),
        ("/ptp/proxy/QmLifecycle/ListPool", b"{", 400, "not JSON"),
        ("/ptp/proxy/QmLifecycle/ListPool", b'{"x": 1}', 400, "x"),
    ],
)
async def test_a_bad_call_says_what_is_wrong(
    client: TestClient[Any, Any], path: str, body: bytes, status: int, says: str
) -> None:
    answer = await client.post(path, data=body)
    told = await answer.json()
    assert (answer.status, told["hasError"]) == (status, True)
    assert says in told["error"]["message"]


async def test_another_host_name_is_refused(client: TestClient[Any, Any]) -> None:
    answer = await client.get("/api/status", headers={"Host": "evil.example:3000"})
    assert answer.status == 421


async def test_a_token_is_made_once_and_kept_to_its_owner(tmp_path: Path) -> None:
    context: Any = SimpleNamespace(
        settings=Settings.from_tree({"data_dir": str(tmp_path)}),
        section=lambda name: MonitorSettings(),
    )
    first, second = Monitor(context), Monitor(context)
    assert first._token == second._token
    assert stat.S_IMODE((tmp_path / "monitor.token").stat().st_mode) == 0o600
