"""Contracts of transports: how bridge processes talk."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from prbkit.interfaces.base import Lifetime

if TYPE_CHECKING:
    from google.protobuf.message import Message

__all__ = ["Caller", "Peer", "PeerRole", "Transport"]


PeerRole = Literal["client", "data_provider", "lifecycle", "trader"]


@dataclass(frozen=True, slots=True)
class Peer:
    """Another bridge process.

    `peer_id` is base58 of the SHA-256 multihash of its RSA public key (``Qm…``), proven by the
    transport; `roles` are the services it runs; `address` is where it is reached.
    """

    peer_id: str
    address: str
    roles: frozenset[str] = frozenset()
    hostname: str = ""
    chain_identity: str = ""
    bridge_identity: str = ""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls a method: a proven peer id and whether it may command."""

    peer_id: str
    may_command: bool


class Transport(Lifetime, Protocol):
    """How bridge processes talk: typed calls and big blobs, between proven peers.

    A process has one transport, on which all of its services are reached; a service calls
    another through it also when both run in one process.
    """

    peer_id: str
    roles: frozenset[str]
    chain_identity: str
    on_peer: Callable[[Peer, bool], None] | None
    """Called with each peer that is found (True) or lost (False); set by the bridge."""

    @property
    def address(self) -> str:
        """Where this transport listens, as another process would dial it."""
        ...

    def handle(self, method: str, handler: Callable[[Caller, Message], Awaitable[Message]]) -> None:
        """Serve a method of `prbkit.wire.METHODS`. Raises `ConfigError` if it is served already.

        A `PrbError` of the handler reaches the caller as `RemoteError` with its kind.
        """
        ...

    def serve_blobs(self, handler: Callable[[str], Awaitable[bytes | memoryview | None]]) -> None:
        """Serve blobs by key; None says that there is none."""
        ...

    async def call(
        self, peer_id: str, method: str, message: Message, *, timeout: float = 10.0
    ) -> Message:
        """Call a method of a peer (this process too) by its peer id."""
        ...

    async def get_blob(self, peer_id: str, key: str, *, timeout: float = 150.0) -> bytes | None:
        """Fetch a blob, its CRC-32C checked. None where the peer has none."""
        ...

    def peers(self, role: str | None = None) -> Sequence[Peer]:
        """Peers of the same bridge identity that are reachable now, this process included."""
        ...

    async def dial(self, address: str) -> Peer:
        """Get to know a peer by its address (a boot node, say)."""
        ...
