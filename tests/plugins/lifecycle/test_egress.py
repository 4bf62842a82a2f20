"""Messages go to the chain in sequence: none twice, none left out, whatever is lost."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prbkit.blobs import encode_egress, encode_signed_message
from prbkit.errors import CodecError
from prbkit.interfaces import JobState, TradeJob
from prbkit_plugins.lifecycle.egress import (
    Batch,
    Egress,
    Gap,
    SequencedMessage,
    next_batch,
    read_egress,
)
from prbkit_plugins.lifecycle.jobs import JobBook
from prbkit_plugins.lifecycle.sender import Sender

from .fakes import Clock, FakeQueue

ORIGIN = b"\x02" + b"\7" * 32


def message(sequence: int) -> SequencedMessage:
    return SequencedMessage(sequence, sequence.to_bytes(8, "little"))


@given(st.sets(st.integers(0, 60)), st.integers(0, 60), st.integers(1, 20), st.randoms())
def test_a_batch_is_the_run_that_the_chain_wants(
    sequences: set[int], wanted: int, limit: int, random: Any
) -> None:
    messages = [message(sequence) for sequence in sequences]
    random.shuffle(messages)
    found = next_batch(messages, wanted, limit)
    rest = {sequence for sequence in sequences if sequence >= wanted}
    match found:
        case None:
            assert not rest
        case Gap(first, second):
            assert first == wanted
            assert second == min(rest) > wanted
        case Batch(first, last, encoded):
            assert first == wanted
            assert [int.from_bytes(e, "little") for e in encoded] == list(range(first, last + 1))
            assert len(encoded) <= limit
            assert len(encoded) == limit or last + 1 not in rest


def test_messages_are_cut_out_whole() -> None:
    def signed(sequence: int) -> Any:
        sender = {"Worker": b"\7" * 32}
        inner = {"sender": sender, "destination": b"^phala/registry/event", "payload": b"\1\2"}
        return {"message": inner, "sequence": sequence, "signature": b"\5" * 64}

    egress: Any = [({"Worker": b"\7" * 32}, [signed(3), signed(4)]), ("Gatekeeper", [])]
    worker, gatekeeper = read_egress(encode_egress(egress))
    assert worker.origin == ORIGIN
    assert [m.sequence for m in worker.messages] == [3, 4]
    assert worker.messages[1].encoded == encode_signed_message(signed(4))
    assert (gatekeeper.origin, list(gatekeeper.messages)) == (b"\x05", [])


@given(st.binary(max_size=200))
def test_hostile_egress_is_refused_or_read(data: bytes) -> None:
    with contextlib.suppress(CodecError):
        read_egress(data)


@dataclass
class World:
    """A worker with messages, a chain that wants the next, and a trader in between."""

    clock: Clock = field(default_factory=Clock)
    block: int = 1
    wanted: int = 0
    made: int = 0
    tried: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.queue = FakeQueue(self.clock)
        # What the trader has taken from the queue stands in its own journal, which nothing loses.
        self.journal: dict[str, TradeJob] = {}
        self.done: dict[str, int] = {}
        self.start()

    def start(self) -> None:
        book = JobBook(self.queue, retry_first=6, retry_most=60, clock=self.clock)  # type: ignore[arg-type]
        self.sender = Sender(book, limit=5, clock=self.clock)

    async def look(self) -> str:
        # pRuntime lets go of a message some time after the chain has taken it.
        first = max(0, self.wanted - 3)
        messages = [message(sequence) for sequence in range(first, self.made)]
        return await self.sender.send(Egress(ORIGIN, messages), self.wanted, self.block, 7)

    def include(self) -> None:
        """What the trader holds is in the next block; it tells the queue where that knows of it."""
        self.take()
        self.block += 1
        for key, job in self.journal.items():
            for text in job.payload["messages"]:
                sequence = int.from_bytes(bytes.fromhex(text[2:]), "little")
                self.tried.append(sequence)
                assert sequence == self.wanted, "a message was sent out of sequence"
                self.wanted += 1
            self.done[key] = self.block
        self.journal.clear()
        for job in self.queue.live():
            if job.key in self.done:
                self.queue.end(job.key, JobState.FINALIZED, block=self.done[job.key])

    def take(self) -> None:
        """The trader takes what is queued, but for what it knows already."""
        for job in self.queue.live():
            if job.key not in self.done:
                self.journal[job.key] = job

    def fail(self) -> None:
        for job in self.queue.live():
            self.journal.pop(job.key, None)
            self.queue.end(job.key, JobState.FAILED)


@given(
    st.lists(
        st.sampled_from(["make", "look", "take", "include", "fail", "lose", "restart", "wait"]),
        max_size=80,
    )
)
async def test_each_message_arrives_once_and_in_sequence(sequence: list[str]) -> None:
    world = World()
    for step in sequence:
        match step:
            case "make":
                world.made += 3
            case "look":
                await world.look()
            case "take":
                world.take()
            case "include":
                world.include()
            case "fail":
                world.fail()
            case "lose":
                world.queue.lose()
            case "restart" if world.journal.keys() <= world.queue.records.keys():
                # A queue and a producer that are both gone leave nothing to know a batch by.
                world.start()
            case "wait":
                world.clock.now += 1_000
        assert len(world.queue.live()) <= 1
    for _ in range(100):
        world.clock.now += 1_000
        await world.look()
        world.include()
    assert world.tried == list(range(world.made))


async def test_a_gap_is_told() -> None:
    world = World()
    note = await world.sender.send(Egress(ORIGIN, [message(5)]), 3, 1, 7)
    assert "messages 3 to 4 are missing" in note
    assert not world.queue.puts


async def test_a_failure_is_told_and_not_repeated_at_once() -> None:
    world = World(made=2)
    await world.look()
    world.fail()
    assert "failed" in await world.look()
    for _ in range(3):
        assert await world.look() == ""
    assert len(world.queue.puts) == 1
    world.clock.now += 1_000
    await world.look()
    assert len(world.queue.puts) == 2


@pytest.mark.parametrize("count", [1, 3])
async def test_a_process_that_starts_again_waits_for_the_batch_on_its_way(count: int) -> None:
    world = World(made=count)
    await world.look()
    world.made += 2
    world.start()
    await world.look()
    assert len(world.queue.puts) == 1
