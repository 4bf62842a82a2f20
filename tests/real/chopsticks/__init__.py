"""Starts @acala-network/chopsticks with a chain's real wasm code, for tests."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hashlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp

__all__ = ["ChopsticksMissing", "install", "serve"]

PACKAGE = Path(__file__).parent / "package.json"
INSTALL_TIMEOUT = 900
START_TIMEOUT = 180


class ChopsticksMissing(Exception):
    """Why chopsticks cannot run here."""


def install() -> Path:
    """Install the package into a cache folder of its own, once; the program's path."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        raise ChopsticksMissing("npm and node are not installed")
    digest = hashlib.sha256(PACKAGE.read_bytes()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "prbkit" / "npm" / f"chopsticks-{digest}"
    program = folder / "node_modules/@acala-network/chopsticks/chopsticks.cjs"
    done = folder / ".installed"
    if not (done.exists() and program.exists()):
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(PACKAGE, folder / "package.json")
        command = [npm, "install", "--no-audit", "--no-fund", "--omit=dev"]
        try:
            subprocess.run(
                command, cwd=folder, check=True, capture_output=True, timeout=INSTALL_TIMEOUT
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            said = (error.stderr or b"").decode(errors="replace")[-500:]
            raise ChopsticksMissing(f"npm install failed: {said or error}") from error
        done.touch()
    return program


@contextlib.asynccontextmanager
async def serve(program: Path, genesis: Path, folder: Path) -> AsyncIterator[str]:
    """Run a chain from a gzipped chain spec, a block for each extrinsic; yields its ws:// URL."""
    spec = folder / "genesis.json"
    await asyncio.to_thread(lambda: spec.write_bytes(gzip.decompress(genesis.read_bytes())))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = folder / "chopsticks.yml"
    config.write_text(
        f"genesis: {spec}\nbuild-block-mode: Instant\nhost: 127.0.0.1\nport: {port}\n"
    )
    log = (folder / "chopsticks.log").open("wb")
    process = await asyncio.create_subprocess_exec(
        "node",
        str(program),
        "-c",
        str(config),
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        await _until_ready(process, port, folder / "chopsticks.log")
        yield f"ws://127.0.0.1:{port}"
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        log.close()


async def _until_ready(process: asyncio.subprocess.Process, port: int, log: Path) -> None:
    request = {"jsonrpc": "2.0", "id": 1, "method": "system_chain", "params": []}
    async with asyncio.timeout(START_TIMEOUT), aiohttp.ClientSession() as session:
        while True:
            if process.returncode is not None:
                raise RuntimeError(f"chopsticks ended: {log.read_text()[-2000:]}")
            try:
                async with session.post(f"http://127.0.0.1:{port}", json=request) as response:
                    await response.read()
                    return
            except aiohttp.ClientError:
                await asyncio.sleep(0.2)
