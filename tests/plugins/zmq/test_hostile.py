"""Peers that lie, stop, flood or are not there any more."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import zmq
import zmq.asyncio
from zmq.utils import z85

from prbkit.errors import ConfigError, PeerTimeout, RemoteError, TransportError
from prbkit.identity import Certificate, Identity
from prbkit.interfaces import Caller
from prbkit.testing.contracts.transport import eventually, identities
from prbkit.wire import walkie
from prbkit_plugins.zmq.address import Address
from prbkit_plugins.zmq.card import CardServer, certificate_to_wire, fetch_card
from prbkit_plugins.zmq.frames import Frame, Kind, decode, encode
from prbkit_plugins.zmq.transport import ZmqTransport

from .support import make


class RawPeer:
    """A dialler that keeps to no rule."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.context = zmq.asyncio.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.linger = 0

    async def connect(self, listener: ZmqTransport, certificate: Certificate | None = None) -> None:
        card = await fetch_card(Address.parse(listener.address, Path()), 5.0)
        self.socket.curve_serverkey = z85.encode(card.curve_key)
        self.socket.curve_secretkey = z85.encode(self.identity.curve_secret_key)
        self.socket.curve_publickey = z85.encode(self.identity.curve_public_key)
        self.socket.connect(f"tcp://127.0.0.1:{card.port}")
        await self.introduce(certificate or self.identity.certificate)

    async def introduce(self, certificate: Certificate, window: int = 4 << 20) -> None:
        introduction = walkie.Introduction(
            certificate=certificate_to_wire(certificate),
            info={"bridge_identity": "contract"},
            instance=b"i" * 16,
            window=window,
        )
        await self.send(Frame(kind=Kind.INTRODUCE, body=introduction.SerializeToString()))

    async def send(self, frame: Frame) -> None:
        await self.socket.send_multipart(encode(frame))

    async def read(self) -> Frame:
        async with asyncio.timeout(10):
            return decode(await self.socket.recv_multipart())

    def close(self) -> None:
        self.context.destroy(0)


@pytest.fixture
async def listener() -> AsyncIterator[ZmqTransport]:
    async with make(identities()[0], stall_timeout=0.3, keep_alive=1.0) as transport:
        yield transport


@pytest.fixture
async def raw() -> AsyncIterator[RawPeer]:
    peer = RawPeer(identities()[1])
    yield peer
    peer.close()


async def _still_serves(listener: ZmqTransport) -> None:
    async with make(identities()[2]) as dialler:
        await dialler.dial(listener.address)
        with pytest.raises(RemoteError):
            await dialler.call(listener.peer_id, "ListPool", walkie.Empty())


@pytest.mark.parametrize(
    "parts",
    [
        [b""],
        [b"x" * 30],
        [b"\xff" * 30, b""],
        [b"", b"", b"", b""],
        encode(Frame(kind=Kind.CHUNK, body=b"x")),
        encode(Frame(kind=Kind.CREDIT, value=2**64 - 1)),
        encode(Frame(kind=Kind.INTRODUCE, body=b"\xff\xff")),
    ],
)
async def test_hostile_frames_cost_the_sender_its_session(
    listener: ZmqTransport, raw: RawPeer, parts: list[bytes]
) -> None:
    await raw.connect(listener)
    assert (await raw.read()).kind is Kind.INTRODUCE
    await raw.socket.send_multipart(parts)
    assert (await raw.read()).kind is Kind.STRANGER
    assert listener.counters["bad_messages"] == 1
    await _still_serves(listener)


async def test_nothing_is_answered_before_an_introduction(
    listener: ZmqTransport, raw: RawPeer
) -> None:
    await raw.connect(listener)
    await raw.read()
    other = RawPeer(identities()[1])
    try:
        card = await fetch_card(Address.parse(listener.address, Path()), 5.0)
        other.socket.curve_serverkey = z85.encode(card.curve_key)
        other.socket.curve_publickey, other.socket.curve_secretkey = zmq.curve_keypair()
        other.socket.connect(f"tcp://127.0.0.1:{card.port}")
        await other.send(Frame(kind=Kind.BLOB, request=1, body=b"k"))
        assert (await other.read()).kind is Kind.STRANGER
    finally:
        other.close()


