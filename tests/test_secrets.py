"""Secrets with a mark are planted wherever one may be given, and searched for in all that is told.

Told is: logs at every level, what commands print, errors with all that they chain, events, status,
answers of the API, files, and the arguments of processes.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pydantic import SecretStr

from prbkit.bridge import Bridge
from prbkit.cli.app import cli
from prbkit.errors import PrbError
from prbkit.events import Event
from prbkit.interfaces import PoolSpec, Ref, WorkerSpec
from prbkit.settings import Settings
from prbkit.wire import METHODS, from_json, to_json

MARK = "marked-secret-7d1f"
SECRET = f"//Alice//{MARK}"


def clean(what: Any, where: str) -> None:
    data = what if isinstance(what, bytes) else str(what).encode()
    assert MARK.encode() not in data, f"{where} holds a secret"


def clean_error(error: BaseException) -> None:
    """All that a traceback would print, but for source lines, and all arguments."""
    seen: BaseException | None = error
    while seen is not None:
        clean("".join(traceback.format_exception_only(seen)), f"the error {type(seen).__name__}")
        clean(repr(seen.args), f"the arguments of {type(seen).__name__}")
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)


def clean_files(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            clean(path.read_bytes(), str(path))
            clean(path.name, "a file's name")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


async def test_a_bridge_tells_no_secret(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    # SQLite's driver logs each statement with its values at DEBUG, sealed ones therefore.
    settings = Settings.from_tree(
        {
            "data_dir": str(data),
            "services": ["lifecycle"],
            "transport": "zmq+tcp://127.0.0.1:0",
            "lifecycle": {"config_mode": True},
            "keyring": {"password": MARK},
            "queue": f"redis://user:{MARK}@127.0.0.1:1/0",
        }
    )
    heard: list[Event] = []
    async with Bridge(settings) as bridge:
        context = bridge.context

        async def hear() -> None:
            async for event in bridge.events():
                heard.append(event)  # noqa: PERF401 - it never ends

        hearing = asyncio.create_task(hear())
        transport = await context.transport()

        async def call(method: str, message: dict[str, Any]) -> Any:
            request = from_json(METHODS[method].request, message)
            return await transport.call(bridge.peer_id, method, request)

        async with asyncio.timeout(30):
            while "ListPool" not in context._handlers:  # noqa: ASYNC110 - no event tells it
                await asyncio.sleep(0.01)
        pool = {"pid": "1", "name": "one", "enabled": True, "owner": {"mnemonic": SECRET}}
        clean(to_json(await call("CreatePool", {"pools": [pool]})), "CreatePool's answer")
        for refused in (
            {**pool, "name": "two"},
            {**pool, "pid": "2", "name": "two", "owner": {"mnemonic": f"these words {MARK}"}},
            {**pool, "pid": "3", "name": "x", "owner": {"polkadotJson": f'{{"encoded": "{MARK}"'}},
            {**pool, "pid": "4", "name": "y", "owner": {"mnemonic": f"nobodys:{MARK}"}},
        ):
            with pytest.raises(PrbError) as caught:
                await call("CreatePool", {"pools": [refused]})
            clean_error(caught.value)
        clean(to_json(await call("ListPool", {})), "ListPool's answer")
        inventory = await context.inventory()
        await inventory.create_workers([WorkerSpec(pid=1, name="w", endpoint="http://w:1")])
        changed = await inventory.update_pools([(Ref(pid=1), PoolSpec(operator=SecretStr(SECRET)))])
        clean(repr(changed), "a pool")
        clean(repr(PoolSpec(operator=SecretStr(SECRET))), "a spec")
        uri = await inventory.operator_uri(changed[0])
        assert uri.get_secret_value() == SECRET
        clean(repr(uri), "a URI")
        clean(repr(await context.signer(uri)), "a signer")
        for wrong in (f"{MARK} {MARK}", f"file:{MARK}/..", f"0x{MARK}", f"command:{MARK}"):
            with pytest.raises(PrbError) as caught:
                await context.signer(SecretStr(wrong))
            if not wrong.startswith("file:"):  # a path is where the secret is, and not the secret
                clean_error(caught.value)
        clean(to_json(await call("GetWorkerStatus", {})), "GetWorkerStatus's answer")
        clean(await bridge.status(), "the status")
        clean(f"{bridge.settings!r} {bridge.settings}", "the settings")
        hearing.cancel()
        clean_files(data)
    clean(heard, "an event")
    clean_files(data)
    for record in caplog.records:
        clean(record.getMessage(), f"a log record of {record.name}")
        clean(record.exc_text or "", f"a traceback logged by {record.name}")


def test_commands_print_no_secret(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data.mkdir()
    config = data.parent / "prbkit.toml"
    config.write_text(f"data_dir = {str(data)!r}\n")
    secret = data.parent / "secret"
    secret.write_text(SECRET)
    pools = data.parent / "pools.toml"
    pools.write_text(f"[[pools]]\npid = 2\nname = 'two'\noperator = '{SECRET}//two'\n")
    bad = data.parent / "bad.toml"
    bad.write_text(f"[[pools]]\npid = 2\nname = 'two'\noperator = 'no words {MARK}'\n")
    monkeypatch.setenv("OPERATOR", SECRET)
    runner = CliRunner(env={"PRBKIT_CONFIG": str(config)})
    for arguments in (
        ["pool", "add", "1", "one", "--operator-file", str(secret), "--json"],
        ["pool", "update", "one", "--operator-env", "OPERATOR"],
        ["apply", "-f", str(pools), "--keep", "--json"],
        ["apply", "-f", str(pools), "--keep", "--dry-run"],
        ["apply", "-f", str(bad), "--keep"],
        ["pool", "list"],
        ["pool", "list", "--json"],
        ["identity", "verify", "--json"],
        ["export", "prb3", str(data / "plain")],
    ):
        result = runner.invoke(cli, arguments)
        clean(result.output, " ".join(arguments))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            clean_error(result.exception)
    clean_files(data)


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs Linux's /proc")
async def test_a_signing_program_is_not_given_secrets_as_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it signs comes on stdin, and our own passphrases are not in its environment."""
    monkeypatch.setenv("PRBKIT_PASSPHRASE", MARK)
    out = tmp_path / "seen"
    script = tmp_path / "sign.py"
    script.write_text(
        "import os, sys\n"
        f"open({str(out)!r}, 'wb').write(open('/proc/self/cmdline', 'rb').read()"
        " + open('/proc/self/environ', 'rb').read())\n"
    )
    settings = Settings.from_tree({"data_dir": str(tmp_path)})
    uri = f"command:sr25519:0x{'00' * 32}:{sys.executable} {script}"
    async with Bridge(
        Settings.from_tree(
            {
                "data_dir": str(settings.data_dir),
                "services": [],
                "transport": "zmq+tcp://127.0.0.1:0",
            }
        )
    ) as bridge:
        signer = await bridge.context.signer(SecretStr(uri))
        with pytest.raises(PrbError):
            await signer.sign(MARK.encode())
    clean(out.read_bytes(), "the program's arguments or environment")
    clean(Path(f"/proc/{os.getpid()}/cmdline").read_bytes(), "our own arguments")
