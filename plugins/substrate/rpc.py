"""JSON-RPC 2.0 as a core without I/O: calls go in and frames come out, frames go in and events out.

One `RpcCore` belongs to one connection; ids and subscriptions die with it. Whatever bytes come,
`receive` answers with events or raises `Garbage`, after which the connection must be dropped:
nothing that follows on it can be trusted to belong to its call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from prbkit.errors import (
    BlockNotFound,
    RpcError,
    SourceError,
    StateDiscarded,
    TransactionRejected,
)

__all__ = [
    "Answered",
    "BatchRefused",
    "Failed",
    "Garbage",
    "Notified",
    "RpcCore",
    "RpcEvent",
    "RpcFailure",
    "typed_error",
]

_MAX_TEXT = 400
_MAX_EARLY = 64


class Garbage(Exception):
    """A frame that is no JSON-RPC answer, or answers what was not asked."""


@dataclass(frozen=True, slots=True)
class RpcFailure:
    """The error object of an answer; `data` as text."""

    code: int
    message: str
    data: str | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """The call `id` has its result."""

    id: int
    result: Any


@dataclass(frozen=True, slots=True)
class Failed:
    """The call `id` was answered with an error."""

    id: int
    failure: RpcFailure


@dataclass(frozen=True, slots=True)
class Notified:
    """A subscription told something. `id` is that of the call that subscribed."""

    id: int
    result: Any


@dataclass(frozen=True, slots=True)
class BatchRefused:
    """The batch that held the call `id` was refused as a whole; none of it was answered."""

    id: int
    failure: RpcFailure


RpcEvent = Answered | BatchRefused | Failed | Notified


class RpcCore:
    """Ids, open calls and subscriptions of one connection."""

    def __init__(self) -> None:
        self._next_id = 1
        self._open: dict[int, bool] = {}
        self._batches: list[set[int]] = []
        self._due = 0
        self._refused: set[int] = set()
        self._subscriptions: dict[str, int] = {}
        self._early: list[tuple[str, Any]] = []
        self._subscribing = 0

    @property
    def open_calls(self) -> int:
        """How many calls wait for their answer (forgotten ones too, until it comes)."""
        return len(self._open)

    def call(
        self, method: str, params: Sequence[Any], *, subscribe: bool = False
    ) -> tuple[int, bytes]:
        """Begin a call: its id and the frame to send.

        :param subscribe: the answer is a subscription's id, whose notifications are to be told.
        """
        number = self._next_id
        self._next_id += 1
        self._open[number] = subscribe
        self._subscribing += subscribe
        frame = orjson.dumps(
            {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}
        )
        return number, frame

    def batch(self, method: str, calls: Sequence[Sequence[Any]]) -> tuple[list[int], bytes]:
        """Begin several calls of one method, which go in one frame: their ids, and the frame."""
        numbers = range(self._next_id, self._next_id + len(calls))
        self._next_id += len(calls)
        self._open.update(dict.fromkeys(numbers, False))
        self._batches.append(set(numbers))
        frame = orjson.dumps(
            [
                {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}
                for number, params in zip(numbers, calls, strict=True)
            ]
        )
        return list(numbers), frame

    def unsubscribe(self, number: int) -> str | None:
        """Stop telling what the subscription made by call `number` says; its id at the node."""
        for name, owner in self._subscriptions.items():
            if owner == number:
                del self._subscriptions[name]
                return name
        return None

    def receive(self, frame: bytes | str) -> list[RpcEvent]:
        """Take a frame: what it means, in order.

        Raises `Garbage` for anything that is not an answer to an open call or a notification.
        """
        try:
            message = orjson.loads(frame)
        except ValueError as error:
            start = frame[:60] if isinstance(frame, str) else frame[:60].decode("latin-1")
            raise Garbage(f"no JSON: {start!r}") from error
        events: list[RpcEvent] = []
        for item in message if isinstance(message, list) else (message,):
            events.extend(self._take(item))
        return events

    def _take(self, item: Any) -> list[RpcEvent]:
        if not isinstance(item, dict):
            raise Garbage(f"a {type(item).__name__} instead of an answer")
        if "method" in item:
            return self._notified(item)
        number = item.get("id")
        failure = item.get("error")
        if number is None and failure is not None and (self._batches or self._due):
            return self._refuse(_failure(failure))
        if type(number) is int and number in self._refused:
            self._refused.discard(number)
            return []
        if type(number) is not int or number not in self._open:
            reason = f": {_failure(failure).message}" if failure is not None else ""
            raise Garbage(f"an answer to what was not asked (id {_short(number)}){reason}")
        subscribe = self._open.pop(number)
        self._answered(number)
        self._subscribing -= subscribe
        events: list[RpcEvent] = []
        if failure is not None:
            events.append(Failed(number, _failure(failure)))
        elif "result" not in item:
            raise Garbage("an answer without result and error")
        else:
            events.append(Answered(number, item["result"]))
            if subscribe:
                name = _subscription(item["result"])
                self._subscriptions[name] = number
                events.extend(
                    Notified(number, told) for early, told in self._early if early == name
                )
        if not self._subscribing:
            self._early.clear()
        return events

    def _refuse(self, failure: RpcFailure) -> list[RpcEvent]:
        """A batch was refused. Which one is not said, so all that are open count as refused.

        What still comes for the others of them, answers or refusals, is dropped.
        """
        refused = [number for batch in self._batches for number in sorted(batch)]
        self._due += len(self._batches) - 1
        self._batches.clear()
        self._refused.update(refused)
        for number in refused:
            del self._open[number]
        return [BatchRefused(number, failure) for number in refused]

    def _answered(self, number: int) -> None:
        for batch in self._batches:
            if number in batch:
                batch.discard(number)
                if not batch:
                    self._batches.remove(batch)
                return

    def _notified(self, item: dict[str, Any]) -> list[RpcEvent]:
        params = item.get("params")
        if not isinstance(params, dict) or "subscription" not in params:
            return []  # some other server-to-client call: JSON-RPC lets us ignore notifications
        name = _subscription(params["subscription"])
        told = params.get("result")
        number = self._subscriptions.get(name)
        if number is not None:
            return [Notified(number, told)]
        # A node may notify before it has answered the call that subscribes.
        if self._subscribing:
            self._early = [*self._early[1 - _MAX_EARLY :], (name, told)]
        return []


def typed_error(failure: RpcFailure, method: str, *, where: str) -> SourceError:
    """Make the typed error of a node's error answer, by its code or else by its text.

    Codes 1010 to 1019 are the transaction pool's, as in substrate's author API; what is said of
    pruned states and unknown blocks is the text of its client errors.
    """
    text = f"{failure.message} {failure.data or ''}".lower()
    message = f"{method}: {failure.message}" + (f" ({failure.data})" if failure.data else "")
    if 1010 <= failure.code <= 1019:
        return TransactionRejected(message, rpc_code=failure.code, data=failure.data, where=where)
    if "state already discarded" in text or "pruned" in text:
        return StateDiscarded(
            message,
            where=where,
            hint="this node is pruned: start it with --state-pruning=archive, "
            "or add an archive node to the chain's endpoints",
        )
    if any(said in text for said in _BLOCK_UNKNOWN):
        return BlockNotFound(
            message,
            where=where,
            hint="the node lacks this block: let it sync, or add an endpoint that has it",
        )
    return RpcError(message, rpc_code=failure.code, data=failure.data, where=where)


_BLOCK_UNKNOWN = (
    "unknownblock",
    "unknown block",
    "header was not found",
    "header not found",
    "block not found",
    "body not found",
    "block does not exist",
    "hash not found",
)


def _failure(error: Any) -> RpcFailure:
    if not isinstance(error, dict):
        return RpcFailure(0, _short(error))
    code = error.get("code")
    data = error.get("data")
    return RpcFailure(
        code if type(code) is int else 0,
        _short(error.get("message", "no message")),
        None if data is None else _short(data),
    )


def _subscription(name: Any) -> str:
    if isinstance(name, bool) or not isinstance(name, str | int):
        raise Garbage(f"{_short(name)} is no subscription id")
    return f"{type(name).__name__}:{name}"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 1] + "…"
