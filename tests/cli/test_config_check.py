"""`prbkit config check`: what it accepts, and what each wrong setting is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from prbkit.cli import cli
from prbkit.errors import ConfigError


def check(folder: Path, text: str) -> Result:
    file = folder / "prbkit.toml"
    file.write_text(text)
    return CliRunner().invoke(cli, ["config", "check", str(file)], standalone_mode=False)


def test_a_right_file_is_accepted_and_nothing_is_made(tmp_path: Path) -> None:
    done = check(
        tmp_path,
        'data_dir = "data"\n[relay]\nendpoints = ["ws://a:1"]\n[para]\nendpoints = ["ws://b:1"]',
    )
    assert done.exception is None
    assert "ok, runs data_provider" in done.output
    assert not (tmp_path / "data").exists()


def test_missing_endpoints_are_noted(tmp_path: Path) -> None:
    done = check(tmp_path, "")
    assert done.exception is None
    assert "relay.endpoints is empty" in done.output


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            'services = ["data_provdier"]',
            r"'data_provdier' \(at services\); known are: .*data_prov",
        ),
        ('store = "rocks:x"', r"blob store.*rocks:x.*known are: lmdb:, memory:"),
        ('queue = "kafka:x"', r"trade queue.*kafka:x.*redis:.*sqlite:"),
        ('inventory = "mysql:x"', r"inventory.*mysql:x.*sqlite:"),
        ('transport = "tcp://x"', r"transport.*tcp://x.*zmq\+tcp:"),
        ('[relay]\nendpoints = ["localhost:9944"]', r"chain source.*localhost:9944.*ws:, wss:"),
        ('[relay]\nendpoints = "ws://a"', r"relay\.endpoints: it must be a list; found 'ws://a'"),
        ('[para]\ngenesis_hash = "0x12"', r"para\.genesis_hash: .*64 hex digits; found '0x12'"),
        ('relay = "ws://a"', r"relay: it must be a table"),
        ("[monitor]\nport = 99999", r"monitor\.port: .*65535; found 99999"),
        ("[zmq]\nfoo = 1", r"zmq\.foo: unknown key"),
        ("servces = []", r"'servces', did you mean 'services'"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, says: str) -> None:
    done = check(tmp_path, text)
    assert isinstance(done.exception, ConfigError)
    with pytest.raises(ConfigError, match=says):
        raise done.exception
