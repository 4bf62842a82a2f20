"""The listener's card: what a dialler must know before it can encrypt.

CURVE wants the server's key before the first byte. So the transport's own port (or path) answers
every connection with a card, and nothing else: four bytes ``PRBK``, the length as big-endian u32,
then ``prbkit.Card``: the CURVE key signed by the RSA identity, and the port where it is used. The
card is public; that it is genuine follows from its signature and, where the address pins a peer
id, from that. Who only copies it lacks the CURVE secret and gets no further.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import struct
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import DecodeError

from prbkit.errors import ConfigError, IdentityError, PeerTimeout, TransportError
from prbkit.identity import Certificate
from prbkit.wire import walkie

from .address import Address

__all__ = ["Card", "CardServer", "certificate_of", "certificate_to_wire", "fetch_card"]

_MAGIC = b"PRBK"
_HEAD = struct.Struct(">4sI")
_MOST_BYTES = 16 * 1024
_WRITE_TIMEOUT = 5.0
_MOST_CONNECTIONS = 128


@dataclass(frozen=True, slots=True)
class Card:
    """A card whose signature was checked."""

    peer_id: str
    curve_key: bytes
    host: str
    """The IP that answered: a name may stand for several."""
    port: int


def certificate_to_wire(certificate: Certificate) -> walkie.Certificate:
    """Return a certificate as its message."""
    return walkie.Certificate(
        rsa_public_key=certificate.rsa_public_key,
        curve_public_key=certificate.curve_public_key,
        signature=certificate.signature,
    )


def certificate_of(message: walkie.Certificate) -> Certificate:
    """Return a message as a certificate, not yet checked."""
    return Certificate(message.rsa_public_key, message.curve_public_key, message.signature)


class CardServer:
    """Answers every connection with the card."""

    def __init__(self) -> None:
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._answer = b""
        self.port = 0

    async def open(self, address: Address) -> None:
        """Listen. Raises `ConfigError` where that is not possible."""
        try:
            if address.path:
                await _refuse_taken(address.path)
                Path(address.path).parent.mkdir(parents=True, exist_ok=True)
                self._server = await asyncio.start_unix_server(self._serve, address.path)
                os.chmod(address.path, 0o600)
            else:
                host = None if address.host == "*" else address.host
                self._server = await asyncio.start_server(self._serve, host, address.port)
                self.port = self._server.sockets[0].getsockname()[1]
        except OSError as error:
            await self.close()
            raise ConfigError(
                f"cannot listen: {error.strerror or error}",
                where=str(address),
                hint="choose an address of this machine with a free port (0 is any)",
            ) from None

    def show(self, certificate: Certificate, port: int) -> None:
        """Set the card; whoever connected before gets nothing."""
        card = walkie.Card(certificate=certificate_to_wire(certificate), port=port)
        body = card.SerializeToString()
        self._answer = _HEAD.pack(_MAGIC, len(body)) + body

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            for writer in list(self._writers):
                writer.transport.abort()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            if len(self._writers) <= _MOST_CONNECTIONS:
                writer.write(self._answer)
                async with asyncio.timeout(_WRITE_TIMEOUT):
                    await writer.drain()
                    writer.close()
                    await writer.wait_closed()
        except (OSError, TimeoutError):
            pass  # it went away, or does not read: its loss
        finally:
            self._writers.discard(writer)
            writer.transport.abort()


async def fetch_card(address: Address, timeout: float) -> Card:
    """Get and check the card at an address.

    Raises `PeerTimeout`, `TransportError` where nobody or something else answers, and
    `TransportError` where the peer is not the one that the address pins.
    """
    try:
        async with asyncio.timeout(timeout):
            message, host = await _read_card(address)
    except TimeoutError:
        raise PeerTimeout("the peer does not answer", where=str(address)) from None
    except OSError as error:
        raise TransportError(
            f"the peer cannot be reached: {error.strerror or error}", where=str(address)
        ) from None
    except (asyncio.IncompleteReadError, DecodeError, ValueError):
        raise TransportError(
            "what answers is no prbkit transport",
            where=str(address),
            hint="dial the address that its process prints at the start",
        ) from None
    certificate = certificate_of(message.certificate)
    try:
        peer_id = certificate.verify()
    except IdentityError as error:
        raise TransportError(
            f"the peer's certificate is not valid: {error.message}", where=str(address)
        ) from None
    if address.peer_id is not None and peer_id != address.peer_id:
        raise TransportError(
            f"the peer there is {peer_id}, not the one expected",
            where=str(address),
            hint="if its identity was renewed on purpose, change the peer id in the address",
        )
    if not address.path and not 0 < message.port < 65536:
        raise TransportError("the peer tells no port", where=str(address))
    return Card(peer_id, certificate.curve_public_key, host, message.port)


async def _read_card(address: Address) -> tuple[walkie.Card, str]:
    if address.path:
        reader, writer = await asyncio.open_unix_connection(address.path, limit=_MOST_BYTES)
    else:
        reader, writer = await asyncio.open_connection(
            address.host, address.port, limit=_MOST_BYTES
        )
    try:
        magic, length = _HEAD.unpack(await reader.readexactly(_HEAD.size))
        if magic != _MAGIC or length > _MOST_BYTES:
            raise ValueError("no card")
        card = walkie.Card.FromString(await reader.readexactly(length))
        host = "" if address.path else str(writer.get_extra_info("peername")[0])
        return card, host
    finally:
        writer.transport.abort()


async def _refuse_taken(path: str) -> None:
    """Refuse a path where a process listens; a socket left by one that died is replaced."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(1.0):
            _, writer = await asyncio.open_unix_connection(path)
        writer.transport.abort()
        raise ConfigError(
            "another process listens there", where=path, hint="give each process its own path"
        )
