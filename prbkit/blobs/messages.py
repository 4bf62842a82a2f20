"""Messages that a worker hands out for the chain (egress) and who may have sent them.

Values have the shapes of `prbkit.scale`: an origin is ``"Gatekeeper"``, ``"Reserved"`` or
``{"Worker": public key}`` and the like; a signed message is
``{"message": {"sender", "destination", "payload"}, "sequence", "signature"}``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

from prbkit._native import core
from prbkit.errors import CodecError

__all__ = [
    "Message",
    "Origin",
    "SignedMessage",
    "decode_egress",
    "decode_origin",
    "decode_signed_message",
    "encode_egress",
    "encode_message",
    "encode_origin",
    "encode_signed_message",
    "signed_bytes",
]

Origin = str | dict[str, bytes]
"""A MessageOrigin."""


class Message(TypedDict):
    """A message: its sender, a topic (``^…`` for the chain) and SCALE that the topic defines."""

    sender: Origin
    destination: bytes
    payload: bytes


class SignedMessage(TypedDict):
    """A message with its place in the sender's sequence and the sender's signature of both."""

    message: Message
    sequence: int
    signature: bytes


BYTES, KEY, UNIT = "bytes", "32 bytes", "nothing"

ORIGINS = {
    0: ("Pallet", BYTES),
    1: ("Contract", KEY),
    2: ("Worker", KEY),
    3: ("AccountId", KEY),
    4: ("MultiLocation", BYTES),
    5: ("Gatekeeper", UNIT),
    6: ("Cluster", KEY),
    255: ("Reserved", UNIT),
}
BY_NAME = {name: (index, content) for index, (name, content) in ORIGINS.items()}


def encode_origin(origin: Origin) -> bytes:
    """Make the SCALE of a MessageOrigin, as `pha_getMqNextSequence` takes it in hex."""
    name, value = (origin, b"") if isinstance(origin, str) else _only(origin)
    index, content = BY_NAME.get(name, (None, UNIT))
    if index is None or isinstance(origin, str) != (content == UNIT):
        raise CodecError(f"{origin!r} is no message origin")
    if content == BYTES:
        return b"".join([bytes([index]), core.compact(len(value)), value])
    if content == KEY and len(value) != 32:
        raise CodecError(f"a {name} origin has 32 bytes, not {len(value)}")
    return bytes([index]) + value


def decode_origin(data: bytes) -> Origin:
    """Read a MessageOrigin."""
    walker = core.Walker(data, "message origin")
    origin = _origin(walker)
    walker.done()
    return origin


def encode_message(message: Message) -> bytes:
    """Make the SCALE of a Message."""
    destination, payload = message["destination"], message["payload"]
    return b"".join(
        [
            encode_origin(message["sender"]),
            core.compact(len(destination)),
            destination,
            core.compact(len(payload)),
            payload,
        ]
    )


def signed_bytes(message: Message, sequence: int) -> bytes:
    """Return the bytes that a sender signs: the message and its sequence (u64)."""
    return encode_message(message) + sequence.to_bytes(8, "little")


def encode_signed_message(signed: SignedMessage) -> bytes:
    """Make the SCALE of a SignedMessage."""
    signature = signed["signature"]
    return b"".join(
        [
            signed_bytes(signed["message"], signed["sequence"]),
            core.compact(len(signature)),
            signature,
        ]
    )


def decode_signed_message(data: bytes) -> SignedMessage:
    """Read a SignedMessage."""
    walker = core.Walker(data, "signed message")
    signed = _signed(walker)
    walker.done()
    return signed


def encode_egress(egress: Sequence[tuple[Origin, Sequence[SignedMessage]]]) -> bytes:
    """Make the SCALE of EgressMessages: what waits to be sent, by origin."""
    parts = [core.compact(len(egress))]
    for origin, messages in egress:
        parts += [encode_origin(origin), core.compact(len(messages))]
        parts += [encode_signed_message(message) for message in messages]
    return b"".join(parts)


def decode_egress(data: bytes) -> list[tuple[Origin, list[SignedMessage]]]:
    """Read EgressMessages: [(origin, [signed message])]."""
    walker = core.Walker(data, "egress messages")
    egress = []
    for _ in range(walker.count(least=2)):
        origin = _origin(walker)
        egress.append((origin, [_signed(walker) for _ in range(walker.count(least=12))]))
    walker.done()
    return egress


def _only(value: dict[str, Any]) -> tuple[str, bytes]:
    if not isinstance(value, dict) or len(value) != 1:
        raise CodecError(f"{value!r} is no message origin")
    return next(iter(value.items()))


def _origin(walker: core.Walker) -> Origin:
    index = walker.u8()
    if index not in ORIGINS:
        walker.refuse(f"no message origin has the index {index}")
    name, content = ORIGINS[index]
    if content == UNIT:
        return name
    return {name: walker.blob() if content == BYTES else walker.take(32)}


def _signed(walker: core.Walker) -> SignedMessage:
    sender = _origin(walker)
    message: Message = {
        "sender": sender,
        "destination": walker.blob(),
        "payload": walker.blob(),
    }
    return {"message": message, "sequence": walker.u64(), "signature": walker.blob()}
