"""The dialling side: one DEALER from its introduction until it is lost."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import zmq
import zmq.asyncio
from google.protobuf.message import DecodeError
from zmq.utils import z85
from zmq.utils.monitor import parse_monitor_message

from prbkit.errors import PeerTimeout, RemoteError, TransportError
from prbkit.identity import Identity
from prbkit.wire import walkie

from .address import Address
from .card import Card, certificate_of
from .flow import Assembly, ReadWindow
from .frames import Frame, Kind, decode, encode
from .server import curve_path
from .settings import ZmqSettings

__all__ = ["Connection", "ConnectionLostError", "remote_error"]

_MOST_IN_FLIGHT = 256
"""Requests on one connection; more wait here rather than be refused there."""

_LOST_EVENTS = {
    int(zmq.EVENT_DISCONNECTED): "the connection was lost",
    int(zmq.EVENT_CLOSED): "the connection was lost",
    int(zmq.EVENT_CONNECT_RETRIED): "the peer's encrypted endpoint does not answer",
    int(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL): "the encryption's handshake failed",
    int(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL): "the peer does not speak this protocol",
    int(zmq.EVENT_HANDSHAKE_FAILED_AUTH): "the peer lacks the key that its card shows",
}


class ConnectionLostError(TransportError):
    """The connection ended before the answer; whether the request was carried out is not known."""


@dataclass(slots=True)
class _Pending:
    future: asyncio.Future[bytes | None]
    assembly: Assembly


def remote_error(error: walkie.ResponseError, where: str) -> RemoteError:
    """Return a peer's error as ours."""
    kinds = walkie.ResponseErrorType.DESCRIPTOR.values_by_number
    kind = kinds[error.type].name if error.type in kinds else "UNKNOWN"
    return RemoteError(error.message[:2000] or "no reason given", kind=kind, where=where)


