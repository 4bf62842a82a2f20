"""npm's @polkadot/api uses the devnet as it would use any node."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from typing import Any

import orjson
import pytest

from prbkit.light import read_proof
from prbkit.testing.devnet import Devnet, DevnetConfig

HERE = Path(__file__).parent / "polkadotjs"


def _missing(reason: str) -> None:
    if os.environ.get("PRBKIT_REQUIRE_DATA") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def modules() -> Path:
    """Where @polkadot/api is installed: a cache outside of the repository, filled once."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        _missing("npm and node are needed to run @polkadot/api")
    assert npm is not None
    wanted = (HERE / "package.json").read_bytes()
    version = orjson.loads(wanted)["dependencies"]["@polkadot/api"]
    base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    folder = base / "prbkit" / f"npm-polkadotjs-{version}"
    done = folder / "node_modules" / "@polkadot" / "api" / "package.json"
    if not done.exists():
        import subprocess

        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_bytes(wanted)
        command = [npm, "install", "--omit=dev", "--no-audit", "--no-fund", "--loglevel=error"]
        result = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=250, check=False
        )
        if result.returncode:
            _missing(f"npm install failed: {result.stderr[-500:]}")
    return folder


async def _run(modules: Path, *arguments: str) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        "node",
        str(HERE / "check.mjs"),
        *arguments,
        env={**os.environ, "PRBKIT_NPM": str(modules)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(100):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, err.decode()[-4000:]
    found: dict[str, Any] = orjson.loads(out.splitlines()[-1])
    return found


async def test_polkadotjs_reads_proves_and_submits(modules: Path) -> None:
    config = DevnetConfig(history=60, block_time=0.1)
    async with Devnet(config) as net:
        seen = await _run(modules, net.para_url, net.relay_url)
        para, relay = net.chain("para"), net.chain("relay")
    assert seen["chains"] == ["Khala Local Testnet", "Kusama Local Testnet"]
    assert seen["genesis"] == [f"0x{chain.genesis.hash.hex()}" for chain in (para, relay)]
    assert {"PhalaMq", "PhalaRegistry", "PhalaStakePoolv2"} <= set(seen["pallets"])
    assert seen["paraId"] == config.para_id

    assert len(seen["blocks"]) == 40
    for extrinsics, events in seen["blocks"]:
        assert extrinsics >= 1
        assert "system.ExtrinsicSuccess" in events
        assert "system.ExtrinsicFailed" not in events

    transfer = seen["transfer"]
    assert transfer["error"] is None
    assert transfer["statuses"][0] == "Ready"
    assert transfer["statuses"][-2:] == ["InBlock", "Finalized"]
    assert {"balances.Transfer", "system.NewAccount", "system.ExtrinsicSuccess"} <= set(
        transfer["events"]
    )
    assert seen["received"] == "12345678901"
    assert seen["nonce"] == seen["nextIndex"] == 1
    assert int(seen["fee"]) > 0
    block = para.block(bytes.fromhex(transfer["block"][2:]))
    assert block is not None
    assert para.is_canonical(block)

    proof = seen["proof"]
    key, root, *nodes = (
        bytes.fromhex(x[2:]) for x in (proof["key"], proof["root"], *proof["nodes"])
    )
    assert read_proof(root, nodes, key) == bytes.fromhex(proof["value"][2:])
    assert seen["heads"] == list(range(seen["heads"][0], seen["heads"][0] + 3))
