"""The HTTP side of a simulated pRuntime: prpc, and the older binary API.

Sources of the shapes: protocol.md section 3. Work is done in threads, so that many
workers in one process answer while one verifies.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import orjson
import sr25519
from aiohttp import web
from google.protobuf.message import DecodeError, Message

from prbkit import blobs
from prbkit.errors import CodecError, ConfigError
from prbkit.testing.pruntime.config import Faults, PRuntimeConfig
from prbkit.testing.pruntime.core import Core, Poisoned, Refused
from prbkit.wire import PRPC
from prbkit.wire import pruntime as rpc

__all__ = ["Server"]

MIB = 2**20
LIMITS = {
    "InitRuntime": 10 * MIB,
    "SyncHeader": 100 * MIB,
    "SyncParaHeader": 100 * MIB,
    "SyncCombinedHeaders": 100 * MIB,
    "DispatchBlocks": 100 * MIB,
    "LoadChainState": 500 * MIB,
    "GetInfo": 1024,
    "GetRuntimeInfo": 1024,
}
"""Bytes that a request's body may have."""
OTHER_LIMIT = 10 * 1024
BIN_API = {
    "sync_header": "SyncHeader",
    "sync_para_header": "SyncParaHeader",
    "sync_combined_headers": "SyncCombinedHeaders",
    "dispatch_block": "DispatchBlocks",
}