async def test_a_certificate_of_somebody_else_is_refused(
    listener: ZmqTransport, raw: RawPeer
) -> None:
    await raw.connect(listener, certificate=identities()[2].certificate)
    frame = await raw.read()
    assert frame.kind is Kind.REFUSED
    assert listener.counters["refused_peers"] == 1


async def test_a_dialler_without_the_listeners_key_gets_nowhere(listener: ZmqTransport) -> None:
    card = await fetch_card(Address.parse(listener.address, Path()), 5.0)
    context = zmq.asyncio.Context()
    try:
        for encrypted in (True, False):
            socket = context.socket(zmq.DEALER)
            if encrypted:
                socket.curve_serverkey = zmq.curve_keypair()[0]
                socket.curve_publickey, socket.curve_secretkey = zmq.curve_keypair()
            socket.connect(f"tcp://127.0.0.1:{card.port}")
            await socket.send_multipart(encode(Frame(kind=Kind.BLOB, body=b"k")))
            assert not await socket.poll(300)
    finally:
        context.destroy(0)


async def test_an_address_that_pins_another_peer_is_not_dialled(listener: ZmqTransport) -> None:
    place = listener.address.partition("/p2p/")[0]
    async with make(identities()[2]) as dialler:
        with pytest.raises(TransportError, match="not the one expected"):
            await dialler.dial(f"{place}/p2p/{identities()[1].peer_id}")
        assert len(dialler.peers()) == 1


async def test_a_copied_card_does_not_make_an_impostor(listener: ZmqTransport) -> None:
    """Who shows the card of another but lacks its CURVE secret is found out."""
    impostor = make(identities()[1])
    async with impostor, make(identities()[2], connect_timeout=1.0) as dialler:
        own = await fetch_card(Address.parse(impostor.address, Path()), 5.0)
        cards = CardServer()
        await cards.open(Address("127.0.0.1", 0))
        cards.show(identities()[0].certificate, own.port)
        try:
            with pytest.raises(TransportError):
                await dialler.dial(f"zmq+tcp://127.0.0.1:{cards.port}/p2p/{listener.peer_id}")
        finally:
            await cards.close()


async def test_what_is_no_transport_is_told_so() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 10)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with make(identities()[0]) as dialler:
        with pytest.raises(TransportError, match="no prbkit transport"):
            await dialler.dial(f"zmq+tcp://127.0.0.1:{port}")
    server.close()


async def test_a_listener_that_never_answers_is_given_up() -> None:
    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with make(identities()[0], connect_timeout=0.2) as dialler:
        with pytest.raises(PeerTimeout):
            await dialler.dial(f"zmq+tcp://127.0.0.1:{port}")
    server.close()


async def test_a_reader_that_stops_is_dropped_and_costs_bounded_memory(
    listener: ZmqTransport, raw: RawPeer
) -> None:
    blob = bytes(1 << 20)
    served = 0

    async def serve(key: str) -> bytes:
        nonlocal served
        served += 1
        return blob

    listener.serve_blobs(serve)
    await raw.connect(listener)
    await raw.read()
    for number in range(1000):
        await raw.send(Frame(kind=Kind.BLOB, request=number, body=b"k"))
    server = listener._server
    assert server is not None
    await eventually(lambda: served > 4)
    most = 0

    def dropped() -> bool:
        nonlocal most
        most = max(most, server.held)
        return listener.counters["dropped_slow"] == 1

    await eventually(dropped)
    assert most <= 16 << 20
    assert served <= 64
    assert server.sessions == 0
    assert server.held == 0
    await _still_serves(listener)


async def test_too_many_requests_of_one_peer_are_refused(
    listener: ZmqTransport, raw: RawPeer
) -> None:
    async def never(caller: Caller, message: object) -> walkie.PoolList:
        await asyncio.Event().wait()
        return walkie.PoolList()

    listener.handle("ListPool", never)
    body = walkie.WalkieRpcRequestWrapper(method="ListPool").SerializeToString()
    await raw.connect(listener)
    await raw.read()
    for number in range(1300):
        await raw.send(Frame(kind=Kind.CALL, request=number, body=body))
    frame = await raw.read()
    assert frame.kind is Kind.FAILED
    assert listener.counters["refused_requests"] > 0


