"""Many workers that count and verify nothing: for load tests of what feeds them, and only those.

One process answers for all, each worker under a path of its own (``http://host:port/7``). The
rules on counters are kept (a request must go on where the worker is), so that a feeder that errs
is seen; headers, proofs and states are not looked at. The version says ``counting``.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import sys
import time
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Self

from aiohttp import web
from google.protobuf.message import DecodeError

from prbkit import blobs
from prbkit.errors import CodecError
from prbkit.wire import PRPC
from prbkit.wire import pruntime as rpc

__all__ = ["CountedWorker", "CountingServer"]

VERSION = "counting"


@dataclass(slots=True)
class CountedWorker:
    """A worker's counters, and when it got each para block (`time.monotonic`)."""

    public_key: bytes
    genesis_hash: str = ""
    headernum: int = 0
    para_headernum: int = 0
    blocknum: int = 1
    dispatched: dict[int, float] = field(default_factory=dict)
    refused: int = 0


class CountingServer:
    """`workers` counting workers on one port; an async context manager."""

    def __init__(self, workers: int, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.workers = [
            CountedWorker(hashlib.blake2b(number.to_bytes(4, "little"), digest_size=32).digest())
            for number in range(workers)
        ]
        self.requests = 0
        self._host, self._port = host, port
        self._runner: web.AppRunner | None = None
        self._methods = {
            "GetInfo": _info,
            "InitRuntime": _init,
            "GetEgressMessages": _egress,
            "SyncHeader": _sync_relay,
            "SyncParaHeader": _sync_para,
            "SyncCombinedHeaders": _sync_combined,
            "DispatchBlocks": _dispatch,
        }

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=2**27)
        app.router.add_post("/{worker}/prpc/PhactoryAPI.{method}", self._prpc)
        app.router.add_get("/times", self._times)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port, backlog=4096).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def url(self) -> str:
        """The base; worker 7 is at ``{url}/7``."""
        return f"http://{self._host}:{self._port}"

    async def _prpc(self, request: web.Request) -> web.Response:
        self.requests += 1
        name = request.match_info["method"]
        method = self._methods.get(name)
        number = request.match_info["worker"]
        if method is None or not number.isdecimal() or int(number) >= len(self.workers):
            return web.Response(status=404)
        worker = self.workers[int(number)]
        try:
            answer = method(worker, PRPC[name][0].FromString(await request.read()))
        except (DecodeError, CodecError, _OutOfStep) as error:
            worker.refused += 1
            body = rpc.PrpcError(message=str(error)).SerializeToString()
            return web.Response(status=500, body=body)
        return web.Response(body=answer.SerializeToString())

    async def _times(self, request: web.Request) -> web.Response:
        """When each worker got each block, and what this process has used, as JSON."""
        return web.json_response(
            {
                "dispatched": [worker.dispatched for worker in self.workers],
                "refused": sum(worker.refused for worker in self.workers),
                "requests": self.requests,
                "cpu": time.process_time(),
            }
        )


class _OutOfStep(Exception):
    """A request does not go on where the worker is."""


@lru_cache(maxsize=64)
def _relay_span(encoded: bytes) -> tuple[int, int]:
    headers = [header for header, _ in blobs.decode_headers_to_sync(encoded)]
    return _span(headers)


@lru_cache(maxsize=64)
def _para_span(encoded: bytes) -> tuple[int, int]:
    return _span(blobs.decode_headers(encoded))


@lru_cache(maxsize=64)
def _block_span(encoded: bytes) -> tuple[int, int]:
    return _span([header for header, _ in blobs.decode_dispatch_block_req(encoded)])


def _span(headers: Any) -> tuple[int, int]:
    """First and last number; of none, a span that changes nothing."""
    if not headers:
        return 0, -1
    return blobs.header_number(headers[0]), blobs.header_number(headers[-1])


def _go_on(at: int, span: tuple[int, int], what: str) -> int:
    first, last = span
    if last < at:
        return at
    if first > at:
        raise _OutOfStep(f"{what} {first} where {at} is next")
    return last + 1


def _info(worker: CountedWorker, request: Any) -> Any:
    return rpc.PhactoryInfo(
        version=VERSION,
        initialized=bool(worker.genesis_hash),
        genesis_block_hash=worker.genesis_hash,
        public_key=worker.public_key.hex() if worker.genesis_hash else "",
        headernum=worker.headernum,
        para_headernum=worker.para_headernum,
        blocknum=worker.blocknum,
    )


def _init(worker: CountedWorker, request: Any) -> Any:
    header = blobs.decode_genesis_info(request.encoded_genesis_info)[0]
    worker.genesis_hash = blobs.header_hash(header).hex()
    worker.headernum = blobs.header_number(header) + 1
    return rpc.InitRuntimeResponse(encoded_public_key=worker.public_key)


def _egress(worker: CountedWorker, request: Any) -> Any:
    return rpc.GetEgressMessagesResponse(encoded_messages=b"\0")


def _sync_relay(worker: CountedWorker, request: Any) -> Any:
    worker.headernum = _go_on(worker.headernum, _relay_span(request.encoded_headers), "relay")
    return rpc.SyncedTo(synced_to=worker.headernum - 1)


def _sync_para(worker: CountedWorker, request: Any) -> Any:
    span = _para_span(request.encoded_headers)
    worker.para_headernum = _go_on(worker.para_headernum, span, "para header")
    return rpc.SyncedTo(synced_to=worker.para_headernum - 1)


def _sync_combined(worker: CountedWorker, request: Any) -> Any:
    relay = _relay_span(request.encoded_relaychain_headers)
    worker.headernum = _go_on(worker.headernum, relay, "relay")
    para = _para_span(request.encoded_parachain_headers)
    worker.para_headernum = _go_on(worker.para_headernum, para, "para header")
    return rpc.HeadersSyncedTo(
        relaychain_synced_to=worker.headernum - 1,
        parachain_synced_to=(worker.para_headernum - 1) % 2**32,
    )


def _dispatch(worker: CountedWorker, request: Any) -> Any:
    first = worker.blocknum
    following = _go_on(first, _block_span(request.encoded_blocks), "block")
    if following > worker.para_headernum:
        raise _OutOfStep(f"block {following - 1} has no header yet")
    now = time.monotonic()
    for number in range(first, following):
        worker.dispatched[number] = now
    worker.blocknum = following
    return rpc.SyncedTo(synced_to=following - 1)


async def _serve(workers: int) -> None:
    async with CountingServer(workers) as server:
        print(server.url, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def main() -> None:
    """Serve until stdin ends; the first line on stdout is the URL."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=1000)
    asyncio.run(_serve(parser.parse_args().workers))


if __name__ == "__main__":
    main()
