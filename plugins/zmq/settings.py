"""The section ``[zmq]`` of the settings."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from prbkit.identity import is_peer_id
from prbkit.settings import Section

__all__ = ["ZmqSettings"]

MIB = 1 << 20


def _peer_id(text: str) -> str:
    if not is_peer_id(text):
        raise ValueError("a peer id such as QmTC4NT1UCntzqMjtLyetxywgaqwhTqoQq26LtD3qZCATf")
    return text


class ZmqSettings(Section):
    """Who may command, what a peer may cost, and how long anything may take (seconds, bytes)."""

    allow: tuple[Annotated[str, AfterValidator(_peer_id)], ...] = ()
    """Peer ids that may command, beside this bridge's own."""
    psk: SecretStr | None = None
    """A secret that peers share; who proves that it has it may command."""
    ignore_namespace: bool = False
    """Talk to peers of any bridge identity (for a monitor of several bridges)."""
    mdns: bool = False
    """Look for peers of the same bridge identity on the local network (needs prbkit[mdns])."""
    announce: str | None = None
    """Host that peers are told to dial, where it is not the one listened on."""
    curve_port: int = Field(default=0, ge=0, le=65535)
    """Port of the encrypted endpoint; 0 is any. The transport's own port only tells which."""

    session_bytes: int = Field(default=64 * MIB, ge=8 * MIB)
    """Memory that one peer may make this process hold for it."""
    total_bytes: int = Field(default=512 * MIB, ge=8 * MIB)
    """The same for all peers together."""
    window: int = Field(default=16 * MIB, ge=2 * MIB, le=256 * MIB)
    """Bytes that a peer may send ahead of this process's reading."""
    chunk: int = Field(default=512 * 1024, ge=16 * 1024, le=MIB)
    """Bytes of one frame of an answer."""
    max_blob: int = Field(default=1024 * MIB, ge=MIB)
    """The biggest answer that is taken from a peer."""
    max_request: int = Field(default=4 * MIB, ge=64 * 1024, le=64 * MIB)
    """The biggest request that is taken from a peer."""
    max_sessions: int = Field(default=1024, ge=1)
    """Most peers that may be connected to this process."""
    max_peers: int = Field(default=512, ge=1)
    """Most peers that are remembered."""
    max_running: int = Field(default=64, ge=1)
    """Requests of one peer that are worked on at once; more wait, up to `max_waiting`."""
    max_waiting: int = Field(default=1024, ge=0)
    """Requests of one peer that may wait; one more is refused."""

    connect_timeout: float = Field(default=5.0, gt=0)
    """Deadline of reaching a peer and proving each other."""
    handler_timeout: float = Field(default=120.0, gt=0)
    """A request that takes longer is given up and answered with an error."""
    keep_alive: float = Field(default=10.0, gt=0)
    """How often a peer is asked for a sign of life; it has the same time to answer."""
    stall_timeout: float = Field(default=30.0, gt=0)
    """A peer that reads nothing for so long, while there is something for it, is dropped."""
    retry: float = Field(default=10.0, gt=0)
    """The longest pause between two attempts to reach a peer."""
    forget: float = Field(default=300.0, gt=0)
    """A peer out of reach for so long is forgotten, unless it is a boot node."""
