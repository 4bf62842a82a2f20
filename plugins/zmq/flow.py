"""How answers are cut, sent no faster than they are read, and put together again. No I/O.

The reader grants bytes as a running sum (so that a grant seen twice changes nothing); each chunk
costs its length, but at least `LEAST_COST`, so that a window bounds frames as well as bytes.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import google_crc32c

from prbkit.errors import TransportError

from .frames import Buffer, Frame, Kind

__all__ = ["LEAST_COST", "LEAST_WINDOW", "Assembly", "Outbox", "ReadWindow", "cost"]

LEAST_COST = 16 * 1024
LEAST_WINDOW = 2 << 20
"""Twice the longest chunk that any peer sends: a smaller window could never be used."""


def cost(length: int) -> int:
    """Return what a chunk of that length takes of the window."""
    return max(length, LEAST_COST)


@dataclass(slots=True)
class _Stream:
    request: int
    data: memoryview
    sent: int = 0
    crc: int = 0


class Outbox:
    """Answers on their way to one reader, cut into chunks, each answer in turn."""

    def __init__(self, window: int, chunk: int) -> None:
        self._window = window
        self._chunk = chunk
        self._granted = window
        self._spent = 0
        self._streams: deque[_Stream] = deque()
        self.held = 0
        """Bytes of answers not yet sent."""

    def __len__(self) -> int:
        return len(self._streams)

    def push(self, request: int, data: Buffer) -> None:
        """Add an answer."""
        view = memoryview(data).cast("B")
        self._streams.append(_Stream(request, view))
        self.held += len(view)

    def cancel(self, request: int) -> None:
        """Forget an answer, as much of it as is not sent."""
        for stream in self._streams:
            if stream.request == request:
                self.held -= len(stream.data) - stream.sent
                self._streams.remove(stream)
                return

    def grant(self, total: int) -> bool:
        """Take a grant; True if it is more than before.

        Raises `TransportError` where the reader grants more than its window beyond what was sent.
        """
        if total > self._spent + self._window:
            raise TransportError("a peer grants more bytes than its window")
        if total <= self._granted:
            return False
        self._granted = total
        return True

    @property
    def stalled(self) -> bool:
        """Whether there is something to send that the reader has not granted."""
        return bool(self._streams) and not self._fits(self._streams[0])

    def _fits(self, stream: _Stream) -> bool:
        length = min(self._chunk, len(stream.data) - stream.sent)
        return self._spent + cost(length) <= self._granted

    def next(self) -> Frame | None:
        """Return the next chunk to send, None where nothing may be sent now."""
        if not self._streams or not self._fits(self._streams[0]):
            return None
        stream = self._streams.popleft()
        # A copy of the chunk (the checksum wants bytes), so that the answer can be let go of.
        body = bytes(stream.data[stream.sent : stream.sent + self._chunk])
        stream.crc = google_crc32c.extend(stream.crc, body)
        offset = stream.sent
        stream.sent += len(body)
        self.held -= len(body)
        self._spent += cost(len(body))
        last = stream.sent == len(stream.data)
        if not last:
            self._streams.append(stream)
        return Frame(
            kind=Kind.CHUNK,
            request=stream.request,
            value=offset,
            total=len(stream.data),
            crc=stream.crc if last else 0,
            last=last,
            body=body,
        )


class ReadWindow:
    """The reader's side: what it has granted, and what came."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._granted = window
        self._spent = 0

    def take(self, length: int) -> int | None:
        """Count a chunk that was read; the new running grant where it is time to send one.

        Raises `TransportError` for a chunk beyond what was granted.
        """
        self._spent += cost(length)
        if self._spent > self._granted:
            raise TransportError("a peer sends more than it was granted")
        if self._granted - self._spent > self._window - self._window // 4:
            return None
        self._granted = self._spent + self._window
        return self._granted


class Assembly:
    """An answer being put together; never bigger than what has really arrived."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._got = 0
        self._crc = 0
        self._total: int | None = None

    def add(self, frame: Frame) -> bytes | None:
        """Add a chunk; the whole once it is complete. Raises `TransportError`."""
        if self._total is None:
            if frame.total > self._limit:
                raise TransportError(
                    f"an answer has {frame.total} bytes, more than the {self._limit} allowed"
                )
            self._total = frame.total
        body = bytes(frame.body)
        self._crc = google_crc32c.extend(self._crc, body)
        end = self._got + len(body)
        complete = end == self._total
        if frame.total != self._total or frame.value != self._got or end > self._total:
            raise TransportError("the parts of an answer do not fit together")
        if frame.last != complete or (not body and not complete):
            raise TransportError("an answer ends too early or not at all")
        self._got = end
        self._parts.append(body)
        if not complete:
            return None
        if self._crc != frame.crc:
            raise TransportError("the checksum of an answer is wrong")
        return body if len(self._parts) == 1 else b"".join(self._parts)
