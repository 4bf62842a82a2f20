"""The planner against a model of pRuntime that refuses everything that pRuntime refuses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prbkit.blobs import (
    CommittedIndex,
    Counters,
    Dispatch,
    Planner,
    RelaySegment,
    Request,
    SyncCombined,
    SyncHeaders,
    SyncParaHeaders,
    Wait,
    assemble,
    encode_headers,
)
from prbkit.errors import CodecError

from .model import Chain, Worker

LENGTHS = st.lists(
    st.tuples(st.integers(1, 6), st.integers(0, 4), st.booleans()), min_size=1, max_size=14
)


def body(chain: Chain, index: CommittedIndex, request: Request) -> bytes:
    """Fetch what a request needs, as a runner does, and splice it."""
    by_last = {s.last: s for s in chain.segments}

    def relay(first: int, last: int) -> list[RelaySegment]:
        return [by_last[entry.last] for entry in index.segments(first, last)]

    match request:
        case SyncHeaders(first, last):
            return assemble(request, relay(first, last))
        case SyncCombined(first, last, para_first, para_last):
            para = encode_headers(chain.para[para_first : para_last + 1])
            return assemble(request, relay(first, last), para)
        case SyncParaHeaders(first, last, relay_last):
            return assemble(request, [by_last[relay_last]], chain.para[first : last + 1])
        case Dispatch(first, last):
            return assemble(
                request, (), chain.para[first : last + 1], chain.changes[first : last + 1]
            )
    raise AssertionError(request)


def send(worker: Worker, request: Request, data: bytes, most: int | None = None) -> None:
    match request:
        case SyncHeaders():
            worker.sync_header(data)
        case SyncCombined():
            worker.sync_combined(data)
        case SyncParaHeaders():
            worker.sync_para_header(data)
        case Dispatch():
            worker.dispatch(data, most)


@given(data=st.data(), lengths=LENGTHS, para_start=st.sampled_from([0, 1]))
def test_from_any_reachable_state_the_tip_is_reached_and_nothing_refused(
    data: st.DataObject, lengths: list[tuple[int, int, bool]], para_start: int
) -> None:
    chain = Chain.make(data.draw(st.integers(0, 300)), lengths)
    worker = Worker(chain, chain.genesis + 1, para_start, 1, 7)
    budget = data.draw(st.sampled_from([1, 300, 1000, 5000, 10**6]))
    segments = data.draw(st.integers(0, len(chain.segments)))
    para = data.draw(st.integers(0, len(chain.para)))
    while True:
        index = chain.index(segments, para)
        index = CommittedIndex.decode(index.slice(0, 0))  # as a runner gets it
        request = Planner(budget).next_request(worker.counters(), index)
        if isinstance(request, Wait):
            if segments == len(chain.segments) and para == len(chain.para):
                break
            # Something more is committed: either chain may lag as far as it likes.
            more = data.draw(st.integers(0, 3))
            segments = min(len(chain.segments), segments + more)
            para = min(len(chain.para), para + data.draw(st.integers(not more, 9)))
            if segments < len(chain.segments) and para == len(chain.para) and not more:
                segments += 1
            continue
        before = worker.counters()
        encoded = body(chain, index, request)
        part = data.draw(st.sampled_from(["all", "relay alone", "cut"]))
        if part == "relay alone" and isinstance(request, SyncCombined):
            # The para part was refused or lost: the relay progress stays.
            alone = SyncHeaders(request.first, request.last)
            worker.sync_header(body(chain, index, alone))
        else:
            send(worker, request, encoded, 1 if part == "cut" else None)
        assert worker.counters() != before, "a request that changes nothing"
        if isinstance(request, Dispatch):
            assert len(encoded) <= budget + 8 or request.first == request.last
    assert worker.headernum == chain.segments[-1].last + 1
    assert worker.para_headernum == max(para_start, len(chain.para))
    assert worker.blocknum == max(1, len(chain.para))


@given(lengths=LENGTHS, data=st.data())
def test_a_worker_in_the_middle_of_a_segment_is_taken_to_its_end(
    lengths: list[tuple[int, int, bool]], data: st.DataObject
) -> None:
    """Another bridge may have ended its batches elsewhere."""
    chain = Chain.make(5, lengths)
    index = chain.index(len(chain.segments), len(chain.para))
    segment = data.draw(st.sampled_from(chain.segments))
    headernum = data.draw(st.integers(segment.first, segment.last))
    before = chain.segments[chain.segments.index(segment) - 1] if segment.first > 6 else None
    para = (before.para_number or 0) + 1 if before else 0
    worker = Worker(chain, headernum, para, max(1, para), segment.set_id)
    for _ in range(200):
        request = Planner(500).next_request(worker.counters(), index)
        if isinstance(request, Wait):
            break
        send(worker, request, body(chain, index, request))
    assert worker.headernum == chain.segments[-1].last + 1
    assert worker.para_headernum == len(chain.para)


@given(
    lengths=LENGTHS,
    counters=st.builds(
        Counters,
        st.integers(0, 2**32 - 1) | st.integers(0, 100),
        st.integers(0, 2**32 - 1) | st.integers(0, 60),
        st.integers(0, 2**32 - 1) | st.integers(0, 60),
        st.booleans(),
    ),
    data=st.data(),
)
def test_any_counters_give_a_request_that_is_committed_and_continues_them(
    lengths: list[tuple[int, int, bool]], counters: Counters, data: st.DataObject
) -> None:
    chain = Chain.make(10, lengths)
    index = chain.index(
        data.draw(st.integers(0, len(chain.segments))), data.draw(st.integers(0, len(chain.para)))
    )
    ends = {s.last: s for s in chain.segments}
    match Planner(2000).next_request(counters, index):
        case SyncHeaders(first, last) | SyncCombined(first, last):
            assert first == counters.headernum
            assert last in ends
            assert last < index.relay_next
            assert not any(s.change for s in chain.segments if first <= s.last < last)
        case SyncParaHeaders(first, last, relay_last):
            assert counters.waiting_for_paraheaders
            assert relay_last == counters.headernum - 1
            assert (first, last) == (counters.para_headernum, ends[relay_last].para_number)
            assert last < index.para_next
        case Dispatch(first, last):
            assert (
                first == counters.blocknum <= last < min(counters.para_headernum, index.para_next)
            )


def test_a_window_goes_in_one_request_with_one_justification() -> None:
    chain = Chain.make(0, [(3, 1, False)] * 10 + [(2, 1, True)] + [(2, 1, False)] * 3)
    index = chain.index(14, len(chain.para))
    request = Planner(10**6).next_request(Counters(1, 0, 1), index)
    assert request == SyncCombined(1, 32, 0, 11)
    request = Planner(10**6).next_request(Counters(33, 12, 12), index)
    assert request == SyncCombined(33, 38, 12, 14)


def test_relay_does_not_run_far_ahead_of_the_para_chain() -> None:
    chain = Chain.make(0, [(1, 50, False)] * 4)
    index = chain.index(4, 1)
    assert Planner(10**6).next_request(Counters(1, 1, 1), index) == SyncHeaders(1, 1)
    at = Planner(10**6).next_request(Counters(2, 1, 1, True), index)
    assert isinstance(at, Wait)
    assert "para block 100" in at.reason


@pytest.mark.parametrize(
    ("counters", "reason"),
    [
        (Counters(0, 0, 0), "lies before"),
        (Counters(9, 1, 1), "wants relay block 9"),
        (Counters(7, 3, 3), "not committed yet"),
    ],
)
def test_waiting_says_why(counters: Counters, reason: str) -> None:
    chain = Chain.make(0, [(3, 1, False), (3, 1, False)])
    request = Planner(1000).next_request(counters, chain.index(2, 3))
    assert isinstance(request, Wait)
    assert reason in request.reason


def test_assemble_refuses_documents_of_other_blocks() -> None:
    chain = Chain.make(0, [(3, 1, False), (3, 1, True), (2, 1, False)])
    a, b, c = chain.segments
    cases: list[tuple[Request, list[RelaySegment], list[bytes]]] = [
        (SyncHeaders(1, 6), [a], []),
        (SyncHeaders(1, 6), [b], []),
        (SyncHeaders(1, 8), [a, b, c], []),  # over a change of set
        (SyncHeaders(1, 6), [], []),
        (SyncCombined(1, 3, 0, 1), [a], chain.para[:1]),
        (SyncCombined(1, 3, 0, 1), [a], chain.para[1:3]),
        (SyncParaHeaders(0, 1, 3), [b], chain.para[:2]),
        (Dispatch(1, 2), [], chain.para[:2]),
        (Wait("nothing"), [], []),
    ]
    for request, segments, para in cases:
        with pytest.raises(CodecError):
            assemble(request, segments, para, chain.changes[1:3])
