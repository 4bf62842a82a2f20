"""Cutting, granting and putting together: laws that hold whatever the order of events."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prbkit.errors import TransportError
from prbkit.interfaces import Caller
from prbkit_plugins.zmq.flow import LEAST_COST, LEAST_WINDOW, Assembly, Outbox, ReadWindow, cost
from prbkit_plugins.zmq.frames import Frame, Kind, decode, encode
from prbkit_plugins.zmq.session import Request, Session

CHUNK = 16 * 1024
_frames = st.builds(
    Frame,
    kind=st.sampled_from(Kind),
    request=st.integers(0, 2**64 - 1),
    value=st.integers(0, 2**64 - 1),
    total=st.integers(0, 2**64 - 1),
    crc=st.integers(0, 2**32 - 1),
    last=st.booleans(),
    body=st.binary(max_size=30),
)


@given(_frames)
def test_decoding_gives_the_frame_again(frame: Frame) -> None:
    assert decode(encode(frame)) == frame


@given(st.lists(st.binary(max_size=40), max_size=4))
def test_any_parts_decode_or_are_refused(parts: list[bytes]) -> None:
    try:
        frame = decode(parts)
    except TransportError:
        return
    assert encode(frame) == parts


@given(
    st.lists(st.integers(0, 5 * CHUNK), min_size=1, max_size=8),
    st.integers(2, 8).map(lambda n: n * CHUNK),
    st.randoms(use_true_random=False),
)
def test_every_answer_arrives_whole_within_the_window(
    sizes: list[int], window: int, random: Any
) -> None:
    outbox, reader = Outbox(window, CHUNK), ReadWindow(window)
    answers = {n: random.randbytes(size) for n, size in enumerate(sizes)}
    for number, answer in answers.items():
        outbox.push(number, answer)
    assert outbox.held == sum(sizes)
    assemblies = {n: Assembly(10 * CHUNK) for n in answers}
    done: dict[int, bytes] = {}
    wire: list[Frame] = []
    while len(done) < len(answers):
        while random.random() < 0.7 and (frame := outbox.next()) is not None:
            wire.append(frame)
        assert sum(cost(len(f.body)) for f in wire) <= window
        if not wire and outbox.stalled:
            pytest.fail("the reader has read everything and the sender may not send")
        if wire:
            frame = wire.pop(0)
            grant = reader.take(len(frame.body))
            if grant is not None:
                outbox.grant(grant)
            whole = assemblies[frame.request].add(frame)
            if whole is not None:
                done[frame.request] = whole
    assert done == answers
    assert outbox.held == 0
    assert len(outbox) == 0


@given(st.data())
def test_a_changed_chunk_is_noticed(data: st.DataObject) -> None:
    outbox = Outbox(8 * CHUNK, CHUNK)
    answer = data.draw(st.binary(min_size=1, max_size=50)) * 1000
    outbox.push(1, answer)
    frames = []
    while (frame := outbox.next()) is not None:
        frames.append(frame)
    index = data.draw(st.integers(0, len(frames) - 1))
    body = bytearray(frames[index].body)
    bit = data.draw(st.integers(0, len(body) * 8 - 1))
    body[bit // 8] ^= 1 << bit % 8
    frames[index] = Frame(
        kind=Kind.CHUNK,
        value=frames[index].value,
        total=frames[index].total,
        crc=frames[index].crc,
        last=frames[index].last,
        body=bytes(body),
    )
    assembly = Assembly(len(answer))
    for frame in frames[:-1]:
        assembly.add(frame)
    with pytest.raises(TransportError, match="checksum"):
        assembly.add(frames[-1])


@given(st.lists(_frames, max_size=10))
def test_any_chunks_make_an_answer_within_the_limit_or_raise(frames: list[Frame]) -> None:
    assembly = Assembly(100)
    try:
        for frame in frames:
            whole = assembly.add(frame)
            assert whole is None or len(whole) <= 100
            if whole is not None:
                return
    except TransportError:
        pass


def test_overrunning_and_overgranting_are_refused() -> None:
    reader = ReadWindow(2 * LEAST_COST)
    reader.take(2 * LEAST_COST)
    with pytest.raises(TransportError):
        ReadWindow(LEAST_COST).take(LEAST_COST + 1)
    outbox = Outbox(LEAST_WINDOW, CHUNK)
    with pytest.raises(TransportError):
        outbox.grant(LEAST_WINDOW + 1)
    assert not outbox.grant(LEAST_WINDOW)


def test_a_cancelled_answer_frees_what_it_held() -> None:
    outbox = Outbox(2 * CHUNK, CHUNK)
    outbox.push(1, bytes(10 * CHUNK))
    outbox.push(2, b"x")
    assert outbox.next() is not None
    outbox.cancel(1)
    outbox.cancel(9)
    assert outbox.held == 1
    frame = outbox.next()
    assert frame is not None
    assert (frame.request, frame.last) == (2, True)


def _session(limit: int) -> Session:
    return Session(
        routing=b"r",
        caller=Caller("p", may_command=False),
        certificate=b"",
        curve_key=b"",
        outbox=Outbox(LEAST_WINDOW, CHUNK),
        limit=limit,
        max_running=8,
        max_waiting=100,
        seen=0.0,
    )


@given(st.lists(st.integers(0, 3_000_000), min_size=1, max_size=60), st.data())
def test_a_reader_that_stops_holds_no_more_than_the_limit_or_one_answer(
    sizes: list[int], data: st.DataObject
) -> None:
    session = _session(limit := 4_000_000)
    running: list[Request] = []
    task: Any = asyncio.Future(loop=asyncio.new_event_loop())
    for number in range(len(sizes)):
        assert session.offer(Request(number, Kind.BLOB, b""))
    for _ in range(200):
        while (request := session.admit(10**9)) is not None:
            session.running[request.number] = task
            running.append(request)
        if not running:
            break
        request = running.pop(data.draw(st.integers(0, len(running) - 1)))
        session.accept(request, bytes(sizes[request.number]), 10**9)
        del session.running[request.number]
        while session.outbox.next() is not None:
            pass
        assert session.outbox.held <= max(limit, 3_000_000) + 8 * 64 * 1024
    task.get_loop().close()


def test_a_session_without_progress_is_stalled_in_time() -> None:
    session = _session(10**6)
    session.outbox.push(1, bytes(10_000_000))
    while session.outbox.next() is not None:
        pass
    assert not session.check_stall(0.0, 30.0)
    assert not session.check_stall(29.0, 30.0)
    assert session.check_stall(30.0, 30.0)
