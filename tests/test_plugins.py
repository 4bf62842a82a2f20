"""The plugin manager: what is found, refused, preferred, and how a plugin's error is told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import SecretStr

from prbkit.errors import ConfigError, PluginError, StoreError, UnknownSchemeError
from prbkit.events import RangeCommitted
from prbkit.hookspecs import hookimpl
from prbkit.plugins import Plugins
from prbkit.settings import Settings

SETTINGS = Settings.from_tree({})


def plugin(name: str, **hooks: Any) -> SimpleNamespace:
    return SimpleNamespace(__name__=name, **{key: hookimpl(hook) for key, hook in hooks.items()})


def store(name: str, result: object) -> SimpleNamespace:
    def prbkit_blob_store(url: str) -> object:
        if not url.startswith("toy:"):
            return None
        if isinstance(result, Exception):
            raise result
        return result

    return plugin(
        name,
        prbkit_blob_store=prbkit_blob_store,
        prbkit_schemes=lambda: {"blob_store": ["toy"]},
    )


def test_the_stock_plugins_are_found_as_entry_points() -> None:
    names = Plugins().names()
    assert {"lmdb", "memory", "zmq", "substrate", "trader", "lifecycle", "monitor"} <= set(names)


async def test_a_factory_answers_for_its_scheme() -> None:
    plugins = Plugins(objects=[store("one", "made")])
    assert await plugins.blob_store("toy:x", SETTINGS) == "made"


async def test_an_async_factory_is_awaited() -> None:
    async def prbkit_blob_store(url: str) -> str:
        return "made later"

    plugins = Plugins(objects=[plugin("late", prbkit_blob_store=prbkit_blob_store)])
    assert await plugins.blob_store("anything:", SETTINGS) == "made later"


async def test_an_unknown_scheme_lists_the_known_ones() -> None:
    with pytest.raises(UnknownSchemeError) as caught:
        await Plugins(objects=[store("one", "made")]).blob_store("wrong:x", SETTINGS)
    assert "toy:" in str(caught.value)
    assert "wrong:x" in str(caught.value)


async def test_two_claims_need_a_preference() -> None:
    plugins = Plugins(objects=[store("one", "first"), store("two", "second")])
    with pytest.raises(ConfigError, match="all claim toy:"):
        await plugins.blob_store("toy:x", SETTINGS)
    chosen = Settings.from_tree({"prefer": {"toy": "one"}})
    assert await plugins.blob_store("toy:x", chosen) == "first"


async def test_a_foreign_error_carries_the_plugins_name_and_no_arguments() -> None:
    plugins = Plugins(objects=[store("bad", RuntimeError("secret text"))])
    with pytest.raises(PluginError) as caught:
        await plugins.blob_store("toy:x", SETTINGS)
    assert "bad" in str(caught.value)
    assert "secret text" not in str(caught.value)


async def test_an_error_of_the_tree_passes_as_it_is() -> None:
    plugins = Plugins(objects=[store("full", StoreError("no room"))])
    with pytest.raises(StoreError, match="no room"):
        await plugins.blob_store("toy:x", SETTINGS)


async def test_no_signer_does_not_show_the_secret() -> None:
    with pytest.raises(UnknownSchemeError) as caught:
        await Plugins(disabled=["keyring"]).signer(SecretStr("//Alice"), SETTINGS)
    assert "Alice" not in str(caught.value)


def test_a_misspelled_hook_fails_at_start() -> None:
    with pytest.raises(ConfigError, match="prbkit_blob_stroe"):
        Plugins(objects=[plugin("typo", prbkit_blob_stroe=lambda url: None)])


def test_two_services_of_one_name_are_refused() -> None:
    one = plugin("one", prbkit_services=lambda: {"shop": object})
    two = plugin("two", prbkit_services=lambda: {"shop": object})
    with pytest.raises(ConfigError, match="both bring the service 'shop'"):
        Plugins(objects=[one, two]).services()


def test_a_plugin_that_fails_on_an_event_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[object] = []

    def fails(event: object) -> None:
        raise RuntimeError("cannot listen")

    plugins = Plugins(
        objects=[plugin("deaf", prbkit_event=fails), plugin("ear", prbkit_event=_hears(heard))]
    )
    event = RangeCommitted(role="relay", first=1, last=2)
    plugins.event(event)
    assert heard == [event]
    assert "deaf" in caplog.text


def _hears(heard: list[object]) -> Any:
    def prbkit_event(event: object) -> None:
        heard.append(event)

    return prbkit_event


def test_a_plugin_file_is_loaded(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from prbkit.hookspecs import hookimpl\n"
        "@hookimpl\ndef prbkit_services():\n    return {'mine': object}\n"
    )
    plugins = Plugins(files=[file])
    assert "mine" in plugins.services()
    with pytest.raises(ConfigError, match="no such plugin file"):
        Plugins(files=[tmp_path / "none.py"])


HEAVY = (
    "aiohttp", "asyncio", "cryptography", "google.protobuf", "hypothesis", "lmdb",
    "prometheus_client", "pydantic", "pytest", "redis", "rich", "scalecodec",
    "substrateinterface", "zmq",
)  # fmt: skip


def test_help_imports_nothing_heavy() -> None:
    """An entry point's module imports only hookspecs and the standard library."""
    code = (
        "import sys\nfrom prbkit.cli import cli\n"
        "cli(['--help'], standalone_mode=False)\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr.strip() == "[]"
    assert "serve" in done.stdout
