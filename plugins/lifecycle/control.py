"""How the manager and a runner process talk: JSON lines over a Unix socket of the manager.

The socket lies in a folder that only its owner may enter, and says who may command: nothing else
does. Each side sends whole facts, not differences (an assignment, a state), so that a runner that
was started again needs nothing but the next line.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from prbkit.errors import TransportError
from prbkit.interfaces import Worker

__all__ = ["Assignment", "Line", "WorkerReport"]

LINE_LIMIT = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Assignment:
    """A worker and all that its loop needs to know of its pool.

    `operator` is the account that pRuntime registers for. `sync_only` is that of the settings,
    the pool and the worker together.
    """

    worker: Worker
    operator: bytes | None
    sync_only: bool

    def as_json(self) -> dict[str, Any]:
        fields = asdict(self.worker)
        fields["stake"] = str(self.worker.stake)
        return {
            "worker": fields,
            "operator": None if self.operator is None else self.operator.hex(),
            "sync_only": self.sync_only,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Assignment:
        fields = dict(value["worker"])
        fields["stake"] = int(fields["stake"])
        operator = value["operator"]
        return cls(
            worker=Worker(**fields),
            operator=None if operator is None else bytes.fromhex(operator),
            sync_only=value["sync_only"],
        )


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """How a worker is. Heights are the next that it expects; `session` is JSON."""

    uuid: str
    state: str = "S_IDLE"
    message: str = ""
    public_key: str = ""
    initialized: bool = False
    next_relay: int = 0
    next_para: int = 0
    next_block: int = 0
    session_state: str | None = None
    session: str = ""
    session_account: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Line:
    """One end of the channel."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._sending = asyncio.Lock()

    @classmethod
    async def connect(cls, path: str) -> Line:
        """Reach a manager. Raises `TransportError`."""
        try:
            return cls(*await asyncio.open_unix_connection(path, limit=LINE_LIMIT))
        except OSError as error:
            raise TransportError(f"cannot reach the manager: {error}", where=path) from error

    async def send(self, value: Mapping[str, Any]) -> None:
        """Raises `TransportError` where the other end is gone."""
        try:
            async with self._sending:
                self._writer.write(orjson.dumps(value) + b"\n")
                await self._writer.drain()
        except OSError as error:
            raise TransportError(f"the channel broke: {error}") from error

    async def receive(self) -> AsyncIterator[dict[str, Any]]:
        """Yield what the other end says until it is gone."""
        while True:
            try:
                line = await self._reader.readline()
            except (OSError, ValueError):
                return
            if not line.endswith(b"\n"):
                return
            yield orjson.loads(line)

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()
