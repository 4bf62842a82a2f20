"""A whole farm: a devnet with workers, and the three processes of examples/three-processes."""

from __future__ import annotations

import json
import shutil
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any, Self

from prbkit.scale import Metadata, decode_extrinsic
from tests.e2e.harness import EXAMPLES, Process, all_active, free_ports, prbkit, status, wait_for

BLOCK_TIME = 0.5
SERVICES = ("data_provider", "lifecycle", "trader")


class Farm:
    """Starts everything, tells its status, and reads the chain to its end."""

    def __init__(self, folder: Path, *, workers: int = 3, **environ: str) -> None:
        self.folder = folder
        self.workers = workers
        for name in SERVICES:
            shutil.copy(EXAMPLES / "three-processes" / f"{name}.toml", folder)
        ports = iter(range(first := free_ports(len(SERVICES) + 2 + workers), first + 100))
        self._relay, self._para = next(ports), next(ports)
        addresses = {name: f"zmq+tcp://127.0.0.1:{next(ports)}" for name in SERVICES}
        self.environ = {
            "PRBKIT_RELAY__ENDPOINTS": json.dumps([f"ws://127.0.0.1:{self._relay}"]),
            "PRBKIT_PARA__ENDPOINTS": json.dumps([f"ws://127.0.0.1:{self._para}"]),
            **environ,
        }
        self.processes: dict[str, Process] = {}
        self.processes["devnet"] = Process(
            "devnet", folder, "devnet",
            "--workers", str(workers), "--block-time", str(BLOCK_TIME), "--set-period", "24",
            "--relay-port", str(self._relay), "--para-port", str(self._para),
            "--worker-port", str(next(ports)), "--data-dir", str(folder / "devnet"),
        )  # fmt: skip
        for name in SERVICES:
            others = [address for other, address in addresses.items() if other != name]
            own = {
                "PRBKIT_TRANSPORT": addresses[name],
                "PRBKIT_BOOT_NODES": json.dumps(others),
            }
            if name == "lifecycle":
                own["PRBKIT_MONITOR__PORT"] = "0"
            if name == "trader":
                own["PRBKIT_TRADER__BATCH_AGE"] = "1"
                own["PRBKIT_TRADER__LEASE"] = "2"
            self.processes[name] = Process(
                name, folder, "serve", "-c", str(self.config(name)), **self.environ, **own
            )
        self._client = {**self.environ, "PRBKIT_BOOT_NODES": json.dumps([*addresses.values()])}

    def config(self, name: str) -> Path:
        return self.folder / f"{name}.toml"

    def __enter__(self) -> Self:
        try:
            self.processes["devnet"].start()
            self.wait("the devnet", lambda: "worker" in self.processes["devnet"].tail(), within=60)
            for name in SERVICES:
                self.processes[name].start()
            self._fill_inventory()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        for process in reversed(self.processes.values()):
            process.stop()

    def _fill_inventory(self) -> None:
        operator = self.folder / "operator"
        operator.write_text("//Bob\n")
        config = str(self.config("lifecycle"))
        commands = [("pool", "add", "0", "demo", "--operator-file", str(operator))]
        lines = self.processes["devnet"].tail().splitlines()
        urls = [line.split()[-1] for line in lines if line.startswith("worker")]
        commands += [("worker", "add", "0", f"w{i}", url, "--stake", "10000 PHA")
                     for i, url in enumerate(urls)]  # fmt: skip
        for command in commands:
            done = prbkit(*command, "-c", config, **self.environ)
            assert done.returncode == 0, done.stderr

    # -------------------------------------------------------------------------------------------

    def wait(self, what: str, look: Any, *, within: float) -> Any:
        return wait_for(what, look, list(self.processes.values()), within=within)

    def status(self) -> dict[str, Any] | None:
        return status(self.config("lifecycle"), self._client)

    def wait_for_jobs(self, count: int, *, within: float = 90) -> None:
        """Wait until so many jobs have ended well."""
        self.wait(
            f"{count} finalized jobs",
            lambda: ((self.status() or {}).get("jobs") or {}).get("finalized", 0) >= count,
            within=within,
        )

    def wait_until_active(self, *, within: float = 120) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            found = self.status()
            done = all_active(found, self.workers) and found["jobs"]["pending"] == 0
            return found if done else None

        return self.wait("all workers active", look, within=within)  # type: ignore[no-any-return]

    def check_nothing_was_done_twice(self) -> None:
        """Read every block of the parachain: each call that was meant once succeeded once."""
        time.sleep(4 * BLOCK_TIME)  # what was on its way has arrived by then
        done = Counter(self._calls())
        twice = {call: count for call, count in done.items() if count != 1}
        assert not twice, twice
        kinds = Counter(call[0] for call in done)
        assert kinds["register_worker_v2"] == self.workers
        assert kinds["add_worker"] == self.workers
        assert kinds["start_computing"] == self.workers

    def _calls(self) -> list[tuple[str, ...]]:
        md = Metadata.decode(_raw(self._rpc("state_getMetadata")))
        found: list[tuple[str, ...]] = []
        head = self._rpc("chain_getHeader")
        for number in range(1, int(head["number"], 16) + 1):
            block = self._rpc("chain_getBlock", self._rpc("chain_getBlockHash", number))
            for extrinsic in block["block"]["extrinsics"]:
                call = decode_extrinsic(md, _raw(extrinsic)).call
                found.extend(_flatten(md.decode_call(call)))
        return found

    def _rpc(self, method: str, *params: Any) -> Any:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._para}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)["result"]


def _raw(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def _flatten(call: Any) -> list[tuple[str, ...]]:
    """What a call does, as (call, whom it is about): batches opened, inherents left out."""
    pallet, name, args = call
    if pallet == "Utility":
        inner = [next(iter(item.items())) for item in args["calls"]]
        return [
            part
            for inner_pallet, calls in inner
            for inner_name, inner_args in calls.items()
            for part in _flatten((inner_pallet, inner_name, inner_args))
        ]
    if name in ("register_worker", "register_worker_v2"):
        return [(name, str(args["pruntime_info"]["pubkey"]))]
    if name == "sync_offchain_message":
        message = args["signed_message"]
        return [(name, str(message["message"]["sender"]), str(message["sequence"]))]
    if pallet == "PhalaStakePoolv2":
        return [(name, str(args.get("worker", args.get("pubkey"))))]
    return []