class Connection:
    """An encrypted connection to one peer. Made by `open`, ended by `close` or by being lost."""

    def __init__(self, address: Address, card: Card, limits: ZmqSettings) -> None:
        self.address = address
        self.peer_id = card.peer_id
        self.introduction = walkie.Introduction()
        self.lost: asyncio.Future[TransportError] = asyncio.get_running_loop().create_future()
        """Resolves to the reason when the connection ends."""
        self._card = card
        self._limits = limits
        self._socket: zmq.asyncio.Socket | None = None
        self._monitor: zmq.asyncio.Socket | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._window = ReadWindow(limits.window)
        self._numbers = itertools.count(1)
        self._pending: dict[int, _Pending] = {}
        self._in_flight = asyncio.Semaphore(_MOST_IN_FLIGHT)
        self._introduced: asyncio.Future[walkie.Introduction] | None = None

    @classmethod
    async def open(
        cls,
        context: zmq.asyncio.Context,
        identity: Identity,
        address: Address,
        card: Card,
        introduction: walkie.Introduction,
        limits: ZmqSettings,
    ) -> Connection:
        """Connect, introduce ourselves and check who answers.

        Raises a `TransportError`, also where the peer refuses us.
        """
        self = cls(address, card, limits)
        try:
            self._connect(context, identity)
            await self.introduce(introduction, limits.connect_timeout)
        except BaseException:
            await self.close()
            raise
        return self

    def _connect(self, context: zmq.asyncio.Context, identity: Identity) -> None:
        dealer = context.socket(zmq.DEALER)
        self._socket = dealer
        dealer.linger = 0
        dealer.curve_serverkey = z85.encode(self._card.curve_key)
        dealer.curve_secretkey = z85.encode(identity.curve_secret_key)
        dealer.curve_publickey = z85.encode(identity.curve_public_key)
        dealer.reconnect_ivl = -1  # a peer that comes back may have another port and key
        dealer.maxmsgsize = 1 << 21
        dealer.sndhwm = 64
        dealer.rcvhwm = 2048
        dealer.ipv6 = True
        milliseconds = max(1, int(self._limits.keep_alive * 1000))
        dealer.heartbeat_ivl = milliseconds
        dealer.heartbeat_timeout = milliseconds
        dealer.handshake_ivl = max(1, int(self._limits.connect_timeout * 1000))
        self._monitor = dealer.get_monitor_socket(sum(_LOST_EVENTS))
        if self.address.path:
            dealer.connect(f"ipc://{curve_path(self.address.path)}")
        else:
            host = self._card.host
            dealer.connect(f"tcp://{f'[{host}]' if ':' in host else host}:{self._card.port}")
        self._tasks = [
            asyncio.create_task(self._read()),
            asyncio.create_task(self._watch()),
        ]

    @property
    def curve_key(self) -> bytes:
        """The peer's CURVE public key."""
        return self._card.curve_key

    @property
    def alive(self) -> bool:
        return not self.lost.done()

    async def close(self) -> None:
        """End it; requests in flight fail."""
        self._fail(TransportError("the connection was closed", where=str(self.address)))
        for task in self._tasks:
            task.cancel()
        try:
            if self._tasks:
                await asyncio.wait(self._tasks)
        finally:
            if self._socket is not None:
                self._socket.disable_monitor()
                self._socket.close(0)
                self._socket = None
            if self._monitor is not None:
                self._monitor.close(0)
                self._monitor = None

    async def introduce(self, introduction: walkie.Introduction, timeout: float) -> None:
        """Tell the peer who we are (now) and take its own introduction.

        Also the keep-alive: an answer that does not come in time ends the connection.
        """
        self._introduced = asyncio.get_running_loop().create_future()
        body = introduction.SerializeToString()
        try:
            async with asyncio.timeout(timeout):
                await self._send(Frame(kind=Kind.INTRODUCE, body=body))
                self.introduction = await self._introduced
        except TimeoutError:
            error = PeerTimeout("the peer gives no sign of life", where=str(self.address))
            self._fail(error)
            raise error from None
        finally:
            self._introduced = None

    async def request(self, kind: Kind, body: bytes, timeout: float) -> bytes | None:
        """Make a call or fetch a blob (None: there is none).

        Raises `PeerTimeout`, `RemoteError`, `ConnectionLostError`.
        """
        if not self.alive:
            raise ConnectionLostError("the connection was lost", where=str(self.address))
        number = next(self._numbers)
        pending = _Pending(
            asyncio.get_running_loop().create_future(), Assembly(self._limits.max_blob)
        )
        self._pending[number] = pending
        try:
            async with asyncio.timeout(timeout), self._in_flight:
                await self._send(Frame(kind=kind, request=number, body=body))
                return await pending.future
        except TimeoutError:
            raise PeerTimeout(f"no answer within {timeout:g} s", where=str(self.address)) from None
        finally:
            del self._pending[number]
            if not pending.future.done() or pending.future.cancelled():
                self._post(Frame(kind=Kind.CANCEL, request=number))

    async def _send(self, frame: Frame) -> None:
        if self._socket is None:
            raise ConnectionLostError("the connection was closed", where=str(self.address))
        await self._socket.send_multipart(encode(frame), copy=False)

    def _post(self, frame: Frame) -> None:
        """Send without waiting; what ZeroMQ cannot take now it takes when it can."""
        if self._socket is not None and self.alive:
            sending = asyncio.ensure_future(self._socket.send_multipart(encode(frame)))
            sending.add_done_callback(_forget)

    def _fail(self, error: TransportError) -> None:
        if self.lost.done():
            return
        self.lost.set_result(error)
        waiting = [pending.future for pending in self._pending.values()]
        for future in waiting:
            if not future.done():
                future.set_exception(ConnectionLostError(error.message, where=str(self.address)))
        if self._introduced is not None and not self._introduced.done():
            self._introduced.set_exception(error)

    async def _watch(self) -> None:
        """Notice from ZeroMQ's events that the connection is gone."""
        assert self._monitor is not None  # noqa: S101 - made before this task
        while True:
            event = parse_monitor_message(await self._monitor.recv_multipart())
            reason = _LOST_EVENTS.get(int(event["event"]))
            if reason is not None:
                self._fail(TransportError(reason, where=str(self.address)))
                return

    async def _read(self) -> None:
        assert self._socket is not None  # noqa: S101 - made before this task
        while True:
            parts = await self._socket.recv_multipart(copy=False)
            try:
                self._take(decode([part.buffer for part in parts]))
            except TransportError as error:
                self._fail(TransportError(error.message, where=str(self.address)))
                return

    def _take(self, frame: Frame) -> None:
        if frame.kind is Kind.CHUNK:
            self._take_chunk(frame)
        elif frame.kind is Kind.ABSENT:
            self._finish(frame.request, lambda future: future.set_result(None))
        elif frame.kind is Kind.FAILED:
            error = remote_error(_read_error(frame), str(self.address))
            self._finish(frame.request, lambda future: future.set_exception(error))
        elif frame.kind is Kind.INTRODUCE:
            self._take_introduction(frame)
        elif frame.kind is Kind.REFUSED:
            raise TransportError(f"the peer refuses us: {_read_error(frame).message[:2000]}")
        elif frame.kind is Kind.STRANGER:
            raise TransportError("the peer has dropped us")
        else:
            raise TransportError(f"a listener does not send {frame.kind.name}")

    def _take_chunk(self, frame: Frame) -> None:
        grant = self._window.take(len(frame.body))
        if grant is not None:
            self._post(Frame(kind=Kind.CREDIT, value=grant))
        pending = self._pending.get(frame.request)
        if pending is None or pending.future.done():
            return  # given up meanwhile
        try:
            answer = pending.assembly.add(frame)
        except TransportError as error:
            pending.future.set_exception(
                TransportError(error.message, where=str(self.address), hint=error.hint)
            )
            self._post(Frame(kind=Kind.CANCEL, request=frame.request))
            return
        if answer is not None:
            pending.future.set_result(answer)

    def _finish(self, number: int, finish: Callable[[asyncio.Future[bytes | None]], None]) -> None:
        pending = self._pending.get(number)
        if pending is not None and not pending.future.done():
            finish(pending.future)

    def _take_introduction(self, frame: Frame) -> None:
        try:
            introduction = walkie.Introduction.FromString(bytes(frame.body))
        except DecodeError:
            raise TransportError("the peer's introduction cannot be read") from None
        # CURVE has proven that the peer has the secret of the card's key; the card names its id.
        if certificate_of(introduction.certificate).curve_public_key != self._card.curve_key:
            raise TransportError("the peer's introduction is not that of its card")
        if len(introduction.instance) != 16:
            raise TransportError("the peer's introduction is incomplete")
        if self._introduced is not None and not self._introduced.done():
            self._introduced.set_result(introduction)


def _read_error(frame: Frame) -> walkie.ResponseError:
    try:
        return walkie.ResponseError.FromString(bytes(frame.body))
    except DecodeError:
        raise TransportError("the peer's error cannot be read") from None


def _forget(future: asyncio.Future[Any]) -> None:
    """Look at the outcome, so that asyncio does not complain that nobody did."""
    if not future.cancelled():
        future.exception()
