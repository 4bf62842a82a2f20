"""How calls reach the pallets: origins, errors, events, and the table of what can be called.

A pallet's module registers its calls with `call`. `Context.dispatch` makes one as FRAME does: its
writes and events are undone when it fails (`DispatchFailed`), and an origin that is a proxy only
passes what its proxy type lets through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

from prbkit.testing.devnet.storage import Storage

__all__ = [
    "BASE_WEIGHT",
    "NONE",
    "ROOT",
    "Args",
    "CallFilter",
    "CallName",
    "Context",
    "DispatchFailed",
    "Origin",
    "Signed",
    "call",
    "call_of",
    "ensure_none",
    "ensure_root",
    "ensure_signed",
    "is_mandatory",
    "lookup",
    "weight_of",
]

Args: TypeAlias = Mapping[str, Any]
CallName: TypeAlias = tuple[str, str]
CallFilter: TypeAlias = Callable[[str, str, Args], bool]

#: Weight of a call that states none, in picoseconds of reference time.
BASE_WEIGHT = 100_000_000
#: How deep calls may stand in calls; what a real runtime's stack bounds too.
MAX_CALL_DEPTH = 64


@dataclass(frozen=True, slots=True)
class Signed:
    """An account; `filters` are those of the proxy that acts for it."""

    account: bytes
    filters: tuple[CallFilter, ...] = ()


@dataclass(frozen=True, slots=True)
class _Named:
    name: str


ROOT = _Named("root")
NONE = _Named("none")
Origin: TypeAlias = Signed | _Named


class DispatchFailed(Exception):
    """A call failed; `error` is the DispatchError in the shape of `prbkit.scale`."""

    def __init__(self, error: Any) -> None:
        super().__init__(str(error))
        self.error = error


Handler: TypeAlias = Callable[["Context", Origin, Args], bool | None]
Weigher: TypeAlias = Callable[[Args], int]


@dataclass(frozen=True, slots=True)
class _Registered:
    handler: Handler
    weight: Weigher
    mandatory: bool


_CALLS: dict[CallName, _Registered] = {}


def call(
    pallet: str,
    name: str,
    *,
    weight: int | Weigher = BASE_WEIGHT,
    mandatory: bool = False,
) -> Callable[[Handler], Handler]:
    """Register the function that makes a call.

    It raises `DispatchFailed`, or returns; True where the call turns out to be free of fees.

    :param weight: reference time in picoseconds, or a function of the arguments.
    :param mandatory: an inherent, which only the block's author puts in.
    """

    def register(handler: Handler) -> Handler:
        weigher = weight if callable(weight) else lambda _: weight
        _CALLS[pallet, name] = _Registered(handler, weigher, mandatory)
        return handler

    return register


def weight_of(pallet: str, name: str, args: Args) -> int:
    """Return a call's weight: reference time in picoseconds."""
    registered = _CALLS.get((pallet, name))
    return BASE_WEIGHT if registered is None else registered.weight(args)


def is_mandatory(pallet: str, name: str) -> bool:
    """Tell whether a call is an inherent."""
    registered = _CALLS.get((pallet, name))
    return registered is not None and registered.mandatory


def call_of(value: Mapping[str, Any]) -> tuple[str, str, Args]:
    """Return pallet, name and arguments of a call inside a value."""
    ((pallet, inner),) = value.items()
    if isinstance(inner, str):
        return pallet, inner, {}
    ((name, args),) = inner.items()
    return pallet, name, args or {}


def ensure_signed(origin: Origin) -> bytes:
    """Return the account; BadOrigin if the origin is none."""
    if isinstance(origin, Signed):
        return origin.account
    raise DispatchFailed("BadOrigin")


def ensure_root(origin: Origin) -> None:
    """Refuse all origins but root."""
    if origin is not ROOT:
        raise DispatchFailed("BadOrigin")


def ensure_none(origin: Origin) -> None:
    """Refuse all origins but the block's author."""
    if origin is not NONE:
        raise DispatchFailed("BadOrigin")


def lookup(address: Any) -> bytes:
    """Return the account that a MultiAddress names; only ``Id`` names one here."""
    if isinstance(address, dict) and isinstance(address.get("Id"), bytes):
        return bytes(address["Id"])
    raise DispatchFailed("CannotLookup")


class Context:
    """What a block's calls act on.

    :param settings: the chain's settings, for the pallets that have some.
    """

    def __init__(self, storage: Storage, number: int, settings: Any) -> None:
        self.storage = storage
        self.md = storage.md
        self.number = number
        self.settings = settings
        self.phase: Any = "Initialization"
        self.events: list[bytes] = []
        self._depth = 0
        self.get = storage.get
        self.put = storage.put
        self.has = storage.has
        self.kill = storage.kill
        self.take = storage.take

    @property
    def now_ms(self) -> int:
        """The block's time in milliseconds."""
        return int(self.get("Timestamp", "Now"))

    @property
    def now(self) -> int:
        """The block's time in seconds."""
        return self.now_ms // 1000

    def deposit(self, pallet: str, event: str, **fields: Any) -> None:
        """Leave an event; its fields by name."""
        self.deposit_value(pallet, {event: fields} if fields else event)

    def deposit_value(self, pallet: str, event: Any) -> None:
        """Leave an event in the shape of `prbkit.scale`."""
        record = {"phase": self.phase, "event": {pallet: event}, "topics": []}
        self.events.append(self.md.encode("frame_system::EventRecord", record))

    def fail(self, pallet: str, error: str) -> NoReturn:
        """Fail the call with a pallet's error."""
        found = self.md.pallet(pallet)
        number = self.md.variants(found.errors)[error].index
        raise DispatchFailed({"Module": {"index": found.index, "error": bytes([number, 0, 0, 0])}})

    def ensure(self, condition: bool, pallet: str, error: str) -> None:
        """Fail the call with a pallet's error unless the condition holds."""
        if not condition:
            self.fail(pallet, error)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Undo writes and events if an exception leaves the block."""
        count = len(self.events)
        try:
            with self.storage.layer():
                yield
        except BaseException:
            del self.events[count:]
            raise

    def dispatch(self, origin: Origin, pallet: str, name: str, args: Args) -> bool:
        """Make a call; return whether it is free of fees."""
        if isinstance(origin, Signed) and not all(
            passes(pallet, name, args) for passes in origin.filters
        ):
            self.fail("System", "CallFiltered")
        registered = _CALLS.get((pallet, name))
        if registered is None:
            raise DispatchFailed("Unavailable")
        if self._depth == MAX_CALL_DEPTH:
            raise DispatchFailed("Exhausted")
        self._depth += 1
        try:
            with self.transaction():
                return bool(registered.handler(self, origin, args))
        finally:
            self._depth -= 1

    def attempt(self, origin: Origin, value: Mapping[str, Any]) -> Any:
        """Make a call that stands inside another; return its DispatchResult."""
        try:
            self.dispatch(origin, *call_of(value))
        except DispatchFailed as failure:
            return {"Err": failure.error}
        return {"Ok": ()}