class Server:
    """A simulated worker on a port of its own (0: any free one).

    An async context manager; `url` is its endpoint. `core` and `faults` may be touched while it
    runs. `stop` and `start` again keep the port.
    """

    def __init__(self, config: PRuntimeConfig, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.core = Core(config)
        self.faults = Faults()
        self.requests: list[str] = []
        self._methods = self.core.methods()
        self._host, self._port = host, port
        self._runner: web.AppRunner | None = None
        self._work = ThreadPoolExecutor(4, thread_name_prefix="pruntime")

    async def start(self) -> None:
        app = web.Application(client_max_size=500 * MIB)
        app.router.add_route("*", "/prpc/PhactoryAPI.{method}", self._prpc)
        app.router.add_post("/bin_api/{method}", self._bin_api)
        app.router.add_route("*", "/kick", self._kick)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            raise ConfigError(
                f"the simulated worker cannot listen: {error.strerror}",
                where=f"{self._host}:{self._port}",
                hint="choose a free port (0 is any)",
            ) from None
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()
        self._work.shutdown(wait=False)

    @property
    def url(self) -> str:
        return f"http://{self._host}:{self._port}"

    # --- prpc ----------------------------------------------------------------------------------

    async def _prpc(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["method"]
        if name not in self._methods:
            return _prpc_error(404, f"Method not found: {name}")
        body = await _limited_body(request, LIMITS.get(name, OTHER_LIMIT))
        if body is None:
            return _prpc_error(413, "Entity too large")
        try:
            message = PRPC[name][0].FromString(body)
        except DecodeError as error:
            return _prpc_error(400, f"Decode error: {error}")
        try:
            answer = await self._run(name, message, len(body))
        except Refused as error:
            return _prpc_error(500, error.message)
        except Poisoned:
            return _drop(request)
        return web.Response(
            body=answer.SerializeToString(), content_type="application/octet-stream"
        )

    # --- the older binary API ------------------------------------------------------------------

    async def _bin_api(self, request: web.Request) -> web.StreamResponse:
        path = request.match_info["method"]
        name = BIN_API.get(path)
        if name is None:
            return web.json_response({"status": "error", "payload": "Not found"}, status=404)
        body = await _limited_body(request, LIMITS[name])
        if body is None:
            return _bin_plain("Entity too large", 413)
        try:
            answer = await self._run(name, _BIN_REQUESTS[path](body), len(body))
        except CodecError as error:
            return self._bin_answer("error", {"message": f"Decode error: {error}"}, 400)
        except Refused as error:
            return self._bin_answer("error", {"message": error.message}, 500)
        except Poisoned:
            return _drop(request)
        if path == "sync_combined_headers":
            payload = {
                "relaychain_synced_to": answer.relaychain_synced_to,
                "parachain_synced_to": answer.parachain_synced_to,
            }
        else:
            field = "dispatched_to" if path == "dispatch_block" else "synced_to"
            payload = {field: answer.synced_to}
        return self._bin_answer("ok", payload, 200)

    def _bin_answer(self, status: str, payload: dict[str, Any], code: int) -> web.Response:
        text = orjson.dumps(payload)
        signature = sr25519.sign(self.core._pair, text)
        body = {"status": status, "payload": text.decode(), "signature": signature.hex()}
        return web.Response(body=orjson.dumps(body), status=code, content_type="application/json")

    # -------------------------------------------------------------------------------------------

    async def _run(self, name: str, message: Message, size: int) -> Any:
        self.requests.append(name)
        faults = self.faults
        if faults.latency:
            await asyncio.sleep(faults.latency)
        if name in faults.hang:
            await asyncio.Event().wait()
        if name in faults.refuse:
            raise Refused(faults.refuse[name])
        if faults.memory is not None and size > faults.memory:
            raise Refused("memory allocation failed: out of memory")
        if name in faults.garbage:
            return _Garbage()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._work, self._methods[name], message)

    async def _kick(self, request: web.Request) -> web.StreamResponse:
        if not self.core.config.kick_api:
            return web.Response(status=404)
        self.core.crash()
        return _drop(request)


class _Garbage:
    relaychain_synced_to = parachain_synced_to = synced_to = "garbage"

    def SerializeToString(self) -> bytes:  # noqa: N802 - protobuf's name
        return b"\xff\xff garbage"


def _sync_header(body: bytes) -> Message:
    headers, _ = blobs.decode_sync_header_req(body)
    return rpc.HeadersToSync(encoded_headers=blobs.headers_to_sync(headers))


def _sync_para_header(body: bytes) -> Message:
    headers, proof = blobs.decode_sync_para_header_req(body)
    return rpc.ParaHeadersToSync(encoded_headers=blobs.encode_headers(headers), proof=proof)


def _sync_combined_headers(body: bytes) -> Message:
    relay, change, para, proof = blobs.decode_sync_combined_headers_req(body)
    return rpc.CombinedHeadersToSync(
        encoded_relaychain_headers=blobs.headers_to_sync(relay),
        authority_set_change=blobs.authority_set_change(*change) if change else None,
        encoded_parachain_headers=blobs.encode_headers(para),
        proof=proof,
    )


def _dispatch_block(body: bytes) -> Message:
    blobs.decode_dispatch_block_req(body)
    return rpc.Blocks(encoded_blocks=body)


_BIN_REQUESTS: dict[str, Callable[[bytes], Message]] = {
    "sync_header": _sync_header,
    "sync_para_header": _sync_para_header,
    "sync_combined_headers": _sync_combined_headers,
    "dispatch_block": _dispatch_block,
}


async def _limited_body(request: web.Request, limit: int) -> bytes | None:
    """The whole body, or None where it is longer than `limit` bytes."""
    if request.content_length is not None and request.content_length > limit:
        return None
    parts: list[bytes] = []
    size = 0
    async for part in request.content.iter_any():
        size += len(part)
        if size > limit:
            return None
        parts.append(part)
    return b"".join(parts)


def _prpc_error(status: int, message: str) -> web.Response:
    return web.Response(
        body=rpc.PrpcError(message=message).SerializeToString(),
        status=status,
        content_type="application/octet-stream",
    )


def _bin_plain(text: str, status: int) -> web.Response:
    return web.Response(
        body=orjson.dumps({"status": "error", "payload": text}),
        status=status,
        content_type="application/json",
    )


def _drop(request: web.Request) -> web.StreamResponse:
    """End the connection without an answer, as a process that exits does."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