async def test_a_silent_peer_is_forgotten(raw: RawPeer) -> None:
    async with make(identities()[0], keep_alive=0.1) as listener:
        await raw.connect(listener)
        await raw.read()
        await eventually(lambda: listener.counters["dropped_silent"] == 1)


async def test_a_wrong_auth_string_is_counted_and_stopped() -> None:
    async with make(identities()[0], psk="right") as listener, make(identities()[1]) as dialler:
        await dialler.dial(listener.address)
        wrong = walkie.AuthRequest(type=walkie.AuthType.AT_PSK, auth_string="wrong")
        answer = await dialler.call(listener.peer_id, "Auth", wrong)
        assert isinstance(answer, walkie.AuthResponse)
        assert answer.status == walkie.AuthStatus.AS_REJECTED
        right = walkie.AuthRequest(type=walkie.AuthType.AT_PSK, auth_string="right")
        answer = await dialler.call(listener.peer_id, "Auth", right)
        assert isinstance(answer, walkie.AuthResponse)
        assert answer.status == walkie.AuthStatus.AS_GRANTED
        assert listener.counters["refused_auths"] == 1


_CHILD = """
import asyncio, sys
from pathlib import Path
from prbkit.identity import Identity
from tests.plugins.zmq.support import make
from prbkit.wire import walkie

async def main():
    async with make(Identity.load(sys.argv[1]), Path(), sys.argv[2]) as transport:
        async def pools(caller, message):
            return walkie.PoolList()
        transport.handle("ListPool", pools)
        print(transport.address, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def _start_child(key: Path, url: str) -> tuple[subprocess.Popen[str], str]:
    root = Path(__file__).parents[3]
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(key), url],
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
    )
    assert child.stdout is not None
    return child, child.stdout.readline().strip()


async def test_a_killed_process_that_comes_back_is_called_again(tmp_path: Path) -> None:
    key = tmp_path / "identity.pem"
    identities()[0].save(key)
    child, address = await asyncio.to_thread(_start_child, key, "zmq+tcp://127.0.0.1:0")
    try:
        async with make(identities()[1]) as dialler:
            await dialler.dial(address)
            peer_id = identities()[0].peer_id
            for _ in range(2):
                await dialler.call(peer_id, "ListPool", walkie.Empty())
                child.kill()
                await asyncio.to_thread(child.wait)
                url = address.partition("/p2p/")[0]
                child, again = await asyncio.to_thread(_start_child, key, url)
                assert again == address
                await dialler.call(peer_id, "ListPool", walkie.Empty(), timeout=30)
    finally:
        child.kill()
        await asyncio.to_thread(child.communicate)


async def test_a_frozen_process_is_noticed_and_found_again(tmp_path: Path) -> None:
    key = tmp_path / "identity.pem"
    identities()[0].save(key)
    child, address = await asyncio.to_thread(_start_child, key, "zmq+tcp://127.0.0.1:0")
    try:
        async with make(identities()[1], keep_alive=0.3, connect_timeout=0.5) as dialler:
            await dialler.dial(address)
            os.kill(child.pid, signal.SIGSTOP)
            await eventually(lambda: len(dialler.peers()) == 1)
            os.kill(child.pid, signal.SIGCONT)
            await eventually(lambda: len(dialler.peers()) == 2)
    finally:
        child.kill()
        await asyncio.to_thread(child.communicate)


async def test_an_address_in_use_is_refused(listener: ZmqTransport, tmp_path: Path) -> None:
    place = listener.address.partition("/p2p/")[0]
    with pytest.raises(ConfigError, match="cannot listen"):
        await make(identities()[1], url=place).open()
    async with make(identities()[0], tmp_path, "zmq+ipc:s"):
        with pytest.raises(ConfigError, match="another process"):
            await make(identities()[1], tmp_path, "zmq+ipc:s").open()
