"""Small stand-ins for tests of the core: a transport inside one process, and plugin objects."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from types import SimpleNamespace
from typing import Any, Self

from google.protobuf.message import Message

from prbkit.errors import Duplicated, NotFound, PeerUnknown, PrbError, RemoteError
from prbkit.hookspecs import hookimpl
from prbkit.interfaces import Caller, Peer


def plugin(name: str, **hooks: Any) -> SimpleNamespace:
    """An object with hooks, as a plugin's module is."""
    return SimpleNamespace(__name__=name, **{key: hookimpl(hook) for key, hook in hooks.items()})


class ToyTransport:
    """Reaches the toys of its own network (a dict) only."""

    def __init__(self, peer_id: str, network: dict[str, ToyTransport]) -> None:
        self.peer_id = peer_id
        self.roles: frozenset[str] = frozenset()
        self.chain_identity = ""
        self.on_peer: Callable[[Peer, bool], None] | None = None
        self.handlers: dict[str, Callable[[Caller, Message], Awaitable[Message]]] = {}
        self.may_command = True
        self._network = network

    address = "toy:here"

    async def open(self) -> None:
        self._network[self.peer_id] = self

    async def close(self) -> None:
        self._network.pop(self.peer_id, None)

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    def handle(self, method: str, handler: Callable[[Caller, Message], Awaitable[Message]]) -> None:
        self.handlers[method] = handler

    def serve_blobs(self, handler: Callable[[str], Awaitable[bytes | memoryview | None]]) -> None:
        self.blobs = handler

    async def call(
        self, peer_id: str, method: str, message: Message, *, timeout: float = 10.0
    ) -> Message:
        peer = self._network.get(peer_id)
        if peer is None:
            raise PeerUnknown("no such peer", where=peer_id)
        try:
            handler = peer.handlers[method]
            return await handler(Caller(self.peer_id, peer.may_command), message)
        except KeyError:
            raise RemoteError(f"no method {method}", kind="NOT_FOUND") from None
        except PrbError as error:
            kinds = {NotFound: "NOT_FOUND", Duplicated: "DUPLICATED"}
            kind = kinds.get(type(error), "SERVER")
            raise RemoteError(error.message, kind=kind) from error

    async def get_blob(self, peer_id: str, key: str, *, timeout: float = 150.0) -> bytes | None:
        found = await self._network[peer_id].blobs(key)
        return None if found is None else bytes(found)

    def peers(self, role: str | None = None) -> Sequence[Peer]:
        return [
            Peer(peer_id, f"toy:{peer_id}", toy.roles, "host", "0xchain", "default")
            for peer_id, toy in self._network.items()
            if role is None or role in toy.roles
        ]

    async def dial(self, address: str) -> Peer:
        raise PeerUnknown("a toy dials nobody", where=address)


def toy_transports(network: dict[str, ToyTransport] | None = None) -> SimpleNamespace:
    """A plugin whose scheme ``toy:`` makes transports of one network."""
    peers = {} if network is None else network

    def prbkit_transport(url: str, identity: Any) -> ToyTransport | None:
        return ToyTransport(identity.peer_id, peers) if url.startswith("toy:") else None

    return plugin("toytransport", prbkit_transport=prbkit_transport)
