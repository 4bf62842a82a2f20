"""Settings: files, variables, PRB v2's names, and what a wrong one is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import SecretStr

from prbkit.errors import ConfigError
from prbkit.settings import Section, Settings


class Shop(Section):
    rooms: int = 3
    psk: SecretStr | None = None


SECTIONS = {"shop": lambda: Shop}


def write(folder: Path, text: str) -> Path:
    file = folder / "prbkit.toml"
    file.write_text(text)
    return file


def test_defaults_need_nothing() -> None:
    settings = Settings.load(None, {})
    assert settings.services == ("data_provider", "lifecycle", "trader", "monitor")
    assert settings.relay.endpoints == ()


def test_later_sources_win(tmp_path: Path) -> None:
    file = write(
        tmp_path, 'namespace = "file"\nlog_level = "debug"\n[relay]\nendpoints = ["ws://a"]'
    )
    environ = {
        "PHALA_BRIDGE_IDENTITY": "old",
        "PHALA_LOGGER_LEVEL": "warn",
        "PRBKIT_NAMESPACE": "new",
        "PRBKIT_PARA__ENDPOINTS": '["wss://b:1"]',
    }
    settings = Settings.load(file, environ)
    assert settings.namespace == "new"
    assert settings.log_level == "warning"
    assert settings.relay.endpoints == ("ws://a",)
    assert settings.para.endpoints == ("wss://b:1",)


def test_paths_of_a_file_are_relative_to_it(tmp_path: Path) -> None:
    settings = Settings.load(write(tmp_path, 'data_dir = "here"'), {})
    assert settings.data_dir == tmp_path / "here"
    assert settings.data_path("x/y") == tmp_path / "here/x/y"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[relay]\nendpoints = ["nonsense"]', ["relay.endpoints[0]", "'nonsense'", "ws://"]),
        ("[relay]\nendpoint = 1", ["relay.endpoint", "unknown key"]),
        ('log_level = "loud"', ["log_level", "'loud'", "'debug'"]),
        ("[shop]\nrooms = 'many'", ["shop.rooms", "'many'", "integer"]),
        ("[shop]\ndoors = 1", ["shop.doors", "unknown key"]),
        ("[shpo]\nrooms = 1", ["'shpo'", "did you mean 'shop'", "allowed are"]),
        ("namespace = ", ["not TOML"]),
    ],
)
def test_a_wrong_setting_names_file_key_found_and_allowed(
    tmp_path: Path, text: str, says: list[str]
) -> None:
    file = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        Settings.load(file, {}).bind_sections(SECTIONS)
    for part in (str(file), *says):
        assert part in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such settings file"):
        Settings.load(tmp_path / "none.toml", {})


def test_a_wrong_secret_is_not_shown() -> None:
    settings = Settings.from_tree({"shop": {"psk": ["hunter2"]}})
    with pytest.raises(ConfigError) as caught:
        settings.bind_sections(SECTIONS)
    assert "hunter2" not in str(caught.value)


def test_sections_are_bound_and_carried_over() -> None:
    settings = Settings.from_tree({"shop": {"rooms": 5, "psk": "s"}})
    settings.bind_sections(SECTIONS)
    assert settings.section("shop").rooms == 5
    again = Settings.from_tree(json.loads(json.dumps(settings.tree())))
    again.bind_sections(SECTIONS)
    assert again.section("shop").psk.get_secret_value() == "s"
    with pytest.raises(ConfigError, match="no plugin brings"):
        settings.section("other")


def test_replace_keeps_the_rest() -> None:
    settings = Settings.from_tree({"namespace": "n", "relay": {"endpoints": ["ws://a"]}})
    changed = settings.replace(transport="zmq+tcp://127.0.0.1:0")
    assert changed.namespace == "n"
    assert changed.relay == settings.relay
    assert changed.transport == "zmq+tcp://127.0.0.1:0"


PRB2_COMPOSE = {
    "PHALA_MODULE": "lifecycle",
    "NODE_ENV": "development",
    "PHALA_LOGGER_LEVEL": "debug",
    "PHALA_CHAIN_ENDPOINT": "ws://node:9945",
    "PHALA_PARENT_CHAIN_ENDPOINT": "ws://node:9944",
    "PHALA_WALKIE_BOOT_NODES": "/ip4/10.0.0.2/tcp/28888,/ip4/0.0.0.0/tcp/18888",
    "PHALA_WALKIE_LISTEN_ADDRESSES": "/ip4/0.0.0.0/tcp/18889,/ip6/::/tcp/0",
    "PHALA_Q_REDIS_ENDPOINT": "redis://redis:6379/",
    "PHALA_PEER_ID_PREFIX": "/var/data/keys/id",
    "PHALA_LOCAL_DB_PATH": "/var/data/local.db",
    "USE_BUILT_IN_TRADER": "true",
    "PHALA_LRU_CACHE_MAX_AGE": "90000",
    "PHALA_DATA_PROVIDER_BLOB_MAX_RANGE_COUNT": "60",
    "PHALA_NEVER_HEARD_OF": "1",
}


def test_prb2_compose_variables_are_understood() -> None:
    settings = Settings.load(None, PRB2_COMPOSE)
    assert settings.services == ("lifecycle", "trader")
    assert settings.development
    assert settings.para.endpoints == ("ws://node:9945",)
    assert settings.relay.endpoints == ("ws://node:9944",)
    assert settings.boot_nodes == ("zmq+tcp://10.0.0.2:28888",)
    assert settings.transport == "zmq+tcp://0.0.0.0:18889"
    assert settings.queue == "redis://redis:6379/"
    assert settings.inventory == "sqlite:/var/data/local.db"
    assert str(settings.identity) == "/var/data/keys/id/LIFECYCLE.pem"
    assert settings.tree()["lifecycle"]["cache_age"] == 90.0
    notes = "\n".join(settings.notes)
    assert "PHALA_DATA_PROVIDER_BLOB_MAX_RANGE_COUNT is not needed" in notes
    assert "PHALA_NEVER_HEARD_OF" in notes


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PHALA_MODULE", "everything"),
        ("PHALA_SYNC_ONLY", "perhaps"),
        ("PHALA_RUNNER_MAX_WORKER_NUMBER", "many"),
        ("PHALA_WALKIE_BOOT_NODES", "10.0.0.2:18888"),
    ],
)
def test_a_wrong_prb2_variable_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Settings.load(None, {name: value})
    assert name in str(caught.value)
    assert value in str(caught.value)


def test_replacing_keeps_the_sections_that_do_not_change() -> None:
    settings = Settings.from_tree({"shop": {"rooms": 5}})
    settings.bind_sections(SECTIONS)
    assert settings.replace(namespace="other").section("shop").rooms == 5
    changed = settings.replace(shop={"rooms": 6})
    changed.bind_sections(SECTIONS)
    assert changed.section("shop").rooms == 6
