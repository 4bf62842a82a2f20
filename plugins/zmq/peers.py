"""The peers that a transport knows: a link to each, and how they are learned of and lost."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from prbkit.errors import ConfigError, PeerTimeout, PeerUnknown, TransportError, Unauthorized
from prbkit.interfaces import Peer
from prbkit.wire import walkie

from .access import Access
from .address import Address
from .connection import Connection
from .link import Link
from .settings import ZmqSettings

__all__ = ["MOST_KNOWN", "PeerBook"]

log = logging.getLogger(__name__)

MOST_KNOWN = 128
"""Peers that one introduction may hand on."""


class Owner(Protocol):
    """What the book asks of its transport."""

    async def connect(self, address: Address) -> Connection: ...

    async def refresh(self, connection: Connection) -> None: ...

    def is_own_place(self, address: Address) -> bool: ...

    def tell(self, peer: Peer, *, found: bool) -> None: ...


class PeerBook:
    """Links by place, live ones by the instance (one run of a process) that they lead to.

    :param instance: what tells this run of this process from all others, 16 bytes.
    :param folder: what relative ipc paths are relative to.
    """

    def __init__(
        self, owner: Owner, instance: bytes, access: Access, limits: ZmqSettings, folder: Path
    ) -> None:
        self._owner = owner
        self._instance = instance
        self._access = access
        self._limits = limits
        self._folder = folder
        self._links: dict[Address, Link] = {}
        self._up: dict[bytes, list[Link]] = {}
        self._found: dict[bytes, Peer] = {}
        self._tasks: asyncio.TaskGroup | None = None

    def begin(self, tasks: asyncio.TaskGroup) -> None:
        """Make links from here on, as tasks of this group."""
        self._tasks = tasks

    def end(self) -> None:
        """Make no new links from here on."""
        self._tasks = None

    def peers(self) -> Iterable[Peer]:
        """Those that are reachable now."""
        return self._found.values()

    def wake(self) -> None:
        """Tell all peers anew who we are."""
        for link in self._links.values():
            link.wake()

    def link(self, address: Address, *, keep: bool) -> Link | None:
        """The link to a place, a new one if need be; None where there are too many."""
        link = self._links.get(address.place)
        if link is not None and not link.ended:
            link.keep = link.keep or keep
            return link
        if self._tasks is None or len(self._links) >= self._limits.max_peers:
            return None
        link = Link(
            address,
            keep=keep,
            dial=self._owner.connect,
            on_up=self._link_up,
            on_down=self._link_down,
            on_word=self._heard,
            refresh=self._owner.refresh,
            keep_alive=self._limits.keep_alive,
            longest_pause=self._limits.retry,
            forget=self._limits.forget,
        )
        self._links[address.place] = link
        self._tasks.create_task(self._run_link(link))
        return link

    async def _run_link(self, link: Link) -> None:
        try:
            await link.run()
        finally:
            if self._links.get(link.address.place) is link:
                del self._links[link.address.place]

    def _link_up(self, link: Link) -> bool:
        """Take a new connection; False where it leads to ourselves or another bridge."""
        assert link.connection is not None  # noqa: S101 - the caller has set it
        told = link.connection.introduction
        if told.instance == self._instance:
            return False
        try:
            self._access.check_namespace(told.info.bridge_identity)
        except Unauthorized as error:
            link.failure = TransportError(str(error), where=str(link.address))
            return False
        link.instance = told.instance
        self._up.setdefault(told.instance, []).append(link)
        self._heard(link)
        return True

    def _link_down(self, link: Link) -> None:
        links = self._up.get(link.instance, [])
        if link in links:
            links.remove(link)
        if not links:
            self._up.pop(link.instance, None)
            lost = self._found.pop(link.instance, None)
            if lost is not None:
                log.log(_level(lost), "lost peer %s at %s", lost.peer_id, lost.address)
                self._owner.tell(lost, found=False)

    def _heard(self, link: Link) -> None:
        """Take what a connected peer tells of itself and of others."""
        connection = link.connection
        if connection is None:
            return
        told = connection.introduction
        peer = self.peer_of(link, connection)
        before = self._found.get(told.instance)
        self._found[told.instance] = peer
        if before is None:
            log.log(_level(peer), "found peer %s at %s", peer.peer_id, peer.address)
            self._owner.tell(peer, found=True)
            self.wake()  # those here have to know each other too
        self._learn_known(told)

    def peer_of(self, link: Link, connection: Connection) -> Peer:
        told = connection.introduction
        return Peer(
            connection.peer_id,
            str(link.address),
            frozenset(told.roles),
            told.info.hostname,
            told.info.chain_identity,
            told.info.bridge_identity,
        )

    def serves(self, peer_id: str, method: str | None) -> bool:
        """Whether a live process of that peer id serves a method (None: blobs)."""
        for links in self._up.values():
            for link in links:
                if link.peer_id == peer_id and link.connection is not None:
                    told = link.connection.introduction
                    if told.blobs if method is None else method in told.methods:
                        return True
        return False

    async def connection(
        self, peer_id: str, serves: Callable[[walkie.Introduction], bool], timeout: float
    ) -> Connection:
        """A live connection to a peer; waits for one that is being made again."""
        links = [link for link in self._links.values() if link.peer_id == peer_id]
        if not links:
            raise PeerUnknown("no such peer is known", where=peer_id, hint="dial its address first")
        live = [link.connection for link in links if link.connection and link.alive]
        for connection in live:
            if serves(connection.introduction):
                return connection
        if live:
            return live[0]
        try:
            async with asyncio.timeout(timeout):
                return await links[0].up(fail_fast=False)
        except TimeoutError:
            failure = links[0].failure
            raise PeerTimeout(
                failure.message if failure else "the peer cannot be reached", where=peer_id
            ) from None

    def introduced(self, introduction: walkie.Introduction, peer_id: str, host: str) -> None:
        """Learn of a peer that has dialled us, so as to dial it too."""
        if introduction.instance != self._instance:
            self._learn_text(introduction.address, peer_id, host)
            self._learn_known(introduction)
            for link in self._up.get(introduction.instance, []):
                if self._differs(link, introduction):
                    link.wake()

    def _differs(self, link: Link, introduction: walkie.Introduction) -> bool:
        """Whether a peer tells other things of itself than what we have heard."""
        if link.connection is None:
            return False
        ours = link.connection.introduction
        return (
            list(ours.roles) != list(introduction.roles)
            or list(ours.methods) != list(introduction.methods)
            or ours.blobs != introduction.blobs
            or ours.info != introduction.info
        )

    def _learn_known(self, introduction: walkie.Introduction) -> None:
        for known in introduction.known[:MOST_KNOWN]:
            self._learn_text(known.address, known.peer_id)

    def _learn_text(self, text: str, peer_id: str, host: str = "") -> None:
        try:
            address = Address.parse(text, self._folder).pinned(peer_id)
        except ConfigError:
            return  # a peer may speak of transports that we do not have
        if address.unspecified:
            if not host:
                return
            address = replace(address, host=host)
        if address.path and not os.path.exists(address.path):
            return
        if not address.path and not address.port:
            return
        self.learn(address)

    def learn(self, address: Address) -> None:
        """Dial a place that may be a peer's, unless it is our own."""
        if not self._owner.is_own_place(address):
            self.link(address, keep=False)


def _level(peer: Peer) -> int:
    """Commands and child processes come and go: only services are worth a line."""
    return logging.INFO if peer.roles else logging.DEBUG
