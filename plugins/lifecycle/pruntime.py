"""The HTTP client of one pRuntime: prpc, and the older binary API where prpc lacks a call.

A pRuntime takes one request at a time. Every call has a deadline, every answer a limit of size,
and what goes wrong is `WorkerUnreachable` (nothing useful came back) or `WorkerRefused` (it said
no, and why).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp
import orjson
from google.protobuf.message import DecodeError, Message

from prbkit.blobs import encode_proof
from prbkit.errors import WorkerRefused, WorkerUnreachable
from prbkit.wire import PRPC
from prbkit.wire.pruntime import (
    Blocks,
    CombinedHeadersToSync,
    GetEgressMessagesResponse,
    GetRuntimeInfoRequest,
    HeadersToSync,
    InitRuntimeRequest,
    InitRuntimeResponse,
    ParaHeadersToSync,
    PhactoryInfo,
    PrpcError,
)

__all__ = [
    "BlockFeed",
    "Feed",
    "HeaderFeed",
    "PRuntime",
    "ParaFeed",
    "RelayFeed",
    "TooBig",
    "prpc_request",
]

ANSWER_LIMIT = 64 * 2**20
"""Most bytes of an answer; egress messages are the longest."""

ERROR_LIMIT = 2**16
KICK_TIMEOUT = 10.0

M = TypeVar("M", bound=Message)


class TooBig(WorkerRefused):
    """The request was too much for the worker: its body limit, its memory, or its time."""

    code = "worker.too_big"


@dataclass(frozen=True, slots=True)
class RelayFeed:
    """Relay headers: SCALE ``Vec<HeaderToSync>`` and AuthoritySetChange."""

    headers: bytes
    change: bytes | None = None


@dataclass(frozen=True, slots=True)
class ParaFeed:
    """Para headers: SCALE ``Vec<Header>`` and the trie nodes that prove the last."""

    headers: bytes
    proof: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class HeaderFeed:
    """Both in one request."""

    relay: RelayFeed
    para: ParaFeed


@dataclass(frozen=True, slots=True)
class BlockFeed:
    """SCALE ``Vec<BlockHeaderWithChanges>``."""

    blocks: bytes


Feed = RelayFeed | ParaFeed | HeaderFeed | BlockFeed


class PRuntime:
    """One worker's pRuntime.

    :param endpoint: such as ``http://10.0.0.7:8000``.
    :param session: shared by the workers of a process; it limits the connections of all.
    """

    def __init__(
        self,
        endpoint: str,
        session: aiohttp.ClientSession,
        *,
        rpc_timeout: float = 8.0,
        blob_timeout: float = 150.0,
    ) -> None:
        self.endpoint = endpoint.rstrip("/")
        self._session = session
        self._rpc_timeout = rpc_timeout
        self._blob_timeout = blob_timeout
        self._one_at_a_time = asyncio.Lock()
        self._prpc_feeds = True

    async def get_info(self) -> PhactoryInfo:
        return await self._prpc("GetInfo", None, PhactoryInfo, self._rpc_timeout)

    async def init_runtime(self, request: InitRuntimeRequest) -> InitRuntimeResponse:
        return await self._prpc("InitRuntime", request, InitRuntimeResponse, self._blob_timeout)

    async def get_runtime_info(
        self, *, refresh: bool, operator: bytes | None
    ) -> InitRuntimeResponse:
        """Registration info and attestation, for an operator account (32 bytes)."""
        request = GetRuntimeInfoRequest(force_refresh_ra=refresh, encoded_operator=operator)
        # A fresh attestation goes to Intel and back inside the worker.
        return await self._prpc("GetRuntimeInfo", request, InitRuntimeResponse, self._blob_timeout)

    async def get_egress(self) -> bytes:
        """SCALE EgressMessages."""
        answer = await self._prpc(
            "GetEgressMessages", None, GetEgressMessagesResponse, self._rpc_timeout
        )
        return answer.encoded_messages

    async def feed(self, feed: Feed) -> None:
        """Send headers or blocks; what became of it GetInfo tells.

        Prefers prpc and falls back to the binary API for good once prpc says it has no such call.
        """
        if self._prpc_feeds:
            try:
                await self._feed_prpc(feed)
            except _NoSuchCall:
                self._prpc_feeds = False
            else:
                return
        await self._feed_binary(feed)

    async def take_checkpoint(self, timeout: float) -> None:
        """Make pRuntime write down where it is, which may take a minute."""
        request, answer = PRPC["TakeCheckpoint"]
        await self._prpc("TakeCheckpoint", request(), answer, timeout)

    async def kick(self) -> None:
        """Make pRuntime exit: `/kick` where it is enabled, else prpc ``Stop``.

        A connection that breaks is what success looks like.
        """
        with contextlib.suppress(WorkerUnreachable):
            try:
                await self._post("/kick", b"", KICK_TIMEOUT)
            except _NoSuchCall:
                stop, answer = PRPC["Stop"]
                await self._prpc("Stop", stop(), answer, KICK_TIMEOUT)

    # --- the two APIs

    async def _feed_prpc(self, feed: Feed) -> None:
        method, request = prpc_request(feed)
        await self._prpc(method, request, PRPC[method][1], self._blob_timeout)

    async def _feed_binary(self, feed: Feed) -> None:
        match feed:
            case RelayFeed():
                path, body = "sync_header", _relay(feed)
            case ParaFeed():
                path, body = "sync_para_header", _para(feed)
            case HeaderFeed():
                path, body = "sync_combined_headers", _relay(feed.relay) + _para(feed.para)
            case BlockFeed():
                path, body = "dispatch_block", feed.blocks
        answer = await self._post(f"/bin_api/{path}", body, self._blob_timeout)
        try:
            said = orjson.loads(answer)
            status, payload = said["status"], said["payload"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise WorkerUnreachable(
                "pRuntime answered what is not its JSON", where=self.endpoint
            ) from None
        if status != "ok":
            raise self._refused(str(payload))

    async def _prpc(
        self, method: str, request: Message | None, answer: type[M], timeout: float
    ) -> M:
        body = b"" if request is None else request.SerializeToString()
        data = await self._post(f"/prpc/PhactoryAPI.{method}", body, timeout)
        message = answer()
        try:
            message.ParseFromString(data)
        except DecodeError:
            raise WorkerUnreachable(
                f"pRuntime answered {method} with what is not its message", where=self.endpoint
            ) from None
        return message

    async def _post(self, path: str, body: bytes, timeout: float) -> bytes:
        async with self._one_at_a_time:
            try:
                async with (
                    asyncio.timeout(timeout),
                    self._session.post(
                        self.endpoint + path,
                        data=body,
                        headers={"Content-Type": "application/octet-stream"},
                        timeout=aiohttp.ClientTimeout(total=None),
                        allow_redirects=False,
                    ) as response,
                ):
                    limit = ANSWER_LIMIT if response.status == 200 else ERROR_LIMIT
                    data = await _read(response, limit)
            except TimeoutError:
                raise WorkerUnreachable(
                    f"no answer to {path.rpartition('/')[2]} within {timeout:g} s",
                    where=self.endpoint,
                ) from None
            except (aiohttp.ClientError, OSError, ValueError) as error:
                raise WorkerUnreachable(
                    f"cannot reach pRuntime: {error or type(error).__name__}",
                    where=self.endpoint,
                    hint="see that it runs and that the endpoint is right",
                ) from error
        if data is None:
            raise WorkerUnreachable(f"an answer of over {limit} bytes", where=self.endpoint)
        if response.status == 200:
            return data
        if response.status in (404, 405, 501):
            raise _NoSuchCall(f"pRuntime has no {path}", where=self.endpoint)
        if response.status == 413:
            raise TooBig("the request is over pRuntime's body limit", where=self.endpoint)
        raise self._refused(_error_text(path, data))

    def _refused(self, text: str) -> WorkerRefused:
        shown = _message_of(text)[:500]
        lower = shown.lower()
        if "too large" in lower or "out of memory" in lower or "memory allocation" in lower:
            return TooBig(shown, where=self.endpoint)
        return WorkerRefused(shown or "refused without a word", where=self.endpoint)


def prpc_request(feed: Feed) -> tuple[str, Message]:
    """The prpc method that takes a feed, and its message."""
    match feed:
        case RelayFeed():
            return "SyncHeader", HeadersToSync(
                encoded_headers=feed.headers, encoded_authority_set_change=feed.change
            )
        case ParaFeed():
            return "SyncParaHeader", ParaHeadersToSync(
                encoded_headers=feed.headers, proof=feed.proof
            )
        case HeaderFeed():
            return "SyncCombinedHeaders", CombinedHeadersToSync(
                encoded_relaychain_headers=feed.relay.headers,
                authority_set_change=feed.relay.change,
                encoded_parachain_headers=feed.para.headers,
                proof=feed.para.proof,
            )
        case BlockFeed():
            return "DispatchBlocks", Blocks(encoded_blocks=feed.blocks)


class _NoSuchCall(WorkerRefused):
    """This pRuntime is too old, or the call is not enabled."""


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes | None:
    """The body, None if it is over the limit."""
    parts = bytearray()
    async for part in response.content.iter_any():
        parts += part
        if len(parts) > limit:
            return None
    return bytes(parts)


def _error_text(path: str, data: bytes) -> str:
    if path.startswith("/prpc/"):
        error = PrpcError()
        with contextlib.suppress(DecodeError):
            error.ParseFromString(data)
            if error.message:
                return error.message
    return data.decode(errors="replace")


def _message_of(text: str) -> str:
    """The words of an error that may be wrapped in JSON once or twice."""
    for _ in range(3):
        try:
            value: Any = orjson.loads(text)
        except orjson.JSONDecodeError:
            break
        if isinstance(value, dict):
            value = value.get("message", value.get("payload"))
        if not isinstance(value, str):
            break
        text = value
    return text.strip()


def _relay(feed: RelayFeed) -> bytes:
    return feed.headers + (b"\0" if feed.change is None else b"\1" + feed.change)


def _para(feed: ParaFeed) -> bytes:
    return feed.headers + encode_proof(feed.proof)
