"""The peers that cases are measured beside, each in an environment of its own.

bt-decode and cyscale live in a virtual environment, polkadot.js in a folder of npm's; both are
made once, in the user's cache. A peer runs as one process that is told which case to run how often
and answers with the seconds that took, so that its rounds alternate with prbkit's.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PYTHON_PEERS = {"bt_decode": "bt-decode==0.8.0", "cyscale": "cyscale==0.8.0"}
NODE_PEERS = {"@polkadot/types": "16.5.6"}
INSTALL_SECONDS = 240


class PeerMissing(Exception):
    """A peer cannot be installed here; the message says why."""


@dataclass(frozen=True, slots=True)
class Peer:
    """What a case is compared with: its name with version, and CPU seconds for so many calls."""

    name: str
    run: Callable[[int], float]


def python_peers() -> list[str]:
    """Return the command that runs the Python peers; raises PeerMissing."""
    wanted = [*PYTHON_PEERS.values(), f"{sys.version_info.major}.{sys.version_info.minor}"]
    folder = _cache("peers", wanted)
    python = folder / "bin" / "python"
    if not (folder / "done").exists():
        _fresh(folder)
        venv.create(folder, with_pip=True)
        _run([str(python), "-m", "pip", "install", "-q", *PYTHON_PEERS.values()], folder)
        (folder / "done").touch()
    return [str(python), "-u", str(HERE / "peer_python.py")]


def node_peers() -> list[str]:
    """Return the command that runs polkadot.js; raises PeerMissing."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        raise PeerMissing("npm and node are not installed")
    folder = _cache("peers-npm", [f"{name}@{version}" for name, version in NODE_PEERS.items()])
    if not (folder / "done").exists():
        _fresh(folder)
        (folder / "package.json").write_text(json.dumps({"dependencies": NODE_PEERS}))
        _run([npm, "install", "--omit=dev", "--no-audit", "--no-fund"], folder)
        (folder / "done").touch()
    script = shutil.copy(HERE / "peer_node.mjs", folder)  # it imports from the folder it is in
    return [node, str(script)]


def _cache(name: str, wanted: list[str]) -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "prbkit"
    return base / f"{name}-{hashlib.sha256(' '.join(wanted).encode()).hexdigest()[:12]}"


def _fresh(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def _run(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise PeerMissing(f"installing took over {INSTALL_SECONDS} s") from error
    if done.returncode:
        raise PeerMissing(f"it cannot be installed: {done.stderr.strip()[-300:]}")


class PeerProcess:
    """One running peer process; `inputs` is the folder that it reads its inputs from."""

    def __init__(self, command: list[str], inputs: Path) -> None:
        self._process = subprocess.Popen(
            [*command, str(inputs)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, case: str, count: int = 1) -> dict[str, Any]:
        """Run a case so often: {"seconds": of all, "result": digest of one, "version": text}."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"case": case, "count": count}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the peer ended in {case}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def peer(self, case: str, name: str, result: str | None = None) -> Peer:
        """Return a case as a Peer, once it gave the result that is expected of it."""
        answer = self.ask(case)
        assert result is None or answer["result"] == result, f"{name} gives another result"
        return Peer(
            f"{name} {answer['version']}", lambda count: float(self.ask(case, count)["seconds"])
        )

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
