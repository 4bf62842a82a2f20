"""Ways in which a devnet endpoint misbehaves when it is asked to.

Each endpoint has a `Faults` of its own, whose fields may be changed at any time; what is not
switched on costs nothing. The chain itself never lies: an endpoint's answers are bent on the way
out, as a corrupt or hostile node would bend them.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Faults", "Lie", "LieKind", "flip_hex"]

LieKind = Literal["header", "proof", "justification", "changes", "block_hash", "storage"]


@dataclass(slots=True)
class Lie:
    """Bend answers of one kind about the blocks first … last (None: no end).

    `times` lies are told (None: always); then the endpoint is honest again.
    """

    kind: LieKind
    first: int = 0
    last: int | None = None
    times: int | None = None

    def applies(self, kind: str, number: int) -> bool:
        return (
            self.kind == kind
            and self.first <= number
            and (self.last is None or number <= self.last)
            and self.times != 0
        )


@dataclass(slots=True)
class Faults:
    """What is wrong with an endpoint now.

    - `latency`, `jitter`: seconds before each answer, the same plus a random part.
    - `dead`: connections are refused and existing ones cut.
    - `silent`: requests are read and never answered.
    - `drop_after`: the connection is cut instead of answering the n-th request from now on.
    - `lag`: how many blocks it is behind, for best and finalized heads.
    - `lies`: see `Lie`.
    - `deny_unsafe`: unsafe methods are refused, as public nodes do.
    - `prune`: states of blocks more than this far below the finalized head are discarded.
    - `disabled`: methods that this node does not have.
    - `errors`: method → (code, message) that it always fails with.
    - `genesis_hash`: block 0 has this hash (another chain).
    - `max_response`: bytes that an answer may have.
    """

    latency: float = 0.0
    jitter: float = 0.0
    dead: bool = False
    silent: bool = False
    drop_after: int | None = None
    lag: int = 0
    lies: list[Lie] = field(default_factory=list)
    deny_unsafe: bool = False
    prune: int | None = None
    disabled: set[str] = field(default_factory=set)
    errors: dict[str, tuple[int, str]] = field(default_factory=dict)
    genesis_hash: bytes | None = None
    max_response: int = 15 * 1024 * 1024
    told: list[tuple[str, int]] = field(default_factory=list)
    """Lies that were told: (kind, block number)."""

    def lie(
        self, kind: LieKind, first: int = 0, last: int | None = None, times: int | None = None
    ) -> None:
        """Start lying about something."""
        self.lies.append(Lie(kind, first, last, times))

    def clear(self) -> None:
        """Be well again."""
        fresh = Faults()
        for name in self.__slots__:
            if name != "told":
                setattr(self, name, getattr(fresh, name))

    def tells(self, kind: LieKind, number: int) -> bool:
        """Say whether this answer is to be a lie, and count it."""
        for lie in self.lies:
            if lie.applies(kind, number):
                if lie.times is not None:
                    lie.times -= 1
                self.told.append((kind, number))
                del self.told[:-1000]
                return True
        return False

    def delay(self) -> float:
        return self.latency + (random.random() * self.jitter if self.jitter else 0.0)

    def cuts(self) -> bool:
        """Say whether the connection is to be cut instead of answering this request."""
        if self.drop_after is None:
            return False
        if self.drop_after <= 0:
            self.drop_after = None
            return True
        self.drop_after -= 1
        return False


def flip_hex(value: str, position: int = -1) -> str:
    """Flip the lowest bit of one hex digit of a `0x` text."""
    digits = list(value)
    if len(digits) <= 2:
        return "0x01"
    digits[position] = format(int(digits[position], 16) ^ 1, "x")
    return "".join(digits)
