"""The transport: one listener, a link to each peer, and calls between them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import socket
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

import zmq.asyncio
from google.protobuf.message import DecodeError, Message

from prbkit.errors import (
    ConfigError,
    Duplicated,
    NotFound,
    PeerTimeout,
    PrbError,
    RemoteError,
    TransportError,
    Unauthorized,
)
from prbkit.identity import Identity
from prbkit.interfaces import Caller, Peer
from prbkit.settings import Settings
from prbkit.wire import METHODS, walkie

from .access import Access
from .address import Address
from .card import CardServer, certificate_to_wire, fetch_card
from .connection import Connection, ConnectionLostError, remote_error
from .frames import Buffer, Kind
from .mdns import check_mdns, discover
from .peers import MOST_KNOWN, PeerBook
from .server import Server, curve_path
from .session import Session
from .settings import ZmqSettings

__all__ = ["ZmqTransport"]

log = logging.getLogger(__name__)

Handler = Callable[[Caller, Message], Awaitable[Message]]
BlobHandler = Callable[[str], Awaitable[bytes | memoryview | None]]

_MOST_FAILED_AUTHS = 5
_OWN = frozenset({"Hello", "Auth"})
_ROLES = {
    "client": walkie.WalkieRoles.WR_CLIENT,
    "data_provider": walkie.WalkieRoles.WR_DATA_PROVIDER_INT,
    "lifecycle": walkie.WalkieRoles.WR_LIFECYCLE_MANAGER,
    "trader": walkie.WalkieRoles.WR_TRADER,
}


class ZmqTransport:
    """`prbkit.interfaces.Transport` over ZeroMQ.

    Several processes may share one identity and so one peer id: a call then goes to one of them
    that serves its method, this process first.
    """

    def __init__(
        self,
        address: Address,
        identity: Identity,
        *,
        namespace: str,
        limits: ZmqSettings,
        boot_nodes: Sequence[Address] = (),
        folder: Path = Path(),
    ) -> None:
        if address.peer_id is not None:
            raise ConfigError("an address to listen on carries no peer id", where=str(address))
        self.peer_id = identity.peer_id
        self.counters: Counter[str] = Counter()
        """How often something was refused or dropped, by what it was."""
        self.on_peer: Callable[[Peer, bool], None] | None = None
        """Called with each peer found (True) or lost (False)."""
        self._listen = address
        self._identity = identity
        self._access = Access(
            identity.peer_id,
            namespace,
            frozenset(limits.allow),
            limits.psk,
            identity.command_secret,
            limits.ignore_namespace,
        )
        self._limits = limits
        self._boot_nodes = boot_nodes
        self._folder = folder
        self._instance = secrets.token_bytes(16)
        self._own_host = ""
        self._roles: frozenset[str] = frozenset()
        self._chain_identity = ""
        self._handlers: dict[str, Handler] = {}
        self._blobs: BlobHandler | None = None
        self._book = PeerBook(self, self._instance, self._access, limits, folder)
        self._context: zmq.asyncio.Context | None = None
        self._server: Server | None = None
        self._cards = CardServer()
        self._runner: asyncio.Task[None] | None = None

    @classmethod
    def from_settings(cls, url: str, identity: Identity, settings: Settings) -> Self:
        """Make a transport as the settings want it, not yet opened."""
        boot_nodes = [Address.parse(text, settings.data_dir) for text in settings.boot_nodes]
        return cls(
            Address.parse(url, settings.data_dir),
            identity,
            namespace=settings.namespace,
            limits=settings.section("zmq"),
            boot_nodes=[node for node in boot_nodes if not node.unspecified],
            folder=settings.data_dir,
        )

    # --- life ---

    async def open(self) -> None:
        """Listen and begin to dial the boot nodes. Raises `ConfigError` where it cannot listen."""
        if self._runner is not None:
            raise TransportError("the transport is open already", where=str(self._listen))
        if self._limits.mdns:
            check_mdns(self._listen)
        self._context = zmq.asyncio.Context()
        self._context.max_sockets = 4096
        self._server = Server(self._context, self._identity, self._access, self._limits, self)
        try:
            await self._cards.open(self._listen)
            if not self._listen.path:
                self._listen = replace(self._listen, port=self._cards.port)
            port = self._server.open(self._listen)
        except BaseException:
            await self._release()
            raise
        self._own_host = _own_ip(self._listen.host)
        started = asyncio.Event()
        self._runner = asyncio.create_task(self._run(started))
        self._runner.add_done_callback(self._stopped)
        await started.wait()
        self._cards.show(self._identity.certificate, port)

    def _stopped(self, runner: asyncio.Task[None]) -> None:
        if not runner.cancelled() and (error := runner.exception()) is not None:
            log.critical("the transport at %s has failed", self._listen, exc_info=error)

    async def close(self) -> None:
        """Hang up. What is in flight fails; may be called twice."""
        if self._runner is not None:
            self._runner.cancel()
            try:
                await asyncio.wait([self._runner])
            finally:
                self._runner = None
                await self._release()
        else:
            await self._release()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def _release(self) -> None:
        await self._cards.close()
        if self._server is not None:
            await self._server.close()
            self._server = None
        if self._listen.path:
            for path in (self._listen.path, curve_path(self._listen.path)):
                with contextlib.suppress(OSError):
                    os.unlink(path)
        if self._context is not None:
            self._context.destroy(0)
            self._context = None

    async def _run(self, started: asyncio.Event) -> None:
        assert self._server is not None  # noqa: S101 - open() comes first
        async with asyncio.TaskGroup() as tasks:
            self._book.begin(tasks)
            tasks.create_task(self._server.run())
            if self._limits.mdns:
                tasks.create_task(
                    discover(
                        self._announced().pinned(self.peer_id),
                        self._instance.hex(),
                        self._access.namespace,
                        self._book.learn,
                    )
                )
            for node in self._boot_nodes:
                self._book.link(node, keep=True)
            started.set()
            try:
                await asyncio.Event().wait()
            finally:
                self._book.end()

    # --- who we are ---

    @property
    def address(self) -> str:
        """Where this process is dialled, our peer id pinned."""
        return str(self._announced().pinned(self.peer_id))

    def _announced(self) -> Address:
        if self._limits.announce and not self._listen.path:
            return replace(self._listen, host=self._limits.announce)
        if self._listen.unspecified:
            return replace(self._listen, host=self._own_host)
        return self._listen

    @property
    def roles(self) -> frozenset[str]:
        """The services that this process runs; peers are told when they change."""
        return self._roles

    @roles.setter
    def roles(self, roles: frozenset[str]) -> None:
        self._roles = frozenset(roles)
        self._book.wake()

    @property
    def chain_identity(self) -> str:
        """What names the chain: the hash of para block 1 as 0x hex."""
        return self._chain_identity

    @chain_identity.setter
    def chain_identity(self, chain_identity: str) -> None:
        self._chain_identity = chain_identity
        self._book.wake()

    def _system_info(self) -> walkie.WalkieSystemInfo:
        main = next((r for r in ("data_provider", "lifecycle", "trader") if r in self._roles), "")
        return walkie.WalkieSystemInfo(
            hostname=socket.gethostname(),
            peer_id=self.peer_id,
            role=_ROLES.get(main, walkie.WalkieRoles.WR_CLIENT),
            chain_identity=self._chain_identity,
            bridge_identity=self._access.namespace,
        )

    def introduction(self, proof: bytes = b"") -> walkie.Introduction:
        """Say who we are and whom we know."""
        told = self._listen if self._listen.unspecified and not self._limits.announce else None
        known = [
            walkie.KnownPeer(peer_id=peer.peer_id, address=peer.address)
            for peer in list(self._book.peers())[:MOST_KNOWN]
        ]
        return walkie.Introduction(
            certificate=certificate_to_wire(self._identity.certificate),
            info=self._system_info(),
            instance=self._instance,
            # an unspecified host goes as it is: the other end sees where we come from
            address=str(told or self._announced()),
            roles=sorted(self._roles),
            methods=sorted(self._handlers),
            blobs=self._blobs is not None,
            window=self._limits.window,
            proof=proof,
            known=known,
        )

    # --- serving ---

    def handle(self, method: str, handler: Handler) -> None:
        """Serve a method. Raises `ConfigError` for one that is served or not known."""
        if method not in METHODS or method in _OWN:
            raise ConfigError(f"{method!r} is no method that a service may serve")
        if method in self._handlers:
            raise ConfigError(f"the method {method} is served already")
        self._handlers[method] = handler
        self._book.wake()

    def serve_blobs(self, handler: BlobHandler) -> None:
        """Serve blobs by key. Raises `ConfigError` if they are served already."""
        if self._blobs is not None:
            raise ConfigError("blobs are served already")
        self._blobs = handler
        self._book.wake()

    async def answer_blob(self, caller: Caller, key: str) -> Buffer | None:
        """Answer a peer (or ourselves) that asks for a blob."""
        if self._blobs is None:
            return None
        try:
            return await self._blobs(key)
        except PrbError:
            raise
        except Exception:
            log.exception("serving the blob %r failed", key)
            raise TransportError("serving the blob failed") from None

    async def answer_call(self, session: Session, body: bytes) -> bytes:
        """Answer a peer's wrapped call."""
        request, response = walkie.WalkieRpcRequestWrapper(), walkie.WalkieRpcResponseWrapper()
        try:
            request.ParseFromString(body)
            if request.method == "Auth":
                answer: Message = self._authenticate(session, request.data)
            else:
                answer = await self._dispatch(session.caller, request.method, request.data)
            response.data = answer.SerializeToString()
        except DecodeError:
            _set_error(response, "SERVER", "the request cannot be read")
        except PrbError as error:
            _set_error(response, _kind_of(error), _text_of(error))
        response.created_at = int(time.time() * 1000)
        response.request_nonce = request.nonce
        response.nonce = str(uuid.uuid4())
        return response.SerializeToString()

    async def _dispatch(self, caller: Caller, method: str, data: bytes) -> Message:
        known = METHODS.get(method)
        if known is None:
            raise NotFound(f"there is no method {method[:64]!r}")
        if known.access == "command" and not caller.may_command:
            self.counters["refused_commands"] += 1
            log.warning("refused %s of peer %s", method, caller.peer_id)
            raise Unauthorized(
                f"peer {caller.peer_id} may not command this process",
                hint="add it to zmq.allow, or set the same zmq.psk on both",
            )
        if method == "Hello":
            return self._system_info()
        handler = self._handlers.get(method)
        if handler is None:
            raise NotFound(f"{method} is not served by this process")
        message = known.request.FromString(data)
        try:
            answer = await handler(caller, message)
        except PrbError:
            raise
        except Exception:
            log.exception("the handler of %s failed", method)
            raise TransportError(f"the handler of {method} failed") from None
        if not isinstance(answer, known.response):
            raise TransportError(f"the handler of {method} gave a {type(answer).__name__}")
        return answer

    def _authenticate(self, session: Session, data: bytes) -> walkie.AuthResponse:
        request = walkie.AuthRequest.FromString(data)
        if session.failed_auths >= _MOST_FAILED_AUTHS:
            raise Unauthorized("too many wrong keys on this connection")
        if not session.caller.may_command and self._access.knows_psk(request.auth_string):
            session.caller = Caller(session.caller.peer_id, may_command=True)
        granted = session.caller.may_command
        if not granted:
            session.failed_auths += 1
            self.counters["refused_auths"] += 1
        status = walkie.AuthStatus.AS_GRANTED if granted else walkie.AuthStatus.AS_REJECTED
        return walkie.AuthResponse(status=status, type=request.type, peer_id=session.caller.peer_id)

    # --- asking ---

    async def call(
        self, peer_id: str, method: str, message: Message, *, timeout: float = 10.0
    ) -> Message:
        """Call a method of a peer.

        A call that only reads is made again, within the timeout, when the connection is lost in
        the middle; a command is not. Raises `PeerUnknown`, `PeerTimeout`, `RemoteError`,
        `TransportError`.
        """
        known = METHODS.get(method)
        if known is None or not isinstance(message, known.request):
            raise ConfigError(f"{method!r} does not take a {type(message).__name__}")
        if peer_id == self.peer_id and (
            method in self._handlers or not self._book.serves(peer_id, method)
        ):
            return await self._call_self(method, message, timeout)
        wrapper = walkie.WalkieRpcRequestWrapper(
            created_at=int(time.time() * 1000),
            nonce=str(uuid.uuid4()),
            data=message.SerializeToString(),
            method=method,
        )
        body = wrapper.SerializeToString()
        if len(body) > self._limits.max_request:
            raise TransportError(
                f"a request has {len(body)} bytes, {self._limits.max_request} are allowed",
                hint="send fewer items at once, or raise zmq.max_request on both ends",
            )
        answer = await self._ask(
            peer_id,
            lambda introduction: method in introduction.methods,
            Kind.CALL,
            body,
            timeout,
            again=known.access == "read",
        )
        try:
            response = walkie.WalkieRpcResponseWrapper.FromString(answer or b"")
            if response.has_error:
                raise remote_error(response.error, peer_id)
            return known.response.FromString(response.data)
        except DecodeError:
            raise TransportError(f"the answer to {method} cannot be read", where=peer_id) from None

    async def get_blob(self, peer_id: str, key: str, *, timeout: float = 150.0) -> bytes | None:
        """Fetch a blob, its checksum checked; again, within the timeout, on a lost connection.

        None where the peer has none. Raises as `call` does.
        """
        if peer_id == self.peer_id and (
            self._blobs is not None or not self._book.serves(peer_id, None)
        ):
            return await self._get_own_blob(key, timeout)
        return await self._ask(
            peer_id,
            lambda introduction: introduction.blobs,
            Kind.BLOB,
            key.encode(),
            timeout,
            again=True,
        )

    async def _call_self(self, method: str, message: Message, timeout: float) -> Message:
        try:
            async with asyncio.timeout(timeout):
                answer = await self._dispatch(
                    Caller(self.peer_id, may_command=True), method, message.SerializeToString()
                )
        except TimeoutError:
            raise PeerTimeout(f"no answer within {timeout:g} s", where=self.peer_id) from None
        except PrbError as error:
            raise RemoteError(_text_of(error), kind=_kind_of(error), where=self.peer_id) from error
        return METHODS[method].response.FromString(answer.SerializeToString())

    async def _get_own_blob(self, key: str, timeout: float) -> bytes | None:
        try:
            async with asyncio.timeout(timeout):
                blob = await self.answer_blob(Caller(self.peer_id, may_command=True), key)
        except TimeoutError:
            raise PeerTimeout(f"no answer within {timeout:g} s", where=self.peer_id) from None
        except PrbError as error:
            raise RemoteError(error.message, kind="SERVER", where=self.peer_id) from error
        return None if blob is None else bytes(blob)

    async def _ask(
        self,
        peer_id: str,
        serves: Callable[[walkie.Introduction], bool],
        kind: Kind,
        body: bytes,
        timeout: float,
        *,
        again: bool,
    ) -> bytes | None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while True:
            left = deadline - loop.time()
            connection = await self._book.connection(peer_id, serves, left)
            try:
                return await connection.request(kind, body, max(0.0, deadline - loop.time()))
            except ConnectionLostError as error:
                if not again:
                    raise TransportError(
                        error.message,
                        where=peer_id,
                        hint="whether the command was carried out is not known: look before you "
                        "repeat it",
                    ) from None

    # --- peers ---

    def peers(self, role: str | None = None) -> Sequence[Peer]:
        """Peers that are reachable now, this process first."""
        info = self._system_info()
        own = Peer(
            self.peer_id,
            self.address,
            self._roles,
            info.hostname,
            info.chain_identity,
            info.bridge_identity,
        )
        return [p for p in (own, *self._book.peers()) if role is None or role in p.roles]

    async def dial(self, address: str) -> Peer:
        """Get to know a peer by its address, and keep the connection from then on.

        Raises `ConfigError` for what is no address, `TransportError` where nobody, or the wrong
        one, answers.
        """
        place = Address.parse(address, self._folder)
        if place.unspecified:
            raise ConfigError("an unspecified address cannot be dialled", where=address)
        link = self._book.link(place, keep=False)
        if link is None:
            raise TransportError(
                "the transport is closed, or too many peers are known already", where=address
            )
        if place.peer_id is not None and link.peer_id not in (None, place.peer_id):
            raise TransportError(
                f"the peer there is {link.peer_id}, not the one expected", where=address
            )
        try:
            async with asyncio.timeout(2 * self._limits.connect_timeout):
                connection = await link.up(fail_fast=True)
        except TimeoutError:
            raise PeerTimeout("the peer does not answer", where=address) from None
        return self._book.peer_of(link, connection)

    # --- for the peer book and the server ---

    async def connect(self, address: Address) -> Connection:
        """Fetch the card at an address and connect to where it says."""
        if self._context is None:
            raise TransportError("the transport is closed")
        card = await fetch_card(address, self._limits.connect_timeout)
        return await Connection.open(
            self._context,
            self._identity,
            address,
            card,
            self.introduction(self._proof(card.curve_key)),
            self._limits,
        )

    async def refresh(self, connection: Connection) -> None:
        """Tell a connected peer anew who we are."""
        await connection.introduce(
            self.introduction(self._proof(connection.curve_key)), self._limits.keep_alive
        )

    def _proof(self, listener: bytes) -> bytes:
        return self._access.proof(self._identity.curve_public_key, listener)

    def is_own_place(self, address: Address) -> bool:
        """Whether an address is where we are dialled ourselves."""
        return address.place == self._announced().place

    def tell(self, peer: Peer, *, found: bool) -> None:
        """Tell the bridge of a peer found or lost."""
        if self.on_peer is not None:
            self.on_peer(peer, found)

    def introduced(self, introduction: walkie.Introduction, peer_id: str, host: str) -> None:
        """Learn of a peer that has dialled us, so as to dial it too."""
        self._book.introduced(introduction, peer_id, host)


def _kind_of(error: PrbError) -> str:
    if isinstance(error, RemoteError):
        return error.kind
    if isinstance(error, NotFound):
        return "NOT_FOUND"
    if isinstance(error, Duplicated):
        return "DUPLICATED"
    if isinstance(error, Unauthorized):
        return "UNAUTHORIZED"
    return "SERVER"


def _text_of(error: PrbError) -> str:
    return f"{error.message}; {error.hint}" if error.hint else error.message


def _set_error(response: walkie.WalkieRpcResponseWrapper, kind: str, message: str) -> None:
    response.has_error = True
    response.error.type = walkie.ResponseErrorType.Value(kind)
    response.error.message = message


def _own_ip(listened: str) -> str:
    """The IP that this machine uses towards others (no packet is sent)."""
    family = socket.AF_INET6 if ":" in listened else socket.AF_INET
    outside = "2001:db8::1" if family == socket.AF_INET6 else "192.0.2.1"
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((outside, 9))
            return str(probe.getsockname()[0])
    except OSError:
        return "::1" if family == socket.AF_INET6 else "127.0.0.1"
