"""phala_mq: messages from off the chain, in each sender's sequence, and those for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prbkit.errors import CodecError
from prbkit.testing import messages
from prbkit.testing.devnet.dispatch import (
    Args,
    Context,
    DispatchFailed,
    Origin,
    call,
    ensure_signed,
)
from prbkit.testing.devnet.runtime import InvalidTransaction
from prbkit.testing.devnet.signatures import verify_sr25519
from prbkit.testing.layouts import Layout, text, u64
from prbkit.testing.messages import Message, SignedMessage

__all__ = [
    "check_sequence",
    "initialize",
    "push",
    "route",
    "send",
    "sequence_tags",
    "subscribe",
]

Handler = Callable[[Context, Message, Any], None]

#: Topic → layout of its payload, and the pallet's function that takes it.
_ROUTES: dict[bytes, tuple[Layout[Any], Handler]] = {}
_OFFCHAIN = (
    messages.WorkerOrigin,
    messages.GatekeeperOrigin,
    messages.ContractOrigin,
    messages.ClusterOrigin,
)


def subscribe(topic: bytes, layout: Layout[Any]) -> Callable[[Handler], Handler]:
    """Register the function that takes the messages of a topic."""

    def register(handler: Handler) -> Handler:
        _ROUTES[topic] = layout, handler
        return handler

    return register


def initialize(ctx: Context) -> None:
    """Forget what the former block said."""
    ctx.kill("PhalaMq", "OutboundMessages")


def push(ctx: Context, pallet: str, event: messages.SystemEvent) -> None:
    """Send a system event to the workers."""
    send(ctx, messages.pallet_message(pallet, event))


def send(ctx: Context, message: Message) -> None:
    """Leave a message for those off the chain, unless its topic (``^…``) is a pallet's."""
    if message.destination.startswith(b"^"):
        return
    outbound = ctx.get("PhalaMq", "OutboundMessages")
    value = ctx.md.decode("phala_mq::types::Message", messages.MESSAGE.write(message))
    ctx.put("PhalaMq", "OutboundMessages", [*outbound, value])


def route(ctx: Context, message: Message) -> None:
    """Hand a message to the pallet that takes its topic, and to those off the chain.

    A pallet that refuses it changes nothing: the message counts all the same.
    """
    if message.destination in _ROUTES:
        layout, handler = _ROUTES[message.destination]
        try:
            with ctx.transaction():
                handler(ctx, message, layout.decode(message.payload))
        except (DispatchFailed, CodecError):
            pass
    send(ctx, message)


@call("PhalaMq", "sync_offchain_message")
def sync_offchain_message(ctx: Context, origin: Origin, args: Args) -> None:
    ensure_signed(origin)
    value = args["signed_message"]
    signed = messages.SIGNED_MESSAGE.decode(ctx.md.encode("phala_mq::types::SignedMessage", value))
    sender = value["message"]["sender"]
    ctx.ensure(isinstance(signed.message.sender, _OFFCHAIN), "PhalaMq", "BadSender")
    ctx.ensure(_is_topic(signed.message.destination), "PhalaMq", "BadDestination")
    expected = ctx.get("PhalaMq", "OffchainIngress", sender) or 0
    ctx.ensure(signed.sequence == expected, "PhalaMq", "BadSequence")
    _check_signature(ctx, signed)
    ctx.put("PhalaMq", "OffchainIngress", sender, expected + 1)
    route(ctx, signed.message)


@call("PhalaMq", "push_message")
def push_message(ctx: Context, origin: Origin, args: Args) -> None:
    who = ensure_signed(origin)
    sender = messages.AccountOrigin(who)
    route(ctx, Message(sender, args["destination"], args["payload"]))


def _is_topic(destination: bytes) -> bool:
    return destination[:1] == b"^" or destination[:1].isalnum()


def _check_signature(ctx: Context, signed: SignedMessage) -> None:
    match signed.message.sender:
        case messages.WorkerOrigin(pubkey):
            key: bytes | None = pubkey
        case messages.GatekeeperOrigin():
            key = ctx.get("PhalaRegistry", "GatekeeperMasterPubkey")
            ctx.ensure(key is not None, "PhalaRegistry", "MasterKeyUninitialized")
        case messages.ContractOrigin():
            ctx.fail("PhalaRegistry", "UnknownContract")
        case _:
            ctx.fail("PhalaRegistry", "UnknownCluster")
    ctx.ensure(len(signed.signature) == 64, "PhalaRegistry", "InvalidSignatureLength")
    valid = verify_sr25519(signed.signature, signed.signed_bytes(), key or b"")
    ctx.ensure(valid, "PhalaRegistry", "InvalidSignature")


# ------------------------------------------------------------- the signed extension CheckMqSequence


def _sequence(ctx: Context, pallet: str, name: str, args: Args) -> tuple[bytes, int, int] | None:
    """Return (sender's SCALE, sequence, expected sequence) where the call itself is a message."""
    if (pallet, name) != ("PhalaMq", "sync_offchain_message"):
        return None
    value = args["signed_message"]
    sender = value["message"]["sender"]
    encoded = ctx.md.encode("phala_mq::types::MessageOrigin", sender)
    expected = ctx.get("PhalaMq", "OffchainIngress", sender) or 0
    return encoded, value["sequence"], expected


def sequence_tags(
    ctx: Context, pallet: str, name: str, args: Args
) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """Return what the pool orders bare messages by; refuse one that is stale."""
    found = _sequence(ctx, pallet, name, args)
    if found is None:
        return (), ()
    sender, sequence, expected = found
    if sequence < expected:
        raise InvalidTransaction("Stale")

    def tag(number: int) -> bytes:
        return text.write("PhalaMqOffchainMessages") + sender + u64.write(number)

    return (tag(sequence),), (tag(sequence - 1),) if sequence > expected else ()


def check_sequence(ctx: Context, pallet: str, name: str, args: Args) -> None:
    """Refuse to include a bare message whose turn it isn't."""
    found = _sequence(ctx, pallet, name, args)
    if found is not None and found[1] != found[2]:
        raise InvalidTransaction("Stale" if found[1] < found[2] else "Future")
