"""The hooks, the settings section, access rules and discovery."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from prbkit.errors import ConfigError, Unauthorized
from prbkit.settings import Settings
from prbkit.testing.contracts.transport import eventually, identities
from prbkit_plugins import zmq as plugin
from prbkit_plugins.zmq.access import Access
from prbkit_plugins.zmq.settings import ZmqSettings
from prbkit_plugins.zmq.transport import ZmqTransport

from .support import make


def _settings(tmp_path: Path, **tree: Any) -> Settings:
    settings = Settings.from_tree({"data_dir": str(tmp_path), **tree})
    settings.bind_sections(plugin.prbkit_settings())
    return settings


async def test_the_hook_makes_a_transport_of_the_settings(tmp_path: Path) -> None:
    nodes = ["/ip4/0.0.0.0/tcp/18888", "/ip4/127.0.0.1/tcp/1"]
    settings = _settings(tmp_path, namespace="n", boot_nodes=nodes, zmq={"psk": "s"})
    identity = identities()[0]
    made = plugin.prbkit_transport("zmq+ipc:b", identity, settings)
    assert isinstance(made, ZmqTransport)
    async with made:
        assert made.address == f"zmq+ipc:{tmp_path}/b/p2p/{identity.peer_id}"
        assert made.peers()[0].bridge_identity == "n"
    assert not list(tmp_path.iterdir())
    assert plugin.prbkit_transport("tcp://127.0.0.1:1", identity, settings) is None


def test_the_entry_points_module_imports_nothing_heavy() -> None:
    code = (
        "import sys, prbkit_plugins.zmq;"
        "print([name for name in ('zmq', 'pydantic') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_bad_settings_are_refused_and_the_secret_is_not_shown(tmp_path: Path) -> None:
    for section in ({"allow": ["Qm"]}, {"window": 1}, {"chunk": 1 << 21}, {"unknown": 1}):
        with pytest.raises(ValidationError):
            ZmqSettings.model_validate(section)
        with pytest.raises(ConfigError):
            _settings(tmp_path, zmq=section)
    assert "hush" not in repr(ZmqSettings(psk=SecretStr("hush")))
    access = Access("own", "n", psk=SecretStr("hush"))
    assert "hush" not in repr(access)


def test_who_may_command() -> None:
    access = Access("own", "n", frozenset({"friend"}), SecretStr("key"))
    here, there = b"d" * 32, b"l" * 32
    proof = Access("other", "n", psk=SecretStr("key")).proof(here, there)
    assert access.may_command("own", b"", here, there)
    assert access.may_command("friend", b"", here, there)
    assert access.may_command("other", proof, here, there)
    assert not access.may_command("other", proof, there, here)
    assert not access.may_command("other", b"", here, there)
    assert not Access("own", "n").may_command("other", proof, here, there)
    ours = Access("own", "n", psk=SecretStr("another"), own_secret=b"installation")
    sibling = Access("other", "n", own_secret=b"installation")
    assert ours.may_command("other", sibling.proof(here, there), here, there)
    assert sibling.may_command("own", ours.proof(here, there), here, there)
    assert not Access("own", "n").may_command("other", sibling.proof(here, there), here, there)
    with pytest.raises(Unauthorized):
        access.check_namespace("m")
    Access("own", "n", ignore_namespace=True).check_namespace("m")


async def test_mdns_finds_peers_of_the_same_bridge() -> None:
    pytest.importorskip("zeroconf")
    one, two, three = identities()
    try:
        async with (
            make(one, url="zmq+tcp://0.0.0.0:0", mdns=True) as left,
            make(two, url="zmq+tcp://0.0.0.0:0", mdns=True) as right,
            make(three, url="zmq+tcp://0.0.0.0:0", namespace="another", mdns=True) as other,
        ):
            try:
                await eventually(lambda: len(left.peers()) == 2 and len(right.peers()) == 2, 15)
            except TimeoutError:
                pytest.skip("multicast does not come through on this machine")
            assert len(other.peers()) == 1
    except OSError as error:
        pytest.skip(f"no multicast on this machine: {error}")


async def test_mdns_needs_tcp(tmp_path: Path) -> None:
    pytest.importorskip("zeroconf")
    with pytest.raises(ConfigError, match="needs a transport on TCP"):
        await make(identities()[0], tmp_path, "zmq+ipc:s", mdns=True).open()


async def test_opening_and_closing_leaves_no_task_behind(tmp_path: Path) -> None:
    before = len(asyncio.all_tasks())
    for url in ("zmq+tcp://127.0.0.1:0", "zmq+ipc:s"):
        async with make(identities()[0], tmp_path, url) as one, make(identities()[1]) as two:
            await two.dial(one.address)
            with pytest.raises(Exception, match="open already"):
                await one.open()
    await eventually(lambda: len(asyncio.all_tasks()) == before)
