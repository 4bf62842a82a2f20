"""The listening side: a ROUTER behind CURVE, its sessions, and the requests they make."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import Protocol

import zmq
import zmq.asyncio
from google.protobuf.message import DecodeError
from zmq.auth import CURVE_ALLOW_ANY
from zmq.auth.asyncio import AsyncioAuthenticator
from zmq.utils import z85

from prbkit.errors import ConfigError, IdentityError, PrbError, TransportError, Unauthorized
from prbkit.identity import Identity
from prbkit.interfaces import Caller
from prbkit.wire import walkie

from .access import Access
from .address import Address
from .card import certificate_of
from .flow import LEAST_WINDOW, Outbox
from .frames import Buffer, Frame, Kind, decode, encode
from .session import Request, Session
from .settings import ZmqSettings

__all__ = ["Owner", "Server", "curve_path"]

log = logging.getLogger(__name__)

_HIGH_WATER = 2048
_RETRY = 0.01
_SLICE = 4 << 20
"""Bytes sent to one reader before the others get their turn."""


class Owner(Protocol):
    """What the server asks of the transport that owns it."""

    counters: Counter[str]

    def introduction(self, proof: bytes = b"") -> walkie.Introduction: ...

    def introduced(self, introduction: walkie.Introduction, peer_id: str, host: str) -> None: ...

    async def answer_call(self, session: Session, body: bytes) -> bytes: ...

    async def answer_blob(self, caller: Caller, key: str) -> Buffer | None: ...


class _RefusalError(Exception):
    """An introduction is not accepted; `kind` is a Walkie ResponseErrorType."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


def curve_path(path: str) -> str:
    """Return where the encrypted endpoint of a same-host address is."""
    return f"{path}.zmq"


