"""PRB v2's variables lead to settings that exist, with values that those take."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from prbkit.plugins import Plugins
from prbkit.prb2_env import TABLE
from prbkit.settings import Settings

VALUES = {
    "PHALA_LOGGER_LEVEL": "warn",
    "PHALA_CHAIN_ENDPOINT": "ws://127.0.0.1:9944",
    "PHALA_PARENT_CHAIN_ENDPOINT": "ws://127.0.0.1:9945",
    "PHALA_WALKIE_LISTEN_ADDRESSES": "/ip4/0.0.0.0/tcp/18888,/ip6/::/tcp/28888",
    "PHALA_WALKIE_BOOT_NODES": "/ip4/10.0.0.2/tcp/18888",
    "PTP_BOOT_NODES": "/ip4/10.0.0.2/tcp/18888",
    "PHALA_BRIDGE_IDENTITY": "mine",
    "PHALA_Q_REDIS_ENDPOINT": "redis://127.0.0.1:6379/",
    "PHALA_LIFECYCLE_BLOB_SERVER_SESSION_MAX_MEMORY": "64",
}
"""What cannot be a plain number or flag; ``1`` is taken by all others."""


@pytest.mark.parametrize("name", TABLE)
def test_each_variable_leads_to_a_setting_that_takes_it(name: str) -> None:
    settings = Settings.load(None, {name: VALUES.get(name, "1")})
    settings.bind_sections(Plugins().settings())


def test_a_compose_file_of_prb2_starts_the_service_it_names(tmp_path: Path) -> None:
    environ = {
        "PATH": "/usr/bin:/bin",
        "PHALA_MODULE": "data_provider",
        "PHALA_PEER_ID_PREFIX": str(tmp_path / "keys"),
        "PHALA_LOCAL_DB_PATH": str(tmp_path / "db"),
        "PHALA_WALKIE_LISTEN_ADDRESSES": "/ip4/127.0.0.1/tcp/0",
        "PHALA_CHAIN_ENDPOINT": "ws://127.0.0.1:1",
        "PHALA_PARENT_CHAIN_ENDPOINT": "ws://127.0.0.1:1",
        "PHALA_DATA_PROVIDER_LOCAL_SERVER_PORT": "8012",
        "PRBKIT_DATA_DIR": str(tmp_path / "data"),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "prbkit", "serve"],
        env=environ,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line)
            if "Got my peer id: Qm" in line:
                break
        assert "Got my peer id: Qm" in lines[-1], "".join(lines)
    finally:
        process.kill()
        process.communicate()
    assert (tmp_path / "keys" / "DATA_PROVIDER.pem").exists()
