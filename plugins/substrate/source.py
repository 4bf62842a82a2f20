"""The chain source: `prbkit.interfaces.ChainSource` in terms of a substrate node's JSON-RPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Self, TypeVar

from prbkit.blobs import header_hash
from prbkit.errors import (
    BlockNotFound,
    CodecError,
    ConfigError,
    RpcError,
    SourceDisconnected,
    SourceError,
    SourceTimeout,
)
from prbkit.interfaces import (
    Block,
    ChainInfo,
    EndpointHealth,
    FinalityProof,
    Head,
    Role,
    RuntimeVersion,
)
from prbkit.scale import ss58

from . import shapes
from .connection import Connection
from .endpoints import Endpoint, Endpoints
from .settings import SubstrateSettings

if TYPE_CHECKING:
    from prbkit.settings import Settings

__all__ = ["SubstrateSource"]

_T = TypeVar("_T")
_R = TypeVar("_R")

_SCHEMES = ("ws://", "wss://", "http://", "https://")
_VALUES_BATCH = 512
_HEADERS_BATCH = 256
"""Headers by number that one endpoint is asked for together."""


class SubstrateSource:
    """One chain through one or several nodes.

    :param urls: endpoints in order of preference.
    :param genesis: hash of block 0 that every endpoint must have; None: that of the first greeted.
    """

    def __init__(
        self,
        urls: Sequence[str],
        role: Role,
        settings: SubstrateSettings | None = None,
        genesis: bytes | None = None,
    ) -> None:
        self.url = urls[0]
        self.role: Role = role
        self._settings = settings or SubstrateSettings()
        self._endpoints = Endpoints(urls, self._settings, genesis)
        self._only: Endpoint | None = None

    @classmethod
    def from_settings(cls, url: str, role: Role, settings: Settings) -> Self:
        """A source over the chain's endpoints in the settings, `url` being the first."""
        chain = settings.relay if role == "relay" else settings.para
        others = [each for each in chain.endpoints if each != url]
        strangers = [each for each in others if not each.startswith(_SCHEMES)]
        if strangers:
            raise ConfigError(
                f"{strangers[0]!r} cannot stand beside {url!r}",
                where=f"{role}.endpoints",
                hint="all endpoints of a chain are of one plugin: ws, wss, http and https",
            )
        genesis = None if chain.genesis_hash is None else bytes.fromhex(chain.genesis_hash[2:])
        return cls([url, *others], role, settings.section("substrate"), genesis)

    async def open(self) -> None:
        if self._only is None:
            await self._endpoints.open()

    async def close(self) -> None:
        if self._only is None:
            await self._endpoints.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    def views(self) -> Sequence[SubstrateSource]:
        """One source for each endpoint, the well ones first."""
        if self._only is not None:
            return (self,)
        order = sorted(self._endpoints.all, key=lambda endpoint: not endpoint.well)
        return [self._view(endpoint) for endpoint in order]

    def health(self) -> Sequence[EndpointHealth]:
        """How each endpoint does, as far as it is known."""
        known = self._endpoints.health()
        return known if self._only is None else [each for each in known if each.url == self.url]

    def _view(self, endpoint: Endpoint) -> SubstrateSource:
        view = object.__new__(SubstrateSource)
        view.url, view.role, view._settings = endpoint.url, self.role, self._settings
        view._endpoints, view._only = self._endpoints, endpoint
        return view

    # --- chain ---

    async def chain(self) -> ChainInfo:
        return ChainInfo(
            name=await self._call("system_chain", [], shapes.text),
            genesis_hash=await self._call("chain_getBlockHash", [0], shapes.hash32),
            node_name=await self._call("system_name", [], shapes.text),
            node_version=await self._call("system_version", [], shapes.text),
            properties=await self._call("system_properties", [], _as_dict),
        )

    async def finalized_head(self) -> Head:
        at = await self._call("chain_getFinalizedHead", [], shapes.hash32)
        return await self._head(at)

    async def finalized_heads(self) -> AsyncIterator[Head]:
        """Yield finalized heads, rising, over lost connections and silent endpoints."""
        last = -1
        pause = 0.0
        while True:
            heads = self._follow()
            try:
                async for head in heads:
                    pause = 0.0
                    if head.number > last:
                        last = head.number
                        yield head
            except SourceError:
                pause = min(max(self._settings.retry_first, pause * 2), self._settings.retry_most)
            finally:
                await heads.aclose()
            await asyncio.sleep(pause)

    async def _follow(self) -> AsyncGenerator[Head, None]:
        """Heads of the best endpoint; ends when a better one is well again."""
        candidates = self._endpoints.candidates(self._only)
        if not candidates:
            raise SourceDisconnected("no endpoint is there", where=self.url)
        endpoint = candidates[0]
        view = self._view(endpoint)
        yield await view.finalized_head()
        connection = await endpoint.connection(self._endpoints)
        if not connection.subscribes:
            await asyncio.sleep(self._settings.poll_interval)
            return
        async with connection.subscribe(
            "chain_subscribeFinalizedHeads",
            [],
            "chain_unsubscribeFinalizedHeads",
            self._settings.timeout,
        ) as told:
            # What was finalized between the question above and the subscription.
            yield await view.finalized_head()
            while self._endpoints.candidates(self._only)[:1] == [endpoint]:
                try:
                    async with asyncio.timeout(self._settings.head_timeout):
                        item = await told.get()
                except TimeoutError:
                    silence = SourceTimeout(
                        f"no finalized head for {self._settings.head_timeout:g} s",
                        where=endpoint.url,
                        hint="the node is stuck or has no peers",
                    )
                    await self._endpoints.put_aside(endpoint, silence)
                    raise silence from None
                if isinstance(item, SourceError):
                    await self._endpoints.put_aside(endpoint, item)
                    raise item
                try:
                    header = shapes.header(item)
                except CodecError as failed:
                    error = SourceDisconnected(
                        f"a finalized head of the wrong shape: {failed}", where=endpoint.url
                    )
                    await self._endpoints.put_aside(endpoint, error)
                    raise error from failed
                yield Head(shapes.number(item["number"]), header_hash(header))

    async def block_hash(self, number: int) -> bytes | None:
        raw = await self._call("chain_getBlockHash", [number], shapes.optional_data)
        if raw is not None and len(raw) != 32:
            raise SourceError("a block hash has not 32 bytes", where=self.url)
        return raw

    async def header(self, at: bytes) -> bytes:
        return await self._call("chain_getHeader", [_hex(at)], _found(shapes.header, at))

    async def _head(self, at: bytes) -> Head:
        def head(value: Any) -> Head:
            return Head(shapes.number(_as_dict(value).get("number")), at)

        return await self._call("chain_getHeader", [_hex(at)], _found(head, at))

    async def headers(self, first: int, last: int) -> Sequence[bytes]:
        parts = [
            range(n, min(n + _HEADERS_BATCH, last + 1))
            for n in range(first, last + 1, _HEADERS_BATCH)
        ]
        return [header for part in await self._ordered(self._headers, parts) for header in part]

    async def _headers(self, numbers: range) -> list[bytes]:
        async def request(connection: Connection) -> list[bytes]:
            hashes = await self._hashes(connection, numbers)
            found = await connection.call_many(
                "chain_getHeader", [[at] for at in hashes], self._settings.timeout
            )
            return [
                _found(shapes.header, shapes.hash32(at))(header)
                for at, header in zip(hashes, found, strict=True)
            ]

        return await self._endpoints.ask(request, self._only)

    async def _hashes(self, connection: Connection, numbers: Sequence[int]) -> list[str]:
        """Hashes of blocks by their numbers, as the node writes them; all must be there."""
        timeout = self._settings.timeout
        try:
            found = await connection.call("chain_getBlockHash", [list(numbers)], timeout)
            if not isinstance(found, list) or len(found) != len(numbers):
                raise CodecError(f"{len(numbers)} block hashes were asked for")
        except RpcError:  # a node that takes one number only
            found = await connection.call_many(
                "chain_getBlockHash", [[number] for number in numbers], timeout
            )
        for number, at in zip(numbers, found, strict=True):
            if at is None:
                raise BlockNotFound(
                    f"there is no block {number} yet",
                    hint="the node lacks this block: let it sync, or add one that has it",
                )
        return found

    async def block(self, at: bytes) -> Block:
        return await self._call("chain_getBlock", [_hex(at)], _found(shapes.block, at))

    async def finality_proof(self, after: int) -> FinalityProof | None:
        """`grandpa_proveFinality(after)`; None where the node answers with any error of its own."""
        try:
            return await self._call(
                "grandpa_proveFinality", [after], shapes.finality_proof, slow=True
            )
        except RpcError:
            return None

    # --- state ---

    async def storage(self, key: bytes, at: bytes | None = None) -> bytes | None:
        return await self._call("state_getStorage", [_hex(key), *_at(at)], shapes.optional_data)

    async def storage_many(
        self, keys: Sequence[bytes], at: bytes | None = None
    ) -> Sequence[bytes | None]:
        if at is None:  # one block for all of them
            at = (await self.finalized_head()).hash

        async def batch(part: Sequence[bytes]) -> Sequence[bytes | None]:
            return await self._call(
                "state_queryStorageAt",
                [[_hex(key) for key in part], _hex(at)],
                lambda value: shapes.changes_set(value, part),
                slow=True,
            )

        parts = [keys[n : n + _VALUES_BATCH] for n in range(0, len(keys), _VALUES_BATCH)]
        return [value for part in await self._ordered(batch, parts) for value in part]

    async def keys(self, prefix: bytes, at: bytes | None = None) -> Sequence[bytes]:
        if at is None:
            at = (await self.finalized_head()).hash
        found: list[bytes] = []
        while True:
            start = [_hex(found[-1])] if found else [None]
            page = await self._call(
                "state_getKeysPaged",
                [_hex(prefix), self._settings.keys_page, *start, _hex(at)],
                shapes.hex_list,
                slow=True,
            )
            rising = [*found[-1:], *page]
            if any(a >= b for a, b in zip(rising, page if found else page[1:], strict=False)):
                raise SourceError("keys that do not rise", where=self.url)
            if any(not key.startswith(prefix) for key in page):
                raise SourceError("keys outside the prefix", where=self.url)
            found.extend(page)
            if len(page) < self._settings.keys_page:
                return found

    async def pairs(
        self, prefix: bytes = b"", at: bytes | None = None
    ) -> Sequence[tuple[bytes, bytes]]:
        """All pairs, through `state_getPairs` or, where that is refused, keys and values."""
        if at is None:
            at = (await self.finalized_head()).hash
        try:
            found = await self._call(
                "state_getPairs", [_hex(prefix), _hex(at)], shapes.pairs, slow=True
            )
        except RpcError:
            keys = await self.keys(prefix, at)
            values = await self.storage_many(keys, at)
            found = [(k, v) for k, v in zip(keys, values, strict=True) if v is not None]
        return sorted(found)

    async def read_proof(self, keys: Sequence[bytes], at: bytes) -> Sequence[bytes]:
        return await self._call(
            "state_getReadProof", [[_hex(key) for key in keys], _hex(at)], shapes.read_proof
        )

    async def storage_changes(self, first: int, last: int) -> Sequence[bytes]:
        size = self._settings.changes_batch
        batches = [(n, min(n + size - 1, last)) for n in range(first, last + 1, size)]
        found = await self._ordered(self._changes_batch, batches)
        return [changes for part in found for changes in part]

    async def _changes_batch(self, batch: tuple[int, int]) -> Sequence[bytes]:
        first, last = batch

        async def request(connection: Connection) -> Sequence[bytes]:
            ends = await self._hashes(connection, (first, last))
            answer = await connection.call(
                "pha_getStorageChanges", [ends[0], ends[-1]], self._settings.long_timeout
            )
            return shapes.changes(answer, last - first + 1)

        return await self._endpoints.ask(request, self._only)

    async def metadata(self, at: bytes | None = None) -> bytes:
        """Metadata of the newest version that prbkit reads: V15 where the runtime offers it."""
        version = await self._call(
            "state_call",
            ["Metadata_metadata_at_version", "0x0f000000", *_at(at)],
            shapes.optional_data,
            slow=True,
            otherwise=None,
        )
        if version is not None and version[:1] == b"\x01":
            return version
        return await self._call("state_getMetadata", _at(at), shapes.data, slow=True)

    async def runtime_version(self, at: bytes | None = None) -> RuntimeVersion:
        return await self._call("state_getRuntimeVersion", _at(at), shapes.runtime_version)

    # --- transactions ---

    async def account_nonce(self, account: bytes) -> int:
        return await self._call("system_accountNextIndex", [ss58.encode(account)], shapes.number)

    async def submit(self, extrinsic: bytes) -> bytes:
        return await self._call("author_submitExtrinsic", [_hex(extrinsic)], shapes.hash32)

    async def pending_extrinsics(self) -> Sequence[bytes]:
        return await self._call("author_pendingExtrinsics", [], shapes.hex_list)

    async def rpc(self, method: str, params: Sequence[Any]) -> Any:
        return await self._call(method, params, lambda value: value, slow=True)

    # --- how ---

    async def _call(
        self,
        method: str,
        params: Sequence[Any],
        shape: Callable[[Any], _T],
        *,
        slow: bool = False,
        **default: Any,
    ) -> _T:
        timeout = self._settings.long_timeout if slow else self._settings.timeout

        async def request(connection: Connection) -> _T:
            return shape(await connection.call(method, params, timeout))

        try:
            return await self._endpoints.ask(request, self._only)
        except RpcError:
            if "otherwise" in default:
                return default["otherwise"]  # type: ignore[no-any-return]
            raise

    async def _ordered(
        self, function: Callable[[_T], Awaitable[_R]], items: Iterable[_T]
    ) -> list[_R]:
        """Apply `function` to all items, `window` at a time; results in the items' order."""
        todo = enumerate(items)
        done: dict[int, _R] = {}

        async def work() -> None:
            for index, item in todo:
                done[index] = await function(item)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._settings.window):
                    group.create_task(work())
        except ExceptionGroup as failed:
            raise _first(failed) from None
        return [done[index] for index in range(len(done))]


def _first(group: ExceptionGroup[Exception]) -> Exception:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, ExceptionGroup) else inner


def _found(shape: Callable[[Any], _T], at: bytes) -> Callable[[Any], _T]:
    """A shape for answers about a block: null says that the node does not know it."""

    def checked(value: Any) -> _T:
        if value is None:
            raise BlockNotFound(
                f"the node does not know block 0x{at.hex()}",
                hint="let it sync, or add an endpoint that has it",
            )
        return shape(value)

    return checked


def _as_dict(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise CodecError("an answer that should be a table is none")
    return value


def _hex(raw: bytes) -> str:
    return "0x" + raw.hex()


def _at(at: bytes | None) -> list[str]:
    return [] if at is None else [_hex(at)]
