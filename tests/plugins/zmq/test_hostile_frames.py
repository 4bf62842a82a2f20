"""Frames with something changed: another frame, or a TransportError, and never too much held."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from prbkit.errors import StoreError, TransportError
from prbkit_plugins.data_provider.frames import seal, unseal
from prbkit_plugins.zmq.flow import Assembly, Outbox, ReadWindow
from prbkit_plugins.zmq.frames import Frame, Kind, decode, encode
from tests.hostile import changed, little_memory, settle

CHUNK = 16 * 1024
FRAMES = [
    Frame(kind=Kind.CHUNK, request=1, value=0, total=3, crc=5, last=True, body=b"abc"),
    Frame(kind=Kind.CREDIT, request=0, value=1 << 40),
    Frame(kind=Kind.CALL, request=2**64 - 1, body=b"call"),
]
HEADERS = [bytes(encode(frame)[0]) for frame in FRAMES]


@given(changed(HEADERS), st.binary(max_size=40))
def test_a_changed_header(header: bytes, body: bytes) -> None:
    frame = settle(decode, [header, body], error=TransportError)
    if frame is None:
        return
    assert encode(frame) == [header, body]
    with little_memory(1 << 20):
        settle(Assembly(1 << 62).add, frame, error=TransportError)
        settle(ReadWindow(1 << 21).take, len(body), error=TransportError)
        settle(Outbox(1 << 21, CHUNK).grant, frame.value, error=TransportError)


SEALED = [seal(b""), seal(b"short"), seal(b"long and alike " * 100)]


@given(changed(SEALED))
def test_a_changed_document_of_the_store_is_noticed(frame: bytes) -> None:
    body = settle(unseal, frame, "relay:1", error=StoreError)
    assert (body is None) == (frame not in SEALED)


def test_what_is_stored_is_read() -> None:
    assert [unseal(s, "k") for s in SEALED] == [b"", b"short", b"long and alike " * 100]