class Server:
    """Serves sessions from `open` to `close`; `run` must run meanwhile."""

    def __init__(
        self,
        context: zmq.asyncio.Context,
        identity: Identity,
        access: Access,
        limits: ZmqSettings,
        owner: Owner,
    ) -> None:
        self._context = context
        self._identity = identity
        self._access = access
        self._limits = limits
        self._owner = owner
        self._router: zmq.asyncio.Socket | None = None
        self._authenticator: AsyncioAuthenticator | None = None
        self._sessions: dict[bytes, Session] = {}
        self._tasks: asyncio.TaskGroup | None = None

    def open(self, address: Address) -> int:
        """Bind next to `address`; the port of the encrypted endpoint (0 on same-host sockets)."""
        self._authenticator = AsyncioAuthenticator(self._context)
        self._authenticator.start()
        self._authenticator.configure_curve(domain="*", location=CURVE_ALLOW_ANY)
        router = self._context.socket(zmq.ROUTER)
        self._router = router
        router.curve_server = True
        router.curve_secretkey = z85.encode(self._identity.curve_secret_key)
        router.curve_publickey = z85.encode(self._identity.curve_public_key)
        router.zap_domain = b"prbkit"
        router.linger = 0
        router.router_mandatory = True
        router.sndhwm = _HIGH_WATER
        router.rcvhwm = 64
        router.maxmsgsize = self._limits.max_request + 1024
        router.ipv6 = ":" in address.host or address.host == "*"
        _set_heartbeat(router, self._limits)
        try:
            if address.path:
                router.bind(f"ipc://{curve_path(address.path)}")
                return 0
            router.bind(f"tcp://{address.bracketed}:{self._limits.curve_port or '*'}")
        except zmq.ZMQError as error:
            raise ConfigError(
                f"cannot listen with encryption: {error.strerror}",
                where=f"{address}, curve_port {self._limits.curve_port}",
                hint="choose a free port for zmq.curve_port (0 is any)",
            ) from None
        endpoint = router.getsockopt_string(zmq.LAST_ENDPOINT)
        return int(endpoint.rpartition(":")[2].rstrip("\0"))

    async def close(self) -> None:
        self._sessions.clear()
        if self._router is not None:
            self._router.close(0)
            self._router = None
        if self._authenticator is not None:
            self._authenticator.stop()
            self._authenticator = None

    @property
    def sessions(self) -> int:
        return len(self._sessions)

    @property
    def held(self) -> int:
        """Bytes of answers that wait for their readers."""
        return sum(session.outbox.held for session in self._sessions.values())

    async def run(self) -> None:
        """Read and answer until cancelled."""
        assert self._router is not None  # noqa: S101 - open() comes first
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            tasks.create_task(self._reap())
            try:
                while True:
                    parts = await self._router.recv_multipart(copy=False)
                    self._receive(parts)
            finally:
                self._sessions.clear()  # so that requests which end now start no others

    # --- in ---

    def _receive(self, parts: list[zmq.Frame]) -> None:
        routing = parts[0].bytes
        session = self._sessions.get(routing)
        try:
            frame = decode([part.buffer for part in parts[1:]])
            if frame.kind is Kind.INTRODUCE:
                self._introduce(routing, session, parts[-1], bytes(frame.body))
                return
            if session is None:
                self._send(routing, Frame(kind=Kind.STRANGER))
                return
            session.seen = asyncio.get_running_loop().time()
            self._take(session, frame)
        except TransportError as error:
            self._owner.counters["bad_messages"] += 1
            log.warning("dropped a peer: %s", error.message)
            if session is not None:
                self._drop(session)
            self._send(routing, Frame(kind=Kind.STRANGER))

    def _take(self, session: Session, frame: Frame) -> None:
        if frame.kind is Kind.CREDIT:
            if session.outbox.grant(frame.value):
                session.stalled_since = None
            self._pump(session)
        elif frame.kind in (Kind.CALL, Kind.BLOB):
            request = Request(frame.request, frame.kind, bytes(frame.body))
            if session.offer(request):
                self._pump(session)
            else:
                self._owner.counters["refused_requests"] += 1
                self._fail(session, request.number, "SERVER", "too many requests wait")
        elif frame.kind is Kind.CANCEL:
            session.cancel(frame.request)
            self._pump(session)
        else:
            raise TransportError(f"a dialler does not send {frame.kind.name}")

    def _introduce(
        self, routing: bytes, session: Session | None, part: zmq.Frame, body: bytes
    ) -> None:
        try:
            introduction = walkie.Introduction.FromString(body)
        except DecodeError:
            raise TransportError("an introduction cannot be read") from None
        try:
            session = self._admit_peer(routing, session, part, introduction)
        except _RefusalError as refusal:
            self._owner.counters["refused_peers"] += 1
            log.info("refused a peer: %s", refusal.message)
            if session is not None:
                self._drop(session)
            error = walkie.ResponseError(
                type=walkie.ResponseErrorType.Value(refusal.kind), message=refusal.message
            )
            self._send(routing, Frame(kind=Kind.REFUSED, body=error.SerializeToString()))
            return
        session.seen = asyncio.get_running_loop().time()
        answer = self._owner.introduction().SerializeToString()
        self._send(routing, Frame(kind=Kind.INTRODUCE, body=answer))
        host = str(part.get("Peer-Address") or "")
        self._owner.introduced(introduction, session.caller.peer_id, host)

    def _admit_peer(
        self,
        routing: bytes,
        session: Session | None,
        part: zmq.Frame,
        introduction: walkie.Introduction,
    ) -> Session:
        certificate = introduction.certificate.SerializeToString(deterministic=True)
        if session is not None and session.certificate == certificate:
            return session
        claimed = certificate_of(introduction.certificate)
        try:
            peer_id = claimed.verify()
        except IdentityError as error:
            raise _RefusalError("UNAUTHORIZED", error.message) from None
        if part.get("User-Id") != z85.encode(claimed.curve_public_key).decode():
            raise _RefusalError("UNAUTHORIZED", "the certificate is not that of this connection")
        try:
            self._access.check_namespace(introduction.info.bridge_identity)
        except Unauthorized as error:
            raise _RefusalError("UNAUTHORIZED", str(error)) from None
        if session is not None:
            raise _RefusalError("UNAUTHORIZED", "a connection changed its identity")
        if introduction.window < LEAST_WINDOW or len(introduction.instance) != 16:
            raise _RefusalError("UNKNOWN", "the introduction is incomplete")
        if len(self._sessions) >= self._limits.max_sessions:
            raise _RefusalError("SERVER", "too many peers are connected")
        may_command = self._access.may_command(
            peer_id,
            introduction.proof,
            claimed.curve_public_key,
            self._identity.curve_public_key,
        )
        window = min(introduction.window, max(LEAST_WINDOW, self._limits.session_bytes // 2))
        made = Session(
            routing=routing,
            caller=Caller(peer_id, may_command),
            certificate=certificate,
            curve_key=claimed.curve_public_key,
            outbox=Outbox(window, self._limits.chunk),
            limit=self._limits.session_bytes // 4,
            max_running=self._limits.max_running,
            max_waiting=self._limits.max_waiting,
            seen=0.0,
        )
        self._sessions[routing] = made
        return made

    # --- work ---

    def _room(self, session: Session) -> int:
        return max(0, self._limits.total_bytes - self.held + session.outbox.held)

    def _start_requests(self, session: Session) -> None:
        assert self._tasks is not None  # noqa: S101 - called from run() alone
        room = self._room(session)
        while (request := session.admit(room)) is not None:
            task = self._tasks.create_task(self._work(session, request))
            session.running[request.number] = task

    async def _work(self, session: Session, request: Request) -> None:
        try:
            answer = await self._answer(session, request)
            if answer is None:
                self._reply(session, Frame(kind=Kind.ABSENT, request=request.number))
            else:
                session.accept(request, answer, self._room(session))
        except PrbError as error:
            self._fail(session, request.number, "SERVER", error.message)
        finally:
            session.running.pop(request.number, None)
            if self._sessions.get(session.routing) is session:
                self._pump(session)

    async def _answer(self, session: Session, request: Request) -> Buffer | None:
        try:
            async with asyncio.timeout(self._limits.handler_timeout):
                if request.kind is Kind.CALL:
                    return await self._owner.answer_call(session, request.body)
                return await self._owner.answer_blob(session.caller, request.body.decode())
        except UnicodeDecodeError:
            raise TransportError("a blob's key is not UTF-8") from None
        except TimeoutError:
            raise TransportError("the request took too long") from None

    # --- out ---

    def _fail(self, session: Session, number: int, kind: str, message: str) -> None:
        error = walkie.ResponseError(type=walkie.ResponseErrorType.Value(kind), message=message)
        self._reply(
            session, Frame(kind=Kind.FAILED, request=number, body=error.SerializeToString())
        )

    def _reply(self, session: Session, frame: Frame) -> None:
        """Send a small frame beside the window; who does not even read those is dropped."""
        if self._sessions.get(session.routing) is session and not self._send(
            session.routing, frame
        ):
            self._drop(session)

    def _pump(self, session: Session) -> None:
        """Send what the reader has granted, then start what now has room."""
        session.pump_due = False
        sent = 0
        while self._sessions.get(session.routing) is session:
            frame = session.unsent or session.outbox.next()
            if frame is None:
                break
            session.unsent = frame
            try:
                delivered = self._send(session.routing, frame)
            except BlockingIOError:
                self._pump_later(session, _RETRY)
                return
            if not delivered:
                self._drop(session)
                return
            session.unsent = None
            sent += len(frame.body)
            if sent >= _SLICE:
                self._pump_later(session, 0)
                break
        if self._sessions.get(session.routing) is session:
            self._start_requests(session)

    def _pump_later(self, session: Session, delay: float) -> None:
        if not session.pump_due:
            session.pump_due = True
            asyncio.get_running_loop().call_later(delay, self._pump, session)

    def _send(self, routing: bytes, frame: Frame) -> bool:
        """Hand a frame to ZeroMQ; False where the connection is gone.

        Raises `BlockingIOError` where a chunk finds the reader's queue full; for any other frame
        that counts as gone, since nobody lets so many small answers lie.
        """
        if self._router is None:
            return False
        # With NOBLOCK the future is done when it is returned.
        future = asyncio.ensure_future(
            self._router.send_multipart([routing, *encode(frame)], flags=zmq.NOBLOCK, copy=False)
        )
        error = future.exception()
        if error is None:
            return True
        if isinstance(error, zmq.Again) and frame.kind is Kind.CHUNK:
            raise BlockingIOError
        if isinstance(error, zmq.ZMQError):
            return False
        raise error

    def _drop(self, session: Session) -> None:
        """Forget a session and all it holds."""
        if self._sessions.get(session.routing) is session:
            del self._sessions[session.routing]
        for task in list(session.running.values()):
            task.cancel()

    async def _reap(self) -> None:
        """Drop sessions that read nothing, and those that have gone without a word."""
        loop = asyncio.get_running_loop()
        silent = 3 * self._limits.keep_alive
        interval = min(1.0, self._limits.stall_timeout / 4, self._limits.keep_alive)
        while True:
            await asyncio.sleep(interval)
            now = loop.time()
            for session in list(self._sessions.values()):
                if session.check_stall(now, self._limits.stall_timeout):
                    self._owner.counters["dropped_slow"] += 1
                    log.warning("peer %s does not read: dropped", session.caller.peer_id)
                    self._drop(session)
                    self._send(session.routing, Frame(kind=Kind.STRANGER))
                elif now - session.seen > silent:
                    self._owner.counters["dropped_silent"] += 1
                    self._drop(session)


def _set_heartbeat(socket: zmq.asyncio.Socket, limits: ZmqSettings) -> None:
    """Let ZeroMQ's own threads find connections whose other end is gone."""
    milliseconds = max(1, int(limits.keep_alive * 1000))
    socket.heartbeat_ivl = milliseconds
    socket.heartbeat_timeout = milliseconds
    socket.heartbeat_ttl = min(3 * milliseconds, 6_553_500)
    socket.handshake_ivl = max(1, int(limits.connect_timeout * 1000))
