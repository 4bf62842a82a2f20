"""What every transport must do: subclass `TransportContract` in a test module and it all runs."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, ClassVar

import pytest
from google.protobuf.message import Message

from prbkit.errors import (
    ConfigError,
    Duplicated,
    InventoryError,
    NotFound,
    PeerTimeout,
    PeerUnknown,
    PrbError,
    RemoteError,
    TransportError,
)
from prbkit.identity import Identity
from prbkit.interfaces import Caller, Peer, Transport
from prbkit.wire import walkie

__all__ = ["TransportContract", "eventually", "identities"]

Connect = Callable[..., Awaitable[Transport]]


@functools.cache
def identities() -> tuple[Identity, Identity, Identity]:
    """Three identities, made once: an RSA key takes its time."""
    return Identity.generate(), Identity.generate(), Identity.generate()


async def eventually(condition: Callable[[], object], timeout: float = 20.0) -> None:
    """Wait until a condition holds; fails after the timeout."""
    async with asyncio.timeout(timeout):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event to offer
            await asyncio.sleep(0.01)


async def _no_pools(caller: Caller, message: Message) -> Message:
    return walkie.PoolList()


class TransportContract:
    """Subclass it and override `make_transport`.

    Peers of one bridge identity find each other, calls and blobs come through whole or raise, and
    a peer that may not command does not.
    """

    urls: ClassVar[Sequence[str]] = ()
    """Where to listen: each test runs with each; ``{path}`` becomes a fresh, short path."""

    def make_transport(
        self,
        url: str,
        identity: Identity,
        folder: Path,
        *,
        namespace: str = "contract",
        boot_nodes: Sequence[str] = (),
        allow: Sequence[str] = (),
        psk: str | None = None,
    ) -> Transport:
        """Make a transport, not yet opened."""
        raise NotImplementedError

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "listen" in metafunc.fixturenames:
            metafunc.parametrize("listen", self.urls)

    @pytest.fixture
    async def start(
        self, listen: str, tmp_path_factory: pytest.TempPathFactory
    ) -> AsyncIterator[Connect]:
        """Start transports, which are closed when the test ends."""
        folder = tmp_path_factory.mktemp("t")
        made = 0
        async with AsyncExitStack() as stack:

            async def start(identity: Identity, url: str | None = None, **more: Any) -> Transport:
                nonlocal made
                made += 1
                url = url or listen.format(path=f"{made}")
                transport = self.make_transport(url, identity, folder, **more)
                return await stack.enter_async_context(transport)

            yield start

    @pytest.fixture
    async def pair(self, start: Connect) -> tuple[Transport, Transport]:
        """Two transports; the first knows the second."""
        one, two, _ = identities()
        dialler, listener = await start(one), await start(two, allow=[one.peer_id])
        await dialler.dial(listener.address)
        return dialler, listener

    # --- calls ---

    async def test_a_call_reaches_its_handler_and_the_answer_comes_back(
        self, pair: tuple[Transport, Transport]
    ) -> None:
        dialler, listener = pair
        seen: list[Caller] = []

        async def create(caller: Caller, message: Message) -> Message:
            seen.append(caller)
            assert isinstance(message, walkie.CreatePool)
            return walkie.PoolList(pools=message.pools)

        listener.handle("CreatePool", create)
        request = walkie.CreatePool(pools=[walkie.Pool(pid=7, name="ü")])
        answer = await dialler.call(listener.peer_id, "CreatePool", request)
        assert answer == walkie.PoolList(pools=request.pools)
        assert seen == [Caller(dialler.peer_id, may_command=True)]

    @pytest.mark.parametrize(
        ("error", "kind"),
        [
            (NotFound("no pool"), "NOT_FOUND"),
            (Duplicated("taken"), "DUPLICATED"),
            (InventoryError("broken"), "SERVER"),
        ],
    )
    async def test_a_handlers_error_keeps_its_kind(
        self, pair: tuple[Transport, Transport], error: PrbError, kind: str
    ) -> None:
        dialler, listener = pair

        async def fail(caller: Caller, message: Message) -> Message:
            raise error

        listener.handle("ListPool", fail)
        with pytest.raises(RemoteError, match=error.message) as caught:
            await dialler.call(listener.peer_id, "ListPool", walkie.Empty())
        assert caught.value.kind == kind

    async def test_an_unexpected_error_of_a_handler_is_told_without_its_text(
        self, pair: tuple[Transport, Transport]
    ) -> None:
        dialler, listener = pair

        async def crash(caller: Caller, message: Message) -> Message:
            raise ZeroDivisionError("a secret")

        listener.handle("ListPool", crash)
        listener.handle("ListWorker", _no_workers)
        with pytest.raises(RemoteError) as caught:
            await dialler.call(listener.peer_id, "ListPool", walkie.Empty())
        assert "secret" not in str(caught.value)
        await dialler.call(listener.peer_id, "ListWorker", walkie.Empty())

    async def test_a_method_that_nobody_serves_is_not_found(
        self, pair: tuple[Transport, Transport]
    ) -> None:
        dialler, listener = pair
        for peer_id in (listener.peer_id, dialler.peer_id):
            with pytest.raises(RemoteError) as caught:
                await dialler.call(peer_id, "ListWorker", walkie.Empty())
            assert caught.value.kind == "NOT_FOUND"

    async def test_a_method_is_served_once_and_must_be_known(
        self, pair: tuple[Transport, Transport]
    ) -> None:
        _, listener = pair
        listener.handle("ListPool", _no_pools)
        for method in ("ListPool", "NoSuchMethod"):
            with pytest.raises(ConfigError):
                listener.handle(method, _no_pools)

    async def test_a_call_without_answer_ends_in_time(
        self, pair: tuple[Transport, Transport]
    ) -> None:
        dialler, listener = pair

        async def never(caller: Caller, message: Message) -> Message:
            await asyncio.Event().wait()
            return walkie.PoolList()

        listener.handle("ListPool", never)
        with pytest.raises(PeerTimeout):
            await dialler.call(listener.peer_id, "ListPool", walkie.Empty(), timeout=0.2)

    async def test_an_unknown_peer_is_told_so(self, pair: tuple[Transport, Transport]) -> None:
        dialler, _ = pair
        with pytest.raises(PeerUnknown):
            await dialler.call(identities()[2].peer_id, "ListPool", walkie.Empty())

    async def test_many_calls_at_once_get_each_their_own_answer(
        self, pair: tuple[Transport, Transport]
    ) -> None:
        dialler, listener = pair

        async def echo(caller: Caller, message: Message) -> Message:
            assert isinstance(message, walkie.CreatePool)
            await asyncio.sleep(0)
            return walkie.PoolList(pools=message.pools)

        listener.handle("CreatePool", echo)
        requests = [walkie.CreatePool(pools=[walkie.Pool(pid=n)]) for n in range(500)]
        answers = await asyncio.gather(
            *(dialler.call(listener.peer_id, "CreatePool", request) for request in requests)
        )
        assert [list(a.pools) for a in answers] == [list(r.pools) for r in requests]  # type: ignore[attr-defined]

    async def test_a_process_calls_itself(self, pair: tuple[Transport, Transport]) -> None:
        dialler, _ = pair

        async def serve(key: str) -> bytes | None:
            return key.encode() if key else None

        dialler.handle("CreatePool", _no_pools)
        dialler.serve_blobs(serve)
        assert await dialler.call(dialler.peer_id, "CreatePool", walkie.CreatePool())
        assert await dialler.get_blob(dialler.peer_id, "k") == b"k"
        assert await dialler.get_blob(dialler.peer_id, "") is None

    # --- blobs ---

    async def test_blobs_come_whole_or_not_at_all(self, pair: tuple[Transport, Transport]) -> None:
        dialler, listener = pair
        blobs: dict[str, bytes | memoryview] = {
            "empty": b"",
            "small": b"x",
            "view": memoryview(b"-view-")[1:5],
            "para:1:pb ü": bytes(range(256)) * 10,
            "large": bytes(range(251)) * 100_000,
        }

        async def serve(key: str) -> bytes | memoryview | None:
            return blobs.get(key)

        assert await dialler.get_blob(listener.peer_id, "small") is None
        listener.serve_blobs(serve)
        for key, value in blobs.items():
            assert await dialler.get_blob(listener.peer_id, key) == bytes(value)
        assert await dialler.get_blob(listener.peer_id, "none") is None

    async def test_a_failing_blob_handler_raises_at_the_reader(
        self, pair: tuple[Transport, Transport]
    ) -> None:
        dialler, listener = pair

        async def serve(key: str) -> bytes | None:
            raise NotFound("gone") if key == "gone" else ZeroDivisionError

        listener.serve_blobs(serve)
        for key in ("gone", "crash", "gone"):
            with pytest.raises(RemoteError):
                await dialler.get_blob(listener.peer_id, key)

    async def test_a_small_answer_overtakes_a_large_one(
        self, pair: tuple[Transport, Transport]
    ) -> None:
        dialler, listener = pair
        large = bytes(100_000_000)

        async def serve(key: str) -> bytes | None:
            return large if key == "large" else b"small"

        listener.serve_blobs(serve)
        slow = asyncio.ensure_future(dialler.get_blob(listener.peer_id, "large"))
        await asyncio.sleep(0)
        assert await dialler.get_blob(listener.peer_id, "small") == b"small"
        assert not slow.done()
        assert len(await slow or b"") == len(large)

    # --- peers ---

    async def test_both_sides_of_a_dial_know_each_other(
        self, pair: tuple[Transport, Transport]
    ) -> None:
        dialler, listener = pair
        assert [p.peer_id for p in dialler.peers()] == [dialler.peer_id, listener.peer_id]
        await eventually(lambda: len(listener.peers()) == 2)
        assert {p.peer_id for p in listener.peers()} == {dialler.peer_id, listener.peer_id}

    async def test_roles_are_told(self, pair: tuple[Transport, Transport]) -> None:
        dialler, listener = pair
        listener.roles = frozenset({"data_provider", "trader"})
        listener.chain_identity = "0x01"
        await eventually(lambda: dialler.peers("trader"))
        await eventually(lambda: dialler.peers("data_provider")[0].chain_identity == "0x01")
        assert dialler.peers("lifecycle") == []
        assert [p.peer_id for p in listener.peers("trader")] == [listener.peer_id]

    async def test_peers_are_handed_on_and_told_of(self, start: Connect) -> None:
        hub, left, right = [await start(identity) for identity in identities()]
        found: list[tuple[Peer, bool]] = []
        left.on_peer = lambda peer, here: found.append((peer, here))
        await left.dial(hub.address)
        await right.dial(hub.address)
        await eventually(lambda: len(left.peers()) == 3 and len(right.peers()) == 3)
        assert {peer.peer_id for peer, here in found if here} == {hub.peer_id, right.peer_id}
        await right.close()
        await eventually(lambda: len(left.peers()) == 2)
        assert [p.peer_id for p, here in found if not here] == [right.peer_id]

    async def test_a_boot_node_may_come_later(self, start: Connect, listen: str) -> None:
        one, two, _ = identities()
        first = await start(two)
        address = first.address
        await first.close()
        waiting = await start(one, boot_nodes=[address])
        assert len(waiting.peers()) == 1
        again = await start(two, url=address.partition("/p2p/")[0])
        await eventually(lambda: len(waiting.peers()) == 2)
        assert again.address == address

    async def test_a_peer_of_another_bridge_is_refused(self, start: Connect) -> None:
        one, two, _ = identities()
        ours, theirs = await start(one), await start(two, namespace="another")
        with pytest.raises(TransportError):
            await ours.dial(theirs.address)
        assert len(ours.peers()) == len(theirs.peers()) == 1

    async def test_an_address_where_nobody_is_raises(self, start: Connect) -> None:
        one, two, _ = identities()
        ours, gone = await start(one), await start(two)
        await gone.close()
        with pytest.raises(TransportError):
            await ours.dial(gone.address)
        with pytest.raises(ConfigError):
            await ours.dial("nonsense")

    async def test_a_peer_that_restarts_at_its_address_is_called_again(
        self, pair: tuple[Transport, Transport], start: Connect
    ) -> None:
        dialler, listener = pair
        for _ in range(3):
            address = listener.address
            await listener.close()
            listener = await start(identities()[1], url=address.partition("/p2p/")[0])
            listener.handle("ListPool", _no_pools)
            await dialler.call(listener.peer_id, "ListPool", walkie.Empty())

    async def test_closing_fails_what_is_in_flight(self, pair: tuple[Transport, Transport]) -> None:
        dialler, listener = pair
        entered = asyncio.Event()

        async def never(caller: Caller, message: Message) -> Message:
            entered.set()
            await asyncio.Event().wait()
            return walkie.PoolList()

        listener.handle("CreatePool", never)
        call = asyncio.ensure_future(
            dialler.call(listener.peer_id, "CreatePool", walkie.CreatePool())
        )
        await entered.wait()
        await dialler.close()
        await dialler.close()
        with pytest.raises(TransportError):
            await call

    # --- access ---

    async def test_who_may_only_read_may_not_command(self, start: Connect) -> None:
        one, two, _ = identities()
        dialler, listener = await start(one), await start(two)
        await dialler.dial(listener.address)
        listener.handle("ListPool", _no_pools)
        listener.handle("CreatePool", _no_pools)
        await dialler.call(listener.peer_id, "ListPool", walkie.Empty())
        with pytest.raises(RemoteError) as caught:
            await dialler.call(listener.peer_id, "CreatePool", walkie.CreatePool())
        assert caught.value.kind == "UNAUTHORIZED"

    @pytest.mark.parametrize(("theirs", "allowed"), [("same", True), ("other", False)])
    async def test_a_pre_shared_key_lets_command(
        self, start: Connect, theirs: str, allowed: bool
    ) -> None:
        one, two, _ = identities()
        dialler, listener = await start(one, psk=theirs), await start(two, psk="same")
        await dialler.dial(listener.address)
        listener.handle("CreatePool", _no_pools)
        if allowed:
            await dialler.call(listener.peer_id, "CreatePool", walkie.CreatePool())
            return
        with pytest.raises(RemoteError):
            await dialler.call(listener.peer_id, "CreatePool", walkie.CreatePool())

    async def test_processes_of_one_identity_are_told_apart_by_what_they_serve(
        self, start: Connect
    ) -> None:
        one = identities()[0]
        asking, serving = await start(one), await start(one)

        async def serve(key: str) -> bytes | None:
            return b"blob"

        serving.serve_blobs(serve)
        serving.handle("CreatePool", _no_pools)
        await asking.dial(serving.address)
        assert len(asking.peers()) == 2
        assert await asking.call(one.peer_id, "CreatePool", walkie.CreatePool())
        assert await asking.get_blob(one.peer_id, "k") == b"blob"


async def _no_workers(caller: Caller, message: Message) -> Message:
    return walkie.WorkerList()
