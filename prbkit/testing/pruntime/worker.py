"""What a simulated worker does with the chain's messages, and the messages that it sends.

After each dispatched block it reads ``PhalaMq.OutboundMessages``, as pRuntime does, and answers:
a benchmark when the registry asks for one, a heartbeat when a challenge hits it while it computes.
Everything follows from the blocks alone, so a worker that starts again from genesis makes the same
messages with the same sequence numbers; what ``PhalaMq.OffchainIngress`` counts is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import sr25519

from prbkit._native import core as native
from prbkit.errors import CodecError
from prbkit.testing.layouts import vec
from prbkit.testing.messages import (
    EGRESS,
    MESSAGE,
    ORIGIN,
    REGISTRY_EVENT,
    REGISTRY_TOPIC,
    REPORT_TOPIC,
    SYSTEM_EVENT,
    SYSTEM_TOPIC,
    WORKING_REPORT,
    BenchReport,
    BenchScore,
    BenchStart,
    EgressQueue,
    EnterUnresponsive,
    ExitUnresponsive,
    HeartbeatChallenge,
    HeartbeatV2,
    Message,
    PalletOrigin,
    Registered,
    SignedMessage,
    Started,
    Stopped,
    WorkerEvent,
    WorkerEventWithKey,
    WorkerOrigin,
)
from prbkit.testing.pruntime.keys import storage_prefix, twox_64_concat

__all__ = ["Worker"]

OUTBOUND = storage_prefix("PhalaMq", "OutboundMessages")
INGRESS = storage_prefix("PhalaMq", "OffchainIngress")
NOW = storage_prefix("Timestamp", "Now")
_MESSAGES = vec(MESSAGE)


@dataclass(slots=True)
class _Bench:
    start_block: int
    start_time: int
    duration: int


@dataclass(slots=True)
class Worker:
    """One worker's life between blocks. `pair` is (public key, secret key) of sr25519."""

    pair: tuple[bytes, bytes]
    iterations_per_second: int
    registered: bool = False
    unresponsive: bool = False
    score: int = 0
    session: int | None = None
    bench: _Bench | None = None
    _sequence: int = 0
    _egress: list[SignedMessage] = field(default_factory=list)

    @property
    def public_key(self) -> bytes:
        return self.pair[0]

    @property
    def origin(self) -> WorkerOrigin:
        return WorkerOrigin(self.public_key)

    @property
    def pending(self) -> int:
        return len(self._egress)

    def egress(self) -> bytes:
        """SCALE EgressMessages: what the chain has not counted yet, in sequence."""
        queues = [EgressQueue(self.origin, list(self._egress))] if self._egress else []
        return EGRESS.write(queues)

    def block(self, number: int, read: Callable[[bytes], bytes | None]) -> None:
        """Live through a block; `read` gives a value of its state."""
        now = int.from_bytes(read(NOW) or b"", "little")
        for message in _read_outbound(read(OUTBOUND)):
            if isinstance(message.sender, PalletOrigin) and message.destination == SYSTEM_TOPIC:
                event = SYSTEM_EVENT.decode(message.payload)
                if isinstance(event, HeartbeatChallenge):
                    self._challenged(event, number, now)
                elif isinstance(event, WorkerEventWithKey) and event.pubkey == self.public_key:
                    self._told(event.event, number, now)
        self._bench_done(number, now)
        self._forget(read)

    def _told(self, event: WorkerEvent, number: int, now: int) -> None:
        match event:
            case Registered():
                self.registered = True
            case BenchStart(duration):
                self.bench = _Bench(number, now, duration)
            case BenchScore(score):
                self.score = score
            case Started(session_id):
                self.session, self.unresponsive = session_id, False
            case Stopped():
                self.session = None
            case EnterUnresponsive():
                self.unresponsive = True
            case ExitUnresponsive():
                self.unresponsive = False

    def _bench_done(self, number: int, now: int) -> None:
        bench = self.bench
        if bench is None or number < bench.start_block + bench.duration:
            return
        self.bench = None
        iterations = max(1, (now - bench.start_time) * self.iterations_per_second // 1000)
        self._send(REGISTRY_TOPIC, REGISTRY_EVENT.write(BenchReport(bench.start_time, iterations)))

    def _challenged(self, challenge: HeartbeatChallenge, number: int, now: int) -> None:
        if self.session is None:
            return
        own = int.from_bytes(native.blake2b_256(self.public_key), "big")
        if own ^ challenge.seed < challenge.online_target:
            beat = HeartbeatV2(self.session, number, now, self.iterations_per_second, 0, 0)
            self._send(REPORT_TOPIC, WORKING_REPORT.write(beat))

    def _send(self, destination: bytes, payload: bytes) -> None:
        message = Message(self.origin, destination, payload)
        unsigned = SignedMessage(message, self._sequence, b"")
        signature = sr25519.sign(self.pair, unsigned.signed_bytes())
        self._egress.append(SignedMessage(message, self._sequence, signature))
        self._sequence += 1

    def _forget(self, read: Callable[[bytes], bytes | None]) -> None:
        """Drop what the chain has counted; never fall behind its count."""
        counted = read(INGRESS + twox_64_concat(ORIGIN.write(self.origin)))
        following = int.from_bytes(counted, "little") if counted else 0
        self._egress = [message for message in self._egress if message.sequence >= following]
        self._sequence = max(self._sequence, following)


def _read_outbound(value: bytes | None) -> list[Message]:
    if value is None:
        return []
    try:
        return _MESSAGES.decode(value)
    except CodecError as error:
        raise CodecError(f"PhalaMq.OutboundMessages: {error.message}") from error
